"""The sealed conversation with a host, through a discovery service."""

from __future__ import annotations

import asyncio
from typing import TypeVar

from teleglyph.client.call.connection import Credentials
from teleglyph.discovery.service_client import ServiceClient
from teleglyph.errors import AuthenticationError, CallRoomError, ConnectError, PeerError, PeerTimeoutError
from teleglyph.wire.acip import ErrorMessage, Event, HandshakeDone
from teleglyph.wire.acip.client_handshake import IdentityCheck
from teleglyph.wire.discovery import ParticipantLeft, Rendezvous, SessionJoined, Ways, WaysAnswer, WaysOffer
from teleglyph.wire.rendezvous import RendezvousClientSession

ANSWER_SECONDS = 10.0
"""For each answer of the host."""

_Event = TypeVar("_Event", bound=Event)


class HostConversation:
    """Proves who we are to a host, and learns the ways to it.

    Args:
        service: that relays; we have joined the session.
        joined: its answer.
        room: to join; empty for the lobby.
        credentials: how to join.
        check_identity: decides about the host's identity.
    """

    def __init__(
        self,
        service: ServiceClient,
        joined: SessionJoined,
        room: str,
        credentials: Credentials,
        check_identity: IdentityCheck,
    ) -> None:
        self._service = service
        self._joined = joined
        self._messages = service.messages()
        self._session = RendezvousClientSession(
            joined.session_id,
            password_key=credentials.password_key,
            client_key=credentials.client_key,
            check_identity=check_identity,
            room=room,
            invitation=credentials.invitation,
        )

    async def ask_for_ways(self) -> Ways:
        """Complete the handshake, and return what the host tells then.

        Raises:
            PeerError: the host refuses us, is not the one that we expect, or does not answer.
        """
        self._flush()
        await self._next(HandshakeDone)
        return await self._next(Ways)

    async def offer_channel(self, sdp: str) -> str:
        """Offer a data channel; returns the host's answer.

        Raises:
            PeerError: the host cannot open one, or does not answer.
        """
        self._session.send(WaysOffer(sdp))
        self._flush()
        return (await self._next(WaysAnswer)).sdp

    def _flush(self) -> None:
        joined = self._joined
        for body in self._session.messages_to_send():
            self._service.send(Rendezvous(joined.session_id, joined.participant_id, joined.host_id, body))

    async def _next(self, kind: type[_Event]) -> _Event:
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                event = await self._event()
        except TimeoutError:
            raise PeerTimeoutError(
                f"The host did not answer through the discovery service within {ANSWER_SECONDS:g} s. Ask whether its "
                "server is running."
            ) from None
        if isinstance(event, ErrorMessage):
            raise _refusal(event)
        if not isinstance(event, kind):
            raise PeerError(f"The host sent {type(event).__name__} when {kind.__name__} was due.")
        return event

    async def _event(self) -> Event:
        """The host's next event; feeds what arrives to the session."""
        while True:
            try:
                event = self._session.next_event()
            finally:
                self._flush()
            if event is not None:
                return event
            message = await anext(self._messages)
            if isinstance(message, Rendezvous):
                if message.sender_id == self._joined.host_id:
                    self._session.receive(message.body)
            elif isinstance(message, ErrorMessage):
                raise ConnectError(f"The discovery service cannot reach the host: {message.text}")
            elif isinstance(message, ParticipantLeft) and message.participant_id == self._joined.host_id:
                raise ConnectError("The host has just left. Ask whether its server is running, then try again.")


def _refusal(message: ErrorMessage) -> PeerError:
    for kind in (AuthenticationError, CallRoomError):
        if message.code == kind.exit_code:
            return kind(f"The host refuses: {message.text}")
    return ConnectError(f"The host refuses: {message.text}")
