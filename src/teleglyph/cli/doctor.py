"""``teleglyph doctor``: checks this machine, its terminal and its network, and says what to do."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import click

from teleglyph.cli.doctor_report import TextReport, as_json, count
from teleglyph.cli.lifecycle import run
from teleglyph.cli.logs import LogOptions
from teleglyph.cli.option_groups import option, with_options
from teleglyph.client.address import DEFAULT_PORT, Address, parse_address
from teleglyph.client.doctor.call_server import Look, clock_check, server_checks
from teleglyph.client.doctor.devices import device_checks
from teleglyph.client.doctor.discovery_service import ServiceVisitor
from teleglyph.client.doctor.examination import Check, Result, examine
from teleglyph.client.doctor.files import Places, file_checks
from teleglyph.client.doctor.reachability import Ways, reachability_checks
from teleglyph.client.doctor.routes import route_checks
from teleglyph.client.doctor.server_probe import Once, look_at
from teleglyph.client.doctor.terminal import TerminalFacts, observe_terminal, terminal_checks
from teleglyph.client.waiting import unless_stopped
from teleglyph.console import echo
from teleglyph.discovery import port_mapping
from teleglyph.discovery.stun import StunServer, examine_nat, parse_stun_server
from teleglyph.keys import KnownHosts, default_identity_path
from teleglyph.keys.known_hosts import own_file
from teleglyph.media.modes import ColorLevel
from teleglyph.net.addresses import SERVICE_PORT
from teleglyph.server.data_directory import IDENTITY_FILE, RELAY_KEY_FILE, default_data_directory

PROBLEMS = 66
"""The exit code if there are problems."""
_INTERRUPTED = 1
_NO_NETWORK = "--no-network leaves this out."
_NETWORK_OPTIONS = ("server", "discovery", "stun")


@dataclass(frozen=True, slots=True, kw_only=True)
class DoctorOptions:
    """What to check besides this machine."""

    server: str | None = option(
        "-s",
        "--server",
        metavar="HOST[:PORT]",
        help="Also check a call server: whether it answers, and its certificate.",
    )
    discovery: str | None = option(
        "--discovery", metavar="HOST[:PORT]", help="Also check a discovery service, and what it sees of this machine."
    )
    stun: str | None = option(
        "--stun",
        metavar="HOST[:PORT]",
        help="The STUN server that tells the kind of your NAT.  [default: port 3478 of the discovery service]",
    )
    port: int = option(
        "-p",
        "--port",
        type=click.IntRange(1, 65535),
        default=DEFAULT_PORT,
        show_default=True,
        help="The port that the discovery service tries to reach. If nothing listens there, the doctor does meanwhile.",
    )
    network: bool = option(
        "--network/--no-network", default=True, help="--no-network sends nothing, not even to your router."
    )
    as_json: bool = option("--json", is_flag=True, help="Print one JSON object instead of text.")


@click.command()
@with_options(options=DoctorOptions)
@click.pass_obj
def doctor(logs: LogOptions, options: DoctorOptions) -> int:
    """Check this machine, and say what to do.

    Looks at the terminal, the camera, sound, files, keys and the network. Each check says ok, note, problem or skipped,
    and what to do next. The camera's light may go on for a moment. Without options, only your router is asked anything.
    The exit code is 66 if there is a problem.
    """
    named = [name for name in _NETWORK_OPTIONS if getattr(options, name) is not None]
    if named and not options.network:
        raise click.UsageError(f"--no-network cannot be combined with --{named[0]}.")
    logs.apply(console=logs.log_level == "debug")
    network = _network_checks(options)
    # First, because no other check may print or read keys meanwhile.
    facts = observe_terminal(os.environ)
    places = Places(default_data_directory(), (IDENTITY_FILE, RELAY_KEY_FILE), default_identity_path(), own_file())
    checks = [*terminal_checks(facts), *device_checks(), *file_checks(places), *network]
    return run(partial(_examine, checks, facts, options))


async def _examine(checks: Sequence[Check], facts: TerminalFacts, options: DoctorOptions, stop: asyncio.Event) -> int:
    report = _text_report(checks, facts)
    show = (lambda _: None) if options.as_json else report.show
    results: list[Result] | None = await unless_stopped(examine(checks, show), stop)
    if results is None:
        echo("teleglyph: Stopped before all checks were done.", err=True)
        return _INTERRUPTED
    if options.as_json:
        echo(as_json(results))
    else:
        report.end(results)
    return PROBLEMS if count(results)["problem"] else 0


def _text_report(checks: Sequence[Check], facts: TerminalFacts) -> TextReport:
    terminal = facts.terminal
    return TextReport(
        [check.title for check in checks],
        facts.columns if terminal.interactive else None,
        has_colors=terminal.cursor and terminal.color is not ColorLevel.NONE,
        has_utf8=terminal.utf8,
    )


def _network_checks(options: DoctorOptions) -> list[Check]:
    """The checks of the network.

    Raises:
        UserError: an address is invalid.
    """
    known = KnownHosts()
    server = None if options.server is None else parse_address(options.server)
    service = None
    if options.discovery is not None:
        service = parse_address(options.discovery, default_port=SERVICE_PORT)
    looks: dict[Address, Look] = {
        address: Once(partial(look_at, address)) for address in (server, service) if address is not None
    }
    return [
        *route_checks(),
        clock_check(list(looks.values())),
        *server_checks(None if server is None else looks[server], known),
        *reachability_checks(_ways(options, service, known), "" if options.network else _NO_NETWORK),
    ]


def _ways(options: DoctorOptions, service: Address | None, known: KnownHosts) -> Ways:
    """How to look at the ways through a NAT.

    Raises:
        ConfigurationError: the STUN server's address is invalid.
    """
    if not options.network:
        return Ways()
    stun = None
    if options.stun is not None:
        stun = parse_stun_server(options.stun)
    elif service is not None:
        stun = StunServer(service.host)
    visitor = None if service is None else ServiceVisitor(service, known)
    return Ways(
        nat=None if stun is None else partial(examine_nat, [stun]),
        stun_server="" if stun is None else str(stun),
        guesses_stun=options.stun is None,
        mapping=port_mapping.probe,
        service=None if visitor is None else visitor.visit,
        service_name=str(service),
        probe=None if visitor is None else visitor.probe,
        port=options.port,
    )
