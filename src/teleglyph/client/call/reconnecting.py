"""A whole stay in a call: joining, watching, being reconnected, leaving."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from typing import Protocol

from teleglyph.client.address import Address
from teleglyph.client.call.backoff import Attempts
from teleglyph.client.call.client import CallClient, CallEvents, Credentials
from teleglyph.client.call.invitation import invitation
from teleglyph.client.call.received_screen import ReceivedScreen
from teleglyph.client.call.sound import CallSound
from teleglyph.client.call.uplink import Uplink
from teleglyph.client.terminal.display import Display, ViewWishes
from teleglyph.client.terminal.frame_writer import FrameWriter
from teleglyph.client.terminal.interface import Interface
from teleglyph.errors import PeerError, PeerTimeoutError, ProtocolError
from teleglyph.media.frame_text import SafeFrame
from teleglyph.wire.acip import HandshakeDone, ScreenUpdate

_log = logging.getLogger(__name__)

_FIRST_FRAME_SECONDS = 15.0
_REFUSED_SECONDS = 1.0
"""How long frames may be refused, without one that is shown, before the user hears of it."""
_UNSHOWABLE = "The server's frames cannot be shown:"


@dataclass(frozen=True, slots=True)
class CallOptions:
    """What the user asked for.

    Attributes:
        address: the server.
        credentials: how to join.
        display: how pictures are drawn.
        fixed_size: columns and rows that the user insists on, 0 for the window's.
        reconnect_attempts: after a lost connection; -1 never gives up.
        sound: what is said and heard; None neither.
        no_sound: why there is none, as a sentence.
        wishes: what the grid is to show.
    """

    address: Address
    credentials: Credentials
    display: Display
    fixed_size: tuple[int, int] = (0, 0)
    reconnect_attempts: int = -1
    sound: CallSound | None = None
    no_sound: str = "There is no sound: you joined with --no-audio."
    wishes: ViewWishes = ViewWishes()


class _Face(Protocol):
    """Where a stay is shown."""

    def show(self, frame: SafeFrame) -> None:
        """A frame of text."""

    def show_screen(self, screen: ReceivedScreen) -> None:
        """A screen, from a server of our own kind."""

    def clear(self) -> None:
        """The next frame begins on an empty screen."""

    def notify(self, *lines: str) -> None:
        """Sentences instead of a frame; none take them away."""

    def excuse(self, *lines: str) -> None:
        """Why no frame is shown although some arrive; it has been logged."""

    def hint(self, *lines: str) -> None:
        """Sentences beside the picture; none take them away."""


class Stay:
    """Keeps one client in a call, whatever the network does, until the user leaves."""

    def __init__(self, options: CallOptions, uplink: Uplink | None, stop: asyncio.Event) -> None:
        self.connected = self.active = 0
        self.on_change: Callable[[], None] = lambda: None
        """Called when the numbers of participants change."""
        self.client = CallClient(
            options.address,
            options.credentials,
            options.display.capabilities(),
            uplink,
            CallEvents(
                joined=self._on_joined,
                frame=self._on_frame,
                refused=self._on_refused,
                screen=self._on_screen,
                clear=self._on_clear,
                members=self._on_members,
            ),
            options.sound,
            options.display.settings(options.wishes),
        )
        self.screen = ReceivedScreen()
        self._address = options.address
        self._attempts = Attempts(options.reconnect_attempts, random.random)
        self._stop = stop
        self._face: _Face | None = None
        self._task: asyncio.Task[None] | None = None
        self._joined = asyncio.Event()
        self._invitation: tuple[str, ...] = ()
        self._inviting: asyncio.Task[None] | None = None
        self.retry_at = 0.0
        """When a lost connection is tried again, in monotonic seconds."""
        self._has_notice = False
        self._refusals = Refusals(self._on_nothing_shown)

    async def join(self) -> bool:
        """The first attempt; False if the user left meanwhile.

        Raises:
            PeerError: it failed.
        """
        self._task = asyncio.create_task(self.client.run(), name="call")
        await _first(self._task, self._joined.wait(), self._stop.wait())
        if self._task.done():
            await self._task
        return not self._stop.is_set()

    async def remain(self, face: _Face) -> None:
        """Stay until the user leaves, reconnecting when the connection breaks.

        Raises:
            PeerError: it broke and there is no use in trying again.
        """
        self._face = face
        self._hint()
        if not self.client.received.frames:
            self._say(f"Connected to {self._address}.", "Nobody sends a picture yet.")
        while self._task is not None:
            await _first(self._task, self._stop.wait())
            if self._stop.is_set():
                return
            try:
                await self._task
            except PeerError as error:
                self._refusals.end()
                await self._pause(error)
            if not self._stop.is_set():
                self._task = asyncio.create_task(self.client.run(), name="call")

    async def leave(self) -> None:
        """End the connection."""
        self._refusals.end()
        tasks = [task for task in (self._task, self._inviting) if task is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _pause(self, error: PeerError) -> None:
        pause = self._attempts.next_pause(error)
        if pause is None:
            raise error
        _log.warning("%s; trying again in %.1f s", error, pause)
        until = self.retry_at = time.monotonic() + pause
        while (left := until - time.monotonic()) > 0 and not self._stop.is_set():
            self._say(str(error), f"Connecting again in {left:.0f} s (attempt {self._attempts.number}); q quits.")
            await _first(self._stop.wait(), timeout=min(left, 1.0))
        self._say(str(error), f"Connecting again (attempt {self._attempts.number}) ...")

    def _say(self, *lines: str) -> None:
        if self._face is not None and (lines or self._has_notice):
            self._has_notice = bool(lines)
            self._face.notify(*lines)

    def _hint(self) -> None:
        if self._face is not None:
            self._face.hint(*(self._invitation if self.connected == 1 else ()))

    async def _invite(self) -> None:
        self._invitation = await invitation(self._address, self.client.numeric_host)
        self._hint()

    def _on_joined(self, _done: HandshakeDone) -> None:
        if not self._invitation:
            self._inviting = asyncio.create_task(self._invite(), name="invitation")
        self.screen.reset()
        self._attempts.succeeded()
        self._joined.set()
        self._say()

    def _on_frame(self, frame: SafeFrame) -> None:
        self._refusals.end()
        if self._face is not None:
            self._say()
            self._face.show(frame)

    def _on_refused(self, reason: str) -> None:
        self._refusals.add(reason)

    def _on_nothing_shown(self, reason: str) -> None:
        if not self._refusals.is_lasting:
            _log.warning("%s %s.", _UNSHOWABLE, reason)
        # Again and again, for other notices may have taken its place.
        if self._face is not None:
            self._has_notice = True
            self._face.excuse(_UNSHOWABLE, f"{reason}.")

    def _on_screen(self, update: ScreenUpdate) -> None:
        was_waiting = self.screen.is_waiting
        if not self.screen.receive(update):
            if not was_waiting:
                self.client.acknowledge(self.screen.number, wants_whole=True)
            return
        self._refusals.end()
        if self._face is not None:
            self._say()
            self._face.show_screen(self.screen)
        else:
            self.client.acknowledge(update.number)

    def _on_clear(self) -> None:
        if self._face is not None:
            self._face.clear()

    def _on_members(self, connected: int, active: int) -> None:
        self.connected, self.active = connected, active
        self.on_change()
        self._hint()
        if active == 0 and self.screen.grid is None:
            self._on_clear()
            self._say("Nobody sends a picture at the moment.")


class Refusals:
    """Notices that frames keep being refused while none is shown.

    Args:
        on_lasting: called for every second of this, with the reason of the last refusal.
    """

    def __init__(self, on_lasting: Callable[[str], object]) -> None:
        self.is_lasting = False
        """No frame was shown since ``on_lasting`` was called."""
        self._on_lasting = on_lasting
        self._reason = ""
        self._timer: asyncio.TimerHandle | None = None

    def add(self, reason: str) -> None:
        """A frame was refused."""
        self._reason = reason
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(_REFUSED_SECONDS, self._last)

    def end(self) -> None:
        """A frame is shown, or no more will come."""
        self.is_lasting = False
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _last(self) -> None:
        self._timer = None
        self._on_lasting(self._reason)
        self.is_lasting = True


class ScreenFace:
    """Shows a stay on the interface's screen."""

    def __init__(self, interface: Interface, client: CallClient) -> None:
        self._interface = interface
        self._client = client
        self._loop = asyncio.get_running_loop()
        self.show = interface.screen.show
        self.clear = interface.screen.clear
        self.notify = self.excuse = interface.notify
        self.hint = interface.hint

    def show_screen(self, screen: ReceivedScreen) -> None:
        """Draw it; the server hears of it only when it is on the terminal, so that it waits for slow ones."""
        self._interface.screen.show_grid(screen, self._seen)

    def _seen(self, number: int) -> None:
        with contextlib.suppress(RuntimeError):  # the program is about to end
            self._loop.call_soon_threadsafe(self._client.acknowledge, number)


