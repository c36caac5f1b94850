"""Whose question the database answers next: clients take turns, those that used little of the readers' time first."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Hashable
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from teleglyph.store.database import Base

_FORGIVEN = 0.25
"""Seconds of the readers' time that a client is forgiven each second: so much it may use without coming later."""
_MAX_DEBT = 10.0
"""Seconds.  Nobody waits for ever behind others, whatever they have used: it is forgiven in 40 s."""


@dataclass(frozen=True, slots=True)
class QuestionLimits:
    """What may wait to be answered."""

    questions: int = 2000
    per_client: int = 200


@dataclass(frozen=True, slots=True)
class Asker:
    """Who asks.

    Attributes:
        client: by which turns are taken, such as a network; None: the server itself, whose questions are not held back
            by one another.
        on_cost: gets the seconds of a reader's time that the answer took, on the reader's thread.
    """

    client: Hashable = None
    on_cost: Callable[[float], None] | None = None


SERVER = Asker()


@dataclass(eq=False, slots=True)
class Question:
    """One question, and who waits for the answer."""

    work: Callable[[Base], Any]
    asker: Asker
    future: Future[Any]
    since: float = field(default_factory=time.monotonic)


@dataclass(slots=True)
class _Client:
    waiting: deque[Question] = field(default_factory=deque)
    running: int = 0
    used_until: float = 0.0
    """When all that it used is forgiven, on the monotonic clock."""
    served: int = 0
    """Number of its last turn."""


class Questions:
    """Waiting questions.  Not thread-safe; times are on the monotonic clock."""

    def __init__(self, limits: QuestionLimits) -> None:
        self._limits = limits
        self._clients: dict[Hashable, _Client] = {}
        self._turns = 0
        self.waiting = 0

    def refusal(self, asker: Asker) -> str | None:
        """Why one more question cannot wait; None if it can."""
        limits = self._limits
        client = self._clients.get(asker.client)
        if client is not None and asker.client is not None and len(client.waiting) >= limits.per_client:
            return f"{limits.per_client} questions of this client wait for the database already"
        if self.waiting >= limits.questions:
            return f"{limits.questions} questions wait for the database already"
        return None

    def add(self, question: Question) -> None:
        """Let a question wait."""
        client = self._clients.get(question.asker.client)
        if client is None:
            self._forget(question.since)
            client = self._clients[question.asker.client] = _Client()
        client.waiting.append(question)
        self.waiting += 1

    def take(self, now: float) -> Question | None:
        """The next question, of the client that has used least, or whose last turn was longest ago; None if nobody may.

        A client has one question answered at a time, so that none keeps all readers.
        """
        may = [
            (max(0.0, client.used_until - now), client.served, key)
            for key, client in self._clients.items()
            if client.waiting and (not client.running or key is None)
        ]
        if not may:
            return None
        client = self._clients[min(may, key=lambda one: one[:2])[2]]
        self._turns += 1
        client.served = self._turns
        client.running += 1
        self.waiting -= 1
        return client.waiting.popleft()

    def finish(self, question: Question, seconds: float, now: float) -> None:
        """A question that was taken has its answer, which took so long."""
        client = self._clients[question.asker.client]
        client.running -= 1
        used = max(client.used_until, now) + seconds / _FORGIVEN
        client.used_until = min(used, now + _MAX_DEBT / _FORGIVEN)

    def take_late(self, since: float) -> list[Question]:
        """Take those away that wait since before a time."""
        late = []
        for client in self._clients.values():
            while client.waiting and client.waiting[0].since < since:
                late.append(client.waiting.popleft())
                self.waiting -= 1
        return late

    def _forget(self, now: float) -> None:
        """Those who ask nothing and owe nothing.  So only those are remembered who used the readers within 40 s."""
        for key in [key for key, c in self._clients.items() if not c.waiting and not c.running and c.used_until <= now]:
            del self._clients[key]
