"""One person (or program) in a call, from connecting to gone.

The life cycle is a table of allowed transitions; what each kind of message does is one method of
:class:`Participant`.  The participant writes to nobody's socket: everything goes through its outbox.
"""

from __future__ import annotations

import enum
import logging
import time
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from teleglyph.call.decoding import Decoding
from teleglyph.call.demand import Demand
from teleglyph.call.ingest import HevcIngest
from teleglyph.call.limits import CallLimits
from teleglyph.call.picture import PictureSlot
from teleglyph.call.scene import FROZEN_SECONDS, Scene, scene_of
from teleglyph.call.screen_view import ScreenKey, ScreenView, Wishes, in_grid
from teleglyph.call.sound import LONG_FRAME, SHORT_FRAME, SHORT_FRAMES, Voice
from teleglyph.call.statistics import ParticipantCounters, ParticipantReport
from teleglyph.call.text_link import TextLink
from teleglyph.call.view import View, ViewKey, limit_cells
from teleglyph.call.viewer_screen import ViewerScreen, cheaper
from teleglyph.errors import AuthenticationError, BadDataError, ServerFullError, UserError
from teleglyph.media.modes import COLOR_NAMES, RENDER_NAMES, ColorLevel, RenderMode
from teleglyph.media.palette import BUILT_IN, STANDARD, Palette, custom_palette
from teleglyph.media.style import Style
from teleglyph.net import Connection, TokenBucket
from teleglyph.printable import Printable, fit, printable
from teleglyph.wire.acip import (
    AS_CAPABILITIES,
    MAX_PLACES,
    AudioBatch,
    Capabilities,
    ClientJoin,
    ClientLeave,
    ErrorMessage,
    Event,
    HevcFrame,
    ImageFrame,
    OpusBatch,
    PaletteType,
    PictureRequest,
    Ping,
    Pong,
    RemoteLog,
    ScreenAck,
    StreamStart,
    StreamStop,
    ViewFlag,
    ViewSettings,
    ViewState,
    encode,
)

if TYPE_CHECKING:
    from teleglyph.call.room import Room

_log = logging.getLogger(__name__)

VIDEO, AUDIO = 0x01, 0x02
_LOG_INFO, _TO_CLIENT = 2, 1
_STREAM_PATIENCE, _JOIN_PATIENCE, _ARRIVAL_PATIENCE = 3.0, 1.0, 0.5
"""Seconds for which a first picture is expected: after STREAM_START, after CLIENT_JOIN with video (which clients that
only watch send as well), and after the capabilities, which STREAM_START follows."""
_LOG_LINES_PER_SECOND, _LOG_BURST = 1.0, 10.0
"""What one peer's own texts may add to our log."""
_KEYFRAME_PATIENCE = 1.0
"""Seconds for which a keyframe that was asked for may be under way."""


_MAX_NAME_COLUMNS, _MAX_LOG_COLUMNS = 32, 500

_PONG = encode(Pong())
_PING = encode(Ping())


class State(enum.Enum):
    """Where in its life a participant is."""

    CONNECTED = enum.auto()
    SECURED = enum.auto()
    JOINED = enum.auto()
    STREAMING = enum.auto()
    LEAVING = enum.auto()
    GONE = enum.auto()


TRANSITIONS: dict[State, frozenset[State]] = {
    State.CONNECTED: frozenset({State.SECURED, State.LEAVING}),
    State.SECURED: frozenset({State.JOINED, State.LEAVING}),
    State.JOINED: frozenset({State.STREAMING, State.LEAVING}),
    State.STREAMING: frozenset({State.JOINED, State.LEAVING}),
    State.LEAVING: frozenset({State.GONE}),
    State.GONE: frozenset(),
}
"""Allowed next states; SECURED means that the handshake is done, STREAMING that video is on."""


