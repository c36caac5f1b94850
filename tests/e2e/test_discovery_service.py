"""The real discovery service: ascii-chat's clients, ours, WebSockets, restarts and attacks."""

from __future__ import annotations

import asyncio
import contextlib
import json
import random
import signal
import socket
import ssl
import struct
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import nacl.pwhash
import nacl.signing
import pytest

import acip_peer as acip
from discovery_process import (
    ANNOUNCEMENT,
    CREATE,
    CREATED,
    DESIGNATED,
    INFO,
    JOIN,
    JOINED,
    LEAVE,
    LOOKUP,
    PARTICIPANT_JOINED,
    PARTICIPANT_LEFT,
    RENDEZVOUS,
    SDP,
    DiscoveryPeer,
    DiscoveryProcess,
    create,
    join,
    joined,
    lookup,
)
from teleglyph.discovery.service_client import ServiceClient
from teleglyph.errors import (
    ConnectionLostError,
    HostAwayError,
    NameTakenError,
    NoSuchSessionError,
    PeerError,
    RateLimitError,
    VerificationError,
)
from teleglyph.keys import FileIdentity
from teleglyph.wire.acip import ErrorMessage
from teleglyph.wire.discovery import (
    Capability,
    ParticipantJoined,
    ParticipantLeft,
    ProbeResult,
    Rendezvous,
    SessionCreate,
)
from websocket_peer import WebSocketPeer

HOST, OTHER = FileIdentity(b"h" * 32), FileIdentity(b"o" * 32)
OURS = SessionCreate(
    capabilities=Capability.VIDEO | Capability.AUDIO | Capability.RENDEZVOUS, session_type=1, has_password=True
)
HASH = nacl.pwhash.argon2id.str(b"correct horse", opslimit=1, memlimit=8192).rstrip(b"\0")


class DiscoverySocketPeer(WebSocketPeer, DiscoveryPeer):
    """A client over WebSocket."""


def accept(_address: str, _identity: bytes | None) -> None:
    """Trust any service."""


@pytest.fixture
def start_service() -> Iterator[Callable[..., DiscoveryProcess]]:
    services: list[DiscoveryProcess] = []

    def start(*options: str, **values: object) -> DiscoveryProcess:
        services.append(DiscoveryProcess(*options, **values))  # type: ignore[arg-type]
        return services[-1]

    yield start
    for service in services:
        was_running = service.process.poll() is None
        code = service.stop()
        assert not was_running or code == 0, "".join(service.log)
        assert "Traceback" not in "".join(service.log), "".join(service.log)


@pytest.fixture(scope="module")
def service() -> Iterator[DiscoveryProcess]:
    """A service for ascii-chat's programs, shared by tests that use addresses of their own."""
    process = DiscoveryProcess("--allow-plaintext", "--websocket-port", "0")
    yield process
    assert process.stop() == 0
    assert "Traceback" not in "".join(process.log), "".join(process.log)


@pytest.fixture
def peer(service: DiscoveryProcess, request: pytest.FixtureRequest) -> Iterator[Callable[[], DiscoveryPeer]]:
    """Connects clients from a loopback address of the test's own, so that tests do not share rates."""
    source = f"127.{random.Random(request.node.nodeid).randrange(1, 250)}.{random.randrange(250)}.9"
    peers: list[DiscoveryPeer] = []

    def connect() -> DiscoveryPeer:
        peers.append(DiscoveryPeer(service.port, source=source))
        return peers[-1]

    yield connect
    for one in peers:
        one.close()


@pytest.fixture(autouse=True)
def _closed_peers() -> Iterator[None]:
    yield
    DiscoveryPeer.close_all()


def get(port: int, path: str, headers: dict[str, str] | None = None) -> tuple[int, str]:
    request = urllib.request.Request(f"http://127.0.0.1:{port}{path}", headers=headers or {})
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:  # noqa: S310
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read().decode()


