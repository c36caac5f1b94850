"""Managing the relay over HTTP (NIP-86): decisions take effect at once and survive restarts."""

from __future__ import annotations

import base64
import hashlib
import http.client
import json
import signal
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from websockets.exceptions import InvalidStatus

from conftest import ServerProcess
from nostr_peer import ANN, BOB, NostrPeer, make
from teleglyph.keys.nostr import npub_of

StartServer = Callable[..., ServerProcess]
Join = Callable[..., NostrPeer]
Answer = tuple[int, dict[str, Any], dict[str, str]]
ADMIN = bytes([7]) * 32
MANAGED = ("--event-rate", "0", "--relay-admin", npub_of(ADMIN))
TYPE = "application/nostr+json+rpc"


@pytest.fixture
def start(start_server: StartServer, database_place: str) -> StartServer:
    is_file = database_place.endswith(".sqlite3")
    where = ("--data-dir", str(Path(database_place).parent)) if is_file else ("--database", database_place)

    def started(*options: str) -> ServerProcess:
        server = start_server(
            *("--http", "--http-port", "0", "--events", "--event-rate", "0", *where),
            *("--relay-admin", npub_of(ADMIN), *options),
        )
        server.wait_for_log("HTTP on port")
        return server

    return started


@pytest.fixture
def join() -> Iterator[Join]:
    opened: list[NostrPeer] = []

    def open_peer(*args: Any, **kwargs: Any) -> NostrPeer:
        opened.append(NostrPeer(*args, **kwargs))
        return opened[-1]

    yield open_peer
    for peer in opened:
        peer.close()


def authentication(server: ServerProcess, body: bytes, key: bytes = ADMIN, path: str = "/", **changes: Any) -> str:
    url = f"http://127.0.0.1:{server.http_port}{path}"
    tags = {"u": url, "method": "POST", "payload": hashlib.sha256(body).hexdigest(), **changes.pop("tags", {})}
    event = make("", key, 27235, *([name, value] for name, value in tags.items()), at=changes.pop("at", None))
    return "Nostr " + base64.b64encode(event.text).decode()


def post(server: ServerProcess, body: bytes, headers: dict[str, str], path: str = "/") -> Answer:
    connection = http.client.HTTPConnection("127.0.0.1", server.http_port, timeout=10)
    try:
        connection.request("POST", path, body, {"Content-Type": TYPE, **headers})
        response = connection.getresponse()
        return response.status, json.loads(response.read()), dict(response.getheaders())
    finally:
        connection.close()


def ask(server: ServerProcess, method: object, *params: object, **changes: Any) -> Answer:
    body = json.dumps({"method": method, "params": list(params)}).encode()
    path = changes.get("path", "/")
    return post(server, body, {"Authorization": authentication(server, body, **changes)}, path)


def call(server: ServerProcess, method: str, *params: object) -> Any:
    status, content, _ = ask(server, method, *params)
    assert (status, list(content)) == (200, ["result"]), content
    return content["result"]


def wait_for_none(peer: NostrPeer, *filters: object) -> None:
    for _ in range(100):
        if not peer.ask(*filters):
            return
        time.sleep(0.1)
    raise AssertionError("some are left")


def pub(key: bytes) -> str:
    return make("", key).pubkey


def test_a_banned_key_cannot_publish_and_its_events_are_deleted(start: StartServer, join: Join) -> None:
    server = start()
    ann, bob = join(server), join(server)
    for number in range(600):
        ann.say("EVENT", json.loads(make(str(number)).text))
    for _ in range(600):
        assert ann.get()[2] is True
    assert bob.publish(make("bob's", BOB))[1] is True
    assert call(server, "banpubkey", pub(ANN), "spam") is True
    more = make("more")
    assert ann.publish(more) == [more.id, False, "blocked: this key is banned here"]
    wait_for_none(bob, {"authors": [pub(ANN)]})
    assert len(bob.ask({"authors": [pub(BOB)]})) == 1
    assert call(server, "listbannedpubkeys") == [{"pubkey": pub(ANN), "reason": "spam"}]
    assert call(server, "unbanpubkey", pub(ANN)) is True
    assert call(server, "listbannedpubkeys") == []
    assert call(server, "listallowedpubkeys") == []
    assert ann.publish(make("again"))[1] is True


