"""Servers on a local network, with an independent peer of multicast DNS: announced, renamed, withdrawn; and hostile."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from mdns_peer import (
    AAAA,
    CALLS,
    PTR,
    SRV,
    TXT,
    A,
    MdnsPeer,
    Packet,
    Record,
    encode_name,
    encode_query,
    encode_response,
    encode_text,
    service,
)
from network_namespace import Machine, two_machines
from teleglyph.discovery.lan import LanAnnouncement, LanCall, LanSearch, find_on_lan
from teleglyph.keys import parse_public_keys
from teleglyph.printable import printable

KEY = bytes(range(32))
HOST = socket.gethostname().partition(".")[0]
NAME = "brave-green-fox"
_FIRST = 8
"""Hostile answers before the honest one; a search looks at a limited number of answers."""
_AFTERWARDS = 0.3
"""Seconds in which the hostile answers that follow have arrived as well."""


@pytest.fixture(scope="module")
def machines() -> Iterator[tuple[Machine, Machine]]:
    with two_machines() as pair:
        yield pair


@contextlib.contextmanager
def peer_on(machine: Machine, *answers: bytes) -> Iterator[MdnsPeer]:
    with machine.call(lambda: MdnsPeer(machine.address, answers)) as peer:
        yield peer


@contextlib.contextmanager
def server_on(machine: Machine, home: Path, *words: str) -> Iterator[subprocess.Popen[str]]:
    """A server with a data directory; it must end cleanly."""
    process = subprocess.Popen(
        [*machine.prefix, sys.executable, "-m", "teleglyph", "server", *words, "--data-dir", str(home)],
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "XDG_CONFIG_HOME": str(home)},
    )
    try:
        yield process
    finally:
        process.send_signal(signal.SIGTERM)
        _, log = process.communicate(timeout=20)
    assert process.returncode == 0, log
    assert "Traceback" not in log


@contextlib.contextmanager
def announcement_on(machine: Machine, **options: str) -> Iterator[Callable[[str], None]]:
    """An announcement in this process; yields a function that renames it."""
    loops: list[tuple[asyncio.AbstractEventLoop, asyncio.Event, LanAnnouncement]] = []
    ready = threading.Event()

    async def announce() -> None:
        announcement = LanAnnouncement(NAME, KEY, ["0.0.0.0", "::"], 27224, **options)
        stop = asyncio.Event()
        loops.append((asyncio.get_running_loop(), stop, announcement))
        await announcement.start()
        ready.set()
        await stop.wait()
        await announcement.close()
        await announcement.close()

    thread = threading.Thread(target=lambda: machine.call(lambda: asyncio.run(announce())))
    thread.start()
    assert ready.wait(20)
    loop, stop, announcement = loops[0]
    try:
        yield lambda name: asyncio.run_coroutine_threadsafe(announcement.rename(name), loop).result(20)
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join()


def find(machine: Machine, timeout: float = 1.5, name: str | None = None, key: bytes | None = None) -> list[LanCall]:
    return machine.call(lambda: asyncio.run(find_on_lan(timeout, name, key)))


def announces(packet: Packet, kind: int, lifetime: Callable[[int], bool] = bool) -> bool:
    return packet.is_response and any(record.kind == kind and lifetime(record.lifetime) for record in packet.records)


def texts(record: Record) -> list[bytes]:
    found, rest = [], record.data
    while rest:
        found.append(rest[1 : 1 + rest[0]])
        rest = rest[1 + rest[0] :]
    return found


# --- announcing -----------------------------------------------------------------------------------------------------


def test_a_server_announces_itself_and_says_goodbye(machines: tuple[Machine, Machine], tmp_path: Path) -> None:
    host, other = machines
    with peer_on(other) as peer:
        with server_on(host, tmp_path, "0.0.0.0", "::", "--port", "4321"):
            peer.wait_for(lambda packet: announces(packet, PTR))
            peer.wait_for(lambda packet: announces(packet, SRV))
            peer.received.clear()
            peer.send(encode_query(CALLS, PTR))
            answer = peer.wait_for(lambda packet: announces(packet, PTR))
            assert [record.data for record in answer.records if record.kind == PTR] == [f"{HOST}.{CALLS}".encode()]
            [described] = [record for record in answer.records if record.kind == SRV]
            assert described.name == f"{HOST}.{CALLS}"
            assert struct.unpack_from("!3H", described.data) == (0, 0, 4321)
            target = described.data[6:].decode()
            assert {record.name for record in answer.records if record.kind in (A, AAAA)} == {target}
            assert HOST not in target, "another program may own the machine's own name"
            addresses = [record.data for record in answer.records if record.kind == A]
            assert addresses == [socket.inet_aton(host.address)]
            [link_local] = [record.data for record in answer.records if record.kind == AAAA]
            assert link_local.startswith(b"\xfe\x80")
            [text] = [record for record in answer.records if record.kind == TXT]
            [identity] = parse_public_keys(str(tmp_path / "identity.pub"))
            assert sorted(texts(text)) == sorted(
                [b"session_string=", b"host_pubkey=" + identity.hex().encode(), b"v=1", b"name=" + HOST.encode()]
            )
            peer.received.clear()
        for kind in (PTR, SRV, TXT, A):
            peer.wait_for(lambda packet, kind=kind: announces(packet, kind, lambda lifetime: lifetime == 0), 2)  # type: ignore[misc]


@pytest.mark.parametrize("words", [("127.0.0.1",), ("0.0.0.0", "--no-lan")], ids=["loopback", "--no-lan"])
def test_a_server_that_must_not_announce_itself_does_not(
    machines: tuple[Machine, Machine], tmp_path: Path, words: tuple[str, ...]
) -> None:
    host, other = machines
    with peer_on(other) as peer, server_on(host, tmp_path, *words) as server:
        assert server.stderr is not None
        for line in server.stderr:
            if "Fingerprint" in line:
                break
        for _ in range(10):
            peer.send(encode_query(CALLS, PTR))
            time.sleep(0.2)
        assert peer.received == []


def test_a_taken_name_gets_a_number(machines: tuple[Machine, Machine]) -> None:
    host, other = machines
    with (
        peer_on(other, encode_response(service("Ann", other.address))) as peer,
        announcement_on(host, title="Ann"),
    ):
        peer.wait_for(lambda packet: announces(packet, SRV))
        assert {record.name for record in peer.records(SRV)} == {f"Ann-2.{CALLS}"}
        names = {texts(record)[-1] for record in peer.records(TXT)}
        assert names == {b"name=Ann"}, "people still see the title"


def test_a_new_name_of_the_call_is_announced(machines: tuple[Machine, Machine]) -> None:
    host, other = machines
    with peer_on(other) as peer, announcement_on(host) as rename:
        peer.wait_for(lambda packet: announces(packet, TXT))
        assert b"session_string=brave-green-fox" in texts(peer.records(TXT)[-1])
        rename("calm-red-owl")
        assert b"session_string=calm-red-owl" in texts(peer.records(TXT)[-1])
        assert [call.name for call in find(other)] == ["calm-red-owl"]


@pytest.mark.parametrize("title", ["a.b. c", "界" * 40, "x" * 300, " "], ids=["dots", "wide", "long", "blank"])
def test_any_title_can_be_announced(machines: tuple[Machine, Machine], title: str) -> None:
    host, other = machines
    with announcement_on(host, title=title):
        deadline = time.monotonic() + 10
        while not (found := find(other, 1.0, NAME)):
            assert time.monotonic() < deadline
        assert found[0].identity == KEY


def test_a_change_of_the_network_is_followed(machines: tuple[Machine, Machine]) -> None:
    host, other = machines
    moved = "10.77.0.99"
    with peer_on(other) as peer, announcement_on(host):
        peer.wait_for(lambda packet: announces(packet, A))
        peer.received.clear()
        host.ip("addr", "add", f"{moved}/24", "dev", host.device)
        host.ip("addr", "del", f"{host.address}/24", "dev", host.device)
        try:
            # Removing the first address of a network may remove the others.
            host.ip("addr", "replace", f"{moved}/24", "dev", host.device)
            peer.wait_for(lambda packet: any(record.data == socket.inet_aton(moved) for record in packet.records))
            [call] = find(other)
            assert call.host == moved
        finally:
            host.ip("addr", "add", f"{host.address}/24", "dev", host.device)
            host.ip("addr", "del", f"{moved}/24", "dev", host.device)
            host.ip("addr", "replace", f"{host.address}/24", "dev", host.device)


def test_a_server_is_announced_once_it_has_a_network(machines: tuple[Machine, Machine]) -> None:
    host, other = machines
    host.ip("link", "set", host.device, "down")
    try:
        with peer_on(other) as peer, announcement_on(host):
            host.ip("link", "set", host.device, "up")
            peer.wait_for(lambda packet: announces(packet, A))
    finally:
        host.ip("link", "set", host.device, "up")


# The library drops the socket that it cannot bind.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_a_port_that_cannot_be_used_is_a_warning(
    machines: tuple[Machine, Machine], caplog: pytest.LogCaptureFixture
) -> None:
    host, _ = machines
    blocker = host.call(lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
    with blocker:
        blocker.bind(("0.0.0.0", 5353))

        async def announce() -> None:
            announcement = LanAnnouncement(NAME, KEY, ["0.0.0.0"], 27224)
            await announcement.start()
            deadline = time.monotonic() + 20
            while "Cannot announce" not in caplog.text:
                assert time.monotonic() < deadline
                await asyncio.sleep(0.02)
            await announcement.rename("calm-red-owl")
            await announcement.close()

        host.call(lambda: asyncio.run(announce()))
        assert "Cannot announce the call on the local network: address already in use." in caplog.text
        assert find(host, 5) == [], "a search that cannot start ends at once"


# --- finding --------------------------------------------------------------------------------------------------------


def test_a_search_for_a_name_ends_when_it_is_found(machines: tuple[Machine, Machine]) -> None:
    host, other = machines
    with announcement_on(host, title="Ann's laptop"), peer_on(other) as peer:
        peer.wait_for(lambda packet: announces(packet, SRV))
        [call] = find(other, 100, NAME)
        assert (call.name, call.identity, call.host, call.port) == (NAME, KEY, host.address, 27224)
        assert call.title == "Ann's laptop"
        for same in (find(other, 100, NAME, KEY), find(other, 100, key=KEY)):
            # Whether its other addresses come in the same packet is up to the network.
            assert [(one.name, one.identity, one.host, one.port) for one in same] == [(NAME, KEY, host.address, 27224)]
        assert find(other, 0.5, "calm-red-owl") == []


def test_a_false_answer_does_not_end_a_search_for_an_identity(machines: tuple[Machine, Machine]) -> None:
    host, other = machines
    false = service("false", other.address, text=encode_text(b"session_string=" + NAME.encode()))
    with peer_on(other, encode_response(false)), announcement_on(host):
        [call] = find(host, 20, NAME, KEY)
        assert call.host == host.address


def test_a_withdrawn_call_disappears_from_a_search(machines: tuple[Machine, Machine]) -> None:
    host, other = machines
    seen: list[list[str]] = []
    present = encode_response(service("here", other.address))
    gone = encode_response(service("here", other.address, lifetime=0))
    with peer_on(other, present) as peer:

        async def watch() -> None:
            changed = asyncio.Event()
            async with LanSearch(changed.set) as search:
                while len(seen) < 2:
                    await changed.wait()
                    changed.clear()
                    seen.append([call.title for call in search.calls])
                    peer.answers.clear()
                    peer.send(gone)

        host.call(lambda: asyncio.run(watch()))
    assert seen == [["here"], []]


def test_a_search_without_a_network_ends_at_once(machines: tuple[Machine, Machine]) -> None:
    host, _ = machines
    host.ip("link", "set", host.device, "down")
    host.ip("addr", "flush", "dev", host.device)
    try:
        assert find(host, 100) == []
    finally:
        host.ip("addr", "add", f"{host.address}/24", "dev", host.device)
        host.ip("link", "set", host.device, "up")


# --- hostile peers --------------------------------------------------------------------------------------------------


def hostile_find(machines: tuple[Machine, Machine], *answers: bytes) -> list[LanCall]:
    """What a search has found shortly after a peer has sent hostile answers, and then an honest one."""
    host, other = machines

    async def search() -> list[LanCall]:
        changed = asyncio.Event()
        async with LanSearch(changed.set) as search, asyncio.timeout(20):
            while "honest" not in [call.title for call in search.calls]:
                await changed.wait()
                changed.clear()
            await asyncio.sleep(_AFTERWARDS)
            return search.calls

    # Servers without an identity are told apart by their address and port.
    honest = encode_response(service("honest", other.address, 4000))
    with peer_on(other, *answers[:_FIRST], honest, *answers[_FIRST:]):
        return host.call(lambda: asyncio.run(search()))


def test_a_thousand_services_become_at_most_twenty(machines: tuple[Machine, Machine]) -> None:
    many = [encode_response(service(f"call {number}", "10.77.0.2", 1000 + number)) for number in range(1000)]
    found = hostile_find(machines, *many)
    assert len(found) == 20
    assert "honest" in [call.title for call in found]


@pytest.mark.parametrize(
    "records",
    {
        "addresses of the internet": service("evil", "8.8.8.8"),
        "addresses of this machine": service("evil", "127.0.0.1"),
        "addresses of a group": service("evil", "224.0.0.1"),
        "mapped addresses": service("evil", "::ffff:127.0.0.1"),
        "no port": service("evil", port=0),
        "an invalid key": service("evil", text=encode_text(b"host_pubkey=" + b"12" * 31)),
        "a huge text": service("evil", text=encode_text(b"v=1", *[b"x" * 255] * 30)),
        "a text that ends early": service("evil", text=encode_text(b"v=9") + b"\xffshort"),
        "another version": service("evil", text=encode_text(b"v=9")),
        "a pointer to another type": [Record(CALLS, PTR, 120, encode_name("evil._http._tcp.local"))],
        "a pointer to the root": [Record(CALLS, PTR, 120, b"\0")],
        "a pointer to itself": [Record(CALLS, PTR, 120, encode_name(CALLS))],
    }.items(),
    ids=lambda item: item[0],
)
def test_hostile_services_are_not_listed(machines: tuple[Machine, Machine], records: tuple[str, list[Record]]) -> None:
    found = hostile_find(machines, encode_response(records[1]))
    assert [call.title for call in found] == ["honest"]


@pytest.mark.parametrize(
    "packet",
    [
        b"",
        b"\0",
        struct.pack("!6H", 0, 0x8400, 0, 65535, 0, 0),
        struct.pack("!6H", 0, 0x8400, 0, 1, 0, 0) + b"\xc0\x0c\0\x0c\0\x01\0\0\0\x78\0\x02\xc0\x0c",
        struct.pack("!6H", 0, 0x8400, 0, 1, 0, 0) + b"\xff" * 100,
        encode_response(service("cut"))[:-9],
        bytes(8900),
    ],
    ids=["empty", "one byte", "a false count", "a loop of names", "a bad name", "cut short", "zeros"],
)
def test_damaged_packets_do_not_end_a_search(machines: tuple[Machine, Machine], packet: bytes) -> None:
    assert [call.title for call in hostile_find(machines, packet)] == ["honest"]


@pytest.mark.parametrize(
    ("instance", "text"),
    [
        ("plain", encode_text(b"v=1", b"session_string=\x1b[2J", b"name=\x1b]0;owned\x07\nnext\xe2\x80\xaeevil")),
        ("\u202ereversed", encode_text(b"v=1")),
        ("\x1b[31mred", encode_text(b"v=1", b"name=red")),
    ],
    ids=["title", "instance", "instance with an escape sequence"],
)
def test_names_cannot_control_the_terminal(machines: tuple[Machine, Machine], instance: str, text: bytes) -> None:
    found = hostile_find(machines, encode_response(service(instance, port=5, text=text)))
    assert [call.name for call in found if call.port == 5] in ([""], [])
    assert "honest" in [call.title for call in found]
    for call in found:
        assert call.title == printable(call.title)
        assert not {"\x1b", "\x07", "\n", "\u202e"} & set(call.title)


def test_a_call_announced_many_times_is_one_call(machines: tuple[Machine, Machine]) -> None:
    text = encode_text(b"host_pubkey=" + KEY.hex().encode())
    copies = [encode_response(service(f"copy {number}", f"10.77.0.{number}", text=text)) for number in range(2, 60)]
    found = [call for call in hostile_find(machines, *copies) if call.identity == KEY]
    assert len(found) == 1
    assert len(found[0].hosts) == 8
