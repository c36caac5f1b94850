"""One peer: whole messages in, an outbox out.

The owner of a :class:`Connection` is its reader: it iterates over the messages.  The connection has one writer, a
callback that the outbox schedules; nothing else writes to the transport.  TCP and WebSocket transports deliver bytes
through the same ``*_received``/``*_writing`` callbacks.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import deque
from collections.abc import AsyncIterator, Callable
from typing import TypeVar

from teleglyph.errors import ConnectionLostError, PeerError, PeerTimeoutError
from teleglyph.net.cost import CostMeter
from teleglyph.net.fair_reading import FairReading
from teleglyph.net.hang_up import has_hung_up
from teleglyph.net.outbox import Outbox, OutboxBudget
from teleglyph.net.stopwatch import Stopwatch
from teleglyph.net.traffic import ConnectionLimits, Traffic
from teleglyph.net.transport import ByteSession, Envelope, Transport
from teleglyph.net.waiters import resolve
from teleglyph.wire.acip import Event, HandshakeDone, Message, encode

_Event = TypeVar("_Event", bound=Event)

_SECONDS_PER_BYTE = 1e-9
"""Estimated processor time for reading a byte from the kernel: the event loop does it outside any measured step."""


class Connection:
    """Whole wire messages over a byte transport.

    Args:
        session: the protocol object of this connection, which takes ownership of it.
        peer: the peer's address for logs and limits.
        limits: rates and bounds.
        budget: of the outbox, if it shares one with other outboxes.
        meter: charged for what the peer costs; None: cost is unlimited.
        feed_bytes: the most bytes the session gets at once; 0: no limit.  A session that parses all its input needs
            one, so that other connections are served in between.
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
        self.certificate = b""
        """The server's, in DER, for an outgoing connection over TLS."""
        self.envelope: Envelope | None = None
        """What the packets travel in; None if they are the transport's own bytes, as over TCP."""
        self.limits = limits or ConnectionLimits()
        self.traffic = Traffic()
        self.outbox = Outbox(self.limits.outbox, on_overflow=self._too_slow, budget=budget)
        now = time.monotonic()
        self.opened_at = now
        self.last_received = now
        self.last_message = now
        self.last_sent = now
        self.last_probed = now
        """When the peer was last sent a ping; set by the service that watches the connection."""
        self.blocked_since: float | None = None
        """When the transport stopped accepting bytes, or None while it accepts them."""
        self.last_blocked = 0.0
        """How long the transport last refused bytes; seconds."""
        self.on_writable: Callable[[], None] | None = None
        """Called when a full transport accepts bytes again: the moment to render a fresh frame for this peer."""
        self._fairness = FairReading(self.limits, self.traffic, meter, feed_bytes)
        self._chunks: deque[bytes | memoryview] = deque()
        self._unread = 0
        self._transport: Transport | None = None
        self._reading_paused = False
        self._discarding = False
        self._failure: PeerError | None = None
        self._handshake_timeout: asyncio.Timeout | None = None
        self._handshake_seconds = 0.0
        self._readable: asyncio.Future[None] | None = None
        self._gone = asyncio.Event()
        self._drained = asyncio.Event()
        """Set once the outbox is closed and the transport has all its bytes."""
        self._is_writing = False
        self._loop = asyncio.get_running_loop()
        self.outbox.on_ready = self._write_soon
        self.outbox.try_write = self._write_now

    @property
    def stopwatch(self) -> Stopwatch:
        """Charges the task that reads (:func:`teleglyph.net.charged`)."""
        return self._fairness.stopwatch

    def use_stopwatch(self, stopwatch: Stopwatch) -> None:
        """Have a stopwatch that already runs measure the reader; from now on it charges this peer."""
        stopwatch.lap()
        stopwatch.charge = self.charge
        self._fairness.stopwatch = stopwatch

    def __repr__(self) -> str:
        return f"<Connection {self.peer} {self.session.state.name.lower()}>"

    # --- called by the transport ----------------------------------------------------------------------

    def opened(self, transport: Transport) -> None:
        """Start the writer and, on the client side, the handshake: the transport is connected."""
        self._transport = transport
        self.flush_handshake()
        self._write_soon()

    def bytes_received(self, data: bytes) -> None:
        """Queue received bytes for the reader, and pause the transport if too many wait."""
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
        resolve(self._readable)

    def postpone(self, seconds: float) -> None:
        """Extend all timeouts by a time in which this process could neither read nor write."""
        now = time.monotonic()
        self.last_received = min(now, self.last_received + seconds)
        self.last_message = min(now, self.last_message + seconds)
        if self.blocked_since is not None:
            self.blocked_since = min(now, self.blocked_since + seconds)

    def writing_paused(self) -> None:
        """Stop writing: the transport's buffer is full."""
        self.blocked_since = time.monotonic()

    def writing_resumed(self) -> None:
        """Write again: the transport accepts bytes."""
        if self.blocked_since is not None:
            self.last_blocked = time.monotonic() - self.blocked_since
        self.blocked_since = None
        self.outbox.in_flight = 0
        self.outbox.wake()
        self._write_soon()
        if self.on_writable is not None:
            self.on_writable()

    def closed(self) -> None:
        """Discard the outbox and wake the reader: the transport is gone."""
        self._gone.set()
        self.outbox.close()
        self.outbox.discard()
        resolve(self._readable)
        self._drained.set()

    # --- reading --------------------------------------------------------------------------------------

    async def handshake(self, timeout: float) -> HandshakeDone:
        """Read until the session is established, and return its result.

        Raises:
            PeerTimeoutError: it took longer than ``timeout`` seconds.
            PeerError: the peer violated the handshake, refused us or left.
        """
        self._handshake_seconds = timeout
        try:
            async with asyncio.timeout(timeout) as self._handshake_timeout:
                done = await self.wait_for(HandshakeDone)
                if done is None:
                    raise ConnectionLostError(f"{self.peer} closed the connection during the handshake")
                return done
        except TimeoutError:
            seconds = self._handshake_seconds
            raise PeerTimeoutError(f"{self.peer} did not finish the handshake within {seconds:g} s") from None
        finally:
            self._handshake_timeout = None

    async def wait_for(self, kind: type[_Event]) -> _Event | None:
        """Read until an event of one class, drop those before it, and return it; None if the connection ended.

        Raises:
            PeerError: the peer violated the protocol, refused us or left.
        """
        while (event := await self._next_event()) is not None:
            if isinstance(event, kind):
                return event
        return None

    def extend_handshake(self, seconds: float) -> None:
        """Move the deadline of the running handshake, if any, to ``seconds`` from now."""
        if self._handshake_timeout is not None:
            self._handshake_seconds = seconds
            self._handshake_timeout.reschedule(self._loop.time() + seconds)

    async def __aiter__(self) -> AsyncIterator[Event]:
        """Yield messages until the peer closes the connection.

        Raises:
            PeerError: the peer violated the protocol, or was too slow to read.
        """
        while (event := await self._next_event()) is not None:
            yield event

    async def _next_event(self) -> Event | None:
        while True:
            if self._failure is not None:
                raise self._failure
            event = self._parse()
            if event is not None:
                await self._fairness.after_message(self, self.last_message)
                return event
            await self._fairness.after_work(self)
            if self._fairness.is_in_debt and self._has_left():
                return None  # the peer left in debt, so its remaining bytes are dropped
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
        size = self._fairness.next_feed_size()
        if 0 < size < len(chunk):
            rest = memoryview(chunk)
            self._chunks.appendleft(rest[size:])
            chunk = rest[:size]
        self._unread -= len(chunk)
        if self._reading_paused and self._unread <= self.limits.receive_buffer // 2 and self._transport:
            self._reading_paused = False
            if not self._gone.is_set():
                self._transport.resume_reading()
        await self._fairness.after_bytes(len(chunk))
        self.session.receive_data(bytes(chunk))

    def charge(self, seconds: float, *, elsewhere: bool = False) -> None:
        """Charge processor time to the peer, for work that its messages caused.  Its reader pauses when necessary.

        Args:
            seconds: of processor time.
            elsewhere: the time was spent outside the event loop.
        """
        self._fairness.charge(seconds, elsewhere=elsewhere)

    def is_ending(self) -> bool:
        """Whether the peer is gone, or the reader will fail at its next step."""
        return self._failure is not None or self._has_left()

    def mark_heard(self, now: float) -> None:
        """Treat the peer as heard from: its silence means nothing while it is not read."""
        self.last_received = self.last_message = now

    @property
    def is_reading_paused(self) -> bool:
        """Whether the receive buffer is full.  The kernel then keeps further bytes, and hides the connection's end."""
        return self._reading_paused

    def _has_left(self) -> bool:
        """Whether the peer is gone, even if reading is paused."""
        if self._gone.is_set():
            return True
        return (
            self._reading_paused
            and self._transport is not None
            and has_hung_up(self._transport.get_extra_info("socket"))
        )

    async def _wait_readable(self) -> None:
        self._fairness.mark_yielded()
        self._readable = asyncio.get_running_loop().create_future()
        try:
            await self._readable
        finally:
            self._readable = None

    def fail(self, error: PeerError) -> None:
        """Make the reader raise ``error`` at its next step; for services that watch the connection."""
        if self._failure is None:
            self._failure = error
        resolve(self._readable)
        self.outbox.release()  # or a reader that waits for a full outbox would not notice

    def _too_slow(self) -> None:
        waiting = self.outbox.queued_bytes
        self.fail(PeerTimeoutError(f"{self.peer} is too slow: {waiting} bytes wait for it"))

    # --- writing --------------------------------------------------------------------------------------

    def send(self, message: Message) -> None:
        """Queue an ACIP message that must arrive, in order."""
        self.outbox.queue_control(encode(message))

    def flush_handshake(self) -> None:
        """Send the session's own bytes.  Call it after any code but the reader advanced the session."""
        data = self.session.data_to_send()
        if data:
            self.outbox.queue_raw(data)
        if self.session.is_finished:
            self.outbox.close()

    def _write_soon(self) -> None:
        """Schedule one :meth:`_write` for everything queued in this step of the event loop."""
        if not self._is_writing and self._transport is not None:
            self._is_writing = True
            self._loop.call_soon(self._write)

    def _write_now(self, data: bytes) -> bool:
        """Write bytes at once while nothing is queued: for many receivers of few messages, scheduling would cost more
        than writing.  The order is kept, because the outbox only calls this while it is empty.
        """
        transport = self._transport
        if self._is_writing or self.blocked_since is not None or transport is None or self._gone.is_set():
            return False
        self.traffic.bytes_out += len(data)
        self.last_sent = time.monotonic()
        transport.write(data)
        return True

    def _write(self) -> None:
        """Write the next batch.  Only this and :meth:`_write_now` write to the transport."""
        self._is_writing = False
        transport, outbox = self._transport, self.outbox
        if transport is None or self._gone.is_set():
            return
        if self.blocked_since is None and (batch := outbox.next_batch()):
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
        """Whether the transport is gone."""
        return self._gone.is_set()

    def ping(self, now: float) -> None:
        """Send a ping of the envelope, which its other end answers by itself."""
        if self.envelope is not None:
            self.last_probed = now
            self.envelope.ping()
            self.flush_handshake()

    async def close(
        self,
        *farewell: bytes,
        linger: float = 0.5,
        half_close: bool = False,
        ending: BaseException | None = None,
    ) -> None:
        """Close the connection; safe to call more than once.

        Queued control packets and the ``farewell`` packets are still sent if the peer reads them within ``linger``
        seconds.  After a farewell our side is shut down first and the peer's bytes are discarded for a moment, because
        closing a socket with unread bytes makes the kernel drop the farewell in flight.

        Args:
            *farewell: packets to send last.
            linger: seconds to wait for the peer, for each of the two steps.
            half_close: the farewell is in the outbox already.
            ending: why the connection is closed; decides how the envelope ends.
        """
        self._fairness.close()  # only now, because bytes that a peer left behind are still read and charged
        for packet in farewell:
            self.outbox.queue_control(packet)
        if self.envelope is not None and (last := self.envelope.closing_bytes(ending)):
            self.outbox.queue_raw(last)
            half_close = True
        self.outbox.close()
        self._discard_input()
        try:
            if self._transport is not None:
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(linger):
                        await self._drained.wait()
                if (farewell or half_close) and not self._gone.is_set():
                    with contextlib.suppress(OSError, RuntimeError):
                        if self._transport.can_write_eof():
                            self._transport.write_eof()
                        else:
                            self._transport.close()
                    with contextlib.suppress(TimeoutError):
                        async with asyncio.timeout(linger):
                            await self._gone.wait()
        finally:
            self._drop()

    def abort(self) -> None:
        """Close the connection at once and drop everything queued."""
        self.outbox.close()
        self._drop()

    def _drop(self) -> None:
        self.outbox.detach()
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
