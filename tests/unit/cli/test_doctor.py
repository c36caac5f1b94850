"""The doctor's page describes its checks, its limits and its exit code."""

from __future__ import annotations

import re
from pathlib import Path

from click.testing import CliRunner

from teleglyph.cli.doctor import PROBLEMS
from teleglyph.cli.main import cli
from teleglyph.client.doctor.call_server import clock_check, server_checks
from teleglyph.client.doctor.devices import device_checks
from teleglyph.client.doctor.examination import Check
from teleglyph.client.doctor.files import Places, file_checks
from teleglyph.client.doctor.reachability import Ways, reachability_checks
from teleglyph.client.doctor.routes import route_checks
from teleglyph.client.doctor.server_probe import ServerFacts
from teleglyph.client.doctor.terminal import observe_terminal, terminal_checks
from teleglyph.errors import ConnectError
from teleglyph.keys import KnownHosts

PAGE = Path(__file__).parents[3].joinpath("docs", "doctor.md").read_text()


async def look() -> ServerFacts:
    raise ConnectError("Nobody is there.")


def checks(folder: Path) -> list[Check]:
    known = KnownHosts(folder / "hosts", ())
    return [
        *terminal_checks(observe_terminal({})),
        *device_checks(),
        *file_checks(Places(folder, (), folder / "key", folder / "hosts")),
        *route_checks(),
        clock_check([]),
        *server_checks(look, known),
        *reachability_checks(Ways()),
    ]


def test_the_page_describes_every_check(tmp_path: Path) -> None:
    rows = re.findall(r"^\| (`[a-z0-9-]+`(?:, `[a-z0-9-]+`)*) \|", PAGE, re.MULTILINE)
    documented = [name for row in rows for name in re.findall(r"`([a-z0-9-]+)`", row)]
    assert documented[-len(checks(tmp_path)) :] == [check.name for check in checks(tmp_path)]


def test_every_check_says_what_to_do_if_it_hangs(tmp_path: Path) -> None:
    assert all(check.if_stuck.endswith(".") for check in checks(tmp_path))


def test_the_page_names_the_longest_time_limit(tmp_path: Path) -> None:
    longest = max(check.seconds for check in checks(tmp_path))
    assert f"at most {longest:.0f} seconds" in PAGE


def test_the_page_names_the_exit_code() -> None:
    assert f"{PROBLEMS} with at least one" in PAGE
    assert f"exit code is {PROBLEMS}" in CliRunner().invoke(cli, ["doctor", "--help"]).output.replace("\n  ", " ")


def test_the_page_describes_every_option() -> None:
    for option in ("--server", "--discovery", "--stun", "--port", "--no-network", "--json"):
        assert f"| `{option}" in PAGE
