"""Outputs for a call's frames and notices: the terminal, or standard output as a pipe."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from typing import Protocol

from teleglyph.client.call.client import CallClient
from teleglyph.client.call.received_screen import ReceivedScreen
from teleglyph.client.terminal.frame_writer import FrameWriter
from teleglyph.client.terminal.interface import Interface
from teleglyph.media.frame_text import SafeFrame

_log = logging.getLogger(__name__)


class CallOutput(Protocol):
    """Shows a call."""

    def draw_frame(self, frame: SafeFrame) -> None:
        """Draw a text frame."""

    def draw_screen(self, screen: ReceivedScreen) -> None:
        """Draw a screen from a Teleglyph server and acknowledge it."""

    def clear(self) -> None:
        """Clear the screen before the next frame."""

    def show_notice(self, *lines: str) -> None:
        """Show lines instead of a frame; without lines, remove them."""

    def show_refusal(self, *lines: str) -> None:
        """Show why arriving frames are not drawn; the reason is in the log already."""

    def show_hint(self, *lines: str) -> None:
        """Show lines beside the picture; without lines, remove them."""

    def show_warning(self, text: str) -> None:
        """Show a sentence for a while."""


class TerminalOutput:
    """Draws a call on the interface's screen."""

    def __init__(self, interface: Interface, client: CallClient) -> None:
        self._interface = interface
        self._client = client
        self._loop = asyncio.get_running_loop()
        self.draw_frame = interface.screen.draw_frame
        self.clear = interface.screen.clear
        self.show_notice = self.show_refusal = interface.show_notice
        self.show_hint = interface.show_hint
        self.show_warning = interface.show_message

    def draw_screen(self, screen: ReceivedScreen) -> None:
        """Draw a screen; acknowledge it once it is on the terminal, so that the server adapts to slow terminals."""
        self._interface.screen.draw_grid(screen, self._acknowledge)

    def _acknowledge(self, number: int) -> None:
        with contextlib.suppress(RuntimeError):  # the event loop is closed
            self._loop.call_soon_threadsafe(self._client.acknowledge, number)


class PipeOutput:
    """Writes frames to standard output, and notices to the log."""

    def __init__(self, writer: FrameWriter, client: CallClient) -> None:
        self.draw_frame = writer.write
        self._client = client

    def draw_screen(self, screen: ReceivedScreen) -> None:
        """Write a screen as a text frame and acknowledge it."""
        if (frame := screen.frame(*self._client.size)) is not None:
            self.draw_frame(frame)
            self._client.acknowledge(screen.number)

    def clear(self) -> None:
        """A pipe has no screen to clear."""

    def show_notice(self, *lines: str) -> None:
        """Log the lines."""
        if lines:
            _log.info(" ".join(lines))

    def show_refusal(self, *lines: str) -> None:
        """Show nothing: the reason is in the log already."""

    def show_hint(self, *lines: str) -> None:
        """A pipe has no place for hints."""

    def show_warning(self, text: str) -> None:
        """Log the sentence."""
        _log.warning("%s", text)