# --- ascii-chat's clients -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("generation", ["discovery mode", "server --discovery", "whole handshake"])
def test_clients_of_ascii_chat_create_join_and_signal(
    generation: str, service: DiscoveryProcess, start_service: Callable[..., DiscoveryProcess]
) -> None:
    used = start_service() if generation == "whole handshake" else service
    peers = [DiscoveryPeer(used.port, source=f"127.{60 + len(generation)}.0.{number}") for number in (1, 2)]
    for one in peers:
        if generation == "discovery mode":
            assert len(one.short_handshake()) == 32
        elif generation == "whole handshake":
            one.handshake()
            assert one.key is not None
    first, second = peers
    name, session = first.create(kind=1, address=b"127.0.0.1")
    own = first.join_session(name)
    info = second.ask(LOOKUP, lookup(name), INFO)
    assert (len(info), info[0], info[1:17], info[50:54]) == (72, 1, session, bytes((8, 1, 1, 0)))
    theirs = second.join_session(name)
    assert (theirs["success"], theirs["session"], theirs["address"]) == (1, session, "")
    kind, announced = first.hear()
    assert (kind, announced[:32], announced[64]) == (PARTICIPANT_JOINED, session + theirs["id"], 2)  # type: ignore[operator]
    ids = session + theirs["id"] + own["id"]  # type: ignore[operator]
    second.tell(SDP, ids + b"\0" + struct.pack(">H", 3) + b"v=0")
    assert first.hear() == (SDP, ids + b"\0\0\3v=0")
    first.tell(ANNOUNCEMENT, session + own["id"] + b"127.0.0.1".ljust(64, b"\0") + struct.pack("<HB", 27224, 0))  # type: ignore[operator]
    kind, designated = second.hear()
    assert (kind, designated) == (DESIGNATED, session + own["id"] + bytes(67))  # type: ignore[operator]
    second.tell(LEAVE, session + theirs["id"])  # type: ignore[operator]
    assert first.hear() == (PARTICIPANT_LEFT, session + theirs["id"] + b"\0\1")  # type: ignore[operator]
    for one in peers:
        one.close()


def test_plaintext_is_refused_without_the_option_and_the_error_says_so(
    start_service: Callable[..., DiscoveryProcess],
) -> None:
    service = start_service()
    peer = DiscoveryPeer(service.port)
    code, text = peer.refused(LOOKUP, lookup("quiet-river-stone"))
    assert (code, "--allow-plaintext" in text) == (63, True)
    with pytest.raises(acip.PeerClosedError):
        peer.receive_outer()
    peer = DiscoveryPeer(service.port)
    peer.send_raw(acip.packet(acip.PROTOCOL_VERSION, struct.pack(">HHBBBH7x", 1, 0, 1, 0, 0, 0)))
    assert peer.receive_outer()[0] == acip.PROTOCOL_VERSION
    kind, content = peer.receive_outer()  # discovery mode waits for something else
    assert (kind, b"--allow-plaintext" in content) == (acip.ERROR_MESSAGE, True)


def test_the_reveal_rule_on_the_wire(peer: Callable[[], DiscoveryPeer]) -> None:
    key = nacl.signing.SigningKey.generate()
    for values, password, is_shown in (
        ({}, b"", False),
        ({"key": key}, b"", False),
        ({"expose": True}, b"", True),
        ({"password": HASH}, b"correct horse", True),
        ({"password": HASH}, b"wrong", False),
        ({"password": HASH}, b"", False),
    ):
        host, guest = peer(), peer()
        name, _ = host.create(**values)
        content = guest.ask(JOIN, join(name, password), JOINED)
        own = host.socket.getsockname()[0]
        answer = joined(content)
        assert answer["success"] == (password == b"correct horse" or "password" not in values)
        assert (answer["address"], answer["port"]) == ((own, 27224) if is_shown else ("", 0))
        assert (own.encode() in content) is is_shown
        guest.tell(LOOKUP, lookup(name))
        assert own.encode() not in guest.hear()[1], "a lookup never shows it"
        host.close()


def test_a_third_partys_address_or_key_cannot_be_registered(peer: Callable[[], DiscoveryPeer]) -> None:
    assert peer().refused(CREATE, create(expose=True, address=b"198.51.100.1"))[0] == 86
    key, victim = nacl.signing.SigningKey.generate(), nacl.signing.SigningKey.generate()
    stolen = bytearray(create(key=key))
    stolen[:32] = bytes(victim.verify_key)
    assert peer().refused(CREATE, bytes(stolen))[0] == 64
    captured = create(key=key)
    assert peer().ask(CREATE, captured, CREATED)
    assert peer().refused(CREATE, captured) == (64, "This signature was used before. Sign each request anew.")


