"""Converts the time stamps of all streams of a file to seconds since the start.

Stamps are trusted, so a slide with a duration of an hour is shown for an hour.  Only impossible stamps are corrected:
those that run backwards, as where two recordings were joined or a counter of MPEG-TS wrapped around, and those that
jump further ahead than :class:`JumpPolicy` allows.  A correction moves all streams, so that picture and sound stay in
sync.
"""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass, field

DEFAULT_RATE = 25.0
_RATES = (1 / 3600, 1000.0)
"""The plausible rates; others come from broken headers."""
_SIDE_BY_SIDE = 10.0
"""Maximum seconds between neighbouring packets of different streams, which are interleaved."""
_CLEARLY_BETTER = 1.0
_REORDERING = 60.0
"""Maximum seconds between decoding and showing a picture; stamps further apart are invalid."""

_REORDERED = 16
"""Maximum number of pictures coded before one that is shown earlier, in H.264 and HEVC."""


def usable_rate(*candidates: float | None) -> float:
    """The first plausible one of several frame rates, in pictures per second; 25 without one."""
    for rate in candidates:
        if rate is not None and math.isfinite(rate) and _RATES[0] <= rate <= _RATES[1]:
            return float(rate)
    return DEFAULT_RATE


@dataclass(frozen=True, slots=True)
class JumpPolicy:
    """Which steps of time stamps are discontinuities, in seconds.

    Attributes:
        backward: a stamp is earlier than the previous one of its stream by more than this.
        forward: a stamp is later than all previous ones by more than this.
    """

    backward: float = 0.5
    forward: float = 3600.0


RESTARTING = JumpPolicy(forward=60.0)
"""The policy for formats like MPEG-TS, whose stamps may restart anywhere."""


@dataclass(slots=True)
class _Stream:
    """The position of one stream, in its own stamps."""

    step: float
    offset: float
    epoch: int
    next: float | None = None
    recent: deque[float] = field(default_factory=lambda: deque(maxlen=_REORDERED))


class Timeline:
    """Maps stamps to seconds since the start.

    Args:
        origin: the stamp of the start; None uses the first stamp.
        policy: which steps are discontinuities.

    Attributes:
        end: the latest end of all packets so far.
        jumps: number of discontinuities.
    """

    def __init__(self, origin: float | None = None, policy: JumpPolicy | None = None) -> None:
        self.end = 0.0
        self.jumps = 0
        self._policy = policy or JumpPolicy()
        self._offset = None if origin is None else -origin
        self._epoch = 0
        self._streams: dict[int, _Stream] = {}

    def restart(self, origin: float | None = None, policy: JumpPolicy | None = None) -> None:
        """Start another round of the file, directly after the end of this one.

        Args:
            origin: the stamp at the start of the round; None uses the first stamp.
            policy: how to treat jumps from now on; None keeps the current one.
        """
        self._policy = policy or self._policy
        self._offset = None if origin is None else self.end - origin
        self._epoch += 1
        self._streams.clear()

    def place(
        self, index: int, shown: float | None, decoded: float | None, duration: float | None, step: float
    ) -> tuple[float, float]:
        """Place a packet.

        Args:
            index: of its stream.
            shown: its presentation stamp in seconds; None if missing.
            decoded: its decoding stamp in seconds; None if missing.
            duration: in seconds; None or 0 if unknown.
            step: the usual interval of packets in this stream, for missing stamps and durations.

        Returns:
            Its presentation time in seconds since the start, and the offset that was added to its stamps.
        """
        shown, decoded = _finite(shown), _finite(decoded)
        if shown is not None and decoded is not None and abs(shown - decoded) > _REORDERING:
            shown = decoded
        stamp = decoded if decoded is not None else shown
        stream = self._streams.get(index)
        if stamp is None:
            stamp = stream.next if stream is not None and stream.next is not None else -(self._offset or 0.0)
        if self._offset is None:
            self._offset = self.end - stamp
        if stream is None:
            stream = self._streams[index] = _Stream(step, self._offset, self._epoch)
        self._follow_jumps(stream, stamp)
        if decoded is not None:
            stream.recent.clear()
        stream.recent.append(stamp)
        stream.next = stamp + (duration if duration else step)
        time = (shown if shown is not None else stamp) + stream.offset
        self.end = max(self.end, time + (duration if duration else step))
        return time, stream.offset

    def _follow_jumps(self, stream: _Stream, stamp: float) -> None:
        is_behind = stream.epoch < self._epoch
        newest = self._offset or 0.0
        if is_behind and self._distance(stamp + newest) < self._distance(stamp + stream.offset) - _CLEARLY_BETTER:
            self._join(stream)
        elif self._is_jump(stream, stamp):
            if is_behind and self._distance(stamp + newest) < _SIDE_BY_SIDE:
                self._join(stream)
            else:
                self._begin_epoch(stream, stamp)

    def _distance(self, time: float) -> float:
        return abs(time - self.end)

    def _is_jump(self, stream: _Stream, stamp: float) -> bool:
        time, forward = stamp + stream.offset, self._policy.forward
        if stream.next is None:  # its first packet: other streams may have started elsewhere
            return not -_SIDE_BY_SIDE <= time <= self.end + forward
        # Without decoding stamps there are only presentation stamps, which are not in the order of coding.
        is_back = stamp < min(stream.recent) - self._policy.backward
        return is_back or (stamp - stream.next > forward and time - self.end > forward)

    def _begin_epoch(self, stream: _Stream, stamp: float) -> None:
        self.jumps += 1
        self._epoch += 1
        self._offset = self.end - stamp
        self._join(stream)

    def _join(self, stream: _Stream) -> None:
        stream.offset, stream.epoch = self._offset or 0.0, self._epoch
        stream.recent.clear()


def _finite(seconds: float | None) -> float | None:
    return seconds if seconds is not None and math.isfinite(seconds) else None
