"""The interface between a conversation and its display."""

from __future__ import annotations

from typing import Protocol

from teleglyph.client.chat.formatting import Message


class ChatView(Protocol):
    """Displays a conversation."""

    def show_message(self, message: Message) -> None:
        """Show a message."""

    def show_notice(self, text: str) -> None:
        """Show a notice from the program."""

    def show_arrival(self, text: str, at: float) -> None:
        """Show that people joined, left or changed their name, at a Unix time."""
