"""What the doctor says about the ways to the Internet."""

from __future__ import annotations

import socket

import pytest

from teleglyph.client.doctor.report import Verdict
from teleglyph.client.doctor.routes import check_ipv4, check_ipv6, own_route
from teleglyph.net import own_addresses


@pytest.mark.parametrize(
    ("four", "six", "verdict", "text"),
    [
        ("192.168.1.5", None, Verdict.OK, "private address 192.168.1.5"),
        ("8.8.4.4", None, Verdict.OK, "public address 8.8.4.4"),
        ("100.70.1.2", None, Verdict.NOTE, "your provider shares one public address"),
        (None, "2606:4700::1", Verdict.NOTE, "no way to the IPv4 Internet"),
        (None, None, Verdict.PROBLEM, "no way to the Internet"),
    ],
)
def test_ipv4(four: str | None, six: str | None, verdict: Verdict, text: str) -> None:
    finding = check_ipv4(lambda family: four if family == socket.AF_INET else six)
    assert (finding.verdict, text in finding.text) == (verdict, True), finding
    assert bool(finding.step) == (verdict is not Verdict.OK)


@pytest.mark.parametrize(
    ("four", "six", "verdict", "text"),
    [
        ("192.168.1.5", "2606:4700::1", Verdict.OK, "public address 2606:4700::1"),
        ("192.168.1.5", "fd00::5", Verdict.NOTE, "only the private IPv6 address fd00::5"),
        ("192.168.1.5", None, Verdict.NOTE, "no way to the IPv6 Internet"),
        (None, None, Verdict.PROBLEM, "no way to the Internet"),
    ],
)
def test_ipv6(four: str | None, six: str | None, verdict: Verdict, text: str) -> None:
    finding = check_ipv6(lambda family: four if family == socket.AF_INET else six)
    assert (finding.verdict, text in finding.text) == (verdict, True), finding
    assert bool(finding.step) == (verdict is not Verdict.OK)


def test_the_routes_of_this_machine_are_its_own_addresses() -> None:
    found = {route for family in (socket.AF_INET, socket.AF_INET6) if (route := own_route(family)) is not None}
    assert found <= set(own_addresses())
