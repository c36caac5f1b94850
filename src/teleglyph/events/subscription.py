"""A client's running subscription, and the part of a client that subscriptions need."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

from teleglyph.net import Connection
from teleglyph.wire.nostr.event import NostrEvent
from teleglyph.wire.nostr.filter import Filter


class Client(Protocol):
    """A client of the relay, as its subscriptions and requests use it."""

    connection: Connection
    authenticated: set[str]

    def send(self, message: bytes) -> None:
        """Queue a message that is never dropped."""

    def send_event(self, subscription: Subscription, body: bytes) -> None:
        """Queue an event, whose text is shared with other clients."""

    def deliver(self, subscription: Subscription, event: NostrEvent, body: bytes) -> None:
        """Handle a live event.

        Args:
            subscription: one of this client's.
            event: matches the subscription.
            body: the event's text and the end of the message.
        """

    def end_subscription(self, subscription: Subscription, text: str) -> None:
        """Close a subscription from our side and drop its queued events."""


@dataclass(eq=False, slots=True)
class Subscription:
    """A running REQ.

    Attributes:
        client: the one that sent it.
        name: chosen by the client.
        filters: of the events that it gets.
        head: the start of each of its EVENT messages.
        held: live events that wait for the end of the stored ones; None afterwards.
        held_bytes: their size.
        stored: ids that were sent as stored, until no live event can be one of them any more.
        settled_at: the batch after which that is so.
        is_open: events may still be sent.
    """

    client: Client
    name: str
    filters: Sequence[Filter]
    head: bytes
    held: list[NostrEvent] | None = field(default_factory=list)
    held_bytes: int = 0
    stored: set[bytes] | None = None
    settled_at: int = 0
    is_open: bool = True
