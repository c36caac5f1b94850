"""One connection to a call: introduces us, hands over what comes, sends what is to be sent."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace

from teleglyph.client.address import Address
from teleglyph.client.attempts import UNANSWERED_PAUSES
from teleglyph.client.call.sound import CallSound
from teleglyph.client.call.uplink import Uplink
from teleglyph.client.trust import NotPinnedError, ServerTrust
from teleglyph.errors import (
    ConnectError,
    ConnectionLostError,
    HandshakeError,
    PeerError,
    PeerTimeoutError,
    ProtocolError,
    RateLimitError,
)
from teleglyph.media.frame_text import SafeFrame, check_frame, explain_refusal
from teleglyph.net import Connection, connect_tcp
from teleglyph.wire.acip import (
    AsciiFrame,
    AudioBatch,
    Capabilities,
    ClearConsole,
    ClientJoin,
    ClientLeave,
    ClientSession,
    DroppedFrame,
    ErrorMessage,
    Event,
    Feature,
    HandshakeDone,
    Identity,
    JoinFlag,
    OpusBatch,
    PaletteType,
    PictureRequest,
    Ping,
    Pong,
    RemoteLog,
    ScreenAck,
    ScreenUpdate,
    ServerState,
    ViewFlag,
    ViewSettings,
    ViewState,
    encode,
)

_log = logging.getLogger(__name__)

CONNECT_SECONDS = 3.0
HANDSHAKE_SECONDS = 5.0
_PING_AFTER = 0.4
"""Seconds without a packet of ours after which a sign of life goes out; peers of ascii-chat want one every second."""
_ASK_AFTER, _GIVE_UP_AFTER = 3.0, 12.0
"""Seconds of the server's silence after which it is asked, and after which the connection counts as lost."""
_TICK = 0.1
_STANDARD_PALETTE = 1


def _ignore(*_: object) -> None:
    """What happens when nobody listens."""


@dataclass(slots=True)
class CallEvents:
    """Who wants to know what."""

    joined: Callable[[HandshakeDone], None] = _ignore
    """The server let us in."""
    frame: Callable[[SafeFrame], None] = _ignore
    """A frame of text, no larger than what was asked for."""
    refused: Callable[[str], None] = _ignore
    """A frame that cannot be shown, and why."""
    screen: Callable[[ScreenUpdate], None] = _ignore
    """Changes of a screen, from a server of our own kind; to be acknowledged when they are seen."""
    clear: Callable[[], None] = _ignore
    """The screen is to be cleared before the next frame."""
    members: Callable[[int, int], None] = _ignore
    """How many are connected, and how many of them send a picture."""
    notice: Callable[[str], None] = _ignore
    """A sentence from the server for people."""


@dataclass(slots=True)
class Received:
    """Counters over all connections of a client."""

    frames: int = 0
    frame_bytes: int = 0
    refused_frames: int = 0
    """Frames that were damaged, or held something that no terminal should get."""


@dataclass(frozen=True, slots=True)
class Credentials:
    """How to join.

    Attributes:
        name: shown to the others.
        password_key: what :func:`teleglyph.wire.derive_password_key` makes of the password.
        client_key: our own identity, for servers that ask for one.
        trust: decides about the server's identity; None accepts any.
        encrypt: False only for servers that are told not to encrypt either.
    """

    name: str
    password_key: bytes | None = field(default=None, repr=False)
    client_key: Identity | None = field(default=None, repr=False)
    trust: ServerTrust | None = None
    encrypt: bool = True


class NoAnswerError(RateLimitError):
    """The server ended the connection before its first byte; there are several possible causes."""

    def __init__(self, address: Address) -> None:
        super().__init__(
            f"{address} closes every connection before it says anything. Perhaps it takes no more from this address "
            "for a while, after too many connections or wrong passwords; perhaps it is starting, busy or full; or "
            "another kind of service listens on this port. Check the address and the port, and try again in a minute."
        )


