"""The states of a participant, from connecting to gone."""

from __future__ import annotations

import enum


class State(enum.Enum):
    """The states of a participant's life."""

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


class LifeCycle:
    """One participant's state."""

    def __init__(self) -> None:
        self.state = State.CONNECTED

    def advance(self, state: State) -> None:
        """Change the state.

        Raises:
            ValueError: the table does not allow it; a fault of ours, never of the peer.
        """
        if state not in TRANSITIONS[self.state]:
            raise ValueError(f"A participant cannot go from {self.state.name} to {state.name}.")
        self.state = state

    @property
    def in_room(self) -> bool:
        """Joined and not leaving."""
        return self.state in (State.JOINED, State.STREAMING)

    @property
    def is_leaving(self) -> bool:
        """Leaving or gone."""
        return self.state in (State.LEAVING, State.GONE)
