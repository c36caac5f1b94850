"""PCP and NAT-PMP: bytes written by hand from the specifications, refusals, damage, and the check of epochs."""

from __future__ import annotations

import contextlib
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from teleglyph.errors import GatewayError
from teleglyph.wire.port_mapping import nat_pmp, pcp
from teleglyph.wire.port_mapping.epoch import EpochCheck

NONCE = b"twelve bytes"
CLIENT = "192.168.1.20"
CLIENT_6 = bytes.fromhex("00000000000000000000ffff c0a80114")
EXTERNAL = bytes.fromhex("00000000000000000000ffff 0b16212c")


def pcp_response(
    operation: int = 1, result: int = 0, lifetime: int = 3600, epoch: int = 99, **changes: object
) -> bytes:
    """A response as RFC 6887 draws it, in sections 7.2 and 11.1."""
    header = struct.pack(">BBBBII12x", 2, 0x80 | operation, 0, result, lifetime, epoch)
    values = {"nonce": NONCE, "protocol": 6, "internal": 27224, "external": 40000, "address": EXTERNAL, **changes}
    return header + struct.pack(">12sB3xHH16s", *values.values())


# --- NAT-PMP ------------------------------------------------------------------------------------------------------


def test_nat_pmp_requests_have_the_bytes_of_the_specification() -> None:
    assert nat_pmp.external_address_request() == bytes.fromhex("0000")
    assert nat_pmp.map_request(27224, 40000, 3600) == bytes.fromhex("0002 0000 6a58 9c40 00000e10")
    assert nat_pmp.map_request(27224, 0, 0) == bytes.fromhex("0002 0000 6a58 0000 00000000")


def test_nat_pmp_responses_are_understood() -> None:
    assert nat_pmp.parse_external_address(bytes.fromhex("0080 0000 00000063 0b16212c")) == (99, "11.22.33.44")
    mapped = nat_pmp.parse_map_response(bytes.fromhex("0082 0000 00000063 6a58 9c41 00000e10"))
    assert mapped == (99, 27224, 40001, 3600)


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        ("", "only 0 bytes"),
        ("008200", "only 3 bytes"),
        ("0282 0000 00000063 6a58 9c41 00000e10", "version 2"),
        ("0080 0000 00000063 6a58 9c41 00000e10", "operation 128"),
        ("0002 0000 00000063 6a58 9c41 00000e10", "operation 2"),
        ("0082 0000 00000063 6a58 9c41 00000e", "15 bytes"),
        ("0082 0000 00000063 6a58 0000 00000e10", "port 0"),
        ("0082 0001 00000063", "version of NAT-PMP"),
        ("0082 0002 00000063", "turned off"),
        ("0082 0004 00000063 6a58 0000 00000000", "no room"),
        ("0082 0099 00000063", "error 153"),
    ],
)
def test_nat_pmp_refusals_and_invalid_responses_are_explained(data: str, reason: str) -> None:
    with pytest.raises(GatewayError, match=reason):
        nat_pmp.parse_map_response(bytes.fromhex(data))


def test_a_nat_pmp_router_is_recognized_when_it_refuses_pcp() -> None:
    assert nat_pmp.is_unsupported_version(bytes.fromhex("0081 0001 00000063"))
    assert nat_pmp.is_unsupported_version(bytes.fromhex("0080 0001"))
    assert not nat_pmp.is_unsupported_version(bytes.fromhex("0080 0002 00000063"))
    assert not nat_pmp.is_unsupported_version(bytes.fromhex("0280 0001 00000063"))
    assert not nat_pmp.is_unsupported_version(b"\0\x80\0")


# --- PCP ----------------------------------------------------------------------------------------------------------


def test_pcp_requests_have_the_bytes_of_the_specification() -> None:
    assert pcp.announce_request(CLIENT) == bytes.fromhex("02 00 0000 00000000") + CLIENT_6
    wanted = pcp.map_request(CLIENT, NONCE, 27224, 40000, 3600, "11.22.33.44")
    assert wanted == (
        bytes.fromhex("02 01 0000 00000e10") + CLIENT_6 + NONCE + bytes.fromhex("06 000000 6a58 9c40") + EXTERNAL
    )
    nowhere = bytes.fromhex("00000000000000000000ffff 00000000")
    assert pcp.map_request("fd00::2", NONCE, 1, 2, 0)[8:24] == bytes.fromhex("fd00" + "00" * 13 + "02")
    assert pcp.map_request(CLIENT, NONCE, 1, 2, 0)[-16:] == nowhere


