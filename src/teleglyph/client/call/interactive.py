"""A call on a terminal: its keys, its status line and its messages."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from dataclasses import replace
from functools import partial

from teleglyph.client.call.session import CallOptions, ScreenFace, Stay
from teleglyph.client.call.sound import CallSound
from teleglyph.client.call.uplink import Uplink
from teleglyph.client.terminal.capabilities import Terminal
from teleglyph.client.terminal.display import Display
from teleglyph.client.terminal.interface import Interface, KeyAction
from teleglyph.client.terminal.status_line import Field, Rates, compose_status, describe_link
from teleglyph.printable import fit
from teleglyph.wire.acip import ViewState

_MAX_DIGIT = 9
_SHORT_NAME = 12
"""Columns of a name where there is little room."""
_NOBODY = "Nobody else is here yet."


async def watch_call(
    options: CallOptions, terminal: Terminal, uplink: Uplink | None, stop: asyncio.Event, notice: str = ""
) -> int:
    """Be in a call on this terminal until the user leaves; returns the exit code.

    Args:
        options: the call and how it is shown.
        terminal: the terminal, and what it can do.
        uplink: the picture to send; None to only watch.
        stop: ends the call when it is set.
        notice: a sentence that is shown first.

    Raises:
        PeerError: joining failed, or the connection broke for good.
    """
    return await _InteractiveCall(options, terminal, uplink, stop).run(notice)


class _InteractiveCall:
    """A call on a terminal."""

    def __init__(self, options: CallOptions, terminal: Terminal, uplink: Uplink | None, stop: asyncio.Event) -> None:
        self._stay = Stay(options, uplink, stop)
        self._client = self._stay.client
        self._client.on_view = self._on_view
        self._uplink = uplink
        if uplink is not None:
            uplink.on_notice = self.announce
        self._sound = options.sound
        if self._sound is not None:
            self._sound.on_notice = self.announce
        self._no_sound = options.no_sound
        self._wishes = options.wishes
        self._seen: ViewState | None = None
        self._was_joined = False
        self._rates = Rates()
        self._interface = Interface(
            terminal,
            options.display,
            fixed_size=options.fixed_size,
            stop=stop,
            on_display=self._change,
            actions={**self._picture_actions(), **self._spotlight_actions(), **self._sound_actions()},
            status=self._status,
        )

    async def run(self, notice: str) -> int:
        self._stay.on_change = self._interface.refresh
        self._change(self._interface.display)
        try:
            if await self._stay.join():
                async with self._interface as interface:
                    if notice:
                        self.announce(notice)
                    await self._stay.remain(ScreenFace(interface, self._client))
        finally:
            await self._stay.leave()
        return 0

    def announce(self, text: str) -> None:
        """Show a sentence for a while."""
        self._interface.announce(text)

    def _change(self, display: Display) -> None:
        self._client.change(display.capabilities(), display.settings(self._wishes))

    # --- the picture ----------------------------------------------------------------------------------

    def _picture_actions(self) -> dict[str, KeyAction]:
        return {"v": KeyAction("camera on and off", self._toggle_video, works=lambda: self._uplink is not None)}

    def _toggle_video(self) -> None:
        if self._uplink is None:
            self.announce("You have no picture to send: start with a camera, --file or --test-pattern.")
        else:
            self._uplink.toggle()

    # --- one participant alone ------------------------------------------------------------------------

    def _spotlight_actions(self) -> dict[str, KeyAction]:
        digits = {str(place): KeyAction("", partial(self._pin, place)) for place in range(2, _MAX_DIGIT + 1)}
        return {
            "1": KeyAction("show one participant alone", partial(self._pin, 1), "1 to 9", self._can_pin),
            **digits,
            "right": KeyAction("the next one, also beyond 9", partial(self._step, 1), "Left, Right", self._can_pin),
            "left": KeyAction("", partial(self._step, -1)),
            "0": KeyAction("show everyone", partial(self._pin, 0), works=self._can_pin),
        }

    def _can_pin(self) -> bool:
        return not self._why_no_spotlight()

    def _why_no_spotlight(self) -> str:
        """Why nobody can be shown alone now; empty if somebody can."""
        if not self._client.is_joined:
            return "There is no connection at the moment."
        if not self._client.has_screens:
            return "This server always shows everyone: it cannot show one participant alone."
        if self._places > 1 or self._place:
            return ""
        return _NOBODY if self._stay.connected <= 1 else "There is nobody to choose: only one participant is shown."

    @property
    def _places(self) -> int:
        """How many participants can be shown alone."""
        view = self._client.view
        if view is not None:
            return view.places
        return max(0, self._stay.connected - (not self._wishes.own_picture))

    @property
    def _place(self) -> int:
        """The place that is shown alone, 0 for everyone."""
        view = self._client.view
        return self._wishes.spotlight if view is None else view.place

    def _pin(self, place: int) -> None:
        """Show one participant alone, or with 0 everyone again."""
        why_not = self._why_no_spotlight()
        if not why_not and place > self._places:
            why_not = f"There is no participant {place}."
        elif not why_not and place == self._place:
            why_not = "This participant is shown alone already; 0 shows everyone." if place else "Everyone is shown."
        if why_not:
            self.announce(why_not)
            return
        self._wishes = replace(self._wishes, spotlight=place)
        self._change(self._interface.display)

    def _step(self, step: int) -> None:
        """Go to the next participant or the one before; everyone comes between the last and the first."""
        if why_not := self._why_no_spotlight():
            self.announce(why_not)
        else:
            # From where the keys have led, which the server may not have confirmed yet.
            self._pin((self._wishes.spotlight + step) % (self._places + 1))

    def _on_view(self, view: ViewState) -> None:
        before, self._seen = self._seen, view
        was_wanted = self._wishes.spotlight
        self._wishes = replace(self._wishes, spotlight=view.place)
        if before is not None and before.place and before.place == was_wanted and not view.place:
            self.announce(f"{before.name} is not there any more: everyone is shown.")
        self._interface.refresh()

    # --- sound ----------------------------------------------------------------------------------------

    def _sound_actions(self) -> dict[str, KeyAction]:
        return {
            "m": KeyAction("mute the microphone", self._mute, works=lambda: self._can_speak),
            "space": KeyAction("talk", self._talk, works=lambda: self._can_speak and self._has_talk_key),
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
    def _has_talk_key(self) -> bool:
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
            self.announce("Space is for --push-to-talk; without it you are always heard. m mutes you.")

    def _speaking_sound(self) -> CallSound | None:
        """The sound, if something of us can be heard; otherwise it is said why not."""
        if self._sound is None:
            self.announce(self._no_sound)
        elif not self._sound.can_speak:
            self.announce("There is no microphone: the others cannot hear you.")
        else:
            return self._sound
        return None

    def _change_volume(self, steps: int) -> None:
        if self._sound is None:
            self.announce(self._no_sound)
        elif not self._sound.can_hear:
            self.announce("There are no loudspeakers: you cannot hear the others.")
        elif not self._sound.change_volume(steps):
            end = "highest" if steps > 0 else "lowest"
            self.announce(f"The volume is at its {end}, {self._sound.volume:.0%}.")

    # --- the status line ------------------------------------------------------------------------------

    def _status(self) -> str:
        was_joined, self._was_joined = self._was_joined, self._client.is_joined
        if was_joined and not self._was_joined:
            self._interface.dismiss()  # an older sentence must not hide that the connection is lost
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
            left = self._stay.retry_at - now
            again = f"again in {left:.0f} s" if left >= 1 else "again"
            fields.append(Field(0, (f"connecting {again}", again)))
        fields.append(Field(6, ("no picture" if self._uplink is None else f"picture {self._on_off(self._uplink)}",)))
        if self._sound is not None:
            fields += [Field(rank, (text,)) for rank, text in zip((5, 8, 8), self._sound.parts(), strict=False)]
        fields.append(Field(9, (self._interface.display.describe(),)))
        if rates is not None:
            fields += [Field(7, (f"{rates[0]:.0f} frames/s",)), Field(10, (f"{rates[1] / 1000:.0f} kB/s",))]
        return fields

    def _call_fields(self) -> list[Field]:
        """What only a connection can tell."""
        fields = []
        if alone := self._describe_spotlight():
            fields.append(Field(1, alone))
        if link := describe_link(self._stay.screen.level, self._stay.screen.rate):
            fields.append(Field(2, link))
        if connected := self._stay.connected:
            fields.append(Field(3, (f"{connected} in the call", f"{connected} here")))
        return fields

    def _describe_spotlight(self) -> Sequence[str]:
        view = self._client.view
        place = self._place
        if not place:
            return ()
        name = view.name if view is not None and view.name else str(place)
        short = fit(name, _SHORT_NAME)
        return (f"only {name}; 0 shows everyone", f"only {short}; 0: all", "0: everyone")

    @staticmethod
    def _on_off(uplink: Uplink) -> str:
        return "on" if uplink.is_on else "off"
