"""Tries several ways to a host side by side; the first that works wins (in the manner of RFC 8305)."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import NamedTuple

from teleglyph.errors import (
    AuthenticationError,
    CallRoomError,
    ConnectError,
    InvitationError,
    PeerError,
    ServerFullError,
    UnknownServerError,
    VerificationError,
)
from teleglyph.net import Connection
from teleglyph.wire.acip import HandshakeDone

_log = logging.getLogger(__name__)

_VERDICTS = (AuthenticationError, CallRoomError, InvitationError, ServerFullError, UnknownServerError)
"""What a host that was reached has said: no other way to the same host would change it."""


Attempt = Callable[[], Awaitable[tuple[Connection, HandshakeDone]]]
"""Connects and completes the handshake."""


class Arrival(NamedTuple):
    """The way that won.

    Attributes:
        way: in words, such as ``direct TCP``.
        connection: its handshake is complete.
        done: what the handshake agreed on.
    """

    way: str
    connection: Connection
    done: HandshakeDone


class WayRace:
    """Ways that are tried at once.  Ways can be added until one has won, or :meth:`close` is called."""

    def __init__(self) -> None:
        self.failures: list[tuple[str, PeerError]] = []
        """The ways that failed, in words, and why."""
        self._tasks: set[asyncio.Task[None]] = set()
        self._is_closed = False
        self._won: asyncio.Future[Arrival] = asyncio.get_running_loop().create_future()

    @property
    def is_over(self) -> bool:
        """Whether a way has won, or none can any more."""
        return self._won.done()

    def add(self, way: str, attempt: Attempt, delay: float = 0.0) -> None:
        """Try one more way.

        Args:
            way: in words, for messages.
            attempt: connects and completes the handshake.
            delay: seconds until it begins.
        """
        if not self.is_over:
            self._start(self._try(way, attempt, delay), way)

    def arrive(self, way: str, connection: Connection, done: HandshakeDone) -> bool:
        """A way works; returns whether it has won."""
        if self._won.done():
            return False
        _log.info("Connected: way=%s", way)
        self._won.set_result(Arrival(way, connection, done))
        return True

    def prepare(self, what: str, work: Awaitable[None]) -> None:
        """Run what will find ways; the race is not lost before it has ended.

        Args:
            what: in words, for messages.
            work: adds ways.  A PeerError of it counts like that of a way.
        """
        self._start(self._run(what, work), what)

    def close(self) -> None:
        """No more ways will be added."""
        self._is_closed = True
        self._settle()

    async def winner(self) -> Arrival:
        """Wait for the first way that works, and end all others.

        Raises:
            PeerError: the host refused us, or no way works.
        """
        try:
            return await self._won
        finally:
            tasks = list(self._tasks)
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    def _start(self, work: Awaitable[None], name: str) -> None:
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None and not self._won.done():
            self._won.set_exception(error)
        self._settle()

    async def _try(self, way: str, attempt: Attempt, delay: float) -> None:
        await asyncio.sleep(delay)
        try:
            connection, done = await attempt()
        except PeerError as error:
            self._failed(way, error)
            return
        if not self.arrive(way, connection, done):
            await connection.close()

    async def _run(self, what: str, work: Awaitable[None]) -> None:
        try:
            await work
        except PeerError as error:
            self._failed(what, error)

    def _failed(self, way: str, error: PeerError) -> None:
        _log.debug("%s failed: %s", way, error)
        self.failures.append((way, error))
        if isinstance(error, _VERDICTS) and not self._won.done():
            self._won.set_exception(error)

    def _settle(self) -> None:
        if self._is_closed and not self._tasks and not self._won.done():
            self._won.set_exception(self._failure())

    def _failure(self) -> PeerError:
        """The error of a race that nobody won."""
        for _, error in self.failures:
            if isinstance(error, VerificationError):
                return error
        if len(self.failures) == 1:
            return self.failures[0][1]
        reasons = " ".join(f"By {way}: {error}" for way, error in self.failures)
        return NoWayError(f"No way to the host works. {reasons or 'None was found.'} 'teleglyph doctor' may know more.")


class NoWayError(ConnectError):
    """The host could not be reached by any way."""
