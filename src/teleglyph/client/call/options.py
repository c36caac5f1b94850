"""The options of one call."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from teleglyph.client.address import CallAddress
from teleglyph.client.call.connection import Credentials
from teleglyph.client.call.sound import CallSound
from teleglyph.client.terminal.display import Display, ViewPreferences


@dataclass(frozen=True, slots=True)
class CallOptions:
    """The user's choices.

    Attributes:
        address: the server.
        credentials: how to join.
        display: how frames are drawn.
        fixed_size: columns and rows set by the user; 0 means the window's.
        reconnect_attempts: after a lost connection; -1 never gives up.
        sound: microphone and speakers; None for neither.
        no_sound: a sentence that explains why there is no sound.
        preferences: what frames show.
        on_joined: called in a thread when a call on a terminal has been joined, before it is shown.
    """

    address: CallAddress
    credentials: Credentials
    display: Display
    fixed_size: tuple[int, int] = (0, 0)
    reconnect_attempts: int = -1
    sound: CallSound | None = None
    no_sound: str = "There is no sound: you joined with --no-audio."
    preferences: ViewPreferences = ViewPreferences()
    on_joined: Callable[[], None] = lambda: None