def test_a_name_that_was_announced_but_not_sent_is_refused(peer: Callable[[], DiscoveryPeer]) -> None:
    payload = bytearray(create())
    payload[237] = 17  # as ascii-chat's client library does
    code, text = peer().refused(CREATE, bytes(payload))
    assert (code, "name" in text) == (86, True)


# --- attacks --------------------------------------------------------------------------------------------------------


def test_relay_abuse_is_refused_on_the_wire(peer: Callable[[], DiscoveryPeer]) -> None:
    host, guest, stranger = peer(), peer(), peer()
    name, session = host.create(kind=1)
    own, theirs = host.join_session(name), guest.join_session(name)
    host.hear()
    forged = session + own["id"] + theirs["id"] + b"\0\0\3v=0"  # type: ignore[operator]
    assert stranger.refused(SDP, forged)[0] == 44, "in no session"
    assert guest.refused(SDP, forged)[0] == 86, "in the name of the host"
    elsewhere, other_session = stranger.create(kind=1)
    stranger.join_session(elsewhere)
    assert stranger.refused(SDP, forged)[0] == 44, "into another session"
    wrong = other_session + theirs["id"] + own["id"] + b"\0\0\3v=0"  # type: ignore[operator]
    assert guest.refused(SDP, wrong)[0] == 44
    assert guest.refused(RENDEZVOUS, session + theirs["id"] + own["id"] + b"x")[0] == 86  # type: ignore[operator]
    assert guest.refused(LEAVE, session + own["id"])[0] == 86, "removing somebody else"  # type: ignore[operator]
    host.socket.settimeout(0.3)
    with pytest.raises(TimeoutError):
        host.hear()


def test_guesses_of_names_and_floods_of_sessions_are_cut_off(service: DiscoveryProcess) -> None:
    guesser = DiscoveryPeer(service.port, source="127.77.0.1")
    answers = []
    for number in range(60):
        guesser.tell(LOOKUP, lookup(f"quiet-river-{chr(97 + number % 26) * 4}"))
        answers.append(guesser.hear()[0])
    assert answers == [INFO] * 30 + [acip.ERROR_MESSAGE] * 30
    answers = []
    for _ in range(40):  # over many connections
        flooder = DiscoveryPeer(service.port, source="127.77.0.2")
        flooder.tell(CREATE, create())
        answers.append(flooder.hear()[0])
        flooder.close()
    assert answers == [CREATED] * 10 + [acip.ERROR_MESSAGE] * 30
    text = get(service.port, "/metrics")[1]
    assert 'teleglyph_discovery_refused_total{reason="rate"}' in text


def test_damaged_packets_get_answers_or_an_end_and_harm_nobody(service: DiscoveryProcess) -> None:
    numbers = random.Random(1)
    whole = [(CREATE, create()), (LOOKUP, lookup("quiet-river-stone")), (JOIN, join("quiet-river-stone"))]
    whole += [(SDP, bytes(51)), (RENDEZVOUS, bytes(49)), (6006, bytes(32)), (6065, bytes(60)), (6115, b"\0\0")]
    for kind, payload in whole:
        for damaged in (payload[:-1], payload + b"x", b"", bytes(numbers.randbytes(len(payload)))):
            with contextlib.closing(DiscoveryPeer(service.port, source="127.78.0.1")) as peer:
                peer.tell(kind, damaged)
                assert peer.hear()[0] in (acip.ERROR_MESSAGE, CREATED, INFO, JOINED, 6116)
    with contextlib.closing(DiscoveryPeer(service.port, source="127.78.0.2")) as peer:
        for number in range(20):
            assert peer.refused(6066 + number % 5 * 4, b"")[0] == 86, "types that only exist elsewhere"
        peer.tell(6190, b"")
        assert peer.hear()[0] == acip.ERROR_MESSAGE
        with pytest.raises(acip.PeerClosedError):
            peer.receive_outer()
    for bad in (acip.HEADER.pack(acip.MAGIC, LOOKUP, 1 << 30, 0, 0), b"\xff" * 64, acip.packet(LOOKUP, bytes(70_000))):
        with contextlib.closing(DiscoveryPeer(service.port, source="127.78.0.3")) as peer:
            peer.tell(acip.PING, b"")
            assert peer.hear()[0] == acip.PONG
            with contextlib.suppress(ConnectionError):
                peer.send_raw(bad)
            with pytest.raises(acip.PeerClosedError):
                peer.receive_outer()
    with contextlib.closing(DiscoveryPeer(service.port, source="127.78.0.4")) as peer:
        assert peer.ask(LOOKUP, lookup("quiet-river-stone"), INFO) == bytes(72)