def test_a_ban_during_publishing_leaves_no_events(start: StartServer, join: Join) -> None:
    server = start()
    peer, reader = join(server), join(server)
    texts = [json.loads(make(str(number)).text) for number in range(3000)]

    def publish() -> None:
        for text in texts:
            peer.say("EVENT", text)

    publishing = threading.Thread(target=publish)
    publishing.start()
    answers = [peer.get()[2] for _ in range(500)]
    assert call(server, "banpubkey", pub(ANN)) is True
    answers += [peer.get()[2] for _ in range(2500)]
    publishing.join()
    assert answers[0] is True
    assert answers[-1] is False
    wait_for_none(reader, {"authors": [pub(ANN)]})
    server.stop(signal.SIGKILL)
    assert join(start()).ask({"authors": [pub(ANN)]}) == []


def test_only_allowed_keys_publish_until_the_list_is_empty(start: StartServer, join: Join) -> None:
    server = start()
    peer = join(server)
    assert call(server, "banpubkey", pub(ANN)) is True
    assert call(server, "allowpubkey", pub(ANN), "friend") is True
    assert call(server, "listallowedpubkeys") == [{"pubkey": pub(ANN), "reason": "friend"}]
    assert information(server)["limitation"]["restricted_writes"] is True
    assert call(server, "listbannedpubkeys") == []
    assert peer.publish(make("a"))[1] is True
    assert peer.publish(make("b", BOB))[2].startswith("restricted: ")
    assert call(server, "banpubkey", pub(ANN)) is True
    assert call(server, "listallowedpubkeys") == []
    assert peer.publish(make("b", BOB))[2].startswith("restricted: "), "a ban opens the relay to nobody"
    assert call(server, "unallowpubkey", pub(ANN)) is True
    assert information(server)["limitation"]["restricted_writes"] is False
    assert peer.publish(make("b", BOB))[1] is True


def test_a_banned_event_is_refused_until_it_is_allowed(start: StartServer, join: Join) -> None:
    server = start()
    peer = join(server)
    one, two = make("one"), make("two")
    for event in (one, two):
        peer.publish(event)
    assert call(server, "banevent", one.id, "no") is True
    assert [event["content"] for event in peer.ask({"authors": [pub(ANN)]})] == ["two"]
    assert peer.publish(one)[1:] == [False, "blocked: this event is banned here"]
    assert call(server, "listbannedevents") == [{"id": one.id, "reason": "no"}]
    for method in ("allowevent", "unbanevent"):
        assert call(server, method, one.id) is True
        assert call(server, "listbannedevents") == []
        assert peer.publish(one)[1] is True
        assert call(server, "banevent", one.id) is True
        assert call(server, "listbannedevents") == [{"id": one.id}]


def test_kinds_are_allowed_and_disallowed(start: StartServer, join: Join) -> None:
    server = start()
    peer = join(server)
    assert call(server, "disallowkind", 7) is True
    assert call(server, "listdisallowedkinds") == [7]
    assert peer.publish(make("", ANN, 7))[1:] == [False, "blocked: kind 7 is not accepted here"]
    assert peer.publish(make("a"))[1] is True
    assert call(server, "allowkind", 7) is True
    assert call(server, "allowkind", 20001) is True
    assert (call(server, "listallowedkinds"), call(server, "listdisallowedkinds")) == ([7, 20001], [])
    assert peer.publish(make("", ANN, 7))[1] is True
    assert peer.publish(make("b"))[1:] == [False, "blocked: kind 1 is not accepted here"]
    assert peer.publish(make("", ANN, 20002))[2].startswith("blocked: "), "ephemeral events, too"


def test_a_blocked_address_is_refused_and_its_connections_are_closed(start: StartServer, join: Join) -> None:
    server = start()
    peer = join(server)
    assert call(server, "blockip", "127.0.0.9", "elsewhere") is True
    assert peer.publish(make("a"))[1] is True
    assert call(server, "blockip", "127.0.0.0/24") is True
    assert peer.close_code() == 1008
    with pytest.raises(InvalidStatus) as caught:
        NostrPeer(server)
    assert caught.value.response.status_code == 403
    assert call(server, "listblockedips") == [{"ip": "127.0.0.9", "reason": "elsewhere"}, {"ip": "127.0.0.0/24"}]
    assert call(server, "unblockip", "127.0.0.0/24") is True
    assert join(server).publish(make("b"))[1] is True


