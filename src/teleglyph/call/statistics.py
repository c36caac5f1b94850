"""Counters of a call, and reports of them."""

from __future__ import annotations

from dataclasses import dataclass, field, fields


@dataclass(slots=True)
class SenderCounters:
    """Pictures of one sender."""

    pictures_in: int = 0
    """Pictures accepted, raw or decoded."""
    pictures_over_rate: int = 0
    pictures_undecodable: int = 0
    pictures_skipped: int = 0
    """Compressed pictures dropped up to a keyframe: the decoder was behind, or the sender's share of its time was used
    up."""
    decoder_deaths: int = 0
    """Times a decoding process ended or hung over one of this sender's pictures."""
    decode_seconds: float = 0.0
    """CPU time that decoding took."""


@dataclass(slots=True)
class ViewerCounters:
    """Frames of one viewer; the outbox has counters of its own."""

    frames_delivered: int = 0
    """Frames queued in this viewer's outbox."""
    frames_skipped: int = 0
    """Ticks in which this viewer's connection was still busy with an earlier frame."""


@dataclass(slots=True)
class RoomCounters:
    """Ticks and frames of a room."""

    ticks: int = 0
    late_ticks: int = 0
    """Ticks that were skipped because an earlier one took too long."""
    frames_rendered: int = 0
    frames_shared: int = 0
    """Deliveries of a packet that another viewer got as well."""
    frames_degraded: int = 0
    """Frames drawn again in a cheaper mode because they did not fit into one packet."""
    render_seconds: float = 0.0

    def add(self, other: RoomCounters) -> None:
        """Add the counters of another room."""
        for each in fields(self):
            setattr(self, each.name, getattr(self, each.name) + getattr(other, each.name))


@dataclass(slots=True)
class ParticipantReport:
    """One participant's part of a report, as plain values."""

    name: str
    peer: str
    values: dict[str, int | float] = field(default_factory=dict)

    def __str__(self) -> str:
        values = " ".join(f"{key}={_short(value)}" for key, value in self.values.items())
        return f"{self.name}@{self.peer} {values}"


@dataclass(slots=True)
class RoomReport:
    """One room's report."""

    name: str
    participants: list[ParticipantReport]
    values: dict[str, int | float]

    def lines(self) -> list[str]:
        """Text for the log: the room first, then a line for each participant."""
        values = " ".join(f"{key}={_short(value)}" for key, value in self.values.items())
        return [f"room {self.name}: participants={len(self.participants)} {values}"] + [
            f"  {participant}" for participant in self.participants
        ]


def _short(value: float) -> str:
    return str(value) if isinstance(value, int) else f"{value:.3g}"
