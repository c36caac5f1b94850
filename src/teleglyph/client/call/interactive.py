"""A call on a terminal: keys, status line and messages."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from dataclasses import replace
from functools import partial

from teleglyph.client.call.invitation import ALONE
from teleglyph.client.call.options import CallOptions
from teleglyph.client.call.output import TerminalOutput
from teleglyph.client.call.reconnecting import ReconnectingCall
from teleglyph.client.call.sound import CallSound
from teleglyph.client.call.uplink import Uplink
from teleglyph.client.terminal.capabilities import Terminal
from teleglyph.client.terminal.display import Display
from teleglyph.client.terminal.interface import Interface, KeyAction
from teleglyph.client.terminal.status_line import Field, Rates, compose_status, describe_link
from teleglyph.printable import fit
from teleglyph.wire.acip import ViewState

_MAX_DIGIT = 9
_SHORT_NAME_COLUMNS = 12
"""Width of a name in a narrow window."""


async def watch_call(
    options: CallOptions, terminal: Terminal, uplink: Uplink | None, stop: asyncio.Event, notice: str = ""
) -> int:
    """Join a call and show it on this terminal until the user leaves.

    Args:
        options: the server, and how to take part.
        terminal: what the terminal can do.
        uplink: what to send; None to only watch.
        stop: ends the call when set.
        notice: a sentence to show first.

    Returns:
        The exit code.

    Raises:
        PeerError: the call cannot be joined, or the connection cannot be restored.
    """
    return await _InteractiveCall(options, terminal, uplink, stop).run(notice)


class _InteractiveCall:
    """Joins the parts: the call, the interface, and what each key does."""

    def __init__(self, options: CallOptions, terminal: Terminal, uplink: Uplink | None, stop: asyncio.Event) -> None:
        self._call = ReconnectingCall(options, uplink, stop)
        self._client = self._call.client
        self._client.on_view = self._on_view
        self._uplink = uplink
        if uplink is not None:
            uplink.on_notice = self.show_message
        self._sound = options.sound
        if self._sound is not None:
            self._sound.on_notice = self.show_message
        self._no_sound = options.no_sound
        self._preferences = options.preferences
        self._room = options.address.room
        self._on_joined = options.on_joined
        self._last_view: ViewState | None = None
        self._was_joined = False
        self._rates = Rates()
        self._interface = Interface(
            terminal,
            options.display,
            fixed_size=options.fixed_size,
            stop=stop,
            on_display=self._update,
            actions={**self._picture_actions(), **self._spotlight_actions(), **self._sound_actions()},
            status=self._status,
        )

    async def run(self, notice: str) -> int:
        self._call.on_change = self._interface.refresh
        self._update(self._interface.display)
        try:
            if await self._call.join():
                await asyncio.to_thread(self._on_joined)
                async with self._interface as interface:
                    if notice:
                        self.show_message(notice)
                    await self._call.run(TerminalOutput(interface, self._client))
        finally:
            await self._call.leave()
        return 0

    def show_message(self, text: str) -> None:
        """Show a sentence for a few seconds."""
        self._interface.show_message(text)

    def _update(self, display: Display) -> None:
        self._client.update(display.capabilities(), display.settings(self._preferences))

    # --- the picture ----------------------------------------------------------------------------------

    def _picture_actions(self) -> dict[str, KeyAction]:
        return {"v": KeyAction("camera on and off", self._toggle_video, works=lambda: self._uplink is not None)}

    def _toggle_video(self) -> None:
        if self._uplink is None:
            self.show_message("You have no picture to send. Start with a camera, --file or --test-pattern.")
        else:
            self._uplink.toggle()

    # --- the spotlight --------------------------------------------------------------------------------

    def _spotlight_actions(self) -> dict[str, KeyAction]:
        digits = {str(place): KeyAction("", partial(self._spotlight, place)) for place in range(2, _MAX_DIGIT + 1)}
        return {
            "1": KeyAction("show only one participant", partial(self._spotlight, 1), "1 to 9", self._has_choice),
            **digits,
            "right": KeyAction(
                "previous or next one, also beyond 9", partial(self._step, 1), "Left, Right", self._has_choice
            ),
            "left": KeyAction("", partial(self._step, -1)),
            "0": KeyAction("show everyone", partial(self._spotlight, 0), works=self._has_choice),
        }

    def _has_choice(self) -> bool:
        return not self._why_no_spotlight()

    def _why_no_spotlight(self) -> str:
        """Why the spotlight is unavailable; empty if it is available."""
        if not self._client.is_joined:
            return "You are not connected right now."
        if not self._client.has_screens:
            return "This server always shows everyone."
        if self._places > 1 or self._place:
            return ""
        return ALONE if self._call.connected <= 1 else "There is only one participant to show."

    @property
    def _places(self) -> int:
        """The number of participants in view."""
        view = self._client.view
        if view is not None:
            return view.places
        return max(0, self._call.connected - (not self._preferences.own_picture))

    @property
    def _place(self) -> int:
        """The number of the participant in the spotlight; 0 for everyone."""
        view = self._client.view
        return self._preferences.spotlight if view is None else view.place

    def _spotlight(self, place: int) -> None:
        """Show only one participant; 0 shows everyone."""
        why_not = self._why_no_spotlight()
        if not why_not and place > self._places:
            why_not = f"There is no participant {place}."
        elif not why_not and place == self._place:
            why_not = (
                f"You already see only participant {place}; 0 shows everyone." if place else "You already see everyone."
            )
        if why_not:
            self.show_message(why_not)
            return
        self._preferences = replace(self._preferences, spotlight=place)
        self._update(self._interface.display)

    def _step(self, step: int) -> None:
        """Go to the next or previous participant; everyone comes between the last and the first."""
        if why_not := self._why_no_spotlight():
            self.show_message(why_not)
        else:
            # Start from the requested participant: the server may not have confirmed it yet.
            self._spotlight((self._preferences.spotlight + step) % (self._places + 1))

    def _on_view(self, view: ViewState) -> None:
        before, self._last_view = self._last_view, view
        was_requested = self._preferences.spotlight
        self._preferences = replace(self._preferences, spotlight=view.place)
        if before is not None and before.place and before.place == was_requested and not view.place:
            self.show_message(f"{before.name} left; you see everyone again.")
        self._interface.refresh()

    # --- sound ----------------------------------------------------------------------------------------

    def _sound_actions(self) -> dict[str, KeyAction]:
        return {
            "m": KeyAction("mute the microphone", self._mute, works=lambda: self._can_speak),
            "space": KeyAction("talk", self._talk, works=lambda: self._can_speak and self._uses_talk_key),
            "up": KeyAction("louder", partial(self._change_volume, 1), works=lambda: self._can_hear),
            "down": KeyAction("quieter", partial(self._change_volume, -1), works=lambda: self._can_hear),
        }

    @property
    def _can_speak(self) -> bool:
        return self._sound is not None and self._sound.can_speak

    @property
    def _can_hear(self) -> bool:
        return self._sound is not None and self._sound.can_hear

    @property
    def _uses_talk_key(self) -> bool:
        return self._sound is not None and self._sound.push_to_talk

    def _mute(self) -> None:
        if (sound := self._speaking_sound()) is not None:
            sound.toggle_mute()

    def _talk(self) -> None:
        if (sound := self._speaking_sound()) is None:
            return
        if sound.push_to_talk:
            sound.talk()
        else:
            self.show_message("Space is for --push-to-talk; without it you are always heard. m mutes you.")

    def _speaking_sound(self) -> CallSound | None:
        """The sound, if we can speak; otherwise None, after a message with the reason."""
        if self._sound is None:
            self.show_message(self._no_sound)
        elif not self._sound.can_speak:
            self.show_message("You have no microphone: the others cannot hear you.")
        else:
            return self._sound
        return None

    def _change_volume(self, steps: int) -> None:
        if self._sound is None:
            self.show_message(self._no_sound)
        elif not self._sound.can_hear:
            self.show_message("You have no speakers: you cannot hear the others.")
        elif not self._sound.change_volume(steps):
            limit = "maximum" if steps > 0 else "minimum"
            self.show_message(f"The volume is at its {limit}, {self._sound.volume:.0%}.")

    # --- the status line ------------------------------------------------------------------------------

    def _status(self) -> str:
        was_joined, self._was_joined = self._was_joined, self._client.is_joined
        if was_joined and not self._was_joined:
            self._interface.hide_message()  # an old message must not hide the lost connection
        return compose_status(self._fields(time.monotonic()), self._interface.columns)

    def _fields(self, now: float) -> list[Field]:
        fields = [Field(4, ("? help", "?"))]
        received = self._client.received
        rates = None
        if self._client.is_joined:
            rates = self._rates.measure(now, received.frames, received.frame_bytes)
            fields += self._call_fields()
        else:
            self._rates.restart()
            left = self._call.retry_at - now
            when = f" in {left:.0f} s" if left >= 1 else ""
            fields.append(Field(0, (f"reconnecting{when}", f"retry{when}")))
        fields.append(Field(6, (self._describe_picture(),)))
        if self._sound is not None:
            fields += [Field(rank, (text,)) for rank, text in zip((5, 8, 8), self._sound.status_fields(), strict=False)]
        fields.append(Field(9, (self._interface.display.describe(),)))
        if rates is not None:
            fields += [Field(7, (f"{rates[0]:.0f} frames/s",)), Field(10, (f"{rates[1] / 1000:.0f} kB/s",))]
        return fields

    def _describe_picture(self) -> str:
        if self._uplink is None:
            return "no picture"
        return "picture on" if self._uplink.is_on else "picture off"

    def _call_fields(self) -> list[Field]:
        """The fields that need a connection."""
        fields = []
        if spotlight := self._describe_spotlight():
            fields.append(Field(1, spotlight))
        if link := describe_link(self._call.screen.level, self._call.screen.rate):
            fields.append(Field(2, link))
        if connected := self._call.connected:
            fields.append(Field(3, (f"{connected} in {self._room or 'the call'}", f"{connected} here")))
        return fields

    def _describe_spotlight(self) -> Sequence[str]:
        view = self._client.view
        place = self._place
        if not place:
            return ()
        name = view.name if view is not None and view.name else str(place)
        short = fit(name, _SHORT_NAME_COLUMNS)
        return (f"only {name}; 0 shows everyone", f"only {short}; 0: all", "0: everyone")