class _PipeFace:
    """Writes frames to standard output; sentences go to the log."""

    def __init__(self, writer: FrameWriter, client: CallClient) -> None:
        self.show = writer.show
        self._client = client

    def show_screen(self, screen: ReceivedScreen) -> None:
        if (frame := screen.frame(*self._client.size)) is not None:
            self.show(frame)
            self._client.acknowledge(screen.number)

    def clear(self) -> None:
        """Frames in a row have no screen to clear."""

    def notify(self, *lines: str) -> None:
        if lines:
            _log.info(" ".join(lines))

    def excuse(self, *lines: str) -> None:
        """The log is all there is."""

    def hint(self, *lines: str) -> None:
        """There is no place beside frames in a row."""


async def pipe_call(options: CallOptions, uplink: Uplink | None, stop: asyncio.Event) -> int:
    """Be in a call and write its frames to standard output, which is not a terminal.

    Raises:
        PeerError: joining failed, or the connection broke for good.
        OutputClosedError: nobody reads the frames any more.
        OutputError: they cannot be written.
    """
    loop = asyncio.get_running_loop()
    stay = Stay(options, uplink, stop)
    writer = FrameWriter(on_failure=lambda: loop.call_soon_threadsafe(stop.set))
    try:
        if await stay.join():
            await stay.remain(_PipeFace(writer, stay.client))
    finally:
        await stay.leave()
        writer.close()
    writer.check()
    return 0