def test_decisions_survive_a_restart(start: StartServer, join: Join) -> None:
    server = start("--relay-description", "as configured")
    join(server).publish(make("a", BOB))
    for method, *params in (
        ("banpubkey", pub(ANN), "spam"),
        ("banevent", make("", BOB).id),
        ("disallowkind", 7),
        ("blockip", "192.0.2.0/24"),
        ("changerelayname", "Cellar"),
        ("changerelayicon", "https://icons.example/cellar.png"),
        ("changerelaydescription", "Below\n\nthe attic"),
    ):
        assert call(server, method, *params) is True
    server.stop(signal.SIGKILL)
    server = start("--relay-description", "as configured")
    peer = join(server)
    assert peer.publish(make("b"))[2].startswith("blocked: ")
    assert peer.publish(make("", BOB, 7))[2].startswith("blocked: ")
    assert call(server, "listblockedips") == [{"ip": "192.0.2.0/24"}]
    document = information(server)
    assert (document["name"], document["icon"]) == ("Cellar", "https://icons.example/cellar.png")
    assert document["description"] == "Below\n\nthe attic"
    assert document["pubkey"] == pub(ADMIN)
    assert {62, 77, 86, 98} <= set(document["supported_nips"])
    assert call(server, "changerelaydescription", "") is True
    assert information(server)["description"] == "as configured"


def information(server: ServerProcess) -> dict[str, Any]:
    connection = http.client.HTTPConnection("127.0.0.1", server.http_port, timeout=10)
    connection.request("GET", "/", headers={"Accept": "application/nostr+json"})
    document: dict[str, Any] = json.loads(connection.getresponse().read())
    connection.close()
    return document


# --- permissions and requests ----------------------------------------------------------------------------------------


@pytest.fixture
def server(start_server: StartServer, tmp_path: Path) -> ServerProcess:
    started = start_server("--http", "--http-port", "0", "--events", "--data-dir", str(tmp_path), *MANAGED)
    started.wait_for_log("HTTP on port")
    return started


def test_all_methods_are_listed(server: ServerProcess) -> None:
    named = call(server, "supportedmethods")
    assert set(named) == {
        *("banpubkey", "unbanpubkey", "listbannedpubkeys", "allowpubkey", "unallowpubkey", "listallowedpubkeys"),
        *("banevent", "unbanevent", "allowevent", "listbannedevents"),
        *("changerelayname", "changerelaydescription", "changerelayicon"),
        *("allowkind", "disallowkind", "listallowedkinds", "listdisallowedkinds"),
        *("blockip", "unblockip", "listblockedips"),
    }
    for method in named:
        status, content, _ = ask(server, method, 1, 2, 3)
        assert (status, list(content)) == (400, ["error"]), method


def test_pages_of_any_origin_may_use_the_api(server: ServerProcess) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", server.http_port, timeout=10)
    connection.request("OPTIONS", "/", headers={"Access-Control-Request-Headers": "authorization,content-type"})
    headers = connection.getresponse().headers
    connection.close()
    assert "POST" in headers["Access-Control-Allow-Methods"]
    assert "authorization" in headers["Access-Control-Allow-Headers"].lower(), "a star does not include it"
    for status, _, given in (ask(server, "supportedmethods"), post(server, b"{}", {})):
        assert given["Access-Control-Allow-Origin"] == "*", status


def test_management_needs_authentication(server: ServerProcess) -> None:
    for _ in range(10):
        status, content, headers = post(server, b'{"method":"supportedmethods","params":[]}', {})
        assert (status, list(content)) == (401, ["error"])
        assert headers["WWW-Authenticate"] == "Nostr"
    assert call(server, "listbannedpubkeys") == [], "a request without a proof is not a guess"


def test_only_the_administrator_can_manage(server: ServerProcess) -> None:
    status, content, _ = ask(server, "banpubkey", pub(BOB), key=ANN)
    assert (status, list(content)) == (403, ["error"])
    assert call(server, "listbannedpubkeys") == []


def test_an_authentication_is_valid_once_and_for_its_body_only(server: ServerProcess) -> None:
    body = b'{"method":"listbannedpubkeys","params":[]}'
    headers = {"Authorization": authentication(server, body)}
    assert post(server, body, headers)[0] == 200
    status, content, _ = post(server, body, headers)
    assert (status, "used before" in content["error"]) == (401, True)
    other = b'{"method":"banpubkey","params":["' + pub(BOB).encode() + b'"]}'
    assert post(server, other, {"Authorization": authentication(server, body)})[0] == 401
    assert call(server, "listbannedpubkeys") == []


def test_an_authentication_is_valid_once_even_across_a_restart(start: StartServer) -> None:
    server = start()
    port = server.http_port
    body = b'{"method":"listbannedpubkeys","params":[]}'
    headers = {"Authorization": authentication(server, body)}
    assert post(server, body, headers)[0] == 200
    server.stop()
    server = start("--http-port", str(port))
    assert post(server, body, headers)[0] == 401
    assert call(server, "listbannedpubkeys") == []