# --- our clients ----------------------------------------------------------------------------------------------------


def test_host_and_joiner_meet_over_link_2(start_service: Callable[..., DiscoveryProcess], lan_address: str) -> None:
    service = start_service("--stun-servers", "stun:stun.example.org:3478", address=lan_address)

    async def meet() -> None:
        shown: list[tuple[str, bytes | None]] = []
        async with (
            ServiceClient.open(
                lan_address, service.port, check_identity=lambda *seen: shown.append(seen), identity=HOST
            ) as host,
            ServiceClient.open(lan_address, service.port, check_identity=accept) as guest,
        ):
            assert shown[0][0] == f"{lan_address}:{service.port}"
            assert shown[0][1] is not None
            created = await host.create(OURS)
            found = await guest.lookup(created.name)
            assert found is not None
            assert found.identity == HOST.public_key
            me = await guest.join(created.name)
            message = Rendezvous(created.session_id, me.participant_id, me.host_id, b"hello")
            guest.send(message)
            kinds = []
            async for event in host.messages():
                kinds.append(type(event).__name__)
                if event == message:
                    break
            assert kinds == ["IceServers", "ParticipantJoined", "Rendezvous"]
            host.send(Rendezvous(created.session_id, me.host_id, me.participant_id, b"welcome"))
            assert (await anext(guest.messages())).body == b"welcome"  # type: ignore[attr-defined]
            with socket.create_server((lan_address, 0)) as listening:
                assert (await guest.probe(listening.getsockname()[1])).result == ProbeResult.REACHED
            await guest.leave()
            assert isinstance(await anext(host.messages()), ParticipantLeft)
            with pytest.raises(NoSuchSessionError):
                await guest.join("no-such-name")
            again = await guest.join(created.name)
            await host.leave_as(created.session_id, created.participant_id)
            assert isinstance(await anext(guest.messages()), ParticipantLeft)
            assert await guest.lookup(created.name) is None
            guest.send(Rendezvous(created.session_id, again.participant_id, again.host_id, b"?"))
            assert isinstance(await anext(guest.messages()), ErrorMessage)

    asyncio.run(meet())


def test_a_client_refuses_the_wrong_service_and_says_what_is_wrong(
    service: DiscoveryProcess, start_service: Callable[..., DiscoveryProcess]
) -> None:
    def refuse(_address: str, _identity: bytes | None) -> None:
        raise VerificationError("not this one")

    async def connect(port: int, **options: object) -> None:
        async with ServiceClient.open("127.0.0.1", port, check_identity=refuse, **options):  # type: ignore[arg-type]
            raise AssertionError("connected")

    for options in ({}, {"insecure": True}):
        with pytest.raises(VerificationError, match="not this one"):
            asyncio.run(connect(service.port, **options))
    with pytest.raises(PeerError, match=r"Nobody listens on 127.0.0.1:9.* A discovery service uses port 27225"):
        asyncio.run(connect(9))
    with pytest.raises(PeerError, match="takes no plaintext"):
        asyncio.run(connect(start_service().port, insecure=True))


def test_our_client_uses_a_service_in_plaintext_if_told_so(service: DiscoveryProcess) -> None:
    async def use() -> None:
        async with ServiceClient.open(
            "127.0.0.1", service.port, check_identity=accept, insecure=True, identity=OTHER
        ) as client:
            created = await client.create(SessionCreate(port=27224))
            assert (await client.join(created.name)).success
            with pytest.raises(PeerError, match="encrypted"):
                await client.leave()
                await client.create(OURS)

    asyncio.run(use())


def test_the_rates_of_the_service_reach_its_client(start_service: Callable[..., DiscoveryProcess]) -> None:
    service = start_service()

    async def guess() -> None:
        async with ServiceClient.open("127.0.0.1", service.port, check_identity=accept) as client:
            for _ in range(30):
                assert await client.lookup("quiet-river-stone") is None
            with pytest.raises(RateLimitError):
                await client.lookup("quiet-river-stone")

    asyncio.run(guess())


