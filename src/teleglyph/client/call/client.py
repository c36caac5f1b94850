"""One client in a call: joins, dispatches incoming messages, sends what the user changes."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from teleglyph.client.address import CallAddress
from teleglyph.client.call.connection import Credentials, ServerConnector
from teleglyph.client.call.keep_alive import keep_alive
from teleglyph.client.call.sound import CallSound
from teleglyph.client.call.uplink import Uplink
from teleglyph.client.session_address import SessionAddress
from teleglyph.errors import CallRoomError, ConnectionLostError, PeerError
from teleglyph.media.frame_text import SafeFrame, check_frame, explain_refusal
from teleglyph.net import Connection
from teleglyph.wire.acip import (
    AsciiFrame,
    AudioBatch,
    Capabilities,
    ClearConsole,
    ClientJoin,
    ClientLeave,
    DroppedFrame,
    ErrorMessage,
    Event,
    Feature,
    HandshakeDone,
    JoinFlag,
    LogLevel,
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

if TYPE_CHECKING:
    from teleglyph.client.call.ways.session_connector import SessionConnector

_log = logging.getLogger(__name__)


def _ignore(*_: object) -> None:
    """The default callback."""


@dataclass(slots=True)
class CallEvents:
    """Callbacks for what happens in a call."""

    joined: Callable[[HandshakeDone], None] = _ignore
    """The handshake is complete."""
    frame: Callable[[SafeFrame], None] = _ignore
    """A text frame, no larger than requested."""
    refused: Callable[[str], None] = _ignore
    """A frame that cannot be shown, and the reason."""
    screen: Callable[[ScreenUpdate], None] = _ignore
    """A delta from a Teleglyph server; acknowledge it once it is on the terminal."""
    clear: Callable[[], None] = _ignore
    """Clear the screen before the next frame."""
    members: Callable[[int, int], None] = _ignore
    """The number of participants, and how many of them send a picture."""
    warned: Callable[[str], None] = _ignore
    """A sentence of a Teleglyph server that the user should see."""


@dataclass(slots=True)
class ReceiveCounters:
    """Counters over all connections of a client."""

    frames: int = 0
    frame_bytes: int = 0


class CallClient:
    """One participant in a call; each :meth:`run` is one connection.

    Args:
        address: the server.
        credentials: how to join.
        capabilities: of the terminal that shows the frames.
        uplink: the picture to send; None sends nothing.
        events: callbacks.
        sound: microphone and speakers; None for neither.
        settings: further settings for Teleglyph servers.
    """

    def __init__(
        self,
        address: CallAddress,
        credentials: Credentials,
        capabilities: Capabilities,
        uplink: Uplink | None = None,
        events: CallEvents | None = None,
        sound: CallSound | None = None,
        settings: ViewSettings | None = None,
    ) -> None:
        self.received = ReceiveCounters()
        self.view: ViewState | None = None
        """The participants in view, as reported by the server; None if it does not report them."""
        self.on_view: Callable[[ViewState], None] = _ignore
        """Called when :attr:`view` changes."""
        self._address = address
        self._credentials = credentials
        self._connector = _connector(address, credentials)
        self._capabilities = capabilities
        self._settings = _with_view_state(settings or ViewSettings())
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
        """Bytes received over the current connection."""
        return self._connection.traffic.bytes_in if self._connection else 0

    @property
    def size(self) -> tuple[int, int]:
        """Columns and rows of the requested frames."""
        return self._capabilities.width, self._capabilities.height

    @property
    def is_joined(self) -> bool:
        """Whether we are in the call now."""
        return self._connection is not None

    @property
    def has_screens(self) -> bool:
        """Whether the server sends deltas; ascii-chat's servers do not."""
        return self._has_screens

    async def run(self) -> None:
        """Join and stay until the connection ends.

        Raises:
            PeerError: always: the server cannot be reached, refuses us, breaks the protocol or disappears.
        """
        connection, done = await self._connector.open()
        tasks: list[asyncio.Task[None]] = []
        farewell: list[bytes] = []
        try:
            self._has_screens = Feature.SCREEN_UPDATES in done.features
            # Participants are numbered in the order of joining, so a reconnect changes the numbers.
            self.view, self._settings = None, replace(self._settings, spotlight=0)
            self._introduce(connection)
            self._connection = connection
            self._numeric_host = connection.numeric_peer.rpartition(":")[0].strip("[]")
            self._events.joined(done)
            if self._uplink is not None:
                self._uplink.joined(takes_requests=self._has_screens)
            tasks.append(asyncio.create_task(keep_alive(connection, self._address), name="keep-alive"))
            if self._sound is not None:
                self._sound.start(connection)
            if self._uplink is not None:
                tasks.append(asyncio.create_task(self._uplink.send(connection), name="uplink"))
            async for message in connection:
                self._receive(connection, message)
            raise ConnectionLostError("The server closed the connection.")
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

    def update(self, capabilities: Capabilities, settings: ViewSettings | None = None) -> None:
        """Tell the server that the terminal or the settings changed."""
        settings = self._settings if settings is None else _with_view_state(settings)
        has_new_settings = settings != self._settings
        has_new_capabilities = capabilities != self._capabilities
        self._capabilities, self._settings = capabilities, settings
        if self._connection is None:
            return
        if has_new_settings and self._has_screens:
            self._connection.send(settings)
        if has_new_capabilities:
            self._connection.send(self._supported(capabilities))

    def acknowledge(self, number: int, *, wants_full: bool = False) -> None:
        """Acknowledge a delta that is on the terminal.

        Args:
            number: of the delta.
            wants_full: request a full screen next.
        """
        if self._connection is not None and self._has_screens:
            self._connection.send(ScreenAck(number, wants_full))

    def _introduce(self, connection: Connection) -> None:
        if self._has_screens:
            connection.send(self._settings)
        connection.send(self._supported(self._capabilities))
        # Servers refuse a client without any flag. STREAM_START announces the real streams.
        connection.send(ClientJoin(self._credentials.name, JoinFlag.VIDEO | JoinFlag.AUDIO))

    def _supported(self, capabilities: Capabilities) -> Capabilities:
        """The capabilities without a custom palette, for which ascii-chat's server would disconnect us."""
        if self._has_screens or capabilities.palette_type != PaletteType.CUSTOM:
            return capabilities
        return replace(capabilities, palette_type=PaletteType.STANDARD, palette_custom="")

    def _receive(self, connection: Connection, message: Event) -> None:
        match message:
            case AsciiFrame():
                self._receive_frame(message.text)
            case DroppedFrame():
                self._events.refused(f"they arrive damaged ({message.reason})")
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
                _log.debug("Server message: %s", message.text)
                # Teleglyph's servers send few lines at this level; ascii-chat's send what helps only their programmers.
                if message.level == LogLevel.WARN and self._has_screens:
                    self._events.warned(message.text)
            case ErrorMessage():
                kind = CallRoomError if message.code == CallRoomError.exit_code else PeerError
                raise kind(f"The server ended the connection: {message.text} (code {message.code}).")

    def _receive_frame(self, text: bytes) -> None:
        frame = check_frame(text, *self.size)
        if frame is None:
            self._events.refused(explain_refusal(text))
            return
        self.received.frames += 1
        self.received.frame_bytes += len(text)
        self._events.frame(frame)


def _connector(address: CallAddress, credentials: Credentials) -> ServerConnector | SessionConnector:
    if isinstance(address, SessionAddress):
        # Imported here, because a call with an address does not need these modules.
        from teleglyph.client.call.ways.session_connector import SessionConnector

        return SessionConnector(address, credentials)
    return ServerConnector(address, credentials)


def _with_view_state(settings: ViewSettings) -> ViewSettings:
    """Settings that also request :class:`ViewState` messages."""
    return replace(settings, flags=settings.flags | ViewFlag.SEND_STATE)