class Participant:
    """A peer in a room.

    Args:
        number: unique in the server, never used again.
        connection: its connection; the session task owns the reading side.
        room: where it joins once its capabilities are known.
        decoding: what decodes HEVC.
    """

    def __init__(self, number: int, connection: Connection, room: Room, limits: CallLimits, decoding: Decoding) -> None:
        self.number = number
        self.name = f"guest-{number}"
        self.connection = connection
        self.state = State.CONNECTED
        self.picture = PictureSlot()
        self.counters = ParticipantCounters()
        self.view: View | ScreenView | None = None
        self.screen: ViewerScreen | None = None
        """What a viewer of our own kind sees; None for the others, who get text."""
        self.pace = 60
        """Frames a second that it gets at most."""
        self.shown_frame = 0
        """Number of the frame last put into the outbox."""
        self.shown_layout = 0
        self.left = False
        """The peer said that it leaves."""
        self.refusal: AuthenticationError | None = None
        """Why it was not let in."""
        self.joined_at: float | None = None
        """When people were told that it is in the call, in monotonic seconds."""
        self.voice = Voice(connection.outbox)
        self._audio = False
        self._room = room
        self._limits = limits
        self._log_rate = TokenBucket(_LOG_LINES_PER_SECOND, _LOG_BURST)
        self._rate = TokenBucket(limits.frames_per_second, limits.frames_per_second / 4)
        self._audio_rate = TokenBucket(limits.audio_packets_per_second, limits.audio_packets_per_second / 2)
        self._ingest = HevcIngest(
            self.picture, self.counters, limits, decoding, self._largest_size, self._picture_changed, self._picture_lost
        )
        self._capabilities: Capabilities | None = None
        self._pinned = 0
        self._told: ViewState | None = None
        self._picture_at = 0.0
        self._requested: PictureRequest | None = None
        self._requested_at = 0.0
        self._wants_keyframe = False
        self._keyframe_asked_at = -_KEYFRAME_PATIENCE
        self._had_picture = False
        self._expected_until = self._entered_at = 0.0
        self._was_expected = False
        self.text_link = TextLink()
        connection.on_writable = self._writable
        self._handlers: dict[type[Event], Callable[..., None]] = {
            Capabilities: self._on_capabilities,
            StreamStart: self._on_stream_start,
            StreamStop: self._on_stream_stop,
            ImageFrame: self._on_image,
            HevcFrame: self._on_hevc,
            OpusBatch: self._on_opus,
            AudioBatch: self._on_audio,
            Ping: lambda _: connection.outbox.queue_control(_PONG),
            ClientJoin: self._on_join,
            ClientLeave: self._on_leave,
            RemoteLog: self._on_remote_log,
            ScreenAck: self._on_screen_ack,
            ViewSettings: self._on_view_settings,
            ErrorMessage: self._on_error_message,
        }

    # --- life cycle -----------------------------------------------------------------------------------

    def advance(self, state: State) -> None:
        """Move on in the life cycle.

        Raises:
            ValueError: the table does not allow it; a fault of ours, never of the peer.
        """
        if state not in TRANSITIONS[self.state]:
            raise ValueError(f"{self.name} cannot go from {self.state.name} to {state.name}")
        self.state = state

    @property
    def in_room(self) -> bool:
        """Joined and not leaving."""
        return self.state in (State.JOINED, State.STREAMING)

    @property
    def sends_video(self) -> bool:
        """Video is on, and a picture has arrived."""
        return self.state is State.STREAMING and self.picture.pixels is not None

    @property
    def expected_until(self) -> float:
        """Until when, in monotonic seconds, its first picture is about to come; in the past if none is expected."""
        return self._expected_until if self.in_room and not self.sends_video else 0.0

    @property
    def patient_until(self) -> float:
        """Until when, in monotonic seconds, it has seen nothing and may wait for somebody's first picture.

        The end is fixed, so that others who announce pictures one after another cannot keep it waiting.
        """
        return 0.0 if self.counters.frames_delivered else self._entered_at + _STREAM_PATIENCE + _ARRIVAL_PATIENCE

    def _expect_picture(self, seconds: float) -> None:
        # Once for each participant, so that nobody can keep the others waiting again and again.
        if not self._was_expected:
            self._expected_until = max(self._expected_until, time.monotonic() + seconds)

    @property
    def is_frozen(self) -> bool:
        """Video is on and somebody watches, but no picture has come for a while."""
        if not self.sends_video:
            return False
        expected = FROZEN_SECONDS
        if self._requested is not None:
            # Who was asked for few pictures is not frozen when few come.
            expected = max(expected, 2 * self._requested.interval / 1000)
        return time.monotonic() - max(self._picture_at, self._requested_at) > expected

    def enable_screens(self) -> None:
        """The peer understands screen updates."""
        self.screen = ViewerScreen()

    async def leave(self) -> None:
        """Every exit comes through here: out of the room first, then the decoder, then the picture."""
        if self.state in (State.LEAVING, State.GONE):
            return
        was_in_room = self.in_room
        self.advance(State.LEAVING)
        self._room.sound.leave(self.voice)
        if was_in_room:
            self._room.remove(self)
        await self._ingest.close()
        self.picture.clear()
        self.connection.on_writable = None
        self.advance(State.GONE)

    # --- sending --------------------------------------------------------------------------------------

    def tell(self, text: str) -> None:
        """Send a line that the peer's program may show or log."""
        self.connection.send(RemoteLog(_LOG_INFO, _TO_CLIENT, text))

    def ping(self) -> None:
        """Send a sign of life."""
        self.connection.outbox.queue_control(_PING)

    def request_picture(self, demand: Demand) -> None:
        """Tell a sender of our own kind what of its pictures is seen, if that has changed, or if it has to begin
        anew."""
        if self.screen is None or not self.in_room:
            return
        now = time.monotonic()
        request = PictureRequest(*demand)
        # Pictures that left before a request arrived are undecodable as well: they are no reason to ask again.
        keyframe = self._wants_keyframe and now - self._keyframe_asked_at > _KEYFRAME_PATIENCE
        if request == self._requested and not keyframe:
            return
        if self._requested is None or request.interval != self._requested.interval:
            self._requested_at = now
        self._requested = request
        if keyframe:
            self._wants_keyframe, self._keyframe_asked_at = False, now
        self.connection.send(PictureRequest(*demand, keyframe))

    def quality_changed(self) -> None:
        """The connection carries more or less than before."""
        if self.screen is None or self._capabilities is None:
            return
        self._set_pace(self._capabilities)
        self._watch(self._capabilities)

    def _writable(self) -> None:
        self.text_link.was_blocked(self.connection.last_blocked, time.monotonic())
        self._room.wake()

    def _set_pace(self, capabilities: Capabilities) -> None:
        rate = capabilities.desired_fps
        if self.screen is not None and (share := self.screen.quality.step.share) < 1:
            # A share of what there is to see, which may be less often than this viewer would take it.
            rate = max(1, round(min(rate, self._room.picture_rate or rate) * share))
        self.pace = rate

    def _largest_size(self) -> tuple[int, int] | None:
        demand = self._room.demand(self)
        return (demand.width, demand.height) if demand.width else None

    # --- receiving ------------------------------------------------------------------------------------

    def receive(self, message: Event) -> None:
        """Act on one message.

        Raises:
            BadDataError: the message is not allowed at this moment.
            ServerFullError: the last place was taken during this peer's handshake.
        """
        handler = self._handlers.get(type(message))
        if handler is not None:
            handler(message)

    def _on_capabilities(self, message: Capabilities) -> None:
        try:
            _palette_of(message)
        except UserError as error:
            message = replace(message, palette_type=0)
            self.tell(f"{error}. You see the standard palette.")
        self._capabilities = message
        self._set_pace(message)
        self.voice.frame = SHORT_FRAME if message.audio_codecs & SHORT_FRAMES else LONG_FRAME
        style = self._watch(message)
        if self.state is State.SECURED:
            if len(self._room) >= self._limits.max_participants:
                raise ServerFullError(f"The call is full: {len(self._room)} participants")
            self.advance(State.JOINED)
            self._entered_at = time.monotonic()
            self._expect_picture(_ARRIVAL_PATIENCE)
            self._room.add(self)
        self.tell(
            f"Terminal configured: {message.width}x{message.height}, {COLOR_NAMES[style.color]}, "
            f"{RENDER_NAMES[style.render]} mode, {message.desired_fps} fps"
        )

    def _watch(self, message: Capabilities) -> Style:
        """Look at what capabilities, settings and quality call for; its style."""
        screen = self.screen
        render, dithered = RenderMode(message.render_mode), False
        if screen is not None:
            dithered = ViewFlag.DITHERED in screen.settings.flags
            if screen.settings.render_mode != AS_CAPABILITIES:
                render = RenderMode(screen.settings.render_mode)
        color, palette = ColorLevel(message.color_level), _palette_of(message)
        style = Style.create(color, render, palette, message.utf8, dithered=dithered)
        if screen is None:
            size = limit_cells(message.width, message.height, self._limits.max_view_cells)
            self._room.watch(self, ViewKey(*size, message.wants_padding, style))
        else:
            if screen.quality.step.cheaper:
                style = cheaper(style)
            size = limit_cells(message.width, message.height, self._limits.max_screen_cells)
            self._room.watch(self, ScreenKey(*size, message.wants_padding, style, self._wishes(screen.settings)))
        return style

    def _wishes(self, settings: ViewSettings) -> Wishes:
        return Wishes(
            names=ViewFlag.NAMES in settings.flags,
            without=self.number if ViewFlag.WITHOUT_SELF in settings.flags else 0,
            mirrored=self.number if ViewFlag.MIRRORED_SELF in settings.flags else 0,
            spotlight=self._pinned,
        )

    def _on_view_settings(self, settings: ViewSettings) -> None:
        screen = self.screen
        if screen is None:
            return
        before, screen.settings = screen.settings, settings
        screen.meter.limit = settings.max_bitrate / 8
        if settings.spotlight != before.spotlight:
            self._pinned = self._number_at(settings.spotlight, self._wishes(settings))
        if self._capabilities is not None and settings != before:
            self._watch(self._capabilities)
        scene = scene_of(self._room.participants)
        if ViewFlag.SEND_STATE not in before.flags or self._place_of(self._pinned, scene)[0] != settings.spotlight:
            self._told = None  # a wish that cannot be met is answered, too
        self.tell_view(scene)

    def tell_view(self, scene: Scene) -> None:
        """Say whom this viewer sees, if it wants to know and that has changed."""
        screen = self.screen
        if screen is None or not self.in_room or ViewFlag.SEND_STATE not in screen.settings.flags:
            return
        place, places, name = self._place_of(self._pinned, scene)
        state = ViewState(place, places, name)
        if state != self._told:
            self._told = state
            # Both sides go on from what is shown: places move up when somebody in front of them leaves.
            screen.settings = replace(screen.settings, spotlight=place)
            self.connection.send(state)

    def _place_of(self, number: int, scene: Scene) -> tuple[int, int, str]:
        """The place of a participant in the grid as this viewer sees it (0 for none), all places, and the name."""
        settings = self.screen.settings if self.screen is not None else ViewSettings()
        shown = in_grid(scene, self._wishes(settings))[:MAX_PLACES]
        found = next(((place, tile.name) for place, tile in enumerate(shown, 1) if tile.number == number), (0, ""))
        return found[0], len(shown), found[1]

    def _number_at(self, place: int, wishes: Wishes) -> int:
        """Number of the participant at a place of the grid as this viewer sees it, 0 if there is none."""
        shown = in_grid(scene_of(self._room.participants), wishes)
        return shown[place - 1].number if 1 <= place <= len(shown) else 0

    def _on_screen_ack(self, message: ScreenAck) -> None:
        if self.screen is None:
            return
        if message.wants_whole:
            self.screen.counters.lost += 1
            self.screen.show(None)
        if self.screen.meter.acknowledged(message.number, time.monotonic()) or message.wants_whole:
            self._room.wake()

    def _on_stream_start(self, message: StreamStart) -> None:
        if message.kinds & VIDEO and self.state is State.JOINED:
            self.advance(State.STREAMING)
            self._expect_picture(_STREAM_PATIENCE)
            self._was_expected = True
            self._room.video_changed(self)
        if message.kinds & AUDIO:
            self._audio = True
            self._room.sound.join(self.voice)
        self.tell(f"Stream started: {_kinds_name(message.kinds)}")

    def _on_stream_stop(self, message: StreamStop) -> None:
        if message.kinds & VIDEO and self.state is State.STREAMING:
            self.advance(State.JOINED)
            self._expected_until = 0.0
            self.picture.clear()
            self._had_picture = False
            self._room.video_changed(self)
        if message.kinds & AUDIO:
            self._audio = False
            self._room.sound.leave(self.voice)
        self.tell(f"Stream stopped: {_kinds_name(message.kinds)}")

    def _on_image(self, message: ImageFrame) -> None:
        if not self._accepts_picture(message.width, message.height):
            return
        pixels = np.frombuffer(message.pixels, np.uint8)
        self.counters.pictures_in += 1
        self.picture.put(pixels.reshape(message.height, message.width, 3))
        self._picture_changed()

    def _on_hevc(self, message: HevcFrame) -> None:
        if self._accepts_picture(message.width, message.height):
            self._ingest.put(bytes(message.bitstream))
        else:
            self._ingest.start_over()  # those behind it depend on it

    def _accepts_picture(self, width: int, height: int) -> bool:
        if width * height > self._limits.max_picture_pixels:
            raise BadDataError(f"picture of {width}x{height} pixels is too large")
        if self.state is State.JOINED:
            self.advance(State.STREAMING)
            self._room.video_changed(self)
        if not self._rate.allow(time.monotonic()):
            self.counters.pictures_over_rate += 1
            return False
        return True

    def _picture_changed(self) -> None:
        if self.state is not State.STREAMING:
            return
        self._picture_at = time.monotonic()
        self._wants_keyframe = False
        if not self._had_picture:
            self._had_picture = True
            self._room.video_changed(self)
            self.tell("First video frame received - streaming active")
        self._room.picture_changed()

    def _picture_lost(self) -> None:
        self._wants_keyframe = True

    def _on_opus(self, message: OpusBatch) -> None:
        if not self._audio:
            raise BadDataError("AUDIO_OPUS_BATCH received before audio stream enabled")
        self._hear(message)

    def _on_audio(self, message: AudioBatch) -> None:
        if self._audio:
            self._hear(message)

    def _hear(self, message: OpusBatch | AudioBatch) -> None:
        if self._audio_rate.allow(time.monotonic()):
            self._room.sound.receive(self.voice, message)
        else:
            self.voice.counters.packets_over_rate += 1

    def _on_join(self, message: ClientJoin) -> None:
        self.name = shortened(message.display_name, _MAX_NAME_COLUMNS) or self.name
        if message.capabilities & VIDEO:
            self._expect_picture(_JOIN_PATIENCE)
        video, audio = ("yes" if message.capabilities & bit else "no" for bit in (VIDEO, AUDIO))
        self.tell(f"Joined as '{self.name}' (video={video}, audio={audio})")
        _log.debug("%s is called %s", self.connection.peer, self.name)
        self.announce()

    def announce(self) -> None:
        """Log once that somebody has joined; by the name, which comes a moment later."""
        if self.in_room and self.joined_at is None:
            self.joined_at = time.monotonic()
            _log.info("%s joined (%d in the call)", self.name, len(self._room))

    def _on_leave(self, _message: ClientLeave) -> None:
        self.left = True

    def _on_remote_log(self, message: RemoteLog) -> None:
        if self._log_rate.allow(time.monotonic()):
            _log.debug("%s says: %s", self.name, shortened(message.text, _MAX_LOG_COLUMNS))

    def _on_error_message(self, message: ErrorMessage) -> None:
        if self._log_rate.allow(time.monotonic()):
            _log.debug("%s reports error %d: %s", self.name, message.code, shortened(message.text, _MAX_LOG_COLUMNS))

    # --- reporting ------------------------------------------------------------------------------------

    def report(self) -> ParticipantReport:
        """Counters as plain values."""
        outbox, traffic, counters = self.connection.outbox, self.connection.traffic, self.counters
        return ParticipantReport(
            self.name,
            self.connection.peer,
            {
                "pictures_in": counters.pictures_in,
                "pictures_over_rate": counters.pictures_over_rate,
                "pictures_undecodable": counters.pictures_undecodable,
                "pictures_skipped": counters.pictures_skipped,
                "decoder_deaths": counters.decoder_deaths,
                "decode_seconds": counters.decode_seconds,
                "frames_delivered": counters.frames_delivered,
                "frames_sent": outbox.counters.video_frames,
                "frames_skipped": counters.frames_skipped,
                "frames_dropped": outbox.counters.video_dropped,
                **self.voice.report(),
                **(self.screen.report() if self.screen is not None else {}),
                "bytes_in": traffic.bytes_in,
                "bytes_out": traffic.bytes_out,
                "throttled": traffic.throttled,
                "queue_peak_bytes": outbox.counters.peak_control_bytes,
            },
        )


def shortened(text: str, columns: int) -> Printable:
    """Text from a peer made safe for logs and terminals, cut to so many columns."""
    # Longer texts need not be looked at whole: a column holds one grapheme at most, and those are short.
    return fit(printable(text[: 16 * columns]).strip(), columns)


def _palette_of(message: Capabilities) -> Palette:
    number = PaletteType(message.palette_type)
    if number is PaletteType.CUSTOM:
        return custom_palette(message.palette_custom)
    return BUILT_IN.get(number.label, STANDARD)


def _kinds_name(kinds: int) -> str:
    return {VIDEO: "video", AUDIO: "audio", VIDEO | AUDIO: "video+audio"}[kinds]
