"""The router in the system's own tables."""

from __future__ import annotations

import asyncio
import shutil
import subprocess
import sys

import pytest

from teleglyph.discovery.port_mapping.route import default_route, gateway_in_output, gateway_in_table

TABLE = """Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT
wlan0\t00000000\tFE01A8C0\t0003\t0\t0\t600\t00000000\t0\t0\t0
eth0\t00000000\t0101A8C0\t0003\t0\t0\t100\t00000000\t0\t0\t0
tun0\t00000000\t00000000\t0001\t0\t0\t50\t00000000\t0\t0\t0
tun1\t00000000\t0100000A\t0003\t0\t0\t10\t00000080\t0\t0\t0
eth1\t00000000\t0200000A\t0002\t0\t0\t1\t00000000\t0\t0\t0
eth0\t0001A8C0\t00000000\t0001\t0\t0\t100\t00FFFFFF\t0\t0\t0
"""
MACOS = """   route to: default
destination: default
       mask: default
    gateway: 192.168.1.1
  interface: en0
      flags: <UP,GATEWAY,DONE,STATIC,PRCLONING,GLOBAL>
"""


@pytest.mark.skipif(sys.byteorder != "little", reason="the table has the byte order of the machine")
def test_the_best_default_route_of_linux_is_found() -> None:
    assert gateway_in_table(TABLE) == "192.168.1.1"


@pytest.mark.parametrize(
    "text", ["", "Iface\n", "Iface\neth0\n", "Iface\na b c d e f g h\n", "Iface\neth0 0 -1 3 0 0 x 0"]
)
def test_tables_without_a_gateway_have_none(text: str) -> None:
    assert gateway_in_table(text) is None


def test_the_default_route_of_macos_is_found() -> None:
    assert gateway_in_output(MACOS) == "192.168.1.1"
    assert gateway_in_output(MACOS.replace("192.168.1.1", "link#17")) is None
    assert gateway_in_output("route: writing to routing socket: not in table") is None


@pytest.mark.skipif(shutil.which("ip") is None, reason="iproute2 is not installed")
def test_the_system_agrees() -> None:
    output = subprocess.run(["ip", "-4", "route", "show", "default"], capture_output=True, text=True).stdout
    route = asyncio.run(default_route())
    if " via " in output:
        assert route is not None
        assert f"via {route.gateway} " in output
    else:
        assert route is None