async def snapshot_call(
    options: CallOptions, uplink: Uplink | None, delay: float, stop: asyncio.Event
) -> SafeFrame | None:
    """The last frame that came within ``delay`` seconds after the first; None if the user left before.

    Frames from before anybody sends a picture only say so, and do not count.

    Raises:
        PeerError: the call cannot be joined, or no frame came.
        ProtocolError: the frames that came cannot be shown.
    """
    frames: list[SafeFrame] = []
    first, lasting = asyncio.Event(), asyncio.Event()
    is_empty = False
    refused_for = ""

    def count(_connected: int, active: int) -> None:
        nonlocal is_empty
        is_empty = active == 0

    def keep(frame: SafeFrame) -> None:
        refusals.end()
        if not is_empty:
            frames[:] = [frame]
            first.set()

    def give_up(reason: str) -> None:
        nonlocal refused_for
        refused_for = reason
        lasting.set()

    received, refusals = ReceivedScreen(), Refusals(give_up)

    def keep_screen(update: ScreenUpdate) -> None:
        if received.receive(update) and (frame := received.frame(*client.size)) is not None:
            keep(frame)
        client.acknowledge(received.number, wants_whole=received.is_waiting)

    client = CallClient(
        options.address,
        options.credentials,
        options.display.capabilities(),
        uplink,
        CallEvents(frame=keep, refused=refusals.add, screen=keep_screen, members=count),
        settings=options.display.settings(replace(options.wishes, names=False)),
    )
    task = asyncio.create_task(client.run(), name="call")
    try:
        await _first(task, first.wait(), lasting.wait(), stop.wait(), timeout=_FIRST_FRAME_SECONDS)
        if task.done():
            await task
        if refused_for and not frames and not stop.is_set():
            raise ProtocolError(f"{_UNSHOWABLE} {refused_for}.")
        if not frames and not stop.is_set():
            raise PeerTimeoutError(
                f"{options.address} sent no picture within {_FIRST_FRAME_SECONDS:g} s: does anybody send one?"
            )
        await _first(task, stop.wait(), timeout=delay)
    finally:
        refusals.end()
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    return frames[0] if frames and not stop.is_set() else None


async def _first(*things: Awaitable[object], timeout: float | None = None) -> None:
    """Wait until one of the things is done, or time is up; coroutines among them are cancelled then."""
    tasks = [asyncio.ensure_future(thing) for thing in things]
    try:
        await asyncio.wait(tasks, timeout=timeout, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for thing, task in zip(things, tasks, strict=True):
            if task is not thing:
                task.cancel()
