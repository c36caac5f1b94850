"""A data channel as a socket: bytes written to the socket leave through the channel, and the other way round."""

from __future__ import annotations

import asyncio
import logging
import socket
from typing import TYPE_CHECKING, cast

if TYPE_CHECKING:
    from aiortc import RTCDataChannel

_log = logging.getLogger(__name__)

MAX_CHUNK = 16 << 10
"""Bytes of one message of the channel.  Every browser accepts messages of this size."""
_KERNEL_BUFFER = 64 << 10
"""Bytes that the kernel holds in each direction.  Few, so that pictures wait where newer ones can replace them."""
_FULL, _LOW = 32 << 10, 8 << 10
"""Bytes in front of the channel at which reading from the socket pauses and continues."""
_UNREAD_FULL, _UNREAD_LOW = 64 << 10, 16 << 10
"""Bytes in front of the socket at which the other side is told to continue after it was slowed down."""
_CLOSE_SECONDS = 10.0
"""How long one side may still send, or read, what was under way when the other one closed."""


class Tunnel(asyncio.BufferedProtocol):
    """Moves bytes between a data channel and one end of a socket pair, of which the other end is :attr:`socket`.

    Attributes:
        socket: for the owner of the connection; non-blocking.
        ended: set once both directions have ended, and our end of the pair is closed.
    """

    def __init__(self) -> None:
        self.socket, self._inner = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
        for end in (self.socket, self._inner):
            end.setblocking(False)
            end.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _KERNEL_BUFFER)
        self.ended = asyncio.Event()
        self._buffer = bytearray(MAX_CHUNK)
        self._chunk = MAX_CHUNK
        self._transport: asyncio.Transport | None = None
        self._channel: RTCDataChannel | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._window_opens = asyncio.Event()
        self._loop = asyncio.get_running_loop()

    async def start(self) -> None:
        """Watch our end of the socket pair; nothing is read before :meth:`connect`."""
        await self._loop.create_unix_connection(lambda: self, sock=self._inner)

    def connect(self, channel: RTCDataChannel, max_message: int) -> None:
        """Move bytes through a channel.

        Args:
            channel: whose messages nobody else receives.
            max_message: the largest message in bytes that the other side accepts.
        """
        self._channel = channel
        self._chunk = min(MAX_CHUNK, max_message)
        channel.bufferedAmountLowThreshold = _LOW
        channel.on("message", self._message_received)
        channel.on("bufferedamountlow", self._channel_drained)
        channel.on("close", self.channel_closed)
        if channel.readyState == "open":
            self.channel_opened()
        else:
            channel.on("open", self.channel_opened)

    @property
    def unread(self) -> int:
        """Received bytes that wait for the owner of the socket, without those in the kernel."""
        return 0 if self._transport is None else self._transport.get_write_buffer_size()

    async def wait_for_reader(self) -> None:
        """Wait until the owner of the socket has taken what was waiting."""
        await self._window_opens.wait()
        self._window_opens.clear()

    def abort(self) -> None:
        """Close our end of the socket pair at once; the owner of the other end reads what it has, and its end."""
        if self._transport is not None:
            self._transport.abort()
        else:
            self._inner.close()
            self.ended.set()

    def discard(self) -> None:
        """Close the owner's end too, because there will be no owner."""
        self.socket.close()

    # --- the channel ----------------------------------------------------------------------------------

    def channel_opened(self) -> None:
        """Read from the socket: the channel accepts bytes."""
        if self._transport is not None and not self._transport.is_closing():
            self._transport.resume_reading()

    def channel_closed(self) -> None:
        """Close the socket once the owner has read what was received."""
        if self._transport is not None and not self._transport.is_closing():
            self._transport.close()
            self._limit_closing()

    def _message_received(self, data: bytes | str) -> None:
        if isinstance(data, str):
            _log.debug("Data channel ended: the peer sent text")
            self.abort()
        elif self._transport is not None and not self._transport.is_closing():
            self._transport.write(data)

    def _channel_drained(self) -> None:
        if self._transport is not None and not self._transport.is_closing():
            self._transport.resume_reading()

    # --- the socket; called by the event loop -----------------------------------------------------------

    def connection_made(self, base: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, base)
        self._transport.set_write_buffer_limits(high=_UNREAD_FULL, low=_UNREAD_LOW)
        self._transport.pause_reading()

    def get_buffer(self, sizehint: int) -> bytearray:
        return self._buffer

    def buffer_updated(self, nbytes: int) -> None:
        channel, transport = self._channel, self._transport
        if channel is None or transport is None or channel.readyState != "open":
            return  # the other side has closed, so nobody will read this
        with memoryview(self._buffer) as read:
            for start in range(0, nbytes, self._chunk):
                channel.send(bytes(read[start : min(start + self._chunk, nbytes)]))
        if channel.bufferedAmount > _FULL:
            transport.pause_reading()

    def eof_received(self) -> bool:
        """Close the channel, which sends what is under way; the other side may still send until it has closed too."""
        if self._channel is None or self._channel.readyState != "open":
            return False
        self._channel.close()
        self._limit_closing()
        return True

    def resume_writing(self) -> None:
        self._window_opens.set()

    def connection_lost(self, exc: Exception | None) -> None:
        if self._timer is not None:
            self._timer.cancel()
        if self._channel is not None and self._channel.readyState == "open":
            self._channel.close()
        self.ended.set()

    def _limit_closing(self) -> None:
        if self._timer is None:
            self._timer = self._loop.call_later(_CLOSE_SECONDS, self.abort)
