"""One person (or program) in a call: its life cycle, and what each of its messages does.

Its pictures, its view and its sound have classes of their own: ``Sender``, ``Viewer`` and ``Speaker``.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import replace

from teleglyph.call.decoding import Decoding
from teleglyph.call.life_cycle import LifeCycle, State
from teleglyph.call.limits import CallLimits
from teleglyph.call.peer_log import PeerLog, shortened
from teleglyph.call.room import CallRoom
from teleglyph.call.scene import Tile
from teleglyph.call.screen_viewer import ScreenViewer
from teleglyph.call.sender import CAPABILITIES_SECONDS, JOIN_SECONDS, Sender
from teleglyph.call.sound import LONG_FRAME, SHORT_FRAME, SHORT_FRAMES
from teleglyph.call.speaker import Speaker
from teleglyph.call.statistics import ParticipantReport
from teleglyph.call.text_viewer import TextViewer
from teleglyph.call.viewer import Viewer
from teleglyph.call.viewer_style import requested_palette
from teleglyph.errors import AuthenticationError, ServerFullError, UserError
from teleglyph.media.modes import COLOR_NAMES, RENDER_NAMES
from teleglyph.net import Connection
from teleglyph.wire.acip import (
    AudioBatch,
    Capabilities,
    ClientJoin,
    ClientLeave,
    ErrorMessage,
    Event,
    HevcFrame,
    ImageFrame,
    JoinFlag,
    LogDirection,
    LogLevel,
    OpusBatch,
    PaletteType,
    Ping,
    Pong,
    RemoteLog,
    ScreenAck,
    StreamKind,
    StreamStart,
    StreamStop,
    ViewSettings,
)

_log = logging.getLogger(__name__)

_MAX_NAME_COLUMNS = 32


class Participant:
    """A peer in a room.

    Args:
        number: unique in the server, never used again.
        connection: its connection; the session task owns the reading side.
        room: the room that it joins once its capabilities are known.
        decoding: decodes HEVC.

    Attributes:
        has_left: the peer said that it leaves.
        refusal: why it was not admitted; None otherwise.
        joined_at: when its joining was logged, in monotonic seconds; None before.
    """

    def __init__(
        self, number: int, connection: Connection, room: CallRoom, limits: CallLimits, decoding: Decoding
    ) -> None:
        self.number = number
        self.name = f"guest-{number}"
        self.connection = connection
        self.has_left = False
        self.refusal: AuthenticationError | None = None
        self.joined_at: float | None = None
        self.viewer: Viewer = TextViewer(connection, room, limits)
        self.sender = Sender(connection, limits, decoding, self._first_picture_arrived, room.picture_changed)
        self._speaker = Speaker(connection.outbox, room.sound, limits)
        self._life = LifeCycle()
        self._room = room
        self._limits = limits
        peer_log = PeerLog()
        connection.on_writable = self._connection_writable
        self._handlers: dict[type[Event], Callable[..., None]] = {
            Capabilities: self._on_capabilities,
            StreamStart: self._on_stream_start,
            StreamStop: self._on_stream_stop,
            ImageFrame: self._on_picture,
            HevcFrame: self._on_picture,
            OpusBatch: self._speaker.receive_opus,
            AudioBatch: self._speaker.receive_audio,
            Ping: lambda _: connection.send(Pong()),
            ClientJoin: self._on_join,
            ClientLeave: self._on_leave,
            RemoteLog: lambda message: peer_log.log_line(self.name, message),
            ErrorMessage: lambda message: peer_log.log_error(self.name, message),
        }

    @property
    def state(self) -> State:
        """The state of its life."""
        return self._life.state

    @property
    def in_room(self) -> bool:
        """Joined and not leaving."""
        return self._life.in_room

    def secure(self, *, has_screens: bool) -> None:
        """Continue after the handshake, with deltas and picture requests if the peer understands them."""
        self._life.advance(State.SECURED)
        if has_screens:
            viewer = self.viewer = ScreenViewer(self.number, self.connection, self._room, self._limits)
            self._handlers[ScreenAck] = viewer.acknowledge
            self._handlers[ViewSettings] = viewer.apply_settings
            self.sender.takes_requests = True

    async def leave(self) -> None:
        """Leave the room, then stop decoding, then drop the picture.  Every exit runs this.

        Afterwards nothing that the participant holds refers to it.  So its memory, which includes canvases, is free at
        once instead of when the garbage collector finds it, hours later.
        """
        if self._life.is_leaving:
            return
        was_in_room = self.in_room
        self._life.advance(State.LEAVING)
        self._speaker.stop()
        self.viewer.close()
        if was_in_room:
            self._room.remove(self)
        await self.sender.close()
        self.connection.on_writable = None
        self._handlers.clear()
        self._life.advance(State.GONE)

    def announce(self) -> None:
        """Log once that the participant has joined; not before its name is known, a moment later."""
        if self.in_room and self.joined_at is None:
            self.joined_at = time.monotonic()
            _log.info("%s joined (%d in the call)", self.name, len(self._room))

    def send_log(self, text: str) -> None:
        """Send a line that the peer's program may show or log."""
        self.connection.send(RemoteLog(LogLevel.INFO, LogDirection.SERVER_TO_CLIENT, text))

    def _connection_writable(self) -> None:
        self.viewer.record_writable(time.monotonic())
        self._room.wake()

    def receive(self, message: Event) -> None:
        """Act on one message.

        Raises:
            BadDataError: the message is not allowed now.
            ServerFullError: the last place was taken during this peer's handshake.
        """
        if (handler := self._handlers.get(type(message))) is not None:
            handler(message)

    def _on_capabilities(self, message: Capabilities) -> None:
        try:
            requested_palette(message)
        except UserError as error:
            message = replace(message, palette_type=PaletteType.STANDARD)
            self.send_log(f"{str(error).rstrip('.')}. You see the standard palette.")
        self._speaker.voice.frame = SHORT_FRAME if message.audio_codecs & SHORT_FRAMES else LONG_FRAME
        style = self.viewer.configure(message)
        if self.state is State.SECURED:
            self._join_room()
        self.send_log(
            f"Terminal configured: {message.width}x{message.height}, {COLOR_NAMES[style.color]}, "
            f"{RENDER_NAMES[style.render]} mode, {message.desired_fps} fps"
        )

    def _join_room(self) -> None:
        if len(self._room) >= self._limits.max_participants:
            raise ServerFullError(f"The call is full: it has {len(self._room)} participants. Try again later.")
        self._life.advance(State.JOINED)
        self.viewer.enter(time.monotonic())
        self.sender.expect_picture(CAPABILITIES_SECONDS)
        self._room.add(self)

    def _on_join(self, message: ClientJoin) -> None:
        self.name = shortened(message.display_name, _MAX_NAME_COLUMNS) or self.name
        if message.capabilities & JoinFlag.VIDEO:
            self.sender.expect_picture(JOIN_SECONDS)
        video, audio = ("yes" if message.capabilities & flag else "no" for flag in (JoinFlag.VIDEO, JoinFlag.AUDIO))
        self.send_log(f"Joined as '{self.name}' (video={video}, audio={audio})")
        _log.debug("%s is called %s", self.connection.peer, self.name)
        self.announce()

    def _on_leave(self, _message: ClientLeave) -> None:
        self.has_left = True

    def _on_stream_start(self, message: StreamStart) -> None:
        if message.kinds & StreamKind.VIDEO:
            self._start_video(is_announced=True)
        if message.kinds & StreamKind.AUDIO:
            self._speaker.start()
        self.send_log(f"Stream started: {_names_of(message.kinds)}")

    def _on_stream_stop(self, message: StreamStop) -> None:
        if message.kinds & StreamKind.VIDEO and self.state is State.STREAMING:
            self._life.advance(State.JOINED)
            self.sender.stop()
            self._room.video_changed()
        if message.kinds & StreamKind.AUDIO:
            self._speaker.stop()
        self.send_log(f"Stream stopped: {_names_of(message.kinds)}")

    def _on_picture(self, message: ImageFrame | HevcFrame) -> None:
        self.sender.check_size(message.width, message.height)
        self._start_video(is_announced=False)
        self.sender.receive(message)

    def _start_video(self, *, is_announced: bool) -> None:
        if self.state is State.JOINED:
            self._life.advance(State.STREAMING)
            self.sender.start(is_announced=is_announced)
            self._room.video_changed()

    def _first_picture_arrived(self) -> None:
        self._room.video_changed()
        self.send_log("First video frame received - streaming active")

    def tile(self) -> Tile:
        """Its part of the scene."""
        return self.sender.tile(self.number, self.name, is_speaking=self._speaker.voice.is_speaking)

    def report(self) -> ParticipantReport:
        """Counters as plain values."""
        traffic = self.connection.traffic
        values = {
            **self.sender.report(),
            **self.viewer.report(),
            **self._speaker.voice.report(),
            "bytes_in": traffic.bytes_in,
            "bytes_out": traffic.bytes_out,
            "throttled": traffic.throttled,
            "queue_peak_bytes": self.connection.outbox.counters.peak_control_bytes,
        }
        return ParticipantReport(self.name, self.connection.peer, values)


def _names_of(kinds: int) -> str:
    return "+".join(str(kind.name).lower() for kind in (StreamKind.VIDEO, StreamKind.AUDIO) if kinds & kind)
