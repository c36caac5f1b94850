"""The server's options for the event relay."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from teleglyph.cli.options import Number, OptionGroup
from teleglyph.errors import KeyFileError
from teleglyph.events.limits import EventLimits, RelayProfile


def _check_relay_admin(_ctx: click.Context, _param: click.Parameter, value: str | None) -> str | None:
    if value is None:
        return None
    from teleglyph.wire.nostr.keys import decode_key

    try:
        return decode_key(value, "npub").hex()
    except KeyFileError as error:
        raise click.BadParameter(str(error)) from None


def _event_limits(rate: float, auth: bool, work: int, sync: bool) -> EventLimits:
    return EventLimits(
        events_per_second=rate,
        event_burst=5 * rate,
        requests_per_second=EventLimits().requests_per_second if rate else 0.0,
        auth_required=auth,
        min_pow_difficulty=work,
        sync=sync,
    )


event_options = OptionGroup(
    click.option(
        "--events/--no-events",
        default=False,
        show_default=True,
        envvar="TELEGLYPH_EVENTS",
        help="Be a Nostr relay on the HTTP port; needs --data-dir or --database.",
    ),
    click.option(
        "--event-rate",
        type=Number(0),
        default=20.0,
        show_default=True,
        envvar="TELEGLYPH_EVENT_RATE",
        help="Events a second from one connection and from one address, five times as many at once; 0: any number.",
    ),
    click.option(
        "--event-auth/--no-event-auth",
        default=False,
        show_default=True,
        envvar="TELEGLYPH_EVENT_AUTH",
        help="Only who authenticates (NIP-42) may publish and ask.",
    ),
    click.option(
        "--event-work",
        type=click.IntRange(0, 256),
        default=0,
        show_default=True,
        envvar="TELEGLYPH_EVENT_WORK",
        help="Least proof of work of an event (NIP-13), in bits.",
    ),
    click.option(
        "--event-search/--no-event-search",
        default=True,
        show_default=True,
        envvar="TELEGLYPH_EVENT_SEARCH",
        help="Let words in events be searched for (NIP-50).",
    ),
    click.option(
        "--event-sync/--no-event-sync",
        default=True,
        show_default=True,
        envvar="TELEGLYPH_EVENT_SYNC",
        help="Let clients reconcile their events with the relay's (NIP-77).",
    ),
    click.option(
        "--event-compression/--no-event-compression",
        default=False,
        show_default=True,
        envvar="TELEGLYPH_EVENT_COMPRESSION",
        help="Compress events for clients that offer permessage-deflate: fewer bytes, more CPU.",
    ),
    click.option(
        "--announce",
        metavar="ADDRESS",
        envvar="TELEGLYPH_ANNOUNCE",
        help="Announce the call on the relay (NIP-53), as to be joined at this HOST or HOST:PORT.",
    ),
    click.option(
        "--relay-name", default="Teleglyph", show_default=True, envvar="TELEGLYPH_RELAY_NAME", help="Name of the relay."
    ),
    click.option(
        "--relay-key",
        type=click.Path(dir_okay=False, path_type=Path),
        envvar="TELEGLYPH_RELAY_KEY",
        help="The relay's own Nostr key, with which it keeps groups; made on first use.  "
        "[default: relay.key in --data-dir]",
    ),
    click.option(
        "--relay-admin",
        metavar="NPUB",
        callback=_check_relay_admin,
        envvar="TELEGLYPH_RELAY_ADMIN",
        help="The relay's administrator, a public Nostr key: runs the relay's own groups and manages the relay over "
        "HTTP (NIP-86).",
    ),
    click.option(
        "--relay-description", default="", envvar="TELEGLYPH_RELAY_DESCRIPTION", help="What the relay is for."
    ),
    click.option(
        "--relay-contact",
        default="",
        metavar="URI",
        envvar="TELEGLYPH_RELAY_CONTACT",
        help="Whom to ask about the relay: mailto:... or https://...",
    ),
    click.option(
        "--relay-icon",
        default="",
        metavar="URL",
        envvar="TELEGLYPH_RELAY_ICON",
        help="A picture that clients show for the relay.",
    ),
)
"""Decorates a command with them."""


def event_settings(chosen: Mapping[str, Any], *, has_place: bool, has_http: bool) -> dict[str, Any]:
    """What of the server's configuration is about the relay.

    Args:
        chosen: the command's values by the options' names.
        has_place: there is a directory or a database.
        has_http: there is an HTTP port.

    Raises:
        click.UsageError: something is missing.
    """
    is_wanted = chosen["events"]
    if is_wanted and not has_place:
        raise click.UsageError("--events needs a place to keep them: --data-dir or --database")
    if chosen["announce"] is not None and not is_wanted:
        raise click.UsageError("--announce needs the relay: --events")
    if is_wanted and not has_http:
        raise click.UsageError("--events needs HTTP: leave --no-http out")
    return {
        "events": _event_limits(chosen["event_rate"], chosen["event_auth"], chosen["event_work"], chosen["event_sync"])
        if is_wanted
        else None,
        "event_search": chosen["event_search"],
        "event_compression": chosen["event_compression"],
        "announce": chosen["announce"],
        "relay_key": chosen["relay_key"],
        "profile": RelayProfile(
            chosen["relay_name"],
            chosen["relay_description"],
            chosen["relay_contact"],
            chosen["relay_admin"] or "",
            chosen["relay_icon"],
        ),
    }
