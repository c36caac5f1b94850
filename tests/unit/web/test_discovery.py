"""The page's discovery packets and its sealed channel are those of the Python programs."""

from __future__ import annotations

import hashlib
import json
import os
import random
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from teleglyph.keys.fingerprint import fingerprint
from teleglyph.keys.private import FileIdentity
from teleglyph.wire.acip.messages.base import Message, encode
from teleglyph.wire.acip.messages.text import ErrorMessage
from teleglyph.wire.acip.packet import split_packets
from teleglyph.wire.discovery import messages
from teleglyph.wire.discovery.messages import IceServer
from teleglyph.wire.rendezvous import JoinerKind, SealedHost

SCRIPTS = Path(__file__).parents[2] / "web"
NAME = "brave-otter-lantern"
SESSION, PAGE, HOST = (bytes((fill,)) * 16 for fill in (1, 2, 3))
IDENTITY = FileIdentity(bytes(range(32)))
SDP = "v=0\r\na=mid:0 é\r\n"
SERVERS = (
    IceServer("stun:stun.example.org:3478"),
    IceServer("turn:[2001:db8::1]:3478?transport=tcp", "1700000000:brave", "lR0N4apKe+5kS4xiG8YgxkTCrfY="),
)


def hexed(data: bytes) -> str:
    return "0x" + data.hex()


def run_page(encoded: list[list[Any]], decoded: list[list[Any]]) -> tuple[list[bytes], list[Any]]:
    text = json.dumps({"encode": encoded, "decode": decoded})
    command = ["node", str(SCRIPTS / "discovery_messages.js")]
    done = subprocess.run(command, input=text, capture_output=True, text=True, timeout=120, check=True)
    result = json.loads(done.stdout)
    return [bytes.fromhex(one) for one in result["encoded"]], result["decoded"]


def test_the_page_encodes_the_same_bytes() -> None:
    body = random.Random(1).randbytes(16384)
    now = 1_700_000_000_123
    pairs: list[tuple[list[Any], Message]] = [
        (["sessionLookup", NAME], messages.SessionLookup(NAME)),
        (["sessionJoin", NAME, now], messages.SessionJoin(NAME, timestamp=now)),
        (["sessionLeave", hexed(SESSION), hexed(PAGE)], messages.SessionLeave(SESSION, PAGE)),
        (
            ["rendezvous", hexed(SESSION), hexed(PAGE), hexed(HOST), hexed(body)],
            messages.Rendezvous(SESSION, PAGE, HOST, body),
        ),
        (["waysOffer", SDP], messages.WaysOffer(SDP)),
    ]
    encoded, _ = run_page([call for call, _ in pairs], [])
    assert encoded == [encode(message) for _, message in pairs]


def test_the_page_reads_the_same_fields() -> None:
    addresses = (messages.DirectAddress(0, "192.0.2.7", 27224), messages.DirectAddress(1, "2001:db8::7", 27224))
    joined = messages.SessionJoined(
        success=True, participant_id=PAGE, session_id=SESSION, has_host=True, host_id=HOST, error="ignored"
    )
    cases: list[tuple[str, Message, Any]] = [
        (
            "readSessionInfo",
            messages.SessionInfo(found=True, session_id=SESSION, identity=bytes(range(32)), capabilities=7),
            {"isFound": True, "session": SESSION.hex(), "capabilities": 7},
        ),
        (
            "readSessionJoined",
            joined,
            {"refusal": 0, "text": "ignored", "participant": PAGE.hex(), "session": SESSION.hex(), "host": HOST.hex()},
        ),
        (
            "readRendezvous",
            messages.Rendezvous(SESSION, HOST, PAGE, b"body"),
            {"session": SESSION.hex(), "sender": HOST.hex(), "recipient": PAGE.hex(), "data": b"body".hex()},
        ),
        (
            "readWays",
            messages.Ways(addresses, SERVERS),
            [{"urls": one.url, "username": one.username, "credential": one.credential} for one in SERVERS],
        ),
        ("readWays", messages.Ways(), []),
        ("readSdp", messages.WaysAnswer(SDP), SDP),
    ]
    calls: list[list[Any]] = [[name, hexed(message.encode_payload())] for name, message, _ in cases]
    errors: list[tuple[Message, Any]] = [
        (ErrorMessage(44, "The host is away."), {"code": 44, "text": "The host is away."}),
        (messages.AcipError(5, "Wait."), {"code": 5, "text": "Wait."}),
    ]
    calls += [["readServiceError", int(message.type), hexed(message.encode_payload())] for message, _ in errors]
    _, decoded = run_page([], calls)
    assert decoded == [wanted for _, _, wanted in cases] + [wanted for _, wanted in errors]


def test_the_page_refuses_payloads_that_are_cut_off_or_too_long() -> None:
    ways = messages.Ways((messages.DirectAddress(0, "192.0.2.7", 1),), SERVERS).encode_payload()
    calls = [["readWays", hexed(ways[:size])] for size in range(len(ways))]
    calls += [["readSessionInfo", hexed(bytes(49))], ["readSessionJoined", hexed(bytes(194))]]
    calls += [["readRendezvous", hexed(bytes(size))] for size in (0, 47, 48, 48 + 16385)]
    calls += [["readSdp", hexed(bytes(12001))]]
    _, decoded = run_page([], calls)
    assert [list(one) for one in decoded] == [["error"]] * len(calls)