def test_sigkill_and_restart_keep_sessions_for_their_owners(
    start_service: Callable[..., DiscoveryProcess], tmp_path: Path
) -> None:
    service = start_service(data=str(tmp_path))

    async def register(port: int, identity: FileIdentity, name: str = "") -> tuple[str, bytes, bytes]:
        async with ServiceClient.open("127.0.0.1", port, check_identity=accept, identity=identity) as host:
            created = await host.create(SessionCreate(capabilities=OURS.capabilities, session_type=1, wanted_name=name))
            if not name:
                service.stop(signal.SIGKILL)
                with pytest.raises(ConnectionLostError):
                    async for _ in host.messages():
                        pass
            return created.name, created.session_id, created.participant_id

    first = asyncio.run(register(service.port, HOST))
    again = start_service(data=str(tmp_path))
    fingerprints = [one.wait_for_log("Fingerprint").partition("Fingerprint")[2] for one in (service, again)]
    assert fingerprints[0] == fingerprints[1]

    async def join() -> None:
        async with ServiceClient.open("127.0.0.1", again.port, check_identity=accept) as guest:
            me = await guest.join(first[0])
            assert (me.has_host, me.host_id) == (False, first[2])
            guest.send(Rendezvous(me.session_id, me.participant_id, me.host_id, b"?"))
            error = await anext(guest.messages())
            assert isinstance(error, ErrorMessage)
            assert (error.code, HostAwayError.exit_code) == (44, 47)

    asyncio.run(join())
    with pytest.raises(NameTakenError):
        asyncio.run(register(again.port, OTHER, first[0]))
    assert asyncio.run(register(again.port, HOST, first[0])) == first


# --- WebSockets and pages -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("port", ["port", "websocket_port"])
@pytest.mark.parametrize("generation", ["short", "plain"])
def test_clients_of_ascii_chat_use_websockets(service: DiscoveryProcess, port: str, generation: str) -> None:
    peer = DiscoverySocketPeer(getattr(service, port), "/")
    if generation == "short":
        peer.short_handshake()
    assert peer.ask(LOOKUP, lookup("quiet-river-stone"), INFO) == bytes(72)
    peer.close()


def test_the_page_connects_and_hosts_over_websocket(service: DiscoveryProcess) -> None:
    peer = DiscoverySocketPeer(service.port, "/discovery", subprotocols=("teleglyph.discovery",))
    assert peer.socket.websocket.subprotocol == "teleglyph.discovery"  # type: ignore[attr-defined]
    assert peer.ask(LOOKUP, lookup("quiet-river-stone"), INFO) == bytes(72)
    peer.close()


def test_the_page_needs_https_or_a_proxy_that_says_so(
    start_service: Callable[..., DiscoveryProcess], lan_address: str
) -> None:
    service = start_service("--trusted-proxy", "127.0.0.1", address="0.0.0.0")
    headers = {"X-Forwarded-For": "198.51.100.1", "X-Forwarded-Proto": "https"}
    upgrade = {"Upgrade": "websocket", "Connection": "upgrade", "Sec-WebSocket-Protocol": "teleglyph.discovery"}
    status, text = get(service.port, "/discovery", {**upgrade, "X-Forwarded-For": "198.51.100.1"})
    assert (status, "https" in text) == (403, True)
    peer = DiscoverySocketPeer(service.port, "/discovery", subprotocols=("teleglyph.discovery",), headers=headers)
    assert peer.ask(LOOKUP, lookup("quiet-river-stone"), INFO) == bytes(72)
    peer.close()
    request = urllib.request.Request(f"http://{lan_address}:{service.port}/discovery", headers={**upgrade, **headers})
    with pytest.raises(urllib.error.HTTPError) as caught:
        urllib.request.urlopen(request, timeout=10)  # noqa: S310
    with caught.value:
        assert caught.value.code == 403, "only a trusted proxy is believed"


def test_clients_of_ascii_chat_need_no_option_over_tls(start_service: Callable[..., DiscoveryProcess]) -> None:
    service = start_service()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    peer = DiscoverySocketPeer(service.port, "/", tls=context)
    assert peer.ask(LOOKUP, lookup("quiet-river-stone"), INFO) == bytes(72)
    peer.close()