def test_pcp_responses_are_understood() -> None:
    assert pcp.parse_announce_response(pcp_response(operation=0)[:24]) == 99
    assert pcp.parse_map_response(pcp_response(), NONCE) == (99, 27224, 40000, "11.22.33.44", 3600)
    over_6 = pcp_response(address=bytes.fromhex("20010db8" + "00" * 11 + "01"))
    assert pcp.parse_map_response(over_6, NONCE).external_address == "2001:db8::1"
    assert pcp.parse_map_response(pcp_response() + bytes(8), NONCE).external_port == 40000, "options are skipped"


def test_a_router_without_announce_has_an_epoch_as_well() -> None:
    assert pcp.parse_announce_response(pcp_response(operation=0, result=4)[:24]) == 99


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "0 bytes"),
        (pcp_response()[:20], "20 bytes"),
        (pcp_response()[:56], "56 bytes"),
        (pcp_response() + bytes(1048), "1108 bytes"),
        (b"\3" + pcp_response()[1:], "version 3"),
        (pcp_response(operation=2), "operation 130"),
        (b"\2\1" + pcp_response()[2:], "operation 1"),
        (pcp_response(nonce=b"other bytes!"), "another request"),
        (pcp_response(nonce=b"other bytes!", external=0), "another request"),
        (pcp_response(protocol=17), "protocol 17"),
        (pcp_response(external=0), "port 0"),
        (pcp_response(result=2), "turned off"),
        (pcp_response(result=2)[:24], "turned off"),
        (pcp_response(result=8), "no room"),
        (pcp_response(result=200), "error 200"),
    ],
)
def test_pcp_refusals_and_invalid_responses_are_explained(data: bytes, reason: str) -> None:
    with pytest.raises(GatewayError, match=reason):
        pcp.parse_map_response(data, NONCE)


def test_the_removal_of_a_mapping_has_no_port() -> None:
    assert pcp.parse_map_response(pcp_response(lifetime=0, external=0), NONCE).lifetime == 0


@given(st.sampled_from([pcp_response(), bytes.fromhex("0082 0000 00000063 6a58 9c41 00000e10")]), st.data())
def test_damaged_responses_are_read_or_refused(whole: bytes, data: st.DataObject) -> None:
    damaged = bytearray(whole)
    damaged[data.draw(st.integers(min_value=0, max_value=len(damaged) - 1))] = data.draw(st.integers(0, 255))
    candidate = bytes(damaged[: data.draw(st.integers(min_value=0, max_value=len(damaged)))])
    with contextlib.suppress(GatewayError):
        assert 0 <= pcp.parse_map_response(candidate, NONCE).external_port <= 65535
    with contextlib.suppress(GatewayError):
        assert 0 <= nat_pmp.parse_map_response(candidate).external_port <= 65535
    with contextlib.suppress(GatewayError):
        assert nat_pmp.parse_external_address(candidate).epoch >= 0
    with contextlib.suppress(GatewayError):
        assert pcp.parse_announce_response(candidate) >= 0


# --- epochs -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("epoch", "now", "is_continuous"),
    [
        (1060, 60.0, True),
        (1057, 60.0, True),
        (1063, 60.0, True),
        (1001, 0.5, True),
        (999, 0.2, True),
        (0, 60.0, False),
        (990, 60.0, False),
        (1000, 60.0, False),
        (1100, 60.0, False),
        (4400, 3600.0, True),
    ],
)
def test_an_epoch_has_to_grow_with_the_clock(epoch: int, now: float, is_continuous: bool) -> None:
    check = EpochCheck()
    assert check.is_continuous(1000, 0.0)
    assert check.is_continuous(epoch, now) == is_continuous
    assert check.is_continuous(epoch + 10, now + 10), "the next comparison is with the latest epoch"
