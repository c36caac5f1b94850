"""Names of a server, in all their spellings."""

import pytest

from teleglyph.net import OwnName, OwnNames
from teleglyph.net.own_names import plain_host, read_relay_url


def names(*urls: str, asked: str = "") -> OwnNames:
    found = [read_relay_url(url) for url in urls]
    assert None not in found
    return OwnNames(tuple(name for name in found if name is not None), asked)


@pytest.mark.parametrize(
    ("own", "url"),
    [
        ("wss://relay.example", "wss://relay.example"),
        ("wss://relay.example", "wss://relay.example/"),
        ("wss://relay.example", "ws://relay.example/events"),
        ("wss://relay.example", "https://relay.example/?a=b#c"),
        ("wss://relay.example", "WSS://Relay.EXAMPLE./"),
        ("wss://relay.example", "wss://relay.example:8443"),
        ("wss://relay.example", " wss://relay.example "),
        ("relay.example", "wss://relay.example"),
        ("RELAY.example.", "wss://relay.example"),
        ("wss://relay.example:443", "wss://relay.example"),
        ("wss://relay.example:443", "https://relay.example:443/x"),
        ("ws://relay.example:80/path", "ws://relay.example"),
        ("wss://relay.example:7777", "ws://relay.example:7777"),
        ("wss://bücher.example", "wss://xn--bcher-kva.example"),
        ("wss://xn--bcher-kva.example", "wss://BÜCHER.example"),
        ("wss://straße.example", "wss://xn--strae-oqa.example"),
        ("wss://relay.example", "wss://relay。example"),
        ("wss://[2001:db8::1]", "wss://[2001:0DB8:0:0::0001]:9"),
        ("wss://[::ffff:192.0.2.1]", "wss://192.0.2.1"),
        ("192.0.2.1", "wss://[::ffff:c000:201]"),
        ("wss://my_host.lan", "ws://MY_HOST.lan"),
    ],
)
def test_a_url_is_ours_however_it_is_spelled(own: str, url: str) -> None:
    assert names(own).is_own_url(url)


@pytest.mark.parametrize(
    "url",
    [
        "",
        "relay.example",
        "wss://",
        "wss:///relay.example",
        "wss://evil.example",
        "wss://evil.example/relay.example",
        "wss://evil.example/?wss://relay.example",
        "wss://evil.example#relay.example",
        "wss://relay.example.evil.example",
        "wss://evilrelay.example",
        "wss://sub.relay.example",
        "wss://relay.example@evil.example",
        "wss://evil.example@relay.example",
        "wss://user:pass@relay.example",
        "wss://evil.example\\@relay.example",
        "wss://relay.example\\.evil.example",
        "wss://rel\nay.example",
        "wss://relay.example\t",
        "wss://relay.example%00.evil.example",
        "wss://relay.example..",
        "wss://relay.example:0",
        "wss://relay.example:70000",
        "wss://relay.example:-1",
        "wss://relay.example:٣",
        "wss://relay.example:443:443",
        "ftp://relay.example",
        "javascript://relay.example",
        "wss://[relay.example]",
        "wss://[::1",
        "::[",
        "wss://relay.example/" + "x" * 5000,
        "wss://ｒelay.example.evil",
    ],
)
def test_everything_else_is_not(url: str) -> None:
    assert not names("wss://relay.example").is_own_url(url)


@pytest.mark.parametrize(
    ("own", "url"),
    [
        ("wss://relay.example:7777", "wss://relay.example"),
        ("wss://relay.example:7777", "wss://relay.example:7778"),
        ("wss://relay.example:443", "ws://relay.example"),
        ("wss://strasse.example", "wss://straße.example"),
        ("wss://127.0.0.1", "wss://localhost"),
        ("wss://[fd00::1]", "wss://[fd00::2]"),
    ],
)
def test_explicit_ports_and_similar_names_are_distinguished(own: str, url: str) -> None:
    assert not names(own).is_own_url(url)


@pytest.mark.parametrize(
    ("own", "host", "is_own"),
    [
        ("wss://relay.example", "relay.example", True),
        ("wss://relay.example", "Relay.Example.:8080", True),
        ("wss://relay.example", "evil.example", False),
        ("wss://relay.example", "", False),
        ("wss://relay.example", "relay.example, evil.example", False),
        ("wss://relay.example", "relay.example/", False),
        ("wss://relay.example", "a@relay.example", False),
        ("wss://relay.example:443", "relay.example", True),
        ("wss://relay.example:7777", "relay.example", False),
        ("wss://relay.example:7777", "relay.example:7777", True),
        ("wss://[::1]", "[0:0::1]:27226", True),
        ("wss://[::1]", "::1", False),
    ],
)
def test_a_host_header_is_ours_or_not(own: str, host: str, is_own: bool) -> None:
    assert names(own).is_own_host(host) is is_own


def test_a_wildcard_matches_one_label() -> None:
    own = OwnNames((OwnName("*.example"),))
    assert own.is_own_url("wss://relay.example")
    assert not own.is_own_url("wss://example")
    assert not own.is_own_url("wss://a.relay.example")
    assert not own.is_own_url("wss://.example")


def test_a_server_without_a_name_accepts_no_proof() -> None:
    own = OwnNames(asked="relay.example")
    assert not own.is_own_url("wss://relay.example")
    assert own.spellings == ()
    assert "--relay-url" in str(own)


def test_proofs_may_name_the_requested_host_if_it_is_ours_or_a_configured_one() -> None:
    assert names("wss://a.example", "b.example:99", asked="A.example:5").spellings == (
        "A.example:5",
        "a.example",
        "b.example:99",
    )
    assert names("wss://a.example", asked="evil.example").spellings == ("a.example",)


@pytest.mark.parametrize(
    "text", ["", "://", "http://", "wss://a b", "a/b", "wss://user@a", "a:99999", "ftp://a", "[::1"]
)
def test_other_texts_are_not_urls_of_a_server(text: str) -> None:
    assert read_relay_url(text) is None


@pytest.mark.parametrize("host", ["", ".", "a..b", "x" * 64, "a b", "a:1", "[::1", "ü" * 300])
def test_other_texts_are_not_hosts(host: str) -> None:
    assert plain_host(host) is None