def test_the_page_is_served_with_its_mark(
    service: DiscoveryProcess, start_service: Callable[..., DiscoveryProcess]
) -> None:
    for path in ("/", "/quiet-river-stone"):
        status, text = get(service.port, path, {"Accept": "text/html"})
        assert (status, text.count('<meta name="teleglyph-discovery" content="1" />')) == (200, 1)
    status, text = get(service.port, "/lobby", {"Accept": "text/html"})
    assert (status, "three words" in text) == (404, True)
    bare = start_service("--no-page")
    assert get(bare.port, "/quiet-river-stone", {"Accept": "text/html"})[0] == 404
    assert get(bare.port, "/health")[0] == 200


def test_figures_count_what_happened(start_service: Callable[..., DiscoveryProcess]) -> None:
    service = start_service("--allow-plaintext")
    host, guest = DiscoveryPeer(service.port), DiscoveryPeer(service.port)
    name, session = host.create(kind=1)
    own, theirs = host.join_session(name), guest.join_session(name)
    guest.tell(SDP, session + theirs["id"] + own["id"] + b"\0\0\3v=0")  # type: ignore[operator]
    host.hear()
    host.hear()
    guest.refused(SDP, session + own["id"] + theirs["id"] + b"\0\0\3v=0")  # type: ignore[operator]
    lines = dict(line.rsplit(" ", 1) for line in get(service.port, "/metrics")[1].splitlines())
    figures = {name: int(value) for name, value in lines.items()}
    prefix = "teleglyph_discovery_"
    assert figures[f"{prefix}sessions"] == figures[f"{prefix}hosts_connected"] == 1
    assert figures[f"{prefix}participants"] == figures[f"{prefix}connections"] == 2
    assert figures[f'{prefix}requests_total{{kind="join"}}'] == 2
    assert figures[f'{prefix}relayed_total{{type="webrtc_sdp"}}'] == 1
    assert figures[f'{prefix}refused_total{{reason="parameter"}}'] == 1
    statistics = json.loads(get(service.port, "/statistics")[1])
    assert (statistics["sessions"], statistics["refused"]) == (1, {"parameter": 1})
    health = json.loads(get(service.port, "/health")[1])
    assert (health["status"], health["service"]) == ("ok", "discovery")
    guest.close()
    for _ in range(100):
        if json.loads(get(service.port, "/statistics")[1])["participants"] == 1:
            break
        time.sleep(0.05)
    else:
        raise AssertionError("the participant has not left")


def test_two_services_do_not_share_a_data_directory(
    start_service: Callable[..., DiscoveryProcess], tmp_path: Path
) -> None:
    start_service(data=str(tmp_path))
    second = subprocess.run(
        [sys.executable, "-m", "teleglyph", "discovery-service", "127.0.0.1", "--port", "0", "--data-dir", tmp_path],
        stderr=subprocess.PIPE,
        text=True,
        timeout=60,
    )
    assert (second.returncode, "is in use by another server. Stop it, or choose" in second.stderr) == (105, True)


def test_a_joiner_is_announced_to_the_host_only_once(start_service: Callable[..., DiscoveryProcess]) -> None:
    service = start_service()

    async def meet() -> None:
        async with (
            ServiceClient.open("127.0.0.1", service.port, check_identity=accept, identity=HOST) as host,
            ServiceClient.open("127.0.0.1", service.port, check_identity=accept) as guest,
        ):
            created = await host.create(OURS)
            first, second = await guest.join(created.name), await guest.join(created.name)
            assert first == second
            await host.lookup(created.name)
            assert isinstance(await anext(host.messages()), ParticipantJoined)
            assert host._waiting.empty()

    asyncio.run(meet())


def test_the_stun_server_says_where_a_client_comes_from(start_service: Callable[..., DiscoveryProcess]) -> None:
    service = start_service("--stun-port", "0")
    port = int(service.wait_for_log("STUN server").rsplit(" ", 1)[1])
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        client.settimeout(10)
        transaction = random.Random(2).randbytes(12)
        client.sendto(struct.pack(">HHI", 1, 0, 0x2112A442) + transaction, ("127.0.0.1", port))
        answer = client.recv(548)
        assert (answer[:2], answer[8:20]) == (b"\x01\x01", transaction)
        own = client.getsockname()[1]
        mapped = struct.pack(">HHxBH", 0x20, 8, 1, own ^ 0x2112) + bytes(
            map(int.__xor__, b"\x7f\0\0\x01", b"\x21\x12\xa4\x42")
        )
        assert mapped in answer
    assert 'teleglyph_discovery_stun_total{result="answered"} 1\n' in get(service.port, "/metrics")[1]
