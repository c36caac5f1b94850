"""Port mapping on a router with miniupnpd, with the real default route, ports and multicast."""

from __future__ import annotations

import contextlib
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from miniupnpd import HOST, PUBLIC, Home, home_network, why_not

PORT = 27224
CLIENT = Path(__file__).parents[1] / "port_mapping_client.py"
pytestmark = pytest.mark.skipif(bool(reason := why_not()), reason=reason or "")


@contextlib.contextmanager
def client(home: Home) -> Iterator[subprocess.Popen[str]]:
    """A program on the computer behind the router."""
    process = subprocess.Popen(
        ["ip", "netns", "exec", home.host, sys.executable, str(CLIENT), str(PORT)], stdout=subprocess.PIPE, text=True
    )
    try:
        yield process
    finally:
        process.kill()
        process.wait()
        assert process.stdout is not None
        process.stdout.close()


def line(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


@pytest.mark.parametrize(("upnp", "pcp"), [(False, True), (True, False)])
def test_a_port_is_mapped_and_the_mapping_removed_at_the_end(upnp: bool, pcp: bool, tmp_path: Path) -> None:
    with home_network(tmp_path, upnp=upnp, pcp=pcp) as home, client(home) as process:
        assert line(process) == f"{PUBLIC} {'UPnP' if upnp else 'PCP'}"
        assert f"dnat ip to {HOST}:{PORT}" in home.mappings()
        process.terminate()
        assert line(process) == "none None"
        assert process.wait(30) == 0
        assert "dnat" not in home.mappings()


def test_a_port_is_mapped_again_after_the_router_has_restarted(tmp_path: Path) -> None:
    with home_network(tmp_path, upnp=False) as home, client(home) as process:
        assert line(process) == f"{PUBLIC} PCP"
        # miniupnpd counts the seconds of its epoch from its start.
        time.sleep(4)
        home.stop()
        home.forget()
        home.start()
        while f"dnat ip to {HOST}:{PORT}" not in home.mappings():
            time.sleep(0.1)
