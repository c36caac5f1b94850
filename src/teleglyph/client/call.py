"""A participant's side of a call: pictures out, frames in."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass

from teleglyph.errors import PeerError
from teleglyph.media.pattern import Paint
from teleglyph.net import Connection, connect_tcp
from teleglyph.wire import (
    AsciiFrame,
    Capabilities,
    ClearConsole,
    ClientJoin,
    ClientSession,
    ErrorMessage,
    Event,
    ImageFrame,
    Ping,
    Pong,
    StreamStart,
    encode,
)

_PING_AFTER = 0.4
_HANDSHAKE_SECONDS = 5.0
_VIDEO = 1


@dataclass(frozen=True, slots=True)
class Picture:
    """What a participant sends."""

    paint: Paint
    rate: float = 30.0


class CallClient:
    """One participant in a call.

    Args:
        capabilities: the terminal frames are wanted for.
        name: shown to the others.
        picture: what to send; None sends nothing.
        on_frame: gets the text of each frame.
        on_clear: called when the screen is to be cleared before the next frame.
    """

    def __init__(
        self,
        capabilities: Capabilities,
        name: str,
        picture: Picture | None,
        on_frame: Callable[[bytes], None] = lambda _: None,
        on_clear: Callable[[], None] = lambda: None,
    ) -> None:
        self._capabilities = capabilities
        self._name = name
        self._picture = picture
        self._on_frame = on_frame
        self._on_clear = on_clear
        self._connection: Connection | None = None

    async def run(self, host: str, port: int, password_key: bytes | None = None) -> None:
        """Join and stay until the server ends the connection.

        Raises:
            PeerError: the server cannot be reached, refuses us or breaks the protocol.
        """
        connection = await connect_tcp(host, port, ClientSession(password_key=password_key))
        self._connection = connection
        sender: asyncio.Task[None] | None = None
        try:
            await connection.handshake(_HANDSHAKE_SECONDS)
            self._introduce(connection)
            sender = asyncio.create_task(self._send(connection))
            async for message in connection:
                self._receive(connection, message)
        finally:
            if sender is not None:
                sender.cancel()
            await connection.close()

    def resize(self, capabilities: Capabilities) -> None:
        """The terminal changed; frames of the new kind follow."""
        self._capabilities = capabilities
        if self._connection is not None:
            self._connection.outbox.put_control(encode(capabilities))

    def _introduce(self, connection: Connection) -> None:
        connection.outbox.put_control(encode(self._capabilities))
        connection.outbox.put_control(encode(ClientJoin(self._name, _VIDEO)))
        if self._picture is not None:
            connection.outbox.put_control(encode(StreamStart(_VIDEO)))

    def _receive(self, connection: Connection, message: Event) -> None:
        match message:
            case AsciiFrame():
                self._on_frame(message.text)
            case ClearConsole():
                self._on_clear()
            case Ping():
                connection.outbox.put_control(encode(Pong()))
            case ErrorMessage():
                raise PeerError(f"The server ends the connection: {message.text} (code {message.code})")

    async def _send(self, connection: Connection) -> None:
        started = time.monotonic()
        rate = self._picture.rate if self._picture else 1 / _PING_AFTER
        number = 0
        while True:
            if self._picture is not None:
                pixels = await asyncio.to_thread(self._picture.paint, time.time() % 43200)
                height, width = pixels.shape[:2]
                connection.outbox.put_video(encode(ImageFrame(width, height, pixels.tobytes())))
            if time.monotonic() - connection.last_sent > _PING_AFTER:
                connection.outbox.put_control(encode(Ping()))
            number += 1
            await asyncio.sleep(max(0.0, started + number / rate - time.monotonic()))
