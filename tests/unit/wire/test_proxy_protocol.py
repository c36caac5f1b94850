"""Headers of the PROXY protocol: from HAProxy, from the specification, and damaged."""

from __future__ import annotations

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy_header import LOCAL, TCP4, TCP6, UDP4, UDP6, UNIX, field, header, header_of
from teleglyph.errors import ProxyHeaderError
from teleglyph.wire.proxy_protocol import (
    HEADER_SIZE,
    MAX_HEADER,
    SIGNATURE,
    ProxiedAddress,
    header_length,
    parse_header,
)

FROM_HAPROXY = {
    "IPv4": (
        "0d0a0d0a000d0a515549540a 21 11 000c 7f000001 7f000001 94c6 1bbd",
        ProxiedAddress("127.0.0.1", 38086),
    ),
    "IPv6": (
        "0d0a0d0a000d0a515549540a 21 21 0024" + ("00" * 15 + "01") * 2 + "86e2 1bbe",
        ProxiedAddress("::1", 34530),
    ),
    "crc32c,unique-id": (
        "0d0a0d0a000d0a515549540a 21 11 001f 7f000001 7f000001 bf66 1bbf 03000431035084 050009353534372d63616c6c",
        ProxiedAddress("127.0.0.1", 48998),
    ),
    "check": ("0d0a0d0a000d0a515549540a 20 00 0000", None),
    "check with crc32c": ("0d0a0d0a000d0a515549540a 20 00 0007 030004a9b87e8f", None),
}
"""Recorded from Debian's HAProxy 2.6 with send-proxy-v2 and these options."""


@pytest.mark.parametrize(("data", "client"), FROM_HAPROXY.values(), ids=FROM_HAPROXY)
def test_headers_from_haproxy_are_understood(data: str, client: ProxiedAddress | None) -> None:
    whole = bytes.fromhex(data)
    assert header_length(whole[:HEADER_SIZE]) == len(whole)
    assert parse_header(whole) == client
    assert parse_header(whole + b"GET / HTTP/1.1\r\n") == client, "bytes after it are ignored"


