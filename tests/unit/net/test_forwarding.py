"""Finding the client behind a proxy, with tables of headers."""

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from teleglyph.net.forwarding import Client, client_of

TRUSTED = [ipaddress.ip_network(text) for text in ("127.0.0.0/8", "10.0.0.0/8", "fd00::/8", "::1/128")]
F, X = "Forwarded", "X-Forwarded-For"


@pytest.mark.parametrize(
    ("headers", "address"),
    [
        ([(X, "192.0.2.7")], "192.0.2.7"),
        ([(X, "192.0.2.7:4711")], "192.0.2.7"),
        ([(X, "2001:db8::7")], "2001:db8::7"),
        ([(X, "[2001:DB8::7]")], "2001:db8::7"),
        ([(X, "[2001:db8::7]:4711")], "2001:db8::7"),
        ([(X, "::ffff:192.0.2.7")], "192.0.2.7"),
        ([(X, "fe80::7%eth0")], "fe80::7"),
        ([(X, "198.51.100.1, 192.0.2.7")], "192.0.2.7"),
        ([(X, "192.0.2.7, 10.0.0.1, 10.0.0.2")], "192.0.2.7"),
        ([(X, "192.0.2.7,,10.0.0.1, ")], "192.0.2.7"),
        ([(X, "198.51.100.1"), (X, "192.0.2.7")], "192.0.2.7"),
        ([(X, "10.0.0.1, 10.0.0.2")], "10.0.0.1"),
        ([(X, "127.0.0.1")], "127.0.0.1"),
        ([("x-FORWARDED-for", "192.0.2.7")], "192.0.2.7"),
        ([(F, "for=192.0.2.7")], "192.0.2.7"),
        ([(F, "For=192.0.2.7;Proto=https;by=10.0.0.9")], "192.0.2.7"),
        ([(F, 'proto=http; for="192.0.2.7:4711" ; host="a;b,c"')], "192.0.2.7"),
        ([(F, 'for="[2001:db8::7]:4711"')], "2001:db8::7"),
        ([(F, 'for="[2001:db8::7]:_port"')], "2001:db8::7"),
        ([(F, "for=[2001:db8::7]")], "2001:db8::7"),
        ([(F, "for=192.0.2.7:80")], "192.0.2.7"),
        ([(F, r'for="192\.0.2.7"')], "192.0.2.7"),
        ([(F, "for=198.51.100.1, for=192.0.2.7, for=10.0.0.1")], "192.0.2.7"),
        ([(F, "for=198.51.100.1"), (F, "for=192.0.2.7")], "192.0.2.7"),
        ([(F, ",, for=192.0.2.7 ,")], "192.0.2.7"),
        ([(F, "for=192.0.2.7"), (X, "192.0.2.7")], "192.0.2.7"),
        # Hidden, or garbage: the last proxy that is known.
        ([(X, "unknown")], "127.0.0.1"),
        ([(X, "192.0.2.7, unknown, 10.0.0.2")], "10.0.0.2"),
        ([(X, "192.0.2.7, <script>")], "127.0.0.1"),
        ([(X, "[192.0.2.7]")], "127.0.0.1"),
        ([(X, "1.2.3")], "127.0.0.1"),
        ([(X, "")], "127.0.0.1"),
        ([(F, "for=unknown")], "127.0.0.1"),
        ([(F, "for=192.0.2.7, for=_hidden")], "127.0.0.1"),
        ([(F, 'for="_SEVKISEK:80", for=10.0.0.3')], "10.0.0.3"),
        ([(F, "for=192.0.2.7, proto=https")], "127.0.0.1"),
        ([(F, "for=192.0.2.7;for=198.51.100.1")], "127.0.0.1"),
        ([(F, "192.0.2.7")], "127.0.0.1"),
        ([(F, "for=192.0.2.7 proto=https")], "127.0.0.1"),
        # An unterminated quoted string hides no entries.
        ([(F, 'for="x'), (F, "for=192.0.2.7")], "127.0.0.1"),
        ([(F, 'for=198.51.100.1;by="'), (F, 'for="[2001:db8::7]"')], "127.0.0.1"),
        # Two headers that disagree.
        ([(F, "for=198.51.100.1"), (X, "192.0.2.7")], "127.0.0.1"),
        ([("X-Real-IP", "192.0.2.7")], "127.0.0.1"),
        ([("Via", "1.1 proxy")], "127.0.0.1"),
    ],
)
def test_headers_of_a_trusted_proxy_name_the_client(headers: list[tuple[str, str]], address: str) -> None:
    client = client_of("127.0.0.1", headers, TRUSTED)
    assert client == Client(address, is_direct=False)
    assert not client.is_local


@pytest.mark.parametrize("peer", ["192.0.2.1", "127.0.0.1", "::1", "unknown", ""])
@pytest.mark.parametrize(
    "header",
    [F, X, "Via", "X-Real-IP", "X-Forwarded-Host", "X-Forwarded-Proto", "X-FORWARDED-SERVER", "CF-Connecting-IP"],
)
def test_an_untrusted_proxy_counts_as_a_remote_client(peer: str, header: str) -> None:
    client = client_of(peer, [("Host", "a"), (header, "for=127.0.0.1")], [])
    assert client == Client(peer, is_direct=False)
    assert not client.is_local


@pytest.mark.parametrize(
    ("peer", "is_local"),
    [("127.0.0.1", True), ("127.9.9.9", True), ("::1", True), ("::ffff:127.0.0.1", True), ("192.0.2.1", False)],
)
def test_without_a_proxy_the_connection_decides(peer: str, is_local: bool) -> None:
    client = client_of(peer, [("Host", "a"), ("Accept", "*/*")], TRUSTED)
    assert (client.address, client.is_local) == (peer, is_local)


def test_a_chain_without_end_is_cut() -> None:
    assert client_of("127.0.0.1", [(X, "192.0.2.7," + "10.0.0.1," * 5000)], TRUSTED).address == "10.0.0.1"


@given(st.lists(st.tuples(st.sampled_from([F, X]), st.text('for=",;[]:.\\ 12ab_', max_size=40)), max_size=4))
def test_entries_forged_by_a_client_never_change_its_address(forged: list[tuple[str, str]]) -> None:
    """The proxy appends an entry; the result is the address that the proxy saw, or the proxy's."""
    for name, honest in ((F, "for=192.0.2.7"), (X, "192.0.2.7")):
        lines = [value for written, value in forged if written == name]
        other = [(written, value) for written, value in forged if written != name]
        appended = [*other, (name, ", ".join([*lines, honest]))]
        assert client_of("127.0.0.1", appended, TRUSTED).address in ("192.0.2.7", "127.0.0.1")
