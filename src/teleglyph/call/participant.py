"""One person (or program) in a call: its life cycle, and what each of its messages does.

Its pictures, its view and its sound have classes of their own: ``Sender``, ``Viewer`` and ``Speaker``.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial

from teleglyph.call.decoding import Decoding
from teleglyph.call.life_cycle import LifeCycle, State
from teleglyph.call.limits import CallLimits
from teleglyph.call.peer_log import PeerLog, shortened
from teleglyph.call.room import CallRoom, Rooms
from teleglyph.call.scene import Tile
from teleglyph.call.screen_viewer import ScreenViewer
from teleglyph.call.sender import CAPABILITIES_SECONDS, JOIN_SECONDS, Sender
from teleglyph.call.speaker import Speaker
from teleglyph.call.statistics import ParticipantReport
from teleglyph.call.text_viewer import TextViewer
from teleglyph.call.viewer import Viewer
from teleglyph.call.viewer_style import requested_palette
from teleglyph.errors import AuthenticationError, UserError
from teleglyph.media.modes import COLOR_NAMES, RENDER_NAMES
from teleglyph.net import Connection
from teleglyph.wire.acip import (
    AudioBatch,
    Capabilities,
    ClientJoin,
    ClientLeave,
    CodedPicture,
    ErrorMessage,
    Event,
    Feature,
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
_VIEW_ONLY = "Your invitation lets you watch and listen, not send."


class Participant:
    """A peer that joins a room once its capabilities are known.

    Args:
        number: unique in the server, never used again.
        connection: its connection; the session task owns the reading side.
        rooms: the server's; it joins one of them.
        decoding: decodes compressed pictures.

    Attributes:
        room: that it has joined; None before.
        viewer, sender: what it sees and what it shows, in that room.
        has_left: the peer said that it leaves.
        refusal: why it was not admitted; None otherwise.
        joined_at: when its joining was logged, in monotonic seconds; None before.
    """

    viewer: Viewer
    sender: Sender
    _speaker: Speaker

    def __init__(
        self, number: int, connection: Connection, rooms: Rooms, limits: CallLimits, decoding: Decoding
    ) -> None:
        self.number = number
        self.name = f"guest-{number}"
        self.connection = connection
        self.has_left = False
        self.refusal: AuthenticationError | None = None
        self.joined_at: float | None = None
        self.room: CallRoom | None = None
        self._life = LifeCycle()
        self._rooms = rooms
        self._wanted_room = ""
        self._limits = limits
        self._decoding = decoding
        self._features = Feature.NONE
        self._may_send = True
        self._not_allowed = 0
        """Pictures and sound packets dropped because it may not send."""
        self._early_settings: ViewSettings | None = None
        """Came before the capabilities."""
        peer_log = PeerLog()
        self._handlers: dict[type[Event], Callable[..., None]] = {
            Capabilities: self._on_capabilities,
            Ping: lambda _: connection.send(Pong()),
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

    @property
    def may_send(self) -> bool:
        """Whether its pictures and its sound reach the others; its invitation may allow only to watch and listen."""
        return self._may_send

    def secure(self, room: str, features: Feature, *, may_send: bool = True) -> None:
        """Continue after the handshake.

        Args:
            room: the name of the room that the peer wants to join; empty for the lobby.
            features: the extensions that both sides support.
            may_send: False drops its pictures and its sound.
        """
        self._life.advance(State.SECURED)
        self._wanted_room = room
        self._features = features
        self._may_send = may_send
        self._handlers[ViewSettings] = self._on_early_settings

    async def leave(self) -> None:
        """Leave the room, then stop decoding, then drop the picture.  Every exit runs this.

        Afterwards nothing that the participant holds refers to it.  So its memory, which includes canvases, is free at
        once instead of when the garbage collector finds it, hours later.
        """
        if self._life.is_leaving:
            return
        was_in_room = self.in_room
        self._life.advance(State.LEAVING)
        self.connection.on_writable = None
        if self.room is not None:
            await self._leave(self.room, was_in_room=was_in_room)
        self._handlers.clear()
        self._life.advance(State.GONE)

    async def _leave(self, room: CallRoom, *, was_in_room: bool) -> None:
        self._speaker.stop()
        self.viewer.close()
        if was_in_room:
            room.remove(self)
        try:
            await self.sender.close()
        finally:
            await self._rooms.leave(room)

    def announce(self) -> None:
        """Log once that the participant has joined; not before its name is known, a moment later."""
        if self.room is not None and self.in_room and self.joined_at is None:
            self.joined_at = time.monotonic()
            _log.info("%s joined%s (%d in the call)", self.name, self.room.suffix, len(self.room))

    def send_log(self, text: str, level: LogLevel = LogLevel.INFO) -> None:
        """Send a line that the peer's program may log; it shows those at level WARN."""
        self.connection.send(RemoteLog(level, LogDirection.SERVER_TO_CLIENT, text))

    def receive(self, message: Event) -> None:
        """Act on one message.

        Raises:
            BadDataError: the message is not allowed now.
            CallRoomError: the room cannot be opened.
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
        room = self._enter_room() if self.room is None else self.room
        self._speaker.voice.configure(message.audio_codecs)
        style = self.viewer.configure(message)
        if self.state is State.SECURED:
            self._join(room)
        self.send_log(
            f"Terminal configured: {message.width}x{message.height}, {COLOR_NAMES[style.color]}, "
            f"{RENDER_NAMES[style.render]} mode, {message.desired_fps} fps"
        )

    def _enter_room(self) -> CallRoom:
        """Take a place in the room, with a viewer, a sender and a speaker for it."""
        room = self._rooms.enter(self._wanted_room)
        connection, limits = self.connection, self._limits
        self.sender = Sender(
            connection,
            limits,
            self._decoding,
            partial(self._first_picture_arrived, room),
            room.picture_changed,
            takes_requests=Feature.SCREEN_UPDATES in self._features,
        )
        self._speaker = speaker = Speaker(connection.outbox, room.sound, limits)
        self._handlers |= {
            ClientJoin: self._on_join,
            StreamStart: partial(self._on_stream_start, room),
            StreamStop: partial(self._on_stream_stop, room),
            ImageFrame: partial(self._on_picture, room),
            HevcFrame: partial(self._on_picture, room),
            CodedPicture: partial(self._on_picture, room),
            OpusBatch: speaker.receive_opus,
            AudioBatch: speaker.receive_audio,
        }
        if not self._may_send:
            self._handlers |= dict.fromkeys((ImageFrame, HevcFrame, CodedPicture, OpusBatch, AudioBatch), self._drop)
        self.viewer = self._new_viewer(room)
        self.room = room
        if self._early_settings is not None:
            self.receive(self._early_settings)
        return room

    def _new_viewer(self, room: CallRoom) -> Viewer:
        if Feature.SCREEN_UPDATES not in self._features:
            return TextViewer(self.connection, room, self._limits)
        viewer = ScreenViewer(self.number, self.connection, room, self._limits, self._features)
        self._handlers |= {ScreenAck: viewer.acknowledge, ViewSettings: viewer.apply_settings}
        return viewer

    def _join(self, room: CallRoom) -> None:
        self._life.advance(State.JOINED)
        self.viewer.enter(time.monotonic())
        if self._may_send:
            self.sender.expect_picture(CAPABILITIES_SECONDS)
        else:
            self.send_log(_VIEW_ONLY, LogLevel.WARN)
        room.add(self)
        self.connection.on_writable = partial(self._connection_writable, room)

    def _connection_writable(self, room: CallRoom) -> None:
        self.viewer.record_writable(time.monotonic())
        room.wake()

    def _on_early_settings(self, message: ViewSettings) -> None:
        self._early_settings = message

    def _on_join(self, message: ClientJoin) -> None:
        self.name = shortened(message.display_name, _MAX_NAME_COLUMNS) or self.name
        if message.capabilities & JoinFlag.VIDEO and self._may_send:
            self.sender.expect_picture(JOIN_SECONDS)
        video, audio = ("yes" if message.capabilities & flag else "no" for flag in (JoinFlag.VIDEO, JoinFlag.AUDIO))
        self.send_log(f"Joined as '{self.name}' (video={video}, audio={audio})")
        _log.debug("%s is called %s", self.connection.peer, self.name)
        self.announce()

    def _on_leave(self, _message: ClientLeave) -> None:
        self.has_left = True

    def _on_stream_start(self, room: CallRoom, message: StreamStart) -> None:
        if message.kinds & StreamKind.VIDEO:
            self._start_video(room, is_announced=True)
        if message.kinds & StreamKind.AUDIO:
            self._speaker.start()
        self.send_log(f"Stream started: {_names_of(message.kinds)}")

    def _on_stream_stop(self, room: CallRoom, message: StreamStop) -> None:
        if message.kinds & StreamKind.VIDEO and self.state is State.STREAMING:
            self._life.advance(State.JOINED)
            self.sender.stop()
            room.video_changed()
        if message.kinds & StreamKind.AUDIO:
            self._speaker.stop()
        self.send_log(f"Stream stopped: {_names_of(message.kinds)}")

    def _on_picture(self, room: CallRoom, message: ImageFrame | HevcFrame | CodedPicture) -> None:
        self.sender.check_size(message.width, message.height)
        self._start_video(room, is_announced=False)
        self.sender.receive(message)

    def _drop(self, _message: Event) -> None:
        """Ignore a picture or sound before anything is decoded: the participant may not send."""
        self._not_allowed += 1

    def _start_video(self, room: CallRoom, *, is_announced: bool) -> None:
        if self.state is State.JOINED and self._may_send:
            self._life.advance(State.STREAMING)
            self.sender.start(is_announced=is_announced)
            room.video_changed()

    def _first_picture_arrived(self, room: CallRoom) -> None:
        room.video_changed()
        self.send_log("First video frame received - streaming active")

    def tile(self) -> Tile:
        """Its part of the scene."""
        tile = self.sender.tile(self.number, self.name, is_speaking=self._speaker.voice.is_speaking)
        return tile._replace(listening=self._speaker.is_on, view_only=not self._may_send)

    def report(self) -> ParticipantReport:
        """Counters as plain values."""
        traffic = self.connection.traffic
        values: dict[str, float] = {}
        if self.room is not None:
            values = {**self.sender.report(), **self.viewer.report(), **self._speaker.voice.report()}
        values |= {
            "bytes_in": traffic.bytes_in,
            "bytes_out": traffic.bytes_out,
            "throttled": traffic.throttled,
            "queue_peak_bytes": self.connection.outbox.counters.peak_control_bytes,
            "view_only": int(not self._may_send),
            "packets_not_allowed": self._not_allowed,
        }
        return ParticipantReport(self.name, self.connection.peer, values)


def _names_of(kinds: int) -> str:
    return "+".join(str(kind.name).lower() for kind in (StreamKind.VIDEO, StreamKind.AUDIO) if kinds & kind)
