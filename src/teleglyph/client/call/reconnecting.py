"""Stay in a call across lost connections."""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections.abc import Callable

from teleglyph.client.call.backoff import ReconnectBackoff
from teleglyph.client.call.client import CallClient, CallEvents
from teleglyph.client.call.invitation import invitation
from teleglyph.client.call.options import CallOptions
from teleglyph.client.call.output import CallOutput
from teleglyph.client.call.received_screen import ReceivedScreen
from teleglyph.client.call.refused_frames import UNSHOWABLE, RefusedFrameMonitor
from teleglyph.client.call.uplink import Uplink
from teleglyph.client.waiting import wait_for_first
from teleglyph.errors import PeerError
from teleglyph.media.frame_text import SafeFrame
from teleglyph.printable import printable
from teleglyph.wire.acip import HandshakeDone, ScreenUpdate

_log = logging.getLogger(__name__)

_MAX_WARNING = 200
"""Characters shown of a server's sentence."""


class ReconnectingCall:
    """Joins a call, and reconnects until the user leaves.

    Args:
        options: the user's choices.
        uplink: the picture to send; None sends nothing.
        stop: set when the user leaves.
    """

    def __init__(self, options: CallOptions, uplink: Uplink | None, stop: asyncio.Event) -> None:
        self.connected = 0
        """Participants in the call."""
        self.on_change: Callable[[], None] = lambda: None
        """Called when the number of participants changes."""
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
                warned=self._on_warned,
            ),
            options.sound,
            options.display.settings(options.preferences),
        )
        self.screen = ReceivedScreen()
        self.retry_at = 0.0
        """When the next attempt to reconnect is due, in monotonic seconds."""
        self._address = options.address
        self._backoff = ReconnectBackoff(options.reconnect_attempts, random.random)
        self._stop = stop
        self._output: CallOutput | None = None
        self._task: asyncio.Task[None] | None = None
        self._joined = asyncio.Event()
        self._invitation: tuple[str, ...] = ()
        self._inviting: asyncio.Task[None] | None = None
        self._has_notice = False
        self._warning = ""
        """Came before there was an output."""
        self._refusals = RefusedFrameMonitor(self._on_only_refusals)

    async def join(self) -> bool:
        """Make the first attempt; False if the user left meanwhile.

        Raises:
            PeerError: it failed.
        """
        self._task = asyncio.create_task(self.client.run(), name="call")
        await wait_for_first(self._task, self._joined.wait(), self._stop.wait())
        if self._task.done():
            await self._task
        return not self._stop.is_set()

    async def run(self, output: CallOutput) -> None:
        """Show the call until the user leaves; reconnect when the connection breaks.

        Raises:
            PeerError: reconnecting is impossible, or the attempts are used up.
        """
        self._output = output
        if self._warning:
            output.show_warning(self._warning)
        self._show_hint()
        if not self.client.received.frames:
            self._show_notice(f"Connected to {self._address.as_typed}.", "Nobody is sending a picture yet.")
        while self._task is not None:
            await wait_for_first(self._task, self._stop.wait())
            if self._stop.is_set():
                return
            try:
                await self._task
            except PeerError as error:
                self._refusals.reset()
                await self._wait_to_reconnect(error)
            if not self._stop.is_set():
                self._task = asyncio.create_task(self.client.run(), name="call")

    async def leave(self) -> None:
        """Close the connection."""
        self._refusals.reset()
        tasks = [task for task in (self._task, self._inviting) if task is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _wait_to_reconnect(self, error: PeerError) -> None:
        pause = self._backoff.next_pause(error)
        if pause is None:
            raise error
        _log.warning("Connection lost, retry in %.1f s: %s", pause, error)
        self.retry_at = time.monotonic() + pause
        attempt = f"attempt {self._backoff.number}"
        while (left := self.retry_at - time.monotonic()) > 0 and not self._stop.is_set():
            self._show_notice(str(error), f"Reconnecting in {left:.0f} s ({attempt}); q quits.")
            await wait_for_first(self._stop.wait(), timeout=min(left, 1.0))
        self._show_notice(str(error), f"Reconnecting ({attempt}) ...")

    def _show_notice(self, *lines: str) -> None:
        if self._output is not None and (lines or self._has_notice):
            self._has_notice = bool(lines)
            self._output.show_notice(*lines)

    def _show_hint(self) -> None:
        if self._output is not None:
            self._output.show_hint(*(self._invitation if self.connected == 1 else ()))

    async def _invite(self) -> None:
        self._invitation = await invitation(self._address, self.client.numeric_host)
        self._show_hint()

    def _on_joined(self, _done: HandshakeDone) -> None:
        if not self._invitation:
            self._inviting = asyncio.create_task(self._invite(), name="invitation")
        self.screen.reset()
        self._backoff.reset()
        self._joined.set()
        self._show_notice()

    def _on_warned(self, text: str) -> None:
        warning = printable(text)[:_MAX_WARNING]
        if self._output is None:
            self._warning = warning
        else:
            self._output.show_warning(warning)

    def _on_frame(self, frame: SafeFrame) -> None:
        self._refusals.reset()
        if self._output is not None:
            self._show_notice()
            self._output.draw_frame(frame)

    def _on_refused(self, reason: str) -> None:
        self._refusals.add(reason)

    def _on_only_refusals(self, reason: str) -> None:
        if not self._refusals.is_reported:
            _log.warning("%s %s.", UNSHOWABLE, reason)
        # Repeated every time: another notice may have replaced it.
        if self._output is not None:
            self._has_notice = True
            self._output.show_refusal(UNSHOWABLE, f"{reason}.")

    def _on_screen(self, update: ScreenUpdate) -> None:
        had_requested = self.screen.needs_full_screen
        if not self.screen.apply(update):
            if not had_requested:
                self.client.acknowledge(self.screen.number, wants_full=True)
            return
        self._refusals.reset()
        if self._output is not None:
            self._show_notice()
            self._output.draw_screen(self.screen)
        else:
            self.client.acknowledge(update.number)

    def _on_clear(self) -> None:
        if self._output is not None:
            self._output.clear()

    def _on_members(self, connected: int, active: int) -> None:
        self.connected = connected
        self.on_change()
        self._show_hint()
        if active == 0 and self.screen.grid is None:
            self._on_clear()
            self._show_notice("Nobody is sending a picture right now.")
