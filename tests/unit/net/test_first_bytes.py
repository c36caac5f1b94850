"""Detecting the protocol from the first bytes, however they are split."""

from __future__ import annotations

import pytest

import acip_peer as acip
from teleglyph.net.first_bytes import FirstProtocol, detect_protocol, record_size


@pytest.mark.parametrize(
    ("data", "kind"),
    [
        (b"GET / HTTP/1.1\r\n", FirstProtocol.HTTP),
        (b"OPTIONS * HTTP/1.1\r\n", FirstProtocol.HTTP),
        (b"CONNECT a:1 HTTP/1.1\r\n", FirstProtocol.HTTP),
        (b"DELETE /x HTTP/1.1\r\n", FirstProtocol.HTTP),
        (b"\x16\x03\x01\x02\x00\x01", FirstProtocol.TLS),
        (acip.packet(acip.PROTOCOL_VERSION, bytes(16)), FirstProtocol.OTHER),
        (b"SSH-2.0-x\r\n", FirstProtocol.OTHER),
        (b"GETx", FirstProtocol.OTHER),
        (b"get / ", FirstProtocol.OTHER),
        (b"\x16\x00", FirstProtocol.OTHER),
        (b"\r\nGET / HTTP/1.1", FirstProtocol.OTHER),
    ],
)
def test_the_first_bytes_decide_however_they_are_split(data: bytes, kind: FirstProtocol) -> None:
    assert detect_protocol(data) is kind
    answers = [detect_protocol(data[:size]) for size in range(1, len(data) + 1)]
    assert answers[-1] is kind
    assert set(answers) <= {None, kind}, "a decision is final"
    assert None not in answers[7:], "eight bytes are enough"


def test_no_bytes_decide_nothing() -> None:
    assert detect_protocol(b"") is None


@pytest.mark.parametrize(
    ("data", "size"),
    [
        (b"\x16\x03", 5),
        (b"\x16\x03\x01\x02", 5),
        (b"\x16\x03\x01\x02\x00", 517),
        (b"\x16\x03\x01\x40\x00rest", 5 + 16384),
        (b"\x16\x03\x01\x40\x01rest", 5),
    ],
)
def test_the_size_of_a_tls_record_is_read_from_its_header(data: bytes, size: int) -> None:
    assert record_size(data) == size