@pytest.mark.parametrize(
    ("written", "address"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("255.255.255.255", "255.255.255.255"),
        ("2001:db8::1", "2001:db8::1"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("fe80::1", "fe80::1"),
    ],
)
@pytest.mark.parametrize("port", [0, 1, 65535])
def test_the_source_is_the_client(written: str, address: str, port: int) -> None:
    assert parse_header(header_of(written, port)) == ProxiedAddress(address, port)


@pytest.mark.parametrize("address", ["192.0.2.1", "2001:db8::1"])
@pytest.mark.parametrize("has_checksum", [False, True])
def test_other_fields_are_skipped(address: str, has_checksum: bool) -> None:
    fields = [field(1, b"teleglyph/2"), field(2, b"example.org"), field(4, b""), field(0xEA, bytes(60))]
    data = header_of(address, 5, *fields, has_checksum=has_checksum)
    assert parse_header(data) == ProxiedAddress(address, 5)


@pytest.mark.parametrize("family", [0x00, 0x01, 0x02, 0x10, 0x20, 0x30])
@pytest.mark.parametrize("content", [b"", b"\0", bytes(300)])
def test_an_unspecified_family_or_protocol_names_nobody(family: int, content: bytes) -> None:
    assert parse_header(header(content, family=family)) is None


@pytest.mark.parametrize(("family", "size"), [(UDP4, 12), (UDP6, 36), (UNIX, 216), (0x32, 216)])
def test_clients_without_tcp_name_nobody(family: int, size: int) -> None:
    assert parse_header(header(bytes(size), family=family)) is None
    assert parse_header(header(bytes(size) + field(4, b"more"), family=family)) is None


@pytest.mark.parametrize("family", [0x00, TCP4, TCP6, UNIX, 0xFF])
@pytest.mark.parametrize("content", [b"", b"\0", bytes(12), b"\xff" * 100])
def test_a_check_of_the_proxy_names_nobody_whatever_follows(family: int, content: bytes) -> None:
    assert parse_header(header(content, command=LOCAL, family=family)) is None


@pytest.mark.parametrize("version", [0, 1, 3, 15])
def test_other_versions_are_refused(version: int) -> None:
    data = header(bytes(12), command=version << 4 | 1)
    with pytest.raises(ProxyHeaderError, match=f"version {version}; only version 2"):
        header_length(data)
    with pytest.raises(ProxyHeaderError, match=f"version {version}; only version 2"):
        parse_header(data)


@pytest.mark.parametrize("command", range(2, 16))
def test_unknown_commands_are_refused(command: int) -> None:
    with pytest.raises(ProxyHeaderError, match=f"unknown command {command}"):
        parse_header(header(bytes(12), command=0x20 | command))


@pytest.mark.parametrize("family", [0x03, 0x13, 0x1F, 0x41, 0xF0, 0xFF])
def test_unknown_families_and_protocols_are_refused(family: int) -> None:
    with pytest.raises(ProxyHeaderError, match=f"unknown address family and protocol {family:#04x}"):
        parse_header(header(bytes(216), family=family))


@pytest.mark.parametrize(("family", "size"), [(TCP4, 12), (UDP4, 12), (TCP6, 36), (UDP6, 36), (UNIX, 216), (0x32, 216)])
def test_addresses_must_be_whole(family: int, size: int) -> None:
    for short in (0, 1, size - 1):
        with pytest.raises(ProxyHeaderError, match=f"has {short} bytes of addresses; .* at least {size}"):
            parse_header(header(bytes(short), family=family))


def test_a_header_has_a_largest_size() -> None:
    padding = MAX_HEADER - len(header_of("192.0.2.1", 1)) - 3
    largest = header_of("192.0.2.1", 1, field(4, bytes(padding)))
    assert header_length(largest) == len(largest) == MAX_HEADER == 536
    assert parse_header(largest) == ProxiedAddress("192.0.2.1", 1)
    for size in (padding + 1, 60_000):
        larger = header_of("192.0.2.1", 1, field(4, bytes(size)))
        with pytest.raises(ProxyHeaderError, match=r"more than 536\. Let the proxy send fewer"):
            header_length(larger[:HEADER_SIZE])


@pytest.mark.parametrize(
    "rest", [b"\x04", b"\x04\0", b"\x04\0\x01", b"\x04\xff\xff..", field(4, b"ok") + b"\x04\0\x05...."]
)
@pytest.mark.parametrize("address", ["192.0.2.1", "2001:db8::1"])
def test_fields_must_be_whole(address: str, rest: bytes) -> None:
    with pytest.raises(ProxyHeaderError, match=r"ends inside a field|more than are left"):
        parse_header(header_of(address, 1, rest))


def test_a_wrong_checksum_is_refused() -> None:
    good = header_of("192.0.2.1", 1, field(2, b"example.org"), has_checksum=True)
    assert parse_header(good) == ProxiedAddress("192.0.2.1", 1)
    for place in range(HEADER_SIZE, len(good)):
        for bit in range(8):
            bad = bytearray(good)
            bad[place] ^= 1 << bit
            # A flipped type of the checksum's own field makes it one of the fields that are skipped.
            if place == len(good) - 7:
                continue
            with pytest.raises(ProxyHeaderError):
                parse_header(bytes(bad))


@pytest.mark.parametrize("value", [b"", b"\0\0\0", bytes(5)])
def test_a_checksum_has_four_bytes(value: bytes) -> None:
    with pytest.raises(ProxyHeaderError, match="one checksum of 4 bytes"):
        parse_header(header_of("192.0.2.1", 1, field(3, value)))


def test_a_second_checksum_is_refused() -> None:
    good = header_of("192.0.2.1", 1, has_checksum=True)
    twice = header(good[HEADER_SIZE:] + field(3, bytes(4)))
    with pytest.raises(ProxyHeaderError):
        parse_header(twice)


@pytest.mark.parametrize(
    "line",
    [
        b"PROXY TCP4 192.0.2.1 192.0.2.2 38086 27224\r\n",
        b"PROXY TCP6 2001:db8::1 2001:db8::2 38086 27224\r\n",
        b"PROXY UNKNOWN\r\n",
    ],
)
def test_version_1_is_refused_with_advice(line: bytes) -> None:
    with pytest.raises(ProxyHeaderError, match=r"version 1 .* write send-proxy-v2 instead of send-proxy"):
        header_length(line[:HEADER_SIZE])
    with pytest.raises(ProxyHeaderError, match="version 1"):
        parse_header(line)


@pytest.mark.parametrize("data", [b"", SIGNATURE, b"GET / HTTP/1.1\r\nHost: a\r\n\r\n", bytes(16)])
def test_other_bytes_are_refused(data: bytes) -> None:
    for function in (header_length, parse_header):
        with pytest.raises(ProxyHeaderError):
            function(data)


@pytest.mark.parametrize("data", [bytes.fromhex(data) for data, _ in FROM_HAPROXY.values()], ids=FROM_HAPROXY)
def test_every_prefix_of_a_header_is_refused(data: bytes) -> None:
    for end in range(len(data)):
        with pytest.raises(ProxyHeaderError, match="ends after"):
            parse_header(data[:end])


@given(
    st.ip_addresses(),
    st.integers(0, 65535),
    st.lists(st.tuples(st.integers(4, 255), st.binary(max_size=40))),
    st.booleans(),
)
def test_every_client_is_read_as_it_was_written(
    address: ipaddress.IPv4Address | ipaddress.IPv6Address,
    port: int,
    fields: list[tuple[int, bytes]],
    has_checksum: bool,
) -> None:
    data = header_of(str(address), port, *(field(*one) for one in fields[:8]), has_checksum=has_checksum)
    assert header_length(data[:HEADER_SIZE]) == len(data)
    client = parse_header(data)
    assert client is not None
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    assert client == (str(mapped or address), port)