@pytest.mark.parametrize(
    "changes",
    [
        {"tags": {"u": "http://other.example/"}},
        {"tags": {"method": "GET"}},
        {"tags": {"payload": "00" * 32}},
        {"at": 1_700_000_000},
        {"path": "/events", "tags": {"u": "http://127.0.0.1/"}},
    ],
)
def test_a_wrong_authentication_is_refused(server: ServerProcess, changes: dict[str, Any]) -> None:
    status, content, _ = ask(server, "supportedmethods", **changes)
    assert (status, list(content)) == (401, ["error"])
    assert content["error"].endswith(".")


def test_guessers_have_to_wait(server: ServerProcess) -> None:
    statuses = [ask(server, "supportedmethods", key=ANN)[0] for _ in range(8)]
    assert statuses[:3] == [403] * 3
    assert statuses[-1] == 429
    assert ask(server, "supportedmethods")[0] == 429


@pytest.mark.parametrize(
    "params",
    [
        ("banpubkey", "x"),
        ("banpubkey", pub(ANN).upper()),
        ("banpubkey", 5),
        ("banpubkey", pub(ADMIN)),
        ("banpubkey", pub(ANN), "x" * 201),
        ("banpubkey", pub(ANN), "bell \x07"),
        ("banpubkey", pub(ANN), 7),
        ("banevent", npub_of(ANN)),
        ("allowkind", "1"),
        ("allowkind", True),
        ("allowkind", 65536),
        ("disallowkind", -1),
        ("blockip", "0.0.0.0/0"),
        ("blockip", "::/0"),
        ("blockip", "localhost"),
        ("blockip", 1),
        ("blockip", ""),
        ("changerelayname", "x" * 101),
        ("changerelayname", "two\nlines"),
        ("changerelayname", None, None),
        ("changerelayicon", "javascript:alert(1)"),
        ("changerelayicon", "http://[x"),
        ("nonsense",),
        ("listeventsneedingmoderation",),
    ],
)
def test_impossible_requests_are_refused_with_a_reason(shared_server: StartServer, params: tuple[Any, ...]) -> None:
    status, content, _ = ask(shared_server(*MANAGED), *params)
    assert (status, list(content)) == (400, ["error"])
    assert content["error"][0].isupper()
    assert content["error"].endswith(".")


@pytest.mark.parametrize(
    "body", [b"", b"[]", b"{", b'{"method":1}', b'{"method":"supportedmethods","params":{}}', b"\xff"]
)
def test_invalid_requests_are_refused_with_a_reason(shared_server: StartServer, body: bytes) -> None:
    server = shared_server(*MANAGED)
    status, content, _ = post(server, body, {"Authorization": authentication(server, body)})
    assert (status, list(content)) == (400, ["error"])
    assert "Expecting" not in content["error"]


def test_the_size_and_type_of_a_body_are_checked(server: ServerProcess) -> None:
    body = b'{"method":"supportedmethods","params":[]}'
    large = body + b" " * (64 << 10)
    assert post(server, large, {"Authorization": authentication(server, large)})[0] == 413
    headers = {"Authorization": authentication(server, body), "Content-Type": "application/json"}
    assert post(server, body, headers)[0] == 415
    headers = {"Authorization": authentication(server, body), "Content-Type": TYPE.upper() + "; charset=utf-8"}
    assert post(server, body, headers)[0] == 200


def test_without_an_administrator_there_is_no_management(start_server: StartServer, tmp_path: Path) -> None:
    server = start_server("--http", "--http-port", "0", "--events", "--data-dir", str(tmp_path))
    server.wait_for_log("HTTP on port")
    status, content, _ = ask(server, "supportedmethods")
    assert (status, list(content)) == (403, ["error"])
    assert not {86, 98} & set(information(server)["supported_nips"])


def test_management_does_not_reveal_private_events(server: ServerProcess, join: Join) -> None:
    peer = join(server)
    wrap = make("sealed", BOB, 1059, ["p", pub(ANN)])
    assert peer.publish(wrap)[1] is True
    for number in (wrap.id, "ab" * 32):
        assert ask(server, "banevent", number)[:2] == (200, {"result": True}), (
            "it does not reveal whether the event existed"
        )
    assert all("sealed" not in json.dumps(one) for one in call(server, "listbannedevents"))