# --- the sealed channel -------------------------------------------------------------------------------------


class Page:
    """The page's end, in a process of its own."""

    def __init__(self) -> None:
        command = ["node", str(SCRIPTS / "sealed_joiner.js")]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def close(self) -> None:
        self._process.communicate(timeout=60)
        assert self._process.returncode == 0

    def ask(self, **request: str | bytes) -> Any:
        """What the page answers: a result or an error."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        texts = {name: one.hex() if isinstance(one, bytes) else one for name, one in request.items()}
        self._process.stdin.write(json.dumps(texts) + "\n")
        self._process.stdin.flush()
        return json.loads(self._process.stdout.readline())

    def get(self, **request: str | bytes) -> bytes:
        return bytes.fromhex(self.ask(**request)["result"])


@pytest.fixture(scope="module")
def page() -> Iterator[Page]:
    page = Page()
    yield page
    page.close()


def open_channel(page: Page) -> SealedHost:
    host = SealedHost(IDENTITY, SESSION)
    answer = host.answer(page.get(open=SESSION))
    assert page.get(receive=answer) == b""
    return host


def test_page_and_host_understand_each_other(page: Page) -> None:
    host = open_channel(page)
    assert host.kind is JoinerKind.PAGE
    assert page.get() == IDENTITY.public_key
    for size in (1, 1000, 16367):
        packets = os.urandom(size)
        assert host.receive(page.get(seal=packets)) == packets
        assert page.get(receive=host.seal(packets)) == packets


def test_each_channel_has_another_key(page: Page) -> None:
    assert len({page.get(open=SESSION) for _ in range(3)}) == 3


def flipped(data: bytes, at: int) -> bytes:
    return data[:at] + bytes((data[at] ^ 1,)) + data[at + 1 :]


@pytest.mark.parametrize("at", [0, 1, 32, 33, 64, 65, 128])
def test_a_changed_answer_of_the_host_is_refused(page: Page, at: int) -> None:
    host = SealedHost(IDENTITY, SESSION)
    answer = host.answer(page.get(open=SESSION))
    assert "error" in page.ask(receive=flipped(answer, at))
    assert "error" in page.ask(receive=answer), "the channel goes on after an error"
    assert "error" in page.ask(seal=b"secret")


def test_an_answer_for_another_session_or_another_joiner_is_refused(page: Page) -> None:
    other = SealedHost(IDENTITY, HOST)
    assert "error" in page.ask(receive=other.answer(page.get(open=SESSION)))
    replayed = SealedHost(IDENTITY, SESSION).answer(page.get(open=SESSION))
    page.get(open=SESSION)
    assert "error" in page.ask(receive=replayed)


@pytest.mark.parametrize("size", [0, 1, 33, 128, 130])
def test_an_answer_of_another_size_is_refused(page: Page, size: int) -> None:
    page.get(open=SESSION)
    assert "error" in page.ask(receive=b"\x02" * size)


@pytest.mark.parametrize(
    "point",
    [
        bytes(32),
        (1).to_bytes(32, "little"),
        bytes.fromhex("e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800"),
    ],
    ids=["zero", "one", "order 8"],
)
def test_a_key_that_makes_the_secret_predictable_is_refused(page: Page, point: bytes) -> None:
    first = page.get(open=SESSION)
    key = Ed25519PrivateKey.generate()
    text = b"teleglyph rendezvous 1" + hashlib.sha256(first).digest() + point + SESSION
    answer = b"\x02" + point + key.public_key().public_bytes_raw() + key.sign(text)
    assert "error" in page.ask(receive=answer)


@pytest.mark.parametrize(
    "damage",
    [
        lambda message: flipped(message, 0),
        lambda message: flipped(message, 1),
        lambda message: flipped(message, len(message) - 1),
        lambda message: message[:-1],
        lambda message: message + b"\0",
        lambda message: b"",
        lambda message: b"\x03",
        lambda message: message[:17],
    ],
    ids=["kind", "first byte", "tag", "shorter", "longer", "nothing", "kind only", "no packets"],
)
def test_a_changed_message_ends_the_channel(page: Page, damage: Callable[[bytes], bytes]) -> None:
    host = open_channel(page)
    message = host.seal(b"some packets")
    assert "error" in page.ask(receive=damage(message))
    assert "error" in page.ask(receive=message)


def test_repeated_reordered_and_reflected_messages_are_refused(page: Page) -> None:
    host = open_channel(page)
    first = host.seal(b"first")
    assert page.get(receive=first) == b"first"
    assert "error" in page.ask(receive=first)
    host = open_channel(page)
    host.seal(b"first, which was lost")
    assert "error" in page.ask(receive=host.seal(b"second"))
    open_channel(page)
    assert "error" in page.ask(receive=page.get(seal=b"own"))


def test_the_page_shows_the_fingerprint_of_ssh_keygen(page: Page) -> None:
    for _ in range(5):
        key = os.urandom(32)
        assert page.ask(key=key) == {"result": fingerprint(key)}


def test_the_password_is_only_in_what_is_sealed(page: Page) -> None:
    host = open_channel(page)
    hello = encode(messages.WaysOffer("password123"))
    sealed = page.get(seal=hello)
    assert b"password123" not in sealed
    assert list(split_packets(host.receive(sealed))) == [hello]
