"""Session descriptions: what Chromium and Firefox say is understood, and nothing that a stranger should not say."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from teleglyph.errors import ProtocolError
from teleglyph.wire.session_description import (
    MAX_CANDIDATES,
    MAX_DESCRIPTION,
    MAX_MESSAGE,
    Candidate,
    Role,
    SessionDescription,
    is_permitted,
)

FINGERPRINT = ":".join(["AB"] * 32)
CHROMIUM = f"""v=0
o=- 4611731400430051336 2 IN IP4 127.0.0.1
s=-
t=0 0
a=group:BUNDLE 0
a=extmap-allow-mixed
a=msid-semantic: WMS
m=application 49203 UDP/DTLS/SCTP webrtc-datachannel
c=IN IP4 203.0.113.7
a=candidate:2999745851 1 udp 2122260223 192.168.1.20 49203 typ host generation 0 network-id 1
a=candidate:1 1 udp 2113937151 5b1a8a6e-9b5c-4c7e-8f0e-6a3b1f2d9c11.local 50001 typ host generation 0 network-cost 999
a=candidate:3 1 udp 1686052607 203.0.113.7 49203 typ srflx raddr 192.168.1.20 rport 49203 generation 0
a=candidate:4 1 tcp 1518280447 192.168.1.20 9 typ host tcptype active generation 0 network-id 1
a=candidate:5 2 udp 2122260222 192.168.1.20 49204 typ host generation 0 network-id 1
a=ice-ufrag:h2aS
a=ice-pwd:7aZMlYfLV1pPgSbQqAV6nXvs
a=ice-options:trickle
a=fingerprint:sha-256 {FINGERPRINT}
a=setup:actpass
a=mid:0
a=sctp-port:5000
a=max-message-size:262144
""".replace("\n", "\r\n")
FIREFOX = f"""v=0
o=mozilla...THIS_IS_SDPARTA-99.0 7614219274584779017 0 IN IP4 0.0.0.0
s=-
t=0 0
a=sendrecv
a=fingerprint:sha-256 {FINGERPRINT}
a=group:BUNDLE 0
a=ice-options:trickle
a=msid-semantic:WMS *
m=application 9 UDP/DTLS/SCTP webrtc-datachannel
c=IN IP4 0.0.0.0
a=candidate:0 1 UDP 2122252543 2001:db8::5 58223 typ host
a=sendrecv
a=end-of-candidates
a=ice-pwd:1d3b9a0f5c7e4d2b8a6f0e1c3d5b7a99
a=ice-ufrag:9d1f0c3e
a=mid:0
a=setup:actpass
a=sctp-port:5000
a=max-message-size:1073741823
""".replace("\n", "\r\n")
OURS = SessionDescription(
    role=Role.OFFER,
    username="abcd",
    password="p" * 22,
    fingerprint=FINGERPRINT,
    candidates=(
        Candidate("a1", 200, "192.0.2.7", 50000, "host"),
        Candidate("a2", 100, "2001:db8::7", 50001, "srflx"),
        Candidate("a3", 10, "203.0.113.9", 50002, "relay"),
    ),
)


def test_what_chromium_says() -> None:
    """TCP, names that need multicast, and second components are not for us."""
    found = SessionDescription.decode(CHROMIUM, Role.OFFER)
    assert [str(one) for one in found.candidates] == [
        "2999745851 1 udp 2122260223 192.168.1.20 49203 typ host",
        "3 1 udp 1686052607 203.0.113.7 49203 typ srflx",
    ]
    assert (found.username, found.password) == ("h2aS", "7aZMlYfLV1pPgSbQqAV6nXvs")
    assert (found.fingerprint, found.mid, found.sctp_port, found.max_message) == (FINGERPRINT, "0", 5000, MAX_MESSAGE)


def test_what_firefox_says() -> None:
    found = SessionDescription.decode(FIREFOX, Role.OFFER)
    assert [one.host for one in found.candidates] == ["2001:db8::5"]
    assert (found.username, found.fingerprint) == ("9d1f0c3e", FINGERPRINT)


@pytest.mark.parametrize("role", list(Role))
def test_our_own_can_be_read(role: Role) -> None:
    text = SessionDescription(role, OURS.username, OURS.password, FINGERPRINT, OURS.candidates, mid="x7").encode()
    found = SessionDescription.decode(text, role)
    assert found.candidates == OURS.candidates
    assert (found.role, found.mid, found.max_message) == (role, "x7", MAX_MESSAGE)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("v=0", "v=1"),
        ("a=setup:actpass", "a=setup:active"),
        ("a=setup:actpass", "a=setup:passive"),
        ("webrtc-datachannel", "5000"),
        ("m=application", "m=audio 9 UDP/TLS/RTP/SAVPF 111\r\nm=application"),
        ("m=application", "a=ice-ufrag:wxyz\r\nm=application"),
        ("a=ice-ufrag:abcd", "a=ice-ufrag:abc"),
        ("a=ice-ufrag:abcd", "a=ice-ufrag:" + "a" * 257),
        ("a=ice-pwd:" + "p" * 22, "a=ice-pwd:short"),
        ("a=ice-pwd:" + "p" * 22, "a=ice-pwd:" + "p" * 21 + "\0"),
        ("sha-256 AB", "sha-256 GG"),
        ("sha-256 AB", "sha-1 AB"),
        ("a=setup", f"a=fingerprint:sha-256 {':'.join(['CD'] * 32)}\r\na=setup"),
        ("a=sctp-port:5000", "a=sctp-port:70000"),
        ("a=sctp-port:5000", ""),
        ("a=sctp-port:5000", "a=sctp-port:-1"),
        ("a=max-message-size:65536", "a=max-message-size:100"),
        ("a=max-message-size:65536", "a=max-message-size:" + "9" * 30),
        ("a=mid:0", "a=mid:" + "x" * 17),
        ("a=mid:0", 'a=mid:"'),
    ],
)
def test_a_damaged_one_is_refused(old: str, new: str) -> None:
    text = OURS.encode()
    assert old in text
    with pytest.raises(ProtocolError):
        SessionDescription.decode(text.replace(old, new), Role.OFFER)


def test_a_long_one_is_refused() -> None:
    text = OURS.encode()
    fill = "a=x:" + "y" * (MAX_DESCRIPTION - len(text) - 6) + "\r\n"
    assert SessionDescription.decode(text + fill, Role.OFFER).username == "abcd"
    with pytest.raises(ProtocolError, match=f"more than {MAX_DESCRIPTION} bytes"):
        SessionDescription.decode(text + fill + "a", Role.OFFER)
    with pytest.raises(ProtocolError, match=f"more than {MAX_DESCRIPTION} bytes"):
        SessionDescription.decode(text + fill[:-9] + "\u20ac" * 8, Role.OFFER)


def test_the_best_of_many_candidates_are_kept() -> None:
    many = [Candidate("f", priority, "192.0.2.7", 40000 + priority, "host") for priority in range(1, 61)]
    text = SessionDescription(Role.OFFER, "abcd", "p" * 22, FINGERPRINT, many).encode()
    found = SessionDescription.decode(text, Role.OFFER).candidates
    assert [one.priority for one in found] == list(range(60, 60 - MAX_CANDIDATES, -1))


@pytest.mark.parametrize(
    "host",
    ["127.0.0.1", "127.9.9.9", "::1", "0.0.0.0", "0.1.2.3", "::", "224.0.0.251", "239.255.255.250", "255.255.255.255"]
    + ["240.0.0.1", "ff02::fb", "169.254.169.254", "fe80::1", "fe80::1%eth0", "2001:db8::1%2", "::ffff:127.0.0.1"]
    + ["::ffff:192.0.2.1", "call.example", "x.local", "192.0.2", "", "1.2.3.4.5", "0x7f.1", "127.1"],
)
def test_addresses_that_nobody_may_make_us_send_to(host: str) -> None:
    assert not is_permitted(host, 50000)
    text = OURS.encode().replace("192.0.2.7", host)
    assert [one.kind for one in SessionDescription.decode(text, Role.OFFER).candidates] == ["srflx", "relay"]


@pytest.mark.parametrize("host", ["192.168.1.2", "10.0.0.1", "100.64.0.1", "203.0.113.5", "fd00::2", "2001:db8::1"])
def test_addresses_of_networks_are_permitted(host: str) -> None:
    assert is_permitted(host, 1024)
    assert is_permitted(host, 65535)
    assert not is_permitted(host, 53)
    assert not is_permitted(host, 65536)


_LINES = st.sampled_from([*CHROMIUM.splitlines(), *FIREFOX.splitlines(), *OURS.encode().splitlines()])


@given(st.lists(st.one_of(_LINES, st.text(max_size=60)), max_size=40))
@example(["v=0", "a=candidate:"])
@example(["v=0", "a=candidate:1 1 udp 1 192.0.2.1 ² typ host"])
def test_whatever_a_stranger_sends_is_read_or_refused(lines: list[str]) -> None:
    try:
        found = SessionDescription.decode("\r\n".join(["v=0", *lines]), Role.OFFER)
    except ProtocolError:
        return
    assert len(found.candidates) <= MAX_CANDIDATES
    assert all(is_permitted(one.host, one.port) for one in found.candidates)


@given(st.integers(0, 2000), st.characters())
def test_one_changed_character_is_read_or_refused(position: int, character: str) -> None:
    text = CHROMIUM
    position %= len(text)
    with contextlib.suppress(ProtocolError):
        SessionDescription.decode(text[:position] + character + text[position + 1 :], Role.OFFER)
