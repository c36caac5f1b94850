"""The server's options for the event relay."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Self

import click
from click.core import ParameterSource

from teleglyph.cli.option_groups import option, source_of
from teleglyph.cli.option_types import Number
from teleglyph.errors import KeyFileError
from teleglyph.events.limits import EventLimits, RelayProfile


def _decode_admin(_ctx: click.Context, _param: click.Parameter, value: str | None) -> str | None:
    if value is None:
        return None
    from teleglyph.wire.nostr.keys import decode_key

    try:
        return decode_key(value, "npub").hex()
    except KeyFileError as error:
        raise click.BadParameter(str(error)) from None


@dataclass(frozen=True, slots=True, kw_only=True)
class EventOptions:
    """Options of the Nostr relay."""

    events: bool = option(
        "--events/--no-events",
        table="events",
        default=True,
        show_default=True,
        help="Run a Nostr relay, for chat and groups. Needs storage and HTTP.",
    )
    event_rate: float = option(
        "--event-rate",
        table="events",
        type=Number(0),
        default=20.0,
        show_default=True,
        help="Maximum events per second from one connection and from one address, with bursts of five times as many; "
        "0 for no limit.",
    )
    event_storage: int = option(
        "--event-storage",
        table="events",
        type=click.IntRange(0),
        default=1024,
        show_default=True,
        metavar="MIB",
        help="Size of the database above which the relay refuses events, except those that remove others; 0 for no "
        "limit.",
    )
    event_auth: bool = option(
        "--event-auth/--no-event-auth",
        table="events",
        default=False,
        show_default=True,
        help="Only let authenticated clients (NIP-42) publish and query.",
    )
    event_work: int = option(
        "--event-work",
        table="events",
        type=click.IntRange(0, 256),
        default=0,
        show_default=True,
        help="Minimum proof of work for an event (NIP-13), in bits.",
    )
    event_search: bool = option(
        "--event-search/--no-event-search",
        table="events",
        default=True,
        show_default=True,
        help="Let clients search the text of events (NIP-50).",
    )
    event_sync: bool = option(
        "--event-sync/--no-event-sync",
        table="events",
        default=True,
        show_default=True,
        help="Let clients synchronize their events with the relay's (NIP-77).",
    )
    event_compression: bool = option(
        "--event-compression/--no-event-compression",
        table="events",
        default=False,
        show_default=True,
        help="Compress events for clients that offer permessage-deflate: fewer bytes, more CPU time.",
    )
    announce: str | None = option(
        "--announce",
        table="events",
        metavar="ADDRESS",
        help="Announce the call on the relay (NIP-53) with this address: HOST or HOST:PORT.",
    )
    relay_name: str = option(
        "--relay-name", table="events", default="Teleglyph", show_default=True, help="Name of the relay."
    )
    relay_key: Path | None = option(
        "--relay-key",
        table="events",
        type=click.Path(dir_okay=False, path_type=Path),
        help="File with the relay's own Nostr key, which signs groups; created on first use.  "
        "[default: relay.key in --data-dir]",
    )
    relay_admin: str | None = option(
        "--relay-admin",
        table="events",
        metavar="NPUB",
        callback=_decode_admin,
        help="Public Nostr key of the administrator, who runs the relay's own groups and manages the relay over HTTP "
        "(NIP-86).",
    )
    relay_description: str = option("--relay-description", table="events", default="", help="Description of the relay.")
    relay_contact: str = option(
        "--relay-contact",
        table="events",
        default="",
        metavar="URI",
        help="How to contact the operator: mailto:... or https://...",
    )
    relay_icon: str = option(
        "--relay-icon", table="events", default="", metavar="URL", help="Icon that clients show for the relay."
    )

    def resolved(self, *, has_storage: bool, has_http: bool) -> Self:
        """These options without contradictions: with ``events`` only if the relay has what it needs.

        Raises:
            click.UsageError: the user asked for the relay or for announcements, and something excludes them.
        """
        lacks = ("storage", "--ephemeral") if not has_storage else ("HTTP", "--no-http") if not has_http else None
        if lacks is not None and self.events and source_of("events") is not ParameterSource.DEFAULT:
            raise click.UsageError("--events needs {}. Remove {}.".format(*lacks))
        cause = "--no-events" if not self.events else lacks and lacks[1]
        if self.announce is not None and cause is not None:
            raise click.UsageError(f"--announce needs the relay. Remove {cause}.")
        return replace(self, events=cause is None)

    @property
    def limits(self) -> EventLimits | None:
        """The relay's limits; None without a relay."""
        if not self.events:
            return None
        return EventLimits(
            events_per_second=self.event_rate,
            event_burst=5 * self.event_rate,
            stored_bytes=self.event_storage << 20,
            requests_per_second=EventLimits().requests_per_second if self.event_rate else 0.0,
            auth_required=self.event_auth,
            min_pow_difficulty=self.event_work,
            sync=self.event_sync,
        )

    @property
    def profile(self) -> RelayProfile:
        """How the relay presents itself."""
        return RelayProfile(
            self.relay_name, self.relay_description, self.relay_contact, self.relay_admin or "", self.relay_icon
        )
