"""Answers those who want to reach this server through a discovery service.

Each guest has a sealed conversation, which the service relays: the same proofs as for a call, then the ways to this
server.  Only guests who have proven something learn addresses.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable

from teleglyph.errors import AuthenticationError, HandshakeError, PeerError, RateLimitError
from teleglyph.net import SlidingWindow
from teleglyph.server.by_name.arrivals import Arrivals
from teleglyph.server.call_admission import CallAdmission
from teleglyph.wire.acip import Event, HandshakeDone, Message
from teleglyph.wire.acip.messages import ErrorMessage
from teleglyph.wire.discovery import DirectAddress, IceServer, Rendezvous, Ways, WaysAnswer, WaysOffer
from teleglyph.wire.rendezvous import RendezvousServerSession

_log = logging.getLogger(__name__)

MAX_GUESTS = 64
"""Conversations at once."""
GUEST_SECONDS = 90.0
"""For a conversation: proofs, ways, and the choice among them.  A person may have to type a password."""
_HANDSHAKES_PER_MINUTE = 60
"""From all guests: a hostile service could otherwise try passwords under ever new names."""
_TAG = 8
"""The first bytes of a participant's id, which the service makes from the address that it sees."""


class _Guest:
    """One conversation."""

    def __init__(
        self, session: RendezvousServerSession, over: Callable[[], None], expires: asyncio.TimerHandle
    ) -> None:
        self.session = session
        self.over = over
        self.expires = expires
        self.is_admitted = False
        self.arrival: asyncio.Task[None] | None = None
        """Opens a data channel."""


class RendezvousDoor:
    """The conversations with all guests.

    Args:
        calls: decides who may join.
        arrivals: lets those in who come through data channels.
        addresses: this server's addresses for guests.
        exposes_address: guests who prove nothing may learn them, too.
    """

    def __init__(
        self,
        calls: CallAdmission,
        arrivals: Arrivals,
        addresses: Callable[[], list[DirectAddress]],
        *,
        exposes_address: bool,
    ) -> None:
        self.servers: tuple[IceServer, ...] = ()
        """For ICE, of this server and its guests."""
        self.answered = 0
        """Guests who were told the ways."""
        self.refused = 0
        self._calls = calls
        self._arrivals = arrivals
        self._addresses = addresses
        self._exposes_address = exposes_address
        self._session_id = self._own_id = b""
        self._send: Callable[[Message], None] = lambda _: None
        self._guests: dict[bytes, _Guest] = {}
        self._handshakes = SlidingWindow(_HANDSHAKES_PER_MINUTE, 60.0)

    def open(self, session_id: bytes, own_id: bytes, send: Callable[[Message], None]) -> None:
        """Begin with a new connection to the service.

        Args:
            session_id: of this server's session.
            own_id: this server's participant id.
            send: sends a message to the service.
        """
        self.close()
        self._session_id, self._own_id, self._send = session_id, own_id, send

    def close(self) -> None:
        """End all conversations."""
        for sender in list(self._guests):
            self.left(sender)

    def left(self, participant_id: bytes) -> None:
        """A guest has left the session.  If a data channel is open already, it stays."""
        guest = self._guests.pop(participant_id, None)
        if guest is not None:
            guest.over()
            guest.expires.cancel()

    def receive(self, message: Rendezvous) -> None:
        """Take a guest's message."""
        sender = message.sender_id
        if message.session_id != self._session_id:
            return
        guest = self._guests.get(sender) or self._welcome(sender)
        if guest is None:
            return
        try:
            guest.session.receive(message.body)
            while (event := guest.session.next_event()) is not None:
                self._take(sender, guest, event)
        except PeerError as error:
            self.refused += 1
            level = logging.DEBUG if isinstance(error, AuthenticationError) else logging.INFO
            _log.log(level, "A guest by name was refused: %s", error)
            self._flush(sender, guest)
            self.left(sender)
        else:
            self._flush(sender, guest)

    def _welcome(self, sender: bytes) -> _Guest | None:
        """Begin a conversation; None if there are too many."""
        if len(self._guests) >= MAX_GUESTS or not self._handshakes.allow("guests", time.monotonic()):
            self.refused += 1
            _log.debug("A guest by name was refused: %d conversations are open", len(self._guests))
            return None
        guard = self._calls.guard(f"guest {sender[:_TAG].hex()}")
        session = self._calls.rendezvous_session(guard, self._session_id)
        expires = asyncio.get_running_loop().call_later(GUEST_SECONDS, self.left, sender)
        guest = self._guests[sender] = _Guest(session, guard.over, expires)
        return guest

    def _flush(self, sender: bytes, guest: _Guest) -> None:
        for body in guest.session.messages_to_send():
            self._send(Rendezvous(self._session_id, self._own_id, sender, body))

    def _take(self, sender: bytes, guest: _Guest, event: Event) -> None:
        if isinstance(event, HandshakeDone):
            self._admit(guest, event)
        elif isinstance(event, WaysOffer):
            if not guest.is_admitted or guest.arrival is not None:
                raise HandshakeError("The guest offers a data channel out of order.")
            guest.arrival = asyncio.get_running_loop().create_task(
                self._answer(sender, guest, event.sdp), name="data channel"
            )
            self._arrivals.keep(guest.arrival)
        else:
            raise HandshakeError(f"The guest sent {type(event).__name__}, which does not belong here.")

    def _admit(self, guest: _Guest, done: HandshakeDone) -> None:
        if not done.authenticated and not self._exposes_address:
            text = (
                "This room needs neither a password nor a key, so its host does not show its address. Ask the host for "
                "an invitation, or for a room with a password."
            )
            guest.session.send(ErrorMessage(AuthenticationError.exit_code, text))
            raise AuthenticationError("it proved nothing, and --discovery-expose-ip is not set")
        guest.is_admitted = True
        self.answered += 1
        guest.session.send(Ways(tuple(self._addresses()), self.servers))

    async def _answer(self, sender: bytes, guest: _Guest, sdp: str) -> None:
        """Open a data channel; it outlives the conversation."""
        try:
            await self._arrivals.answer(
                sdp, self.servers, lambda answer: self._reply(sender, guest, WaysAnswer(answer))
            )
        except RateLimitError as error:
            self._reply(sender, guest, ErrorMessage(error.exit_code, str(error)))
        except PeerError as error:
            _log.debug("A data channel failed: %s", error)
            self._reply(sender, guest, ErrorMessage(error.exit_code, str(error)))

    def _reply(self, sender: bytes, guest: _Guest, message: Message) -> None:
        if self._guests.get(sender) is guest:
            guest.session.send(message)
            self._flush(sender, guest)
