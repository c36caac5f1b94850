"""One peer: whole messages in, an outbox out.

The owner of a :class:`Connection` is its reader: it iterates over the messages.  The connection itself has one writer,
a callback that the outbox wakes, and which alone touches the transport's write side.  Which transport lies below (TCP
here, WebSocket or a
data channel elsewhere) does not matter: it has to deliver bytes through the ``*_received``/``*_writing`` callbacks.
"""

from __future__ import annotations

import asyncio
import contextlib
import enum
import time
from collections import deque
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import Any, Protocol

from teleglyph.errors import ConnectionLostError, PeerError, PeerTimeoutError, RateLimitError
from teleglyph.net.cost import CostMeter, Stopwatch
from teleglyph.net.hang_up import has_hung_up
from teleglyph.net.outbox import Outbox, OutboxBudget, OutboxLimits
from teleglyph.net.ratelimit import TokenBucket
from teleglyph.wire.acip import Event, HandshakeDone, Message, encode

_FAIRNESS = 64
"""Messages one reader may handle before it lets the others run."""
_FAIR_SECONDS = 0.001
"""Processor time one reader may take before it lets the others run."""
_COSTLY_PART = 4
"""A session whose peer had to wait gets this part of what it would get otherwise."""
_SECONDS_PER_BYTE = 1e-9
"""Processor time for getting bytes from the kernel, roughly: the event loop does it before anybody can measure."""
_LONGEST_PAUSE = 0.5
"""Seconds; a reader that waits for longer looks now and then whether its connection has ended."""


class Transport(Protocol):
    """What a connection needs from the transport below it (:class:`asyncio.Transport` has it)."""

    def write(self, data: bytes) -> None:
        """Send bytes, buffering what the kernel does not take."""

    def pause_reading(self) -> None:
        """Stop delivering bytes."""

    def resume_reading(self) -> None:
        """Deliver bytes again."""

    def write_eof(self) -> None:
        """Tell the peer that nothing more will come."""

    def abort(self) -> None:
        """Close at once, losing what is buffered."""

    def get_extra_info(self, name: str) -> Any:
        """What lies below: its "socket", or None if it has none."""


class ByteSession(Protocol):
    """What a connection needs from the protocol object that it drives: bytes in, events out, bytes to send."""

    @property
    def state(self) -> enum.Enum:
        """Where it is in its life, for logs."""

    def receive_data(self, data: bytes) -> None:
        """Feed bytes from the transport."""

    def data_to_send(self) -> bytes:
        """What the protocol itself has to say; each byte is given out once."""

    def next_event(self) -> Event | None:
        """The next event, or None while more bytes are needed; raises PeerError."""

    @property
    def is_finished(self) -> bool:
        """Its last bytes were given out: nothing may be sent any more."""

    def seal(self, packet: bytes) -> bytes:
        """The bytes for the transport that carry a message."""


@dataclass(frozen=True, slots=True)
class ConnectionLimits:
    """What one peer may do to us."""

    packets_per_second: float = 2000.0
    packet_burst: float = 500.0
    bytes_per_second: float = 64 * 2**20
    byte_burst: float = 8 * 2**20
    receive_buffer: int = 512 << 10
    """Unread bytes at which reading from the transport pauses."""
    outbox: OutboxLimits = OutboxLimits()


@dataclass(slots=True)
class Traffic:
    """Counters of one connection."""

    bytes_in: int = 0
    bytes_out: int = 0
    messages_in: int = 0
    throttled: int = 0
    """How often the reader was made to pause because the peer sent too much."""


