"""What a peer speaks is known from its first bytes, however they are cut."""

from __future__ import annotations

import pytest

import acip_peer as acip
from teleglyph.net.first_bytes import Spoken, spoken


@pytest.mark.parametrize(
    ("data", "kind"),
    [
        (b"GET / HTTP/1.1\r\n", Spoken.HTTP),
        (b"OPTIONS * HTTP/1.1\r\n", Spoken.HTTP),
        (b"CONNECT a:1 HTTP/1.1\r\n", Spoken.HTTP),
        (b"DELETE /x HTTP/1.1\r\n", Spoken.HTTP),
        (b"\x16\x03\x01\x02\x00\x01", Spoken.TLS),
        (acip.packet(acip.PROTOCOL_VERSION, bytes(16)), Spoken.OTHER),
        (b"SSH-2.0-x\r\n", Spoken.OTHER),
        (b"GETx", Spoken.OTHER),
        (b"get / ", Spoken.OTHER),
        (b"\x16\x00", Spoken.OTHER),
        (b"\r\nGET / HTTP/1.1", Spoken.OTHER),
    ],
)
def test_the_first_bytes_decide_whatever_the_cuts(data: bytes, kind: Spoken) -> None:
    assert spoken(data) is kind
    answers = [spoken(data[:size]) for size in range(1, len(data) + 1)]
    assert answers[-1] is kind
    assert set(answers) <= {None, kind}, "nothing is taken back"
    assert None not in answers[7:], "eight bytes are enough"


def test_nothing_is_nothing_yet() -> None:
    assert spoken(b"") is None
