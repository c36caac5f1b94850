"""The relay's limits, which are enforced and published (NIP-11) from one object."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from teleglyph.net import ConnectionLimits, OutboxLimits
from teleglyph.wire.nostr.messages import MAX_SUBSCRIPTION_ID


@dataclass(frozen=True, slots=True)
class EventLimits:
    """Bounds of the relay; times in seconds."""

    max_message_length: int = 128 << 10
    """Bytes."""
    max_subscriptions: int = 32
    """Limit per connection."""
    max_filters: int = 10
    """Limit per subscription."""
    max_values: int = 1000
    """In one list of a filter."""
    max_limit: int = 5000
    default_limit: int = 500
    max_event_tags: int = 2000
    max_content_length: int = 64 << 10
    """Characters."""
    created_at_ahead: int = 900
    """Seconds that an event may be in the future."""
    created_at_back: int | None = None
    """Seconds that an event may be in the past; None: any number."""
    min_pow_difficulty: int = 0
    """Leading zero bits of an id."""
    auth_required: bool = False
    """Clients must authenticate to publish and to read."""
    events_per_second: float = 20.0
    """Limit per connection, and per address; 0: any number."""
    event_burst: float = 100.0
    requests_per_second: float = 20.0
    """REQ and COUNT of one connection; 0: any number."""
    request_burst: float = 50.0
    bad_messages: int = 20
    """Invalid messages of a connection before it is closed."""
    bad_signatures: int = 20
    """Events of a connection whose id or signature is wrong, before it is closed."""
    authenticated_keys: int = 16
    """Public keys that one connection may authenticate."""
    unanswered_events: int = 1000
    """Events of a connection that may be waiting to be stored."""
    unanswered_bytes: int = 4 << 20
    """Bytes of the same."""
    unanswered_requests: int = 64
    """REQ and COUNT of a connection that may wait for their answers."""
    unanswered_request_bytes: int = 1 << 20
    """Bytes of the same."""
    total_request_bytes: int = 64 << 20
    """The same for all connections together."""
    held_events: int = 1000
    """Live events that may wait for the end of a subscription's stored ones."""
    held_bytes: int = 1 << 20
    """Bytes of the same."""
    page_events: int = 100
    """Stored events that are fetched at once."""
    vanish_per_hour: int = 20
    """Requests to vanish (NIP-62) from one address; 0: any number."""
    sync: bool = True
    """Clients may reconcile their events with ours (NIP-77)."""
    max_syncs: int = 4
    """Limit per connection at any time."""
    sync_records: int = 100_000
    """Events in one sync; 72 bytes each."""
    total_sync_records: int = 1_000_000
    """The same for all connections together."""
    sync_bytes: int = 60_000
    """Size of one answer, before it is encoded in hexadecimal digits."""
    sync_messages_per_second: float = 100.0
    """Messages of one connection that continue a sync; faster ones are delayed, because refused clients give up."""
    sync_message_burst: float = 200.0
    sync_timeout: float = 60.0
    """Silence after which a sync is closed."""
    auth_window: int = 600
    """How far an authentication may be from now."""
    ping_after: float = 60.0
    """Silence after which a ping is sent."""
    silence_timeout: float = 300.0
    """Silence, despite pings, after which a client counts as gone."""
    stall_timeout: float = 10.0
    """How long a client may accept no bytes before it is closed."""
    congestion_timeout: float = 10.0
    """How long a client's queue may be over its soft limit before it is closed."""
    stored_bytes: int = 1 << 30
    """Size of the database above which events are refused; 0: any size."""
    total_queued_bytes: int = 256 << 20
    """Limit for all connections together."""
    connection: ConnectionLimits = ConnectionLimits(
        packets_per_second=20_000.0,
        packet_burst=20_000.0,
        bytes_per_second=32 * 2**20,
        byte_burst=8 * 2**20,
        receive_buffer=128 << 10,
        outbox=OutboxLimits(
            control_bytes=4 << 20,
            control_messages=4000,
            soft_bytes=1 << 20,
            soft_messages=1000,
        ),
    )

    def document(self) -> dict[str, Any]:
        """The member ``limitation`` of the relay's information document."""
        published = {
            "max_message_length": self.max_message_length,
            "max_subscriptions": self.max_subscriptions,
            "max_limit": self.max_limit,
            "default_limit": self.default_limit,
            "max_subid_length": MAX_SUBSCRIPTION_ID,
            "max_event_tags": self.max_event_tags,
            "max_content_length": self.max_content_length,
            "min_pow_difficulty": self.min_pow_difficulty,
            "auth_required": self.auth_required,
            "payment_required": False,
            "restricted_writes": self.auth_required or self.min_pow_difficulty > 0,
            "created_at_upper_limit": self.created_at_ahead,
        }
        if self.created_at_back is not None:
            published["created_at_lower_limit"] = self.created_at_back
        return published


@dataclass(frozen=True, slots=True)
class RelayProfile:
    """The relay's description of itself (NIP-11); empty fields are omitted."""

    name: str = "Teleglyph"
    description: str = ""
    contact: str = ""
    """A URI: ``mailto:...`` or ``https://...``."""
    pubkey: str = ""
    """The administrator's, 64 hexadecimal digits."""
    icon: str = ""
    """URL of a picture."""


def information(
    profile: RelayProfile,
    limits: EventLimits,
    *,
    version: str,
    has_search: bool,
    own_key: str = "",
    is_managed: bool = False,
    is_restricted: bool = False,
) -> dict[str, Any]:
    """The relay's information document.

    Args:
        profile: the operator's texts.
        limits: the relay's limits.
        version: of this software.
        has_search: the relay searches texts (NIP-50).
        own_key: the relay's public key, if it has groups.
        is_managed: an administrator can manage it over HTTP.
        is_restricted: only some authors or some kinds of events are accepted.
    """
    texts = {
        "name": profile.name,
        "description": profile.description,
        "contact": profile.contact,
        "icon": profile.icon,
        # Clients look for a relay's groups under this key, too.
        "pubkey": profile.pubkey or own_key,
        "self": own_key,
    }
    limitation = limits.document()
    limitation["restricted_writes"] |= is_restricted
    nips = [1, 9, 11, 40, 42, 45, 62, 70]
    nips += [13] if limits.min_pow_difficulty else []
    nips += [50] if has_search else []
    nips += [77] if limits.sync else []
    nips += [86, 98] if is_managed else []
    nips += [29] if own_key else []
    return {
        **{name: text for name, text in texts.items() if text},
        "supported_nips": sorted(nips),
        "software": "teleglyph",
        "version": version,
        "limitation": limitation,
    }