class Connection:
    """Whole wire messages over some byte transport.

    Args:
        session: the protocol object of this connection; it belongs to the connection from now on.
        peer: the peer's address for logs and limits.
        limits: rates and bounds.
        budget: of the outbox, if it is shared with others.
        meter: is charged for what the peer costs; None: the peer may cost anything.
        feed_bytes: the most that the session gets at once.  A session that parses all it gets needs a bound, so that
            others are served in between; 0: as much as came.
    """

    def __init__(
        self,
        session: ByteSession,
        peer: str,
        limits: ConnectionLimits | None = None,
        budget: OutboxBudget | None = None,
        *,
        meter: CostMeter | None = None,
        feed_bytes: int = 0,
    ) -> None:
        self.session = session
        self.peer = peer
        self.numeric_peer = peer
        """The peer's numeric address; for an outgoing connection with its port, IPv6 in brackets."""
        self.limits = limits or ConnectionLimits()
        self.traffic = Traffic()
        self.outbox = Outbox(self.limits.outbox, on_overflow=self._too_slow, budget=budget)
        now = time.monotonic()
        self.opened_at = now
        self.last_received = now
        self.last_message = now
        self.last_sent = now
        self.last_asked = now
        """When the peer was asked for a sign of life; for whoever watches the connection from outside."""
        self.blocked_since: float | None = None
        """When the transport stopped taking bytes, or None while it takes them."""
        self.last_blocked = 0.0
        """Seconds for which the transport took no bytes when that happened last."""
        self.on_writable: Callable[[], None] | None = None
        """Called when a transport that was full takes bytes again: the moment to make a fresh frame for this peer."""
        self._packets = TokenBucket(self.limits.packets_per_second, self.limits.packet_burst)
        self._bytes = TokenBucket(self.limits.bytes_per_second, self.limits.byte_burst)
        self._meter = meter
        self._feed_bytes = feed_bytes
        self.stopwatch = Stopwatch(self.charge)
        """Of the task that reads (:func:`teleglyph.net.charged`)."""
        self._owes = False
        """The peer has cost too much, and is read again when it is its turn."""
        self._has_paid = False
        """It had to wait for its turn, so it gets little at once."""
        self._busy = 0.0
        """Processor time since the others were last served."""
        self._chunks: deque[bytes | memoryview] = deque()
        self._unread = 0
        self._transport: Transport | None = None
        self._reading_paused = False
        self._discarding = False
        self._failure: PeerError | None = None
        self._handshake_timeout: asyncio.Timeout | None = None
        self._handshake_seconds = 0.0
        self._since_yield = 0
        self._readable: asyncio.Future[None] | None = None
        self._gone = asyncio.Event()
        self._drained = asyncio.Event()
        """The outbox is closed, and what had to be sent was handed to the transport."""
        self._is_writing = False
        self._loop = asyncio.get_running_loop()
        self.outbox.on_ready = self._write_soon
        self.outbox.try_write = self._write_now

    def __repr__(self) -> str:
        return f"<Connection {self.peer} {self.session.state.name.lower()}>"

    # --- called by the transport ----------------------------------------------------------------------

    def opened(self, transport: Transport) -> None:
        """The transport is connected: start the writer and, on the client side, the handshake."""
        self._transport = transport
        self.flush_handshake()
        self._write_soon()

    def bytes_received(self, data: bytes) -> None:
        """Bytes came in; reading pauses while too many of them wait for the reader."""
        self.last_received = time.monotonic()
        self.traffic.bytes_in += len(data)
        self.charge(_SECONDS_PER_BYTE * len(data))
        if self._discarding:
            return
        self._chunks.append(data)
        self._unread += len(data)
        if self._unread > self.limits.receive_buffer and not self._reading_paused and self._transport:
            self._reading_paused = True
            self._transport.pause_reading()
        _resolve(self._readable)

    def postpone(self, seconds: float) -> None:
        """Count out a time in which this process was not there to read and to write."""
        now = time.monotonic()
        self.last_received = min(now, self.last_received + seconds)
        self.last_message = min(now, self.last_message + seconds)
        if self.blocked_since is not None:
            self.blocked_since = min(now, self.blocked_since + seconds)

    def writing_paused(self) -> None:
        """The transport's buffer is full."""
        self.blocked_since = time.monotonic()

    def writing_resumed(self) -> None:
        """The transport takes bytes again."""
        if self.blocked_since is not None:
            self.last_blocked = time.monotonic() - self.blocked_since
        self.blocked_since = None
        self.outbox.in_flight = 0
        self.outbox.wake()
        self._write_soon()
        if self.on_writable is not None:
            self.on_writable()

    def closed(self) -> None:
        """The transport is gone."""
        self._gone.set()
        self.outbox.close()
        self.outbox.discard()
        _resolve(self._readable)
        self._drained.set()

    # --- reading --------------------------------------------------------------------------------------

    async def handshake(self, timeout: float) -> HandshakeDone:
        """Read until the session is established, and return what was agreed.

        Raises:
            PeerTimeoutError: it took longer than ``timeout`` seconds.
            PeerError: the peer broke the handshake, refused us or went away.
        """
        self._handshake_seconds = timeout
        try:
            async with asyncio.timeout(timeout) as self._handshake_timeout:
                while True:
                    event = await self._next_event()
                    if event is None:
                        raise ConnectionLostError(f"{self.peer} closed the connection during the handshake")
                    if isinstance(event, HandshakeDone):
                        return event
        except TimeoutError:
            seconds = self._handshake_seconds
            raise PeerTimeoutError(f"{self.peer} did not finish the handshake within {seconds:g} s") from None
        finally:
            self._handshake_timeout = None

    def extend_handshake(self, seconds: float) -> None:
        """Give the peer of a handshake that is under way ``seconds`` from now on."""
        if self._handshake_timeout is not None:
            self._handshake_seconds = seconds
            self._handshake_timeout.reschedule(self._loop.time() + seconds)

    async def __aiter__(self) -> AsyncIterator[Event]:
        """Yield messages until the peer closes the connection.

        Raises:
            PeerError: the peer broke the protocol, or was too slow to take what it had to get.
        """
        while (event := await self._next_event()) is not None:
            yield event

    async def _next_event(self) -> Event | None:
        while True:
            if self._failure is not None:
                raise self._failure
            event = self._parse()
            if event is not None:
                await self._throttle()
                return event
            await self._be_fair()
            if self._owes and self._has_left():
                return None  # what a peer has left behind that cost too much is not worth more
            if not self._chunks:
                if self._gone.is_set():
                    return None
                await self._wait_readable()
                continue
            await self._feed(self._chunks.popleft())

    def _parse(self) -> Event | None:
        try:
            event = self.session.next_event()
        finally:
            self.flush_handshake()
        if event is not None:
            self.traffic.messages_in += 1
            self.last_message = time.monotonic()
        return event

    async def _feed(self, chunk: bytes | memoryview) -> None:
        most = self._feed_bytes // _COSTLY_PART if self._has_paid else self._feed_bytes
        self._has_paid = False
        if 0 < most < len(chunk):
            rest = memoryview(chunk)
            self._chunks.appendleft(rest[most:])
            chunk = rest[:most]
        self._unread -= len(chunk)
        if self._reading_paused and self._unread <= self.limits.receive_buffer // 2 and self._transport:
            self._reading_paused = False
            if not self._gone.is_set():
                self._transport.resume_reading()
        pause = self._bytes.take(len(chunk), time.monotonic())
        if pause > 0:
            self.traffic.throttled += 1
            await asyncio.sleep(pause)
        self.session.receive_data(bytes(chunk))

    def charge(self, seconds: float, *, elsewhere: bool = False) -> None:
        """Charge processor time to the peer: what its messages made necessary.  Its reader pauses when that is due.

        Args:
            seconds: of processor time.
            elsewhere: it was not the event loop's.
        """
        if not elsewhere:
            self._busy += seconds
        if self._meter is not None and self._meter.charge(seconds, time.monotonic(), elsewhere=elsewhere) > 0:
            self._owes = True

    async def _be_fair(self) -> None:
        """Wait until the peer may cost something again, and let the others run after some work.

        Raises:
            RateLimitError: the peer has cost too much for too long.
        """
        self.stopwatch.settle()
        if self._meter is not None and self._owes:
            await self._pay(self._meter)
        elif self._busy > _FAIR_SECONDS:
            self._busy = 0.0
            self._since_yield = 0
            await asyncio.sleep(0)

    async def _pay(self, meter: CostMeter) -> None:
        self.traffic.throttled += 1
        self._busy = 0.0
        self._has_paid = True
        now = time.monotonic()
        until = now + meter.reserve(now)
        while now < until and self._failure is None and not self._has_left():
            if meter.is_exhausted(now):
                raise RateLimitError("Too much processor time was used from your address. Try again in a minute.")
            await asyncio.sleep(min(until - now, _LONGEST_PAUSE))
            # Nothing was read meanwhile, so the peer's silence says nothing.
            now = self.last_received = self.last_message = time.monotonic()
        self._owes = now < until

    @property
    def is_reading_paused(self) -> bool:
        """More of what the peer has sent waits than is read at once, so the kernel keeps the rest, and also its end."""
        return self._reading_paused

    def _has_left(self) -> bool:
        """Whether the peer is gone, also while nothing is read from it."""
        if self._gone.is_set():
            return True
        return (
            self._reading_paused
            and self._transport is not None
            and has_hung_up(self._transport.get_extra_info("socket"))
        )

    async def _throttle(self) -> None:
        await self._be_fair()
        pause = self._packets.take(1, self.last_message)
        self._since_yield += 1
        if pause > 0:
            self.traffic.throttled += 1
            self._since_yield = 0
            await asyncio.sleep(pause)
        elif self._since_yield >= _FAIRNESS:
            self._since_yield = 0
            await asyncio.sleep(0)

    async def _wait_readable(self) -> None:
        self._since_yield = 0
        self._readable = asyncio.get_running_loop().create_future()
        try:
            await self._readable
        finally:
            self._readable = None

    def fail(self, error: PeerError) -> None:
        """Make the reader raise ``error`` at its next step; for whoever watches the connection from outside."""
        if self._failure is None:
            self._failure = error
        _resolve(self._readable)
        self.outbox.release()  # or a reader that waits for the peer to take its answers would not notice

    def _too_slow(self) -> None:
        waiting = self.outbox.queued_bytes
        self.fail(PeerTimeoutError(f"{self.peer} is too slow: {waiting} bytes wait for it"))

    def send(self, message: Message) -> None:
        """Queue a message of ACIP that must arrive, in order."""
        self.outbox.queue_control(encode(message))

    # --- writing --------------------------------------------------------------------------------------

    def flush_handshake(self) -> None:
        """Send what the session itself has to say; also after somebody else than the reader made it go on."""
        data = self.session.data_to_send()
        if data:
            self.outbox.queue_raw(data)
        if self.session.is_finished:
            self.outbox.close()

    def _write_soon(self) -> None:
        """Have :meth:`_write` called at the end of this step of the event loop, once for all that is put until then."""
        if not self._is_writing and self._transport is not None:
            self._is_writing = True
            self._loop.call_soon(self._write)

    def _write_now(self, data: bytes) -> bool:
        """Write what is put while nothing waits: with many receivers of few messages, waking up would cost more than
        writing.  Nothing overtakes anything, because whatever waits is in the outbox.
        """
        transport = self._transport
        if self._is_writing or self.blocked_since is not None or transport is None or self._gone.is_set():
            return False
        self.traffic.bytes_out += len(data)
        self.last_sent = time.monotonic()
        transport.write(data)
        return True

    def _write(self) -> None:
        """Write what waits.  This and :meth:`_write_now` are all that writes to the transport."""
        self._is_writing = False
        transport, outbox = self._transport, self.outbox
        if transport is None or self._gone.is_set():
            return
        if self.blocked_since is None and (batch := outbox.take()):
            sealed: list[bytes] = []
            for item in batch:
                sealed.append(item.data if item.raw else self.session.seal(item.data))
                if item.body:
                    sealed.append(item.body)
            data = sealed[0] if len(sealed) == 1 else b"".join(sealed)
            self.traffic.bytes_out += len(data)
            transport.write(data)
            self.last_sent = time.monotonic()
            if self.blocked_since is not None:
                outbox.in_flight = len(data)
        if outbox.finished:
            self._drained.set()
        elif self.blocked_since is None and not outbox.idle:
            self._write_soon()

    # --- closing --------------------------------------------------------------------------------------

    @property
    def is_closed(self) -> bool:
        """The transport is gone."""
        return self._gone.is_set()

    async def close(self, *farewell: bytes, linger: float = 0.5, half_close: bool = False) -> None:
        """End the connection; safe to call more than once.

        What waits in the control lane and the ``farewell`` packets are still sent, as far as the peer takes them
        within ``linger`` seconds.  After a farewell our side is shut down first and the peer's bytes are discarded for
        a moment: closing a socket with unread bytes would make the kernel destroy the farewell in flight.
        ``half_close`` says that there is one in the outbox already.
        """
        if self._meter is not None:
            self._meter.close()  # only now: what a peer has left behind is still read, and paid for
        for packet in farewell:
            self.outbox.queue_control(packet)
        self.outbox.close()
        self._discard_input()
        try:
            if self._transport is not None:
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(linger):
                        await self._drained.wait()
                if (farewell or half_close) and not self._gone.is_set():
                    with contextlib.suppress(OSError, RuntimeError):
                        self._transport.write_eof()
                    with contextlib.suppress(TimeoutError):
                        async with asyncio.timeout(linger):
                            await self._gone.wait()
        finally:
            self._drop()

    def abort(self) -> None:
        """End the connection at once."""
        self.outbox.close()
        self._drop()

    def _drop(self) -> None:
        transport, self._transport = self._transport, None
        if transport is not None and not self._gone.is_set():
            transport.abort()

    def _discard_input(self) -> None:
        self._discarding = True
        self._chunks.clear()
        self._unread = 0
        if self._reading_paused and self._transport and not self._gone.is_set():
            self._reading_paused = False
            self._transport.resume_reading()


def _resolve(waiter: asyncio.Future[None] | None) -> None:
    if waiter is not None and not waiter.done():
        waiter.set_result(None)
