"""The events of :mod:`teleglyph.rooms.client`, for hosts and guests of a relay room."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Event:
    """Base class of all events."""


@dataclass(frozen=True, slots=True)
class PlayerCame(Event):
    """To a host: a player is there and needs the whole state.  Sent again after the host has reconnected.

    Attributes:
        identity: the Ed25519 key that the player proved to the relay, if it did.
    """

    player: int
    identity: bytes | None = None


@dataclass(frozen=True, slots=True)
class PlayerLeft(Event):
    """To a host: a player is gone, but may return to its seat."""

    player: int


@dataclass(frozen=True, slots=True)
class PlayerAway(Event):
    """To a host, before :class:`PlayerLeft`: that player's connection is lost.

    Attributes:
        seconds: for which its seat is kept.
    """

    player: int
    seconds: float


@dataclass(frozen=True, slots=True)
class HostAway(Event):
    """To a guest: the host's connection is lost.

    Attributes:
        seconds: for which the room waits for it.
    """

    seconds: float


@dataclass(frozen=True, slots=True)
class HostBack(Event):
    """To a guest: the host has reconnected."""


@dataclass(frozen=True, slots=True)
class Call(Event):
    """To a host: a player's request."""

    player: int
    data: bytes


@dataclass(frozen=True, slots=True)
class State(Event):
    """To a guest: the whole state, which replaces the previous one."""

    data: bytes


@dataclass(frozen=True, slots=True)
class Change(Event):
    """To a guest: a change of the state."""

    data: bytes


@dataclass(frozen=True, slots=True)
class Away(Event):
    """The connection is lost; the next event comes after reconnecting."""

    reason: str


@dataclass(frozen=True, slots=True)
class Returned(Event):
    """The connection is established again, in the same seat."""
