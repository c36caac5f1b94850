"""A whole stay in a call: joining, watching, being reconnected, leaving."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Protocol

from teleglyph.client.address import Address
from teleglyph.client.attempts import Attempts
from teleglyph.client.call import CallClient, CallEvents, Credentials
from teleglyph.client.display import Display, ViewWishes
from teleglyph.client.interface import Interface, KeyAction
from teleglyph.client.output import FrameWriter
from teleglyph.client.received_screen import ReceivedScreen
from teleglyph.client.sound import CallSound
from teleglyph.client.terminal import Terminal
from teleglyph.client.uplink import Uplink
from teleglyph.errors import PeerError, PeerTimeout
from teleglyph.media.grid import Painter
from teleglyph.wire import HandshakeDone, ScreenUpdate, UpdateLevel

_log = logging.getLogger(__name__)

_FIRST_FRAME_SECONDS = 15.0
_NOTICE_SECONDS = 5.0


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
        wishes: what the grid is to show.
    """

    address: Address
    credentials: Credentials
    display: Display
    fixed_size: tuple[int, int] = (0, 0)
    reconnect_attempts: int = -1
    sound: CallSound | None = None
    wishes: ViewWishes = ViewWishes()


class _Face(Protocol):
    """Where a stay is shown."""

    def show(self, text: bytes) -> None:
        """A frame."""

    def show_screen(self, screen: ReceivedScreen) -> None:
        """A screen, from a server of our own kind."""

    def clear(self) -> None:
        """The next frame begins on an empty screen."""

    def notify(self, *lines: str) -> None:
        """Sentences instead of a frame; none take them away."""

    def hint(self, *lines: str) -> None:
        """Sentences beside the picture; none take them away."""


class _Stay:
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
            CallEvents(self._on_joined, self._on_frame, self._on_screen, self._on_clear, self._on_members),
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
        self._has_notice = False

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
                await self._pause(error)
            if not self._stop.is_set():
                self._task = asyncio.create_task(self.client.run(), name="call")

    async def leave(self) -> None:
        """End the connection."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def _pause(self, error: PeerError) -> None:
        pause = self._attempts.next_pause(error)
        if pause is None:
            raise error
        _log.warning("%s; trying again in %.1f s", error, pause)
        until = time.monotonic() + pause
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
            alone = (" Nobody else is here yet. Others join with ", f" teleglyph client {self._address} ")
            self._face.hint(*(alone if self.connected == 1 else ()))

    def _on_joined(self, _done: HandshakeDone) -> None:
        self.screen.reset()
        self._attempts.succeeded()
        self._joined.set()
        self._say()

    def _on_frame(self, text: bytes) -> None:
        if self._face is not None:
            self._say()
            self._face.show(text)

    def _on_screen(self, update: ScreenUpdate) -> None:
        was_waiting = self.screen.is_waiting
        if not self.screen.receive(update):
            if not was_waiting:
                self.client.acknowledge(self.screen.number, wants_whole=True)
            return
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


class _InteractiveCall:
    """A call on a terminal."""

    def __init__(self, options: CallOptions, terminal: Terminal, uplink: Uplink | None, stop: asyncio.Event) -> None:
        self._stay = _Stay(options, uplink, stop)
        self._uplink = uplink
        if uplink is not None:
            uplink.on_notice = self.announce
        self._sound = options.sound
        self._wishes = options.wishes
        self._message, self._message_until = "", 0.0
        self._last = (time.monotonic(), 0, 0)
        self._rates = (0.0, 0.0)
        self._interface = Interface(
            terminal,
            options.display,
            fixed_size=options.fixed_size,
            stop=stop,
            on_display=self._change,
            actions={
                "v": KeyAction("camera on and off", self._toggle_video),
                "1": KeyAction("to 9: show one participant alone, 0 all again", lambda: self._pin(1)),
                **{str(place): KeyAction("", partial(self._pin, place)) for place in (*range(2, 10), 0)},
                **self._sound_actions(),
            },
            status=self._status,
        )

    async def run(self) -> int:
        self._stay.on_change = self._interface.refresh
        self._change(self._interface.display)
        try:
            if await self._stay.join():
                async with self._interface as interface:
                    await self._stay.remain(_ScreenFace(interface, self._stay.client))
        finally:
            await self._stay.leave()
        return 0

    def announce(self, text: str) -> None:
        """Show a sentence on the status line for a while."""
        self._message, self._message_until = text, time.monotonic() + _NOTICE_SECONDS
        self._interface.refresh()

    def _change(self, display: Display) -> None:
        self._stay.client.change(display.capabilities(), display.settings(self._wishes))

    def _pin(self, place: int) -> None:
        """Show one participant alone, or with 0 all again."""
        self._wishes = replace(self._wishes, spotlight=place)
        self._change(self._interface.display)

    def _sound_actions(self) -> dict[str, KeyAction]:
        sound = self._sound
        if sound is None:
            return {
                "m": KeyAction("mute", lambda: self.announce("There is no sound: no card was found, or --no-audio"))
            }
        return {
            "m": KeyAction("mute the microphone", sound.toggle_mute),
            "space": KeyAction("talk, with --push-to-talk", sound.talk),
            "up": KeyAction("louder", lambda: sound.change_volume(1)),
            "down": KeyAction("quieter", lambda: sound.change_volume(-1)),
        }

    def _toggle_video(self) -> None:
        if self._uplink is None:
            self.announce("This side has no picture to send: start with a camera, --file or --test-pattern")
        else:
            self._uplink.toggle()

    def _status(self) -> str:
        if time.monotonic() < self._message_until:
            return f" {self._message}"
        frames, rate = self._measure()
        people = f"{self._stay.connected} in the call" if self._stay.connected else "in the call"
        picture = "no picture" if self._uplink is None else f"picture {'on' if self._uplink.is_on else 'off'}"
        display = self._interface.display.describe()
        if self._sound is not None:
            picture += f" | {self._sound.describe()}"
        link = _describe_link(self._stay.screen.level, self._stay.screen.rate)
        # The link's state comes first: narrow windows cut the end off.
        return f" ? help{link} | {people} | {picture} | {display} | {frames:.0f} frames/s | {rate / 1000:.0f} kB/s"

    def _measure(self) -> tuple[float, float]:
        now, received = time.monotonic(), self._stay.client.received
        then, frames, size = self._last
        if now - then >= 1.0:
            self._rates = ((received.frames - frames) / (now - then), (received.frame_bytes - size) / (now - then))
            self._last = (now, received.frames, received.frame_bytes)
        return self._rates


def _describe_link(level: int, rate: int) -> str:
    """What a slow connection costs, for the status line; nothing while it costs nothing."""
    coarseness, is_cheaper = level & UpdateLevel.TOLERANCE, level & UpdateLevel.CHEAPER
    if not coarseness:
        return ""
    colors = ", fewer colours" if is_cheaper else ""
    return f" | slow connection: detail -{coarseness}, {rate} frames/s{colors}"


class _ScreenFace:
    """Shows a stay on the interface's screen."""

    def __init__(self, interface: Interface, client: CallClient) -> None:
        self._interface = interface
        self._client = client
        self._loop = asyncio.get_running_loop()
        self.show = interface.screen.show
        self.clear = interface.screen.clear
        self.notify = interface.notify
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
        self._painter = Painter()

    def show_screen(self, screen: ReceivedScreen) -> None:
        if screen.grid is not None:
            self.show(self._painter.all(screen.grid))
            self._client.acknowledge(screen.number)

    def clear(self) -> None:
        """Frames in a row have no screen to clear."""

    def notify(self, *lines: str) -> None:
        if lines:
            _log.info(" ".join(lines))

    def hint(self, *lines: str) -> None:
        """There is no place beside frames in a row."""


