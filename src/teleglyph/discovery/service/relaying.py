"""Messages from one participant to others, and who hosts."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable
from dataclasses import replace

from teleglyph.discovery.service.limits import RequestKind
from teleglyph.discovery.service.live_session import Participant, ServicePeer
from teleglyph.discovery.service.membership import own_participant
from teleglyph.discovery.service.refusal import Reason, RefusedError
from teleglyph.discovery.service.state import ServiceState
from teleglyph.net.addresses import numeric
from teleglyph.wire.acip import Message
from teleglyph.wire.discovery import (
    NO_ID,
    HostAnnouncement,
    HostDesignated,
    HostLost,
    NetworkQuality,
    Rendezvous,
    WebrtcIce,
    WebrtcSdp,
)


class Relaying:
    """Passes messages on, after checking that their sender may send them.

    Args:
        state: of the service.
    """

    def __init__(self, state: ServiceState) -> None:
        self._state = state

    def rendezvous(self, peer: ServicePeer, message: Rendezvous) -> None:
        """Pass RENDEZVOUS on, between the host and somebody else."""
        sender = own_participant(peer, message.session_id, message.sender_id)
        live = sender.session
        self._count(peer, sender, message)
        if not live.has_rendezvous:
            raise RefusedError(Reason.STATE, "The host of this session does not answer rendezvous messages.")
        if not sender.is_host and message.recipient_id != live.stored.host_id:
            raise RefusedError(Reason.PARAMETER, "You can only send rendezvous messages to the host.")
        recipient = live.participants.get(message.recipient_id)
        if recipient is sender:
            raise RefusedError(Reason.PARAMETER, "You cannot send rendezvous messages to yourself.")
        if recipient is None or not recipient.send(message):
            self._state.counters.undelivered += 1
            if sender.is_host:
                raise RefusedError(Reason.AWAY, "That participant has left.")
            raise RefusedError(Reason.AWAY, "The host is away. Try again in a minute.")
        self._passed(message, 1)

    def signal(self, peer: ServicePeer, message: WebrtcSdp | WebrtcIce) -> None:
        """Pass WEBRTC_SDP or WEBRTC_ICE on, to one or all others."""
        sender = own_participant(peer, message.session_id, message.sender_id)
        self._count(peer, sender, message)
        self._refuse_with_rendezvous(sender, message)
        if message.recipient_id == NO_ID:
            self._broadcast(sender.session.others(sender), message)
            return
        recipient = sender.session.participants.get(message.recipient_id)
        if recipient is None or recipient is sender or not recipient.send(message):
            self._state.counters.undelivered += 1
            raise RefusedError(Reason.AWAY, "Relaying failed: that participant is not connected.")
        self._passed(message, 1)

    def quality(self, peer: ServicePeer, message: NetworkQuality) -> None:
        """Pass NETWORK_QUALITY on to all others."""
        sender = own_participant(peer, message.session_id, message.participant_id)
        self._count(peer, sender, message)
        self._refuse_with_rendezvous(sender, message)
        self._broadcast(sender.session.others(sender), message)

    # --- the host ---------------------------------------------------------------------------------------

    def announce(self, peer: ServicePeer, message: HostAnnouncement) -> None:
        """Make the sender the host, and tell the others with HOST_DESIGNATED."""
        self._state.count(peer, RequestKind.CONTROL)
        sender = own_participant(peer, message.session_id, message.host_id)
        live = sender.session
        self._refuse_with_rendezvous(sender, message)
        others_host = live.host is not None and live.host is not sender and live.host.peer is not None
        if others_host or (live.creator is not None and live.creator is not peer):
            raise RefusedError(Reason.STATE, "This session has another host, which is connected.")
        announced = replace(message, address=_own_address(peer, message.address))
        live.host, live.announced = sender, announced
        self._state.touch(live)
        for other in live.others(sender):
            shown = announced if other.sees_address else replace(announced, address="", port=0)
            other.send(HostDesignated(shown.session_id, shown.host_id, shown.address, shown.port, shown.connection))

    def lost(self, peer: ServicePeer, message: HostLost) -> None:
        """Pass HOST_LOST on, unless the host is still connected here."""
        self._state.count(peer, RequestKind.CONTROL)
        sender = own_participant(peer, message.session_id, message.reporter_id)
        live = sender.session
        self._refuse_with_rendezvous(sender, message)
        if live.host is None or live.host.id != message.host_id:
            raise RefusedError(Reason.PARAMETER, "That participant is not the host.")
        if live.host.peer is not None:
            raise RefusedError(Reason.STATE, "The host is still connected to this service.")
        live.host = live.announced = None
        self._broadcast(live.others(sender), message)

    # --- counting ---------------------------------------------------------------------------------------

    @staticmethod
    def _refuse_with_rendezvous(sender: Participant, message: Message) -> None:
        if sender.session.has_rendezvous:
            raise RefusedError(
                Reason.STATE, f"{message.type.name} is not for this session, whose host answers RENDEZVOUS."
            )

    def _count(self, peer: ServicePeer, sender: Participant, message: Message) -> None:
        sender.active_at = self._state.now
        if not peer.may_relay(len(message.encode_payload()), self._state.now):
            limits = self._state.limits
            text = f"Too many messages to others (at most {limits.relays} and {limits.relay_bytes >> 10} KiB a minute)."
            raise RefusedError(Reason.RATE, text)

    def _broadcast(self, recipients: Iterable[Participant], message: Message) -> None:
        self._passed(message, sum(one.send(message) for one in recipients))

    def _passed(self, message: Message, copies: int) -> None:
        if copies:
            self._state.counters.relayed[message.type.name.lower()] += copies
            self._state.counters.relayed_bytes += copies * len(message.encode_payload())


def _own_address(peer: ServicePeer, announced: str) -> str:
    """The address for others: the host's own, in place of one that means nothing to them.

    Raises:
        RefusedError: it belongs to somebody else.
    """
    own = numeric(peer.address) or peer.address
    plain = numeric(announced)
    if not announced or plain == own:
        return own
    if plain is not None and not ipaddress.ip_address(plain).is_global:
        return own
    raise RefusedError(
        Reason.PARAMETER, f"You can only announce the address that you connect from, {own}, or leave it out."
    )