class CallClient:
    """One participant in a call; :meth:`run` is one stay in it and may be repeated.

    Args:
        address: the server.
        credentials: how to join.
        capabilities: the terminal that frames are wanted for.
        settings: what is wanted beyond that from a server of our own kind.
        uplink: what to send; None sends nothing.
        sound: what is said and heard; None neither.
        events: who wants to know what happens.
    """

    def __init__(
        self,
        address: Address,
        credentials: Credentials,
        capabilities: Capabilities,
        uplink: Uplink | None = None,
        events: CallEvents | None = None,
        sound: CallSound | None = None,
        settings: ViewSettings | None = None,
    ) -> None:
        self.received = Received()
        self.view: ViewState | None = None
        """Whom we see, as the server says; None from servers that do not say it."""
        self.on_view: Callable[[ViewState], None] = _ignore
        """Called when that changes."""
        self._address = address
        self._credentials = credentials
        self._capabilities = capabilities
        self._settings = _with_state(settings or ViewSettings())
        self._has_screens = False
        self._uplink = uplink
        self._sound = sound
        self._events = events or CallEvents()
        self._connection: Connection | None = None
        self._numeric_host = ""

    @property
    def numeric_host(self) -> str:
        """The server's numeric address, without the port; empty before the first connection."""
        return self._numeric_host

    @property
    def bytes_in(self) -> int:
        """Bytes received over the present connection."""
        return self._connection.traffic.bytes_in if self._connection else 0

    @property
    def size(self) -> tuple[int, int]:
        """Columns and rows that frames are wanted for."""
        return self._capabilities.width, self._capabilities.height

    @property
    def is_joined(self) -> bool:
        """We are in the call at this moment."""
        return self._connection is not None

    @property
    def has_screens(self) -> bool:
        """The server composes screens for us, as ours do and those of ascii-chat do not."""
        return self._has_screens

    async def run(self) -> None:
        """Join and stay until the connection ends.

        Raises:
            PeerError: always, in the end: the server cannot be reached, refuses us, breaks the protocol or is gone.
        """
        connection, done = await self._open()
        tasks: list[asyncio.Task[None]] = []
        farewell: list[bytes] = []
        try:
            self._has_screens = Feature.SCREEN_UPDATES in done.features
            # Places are numbered in the order of joining, which is another one after a break.
            self.view, self._settings = None, replace(self._settings, spotlight=0)
            self._introduce(connection)
            self._connection = connection
            self._numeric_host = connection.numeric_peer.rpartition(":")[0].strip("[]")
            self._events.joined(done)
            if self._uplink is not None:
                self._uplink.joined(takes_requests=self._has_screens)
            tasks.append(asyncio.create_task(self._keep_alive(connection), name="keep-alive"))
            if self._sound is not None:
                self._sound.start(connection)
            if self._uplink is not None:
                tasks.append(asyncio.create_task(self._uplink.send(connection), name="uplink"))
            async for message in connection:
                self._receive(connection, message)
            raise ConnectionLostError("The server closed the connection")
        except asyncio.CancelledError:
            farewell = [encode(ClientLeave("The user left"))] if self._connection else []
            raise
        finally:
            self._connection = None
            if self._sound is not None:
                self._sound.stop()
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            await connection.close(*farewell)

    def change(self, capabilities: Capabilities, settings: ViewSettings | None = None) -> None:
        """The terminal or the wishes changed; frames of the new kind follow."""
        settings = self._settings if settings is None else _with_state(settings)
        changed_settings, changed = settings != self._settings, capabilities != self._capabilities
        self._capabilities, self._settings = capabilities, settings
        if self._connection is None:
            return
        if changed_settings and self._has_screens:
            self._connection.send(settings)
        if changed:
            self._connection.send(self._understood(capabilities))

    def acknowledge(self, number: int, *, wants_whole: bool = False) -> None:
        """Say which screen is seen, and perhaps that the next update has to be a whole one."""
        if self._connection is not None and self._has_screens:
            self._connection.send(ScreenAck(number, wants_whole))

    # --- internals ------------------------------------------------------------------------------------

    async def _open(self) -> tuple[Connection, HandshakeDone]:
        """A connection on which the server let us in, and what was agreed."""
        trust = self._credentials.trust
        try:
            return await self._try_patiently()
        except NotPinnedError:
            # A server with several identities shows the one that it is asked for; ascii-chat's server, which has
            # but one, breaks off when it is asked, so asking comes second (spec acip-crypto 4.4).
            for pinned in trust.pinned if trust is not None else ():
                with contextlib.suppress(PeerError):
                    return await self._try_patiently(pinned)
            raise

    async def _try_patiently(self, hello: bytes | None = None) -> tuple[Connection, HandshakeDone]:
        """Try again, a few times, when the server ends the connection before its first byte."""
        for pause in UNANSWERED_PAUSES:
            try:
                return await self._try(hello)
            except NoAnswerError:
                _log.debug("%s closed the connection before its first byte; trying again in %g s", self._address, pause)
            await asyncio.sleep(pause)
        return await self._try(hello)

    async def _try(self, hello: bytes | None = None) -> tuple[Connection, HandshakeDone]:
        credentials = self._credentials
        trust = credentials.trust

        def check(identity: bytes | None) -> None:
            if trust is not None:
                is_ascii_chat = session.features == Feature.NONE
                trust.check(connection.numeric_peer, identity, name=str(self._address), is_ascii_chat=is_ascii_chat)

        session = ClientSession(
            password_key=credentials.password_key,
            client_key=credentials.client_key,
            encrypt=credentials.encrypt,
            check_identity=check,
            hello=hello,
            features=Feature.SCREEN_UPDATES,
        )
        try:
            connection = await connect_tcp(*self._address, session, timeout=CONNECT_SECONDS)
        except ConnectError as error:
            # A reset may arrive while the event loop still sets the connection up.
            if isinstance(error.__cause__, ConnectionResetError | ConnectionAbortedError | BrokenPipeError):
                raise NoAnswerError(self._address) from error
            raise
        try:
            return connection, await self._shake_hands(connection)
        except BaseException:
            await connection.close()
            raise

    async def _shake_hands(self, connection: Connection) -> HandshakeDone:
        try:
            return await connection.handshake(HANDSHAKE_SECONDS)
        except PeerTimeoutError:
            raise PeerTimeoutError(
                f"{self._address} answers nothing within {HANDSHAKE_SECONDS:g} s: is it the port of a call server?"
            ) from None
        except ConnectionLostError:
            if connection.traffic.bytes_in:
                raise
            raise NoAnswerError(self._address) from None
        except HandshakeError:
            raise
        except ProtocolError as error:
            raise ProtocolError(
                f"{self._address} is no call server, or the port is another service's ({error})"
            ) from error

    def _introduce(self, connection: Connection) -> None:
        if self._has_screens:
            connection.send(self._settings)
        connection.send(self._understood(self._capabilities))
        # Servers refuse a client that can do nothing; what it does send is said by STREAM_START.
        connection.send(ClientJoin(self._credentials.name, JoinFlag.VIDEO | JoinFlag.AUDIO))

    def _understood(self, capabilities: Capabilities) -> Capabilities:
        """The capabilities without what ascii-chat's server ends a connection for: a palette of the user's own."""
        if self._has_screens or capabilities.palette_type != PaletteType.CUSTOM:
            return capabilities
        return replace(capabilities, palette_type=_STANDARD_PALETTE, palette_custom="")

    def _receive(self, connection: Connection, message: Event) -> None:
        match message:
            case AsciiFrame():
                self._receive_frame(message.text)
            case DroppedFrame():
                self._refuse_frame(f"they arrive damaged ({message.reason})")
            case ScreenUpdate():
                self.received.frames += 1
                self.received.frame_bytes += len(message.body)
                self._events.screen(message)
            case ViewState():
                self.view = message
                self._settings = replace(self._settings, spotlight=message.place)
                self.on_view(message)
            case PictureRequest():
                if self._uplink is not None:
                    self._uplink.request(message)
            case OpusBatch() | AudioBatch():
                if self._sound is not None:
                    self._sound.receive(message)
            case ClearConsole():
                self._events.clear()
            case Ping():
                connection.send(Pong())
            case ServerState():
                self._events.members(message.connected, message.active)
            case RemoteLog():
                _log.debug("server: %s", message.text)
                self._events.notice(message.text)
            case ErrorMessage():
                raise PeerError(f"The server ends the connection: {message.text} (code {message.code})")

    def _receive_frame(self, text: bytes) -> None:
        frame = check_frame(text, *self.size)
        if frame is None:
            self._refuse_frame(explain_refusal(text))
            return
        self.received.frames += 1
        self.received.frame_bytes += len(text)
        self._events.frame(frame)

    def _refuse_frame(self, reason: str) -> None:
        self.received.refused_frames += 1
        self._events.refused(reason)

    async def _keep_alive(self, connection: Connection) -> None:
        asked = 0.0
        while True:
            await asyncio.sleep(_TICK)
            now = time.monotonic()
            silence = now - connection.last_received
            if silence > _GIVE_UP_AFTER:
                connection.fail(PeerTimeoutError(f"{self._address} has been silent for {silence:.0f} s"))
                return
            is_due = now - connection.last_sent > _PING_AFTER or (silence > _ASK_AFTER and now - asked > 1.0)
            if is_due and connection.blocked_since is None:
                asked = now
                connection.send(Ping())


def _with_state(settings: ViewSettings) -> ViewSettings:
    """Settings that also ask to be told whom we see."""
    return replace(settings, flags=settings.flags | ViewFlag.TELL_STATE)