async def watch_call(
    options: CallOptions, terminal: Terminal, uplink: Uplink | None, stop: asyncio.Event, notice: str = ""
) -> int:
    """Be in a call on this terminal until the user leaves; returns the exit code.

    Args:
        notice: a sentence that the status line begins with.

    Raises:
        PeerError: joining failed, or the connection broke for good.
    """
    call = _InteractiveCall(options, terminal, uplink, stop)
    if notice:
        call.announce(notice)
    return await call.run()


async def pipe_call(options: CallOptions, uplink: Uplink | None, stop: asyncio.Event) -> int:
    """Be in a call and write its frames to standard output, which is no terminal.

    Raises:
        PeerError: joining failed, or the connection broke for good.
    """
    loop = asyncio.get_running_loop()
    stay = _Stay(options, uplink, stop)
    writer = FrameWriter(on_closed=lambda: loop.call_soon_threadsafe(stop.set))
    try:
        if await stay.join():
            await stay.remain(_PipeFace(writer, stay.client))
    finally:
        await stay.leave()
        writer.close()
    return 0


async def snapshot_call(options: CallOptions, uplink: Uplink | None, delay: float, stop: asyncio.Event) -> bytes | None:
    """The last frame that came within ``delay`` seconds after the first; None if the user left before.

    Frames from before anybody sends a picture only say so, and do not count.

    Raises:
        PeerError: the call cannot be joined, or no frame came.
    """
    frames: list[bytes] = []
    first = asyncio.Event()
    is_empty = False

    def count(_connected: int, active: int) -> None:
        nonlocal is_empty
        is_empty = active == 0

    def keep(text: bytes) -> None:
        if not is_empty:
            frames[:] = [text]
            first.set()

    received, painter = ReceivedScreen(), Painter()

    def keep_screen(update: ScreenUpdate) -> None:
        if received.receive(update) and received.grid is not None:
            keep(painter.all(received.grid))
        client.acknowledge(received.number, wants_whole=received.is_waiting)

    client = CallClient(
        options.address,
        options.credentials,
        options.display.capabilities(),
        uplink,
        CallEvents(frame=keep, screen=keep_screen, members=count),
        settings=options.display.settings(replace(options.wishes, names=False)),
    )
    task = asyncio.create_task(client.run(), name="call")
    try:
        await _first(task, first.wait(), stop.wait(), timeout=_FIRST_FRAME_SECONDS)
        if task.done():
            await task
        if not frames and not stop.is_set():
            raise PeerTimeout(
                f"{options.address} sent no picture within {_FIRST_FRAME_SECONDS:g} s: does anybody send one?"
            )
        await _first(task, stop.wait(), timeout=delay)
    finally:
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
