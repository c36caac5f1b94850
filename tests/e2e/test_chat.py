"""People chat in terminals; events are exported from one relay's database and imported into another's."""

from __future__ import annotations

import contextlib
import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from conftest import ServerProcess, run_program
from nostr_peer import ANN, BOB, NostrPeer, make
from teleglyph.wire.nostr.event import sign_event
from terminal import terminal

StartServer = Callable[..., ServerProcess]


def relay(start_server: StartServer, data: Path, *options: str) -> ServerProcess:
    server = start_server("--http", "--http-port", "0", "--events", "--data-dir", str(data), *options)
    server.wait_for_log("HTTP on port")
    return server


def test_two_terminals_chat(start_server: StartServer, tmp_path: Path) -> None:
    server = relay(start_server, tmp_path / "data")
    chat = f"{sys.executable} -m teleglyph chat --relay 127.0.0.1:{server.http_port}"
    with terminal(100, 24) as ann, terminal(100, 24) as bob:
        ann.type(f"{chat} --key {tmp_path}/ann.key --name Ann; echo code=$?")
        ann.expect("You are in lobby")
        ann.type("hello, is anybody here?")
        ann.expect("Ann: hello, is anybody here?")
        bob.type(f"{chat} --key {tmp_path}/bob.key --name Bob; echo code=$?")
        bob.expect("Ann: hello, is anybody here?")
        bob.expect("You are in lobby")
        bob.type("/reply 1 yes, me")
        ann.expect("Bob (to 1): yes, me")
        ann.type("/who")
        ann.expect("Here now: Ann, Bob")
        ann.type("/reply 99 x")
        ann.expect("There is no message “99”")
        ann.type("/nope")
        ann.expect("There is no command “/nope”")
        server.process.kill()
        server.process.wait()
        ann.expect("Connection lost")
        ann.type("into the void")
        ann.expect("Not sent: there is no connection")
        ann.type("/quit")
        ann.expect("code=0")
        bob.press("C-c")
        bob.expect("code=0")
        assert "Traceback" not in ann.screen + bob.screen


def test_the_chat_of_a_call_room_is_named_like_the_room(start_server: StartServer, tmp_path: Path) -> None:
    server = relay(start_server, tmp_path / "data")

    def chat(*words: str, line: str = "") -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "teleglyph", "chat", *words, "--key", str(tmp_path / "key")]
        return subprocess.run(command, input=line, capture_output=True, text=True, timeout=30)

    assert chat(f"127.0.0.1:{server.http_port}/Team", line="hello team\n").returncode == 0
    assert chat(f"127.0.0.1:{server.http_port}/lobby", line="hello lobby\n").returncode == 0
    peer = NostrPeer(server)
    for group, text in (("room-call-team", "hello team"), ("lobby", "hello lobby")):
        assert [event["content"] for event in peer.ask({"kinds": [9], "#h": [group]})] == [text]
    peer.close()
    wrong = chat(f"127.0.0.1:{server.http_port}/two words")
    assert (wrong.returncode, "'two words' is not a room." in wrong.stderr) == (2, True)
    wrong = chat("wss://relay.example/team")
    assert (wrong.returncode, "Name it with --server." in wrong.stderr) == (2, True)


def test_chat_through_pipes_and_without_control_characters(start_server: StartServer, tmp_path: Path) -> None:
    server = relay(start_server, tmp_path / "data")
    peer = NostrPeer(server)
    peer.publish(make("evil \x1b[31mred\x07 \u202egnp.exe", BOB, 9, ["h", "lobby"]))
    command = [sys.executable, "-m", "teleglyph", "chat", "lobby", "--relay", f"127.0.0.1:{server.http_port}"]
    with subprocess.Popen(
        [*command, "--key", str(tmp_path / "k")], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        line = process.stdout.readline()
        assert "evil \ufffd[31mred\ufffd \ufffdgnp.exe" in line
        process.stdin.write("from a pipe\n")
        process.stdin.flush()
        while "from a pipe" not in line:
            line = process.stdout.readline()
            assert line
        process.stdin.close()
        assert process.wait(20) == 0
    assert (tmp_path / "k").stat().st_mode & 0o777 == 0o600
    assert "from a pipe" in [event["content"] for event in peer.ask({"kinds": [9], "#h": ["lobby"]})]
    peer.close()


def test_presence_names_the_live_activity_of_the_room(start_server: StartServer, tmp_path: Path) -> None:
    server = relay(start_server, tmp_path / "data", "--announce", "calls.example")
    with contextlib.closing(NostrPeer(server)) as peer:
        peer.say("REQ", "s", {"kinds": [10312]})
        assert peer.get() == ["EOSE", "s"]
        command = [sys.executable, "-m", "teleglyph", "chat", "--relay", f"127.0.0.1:{server.http_port}"]
        with subprocess.Popen(
            [*command, "--key", str(tmp_path / "k")], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True
        ) as chat:
            presence = peer.get(20)[2]
            (address,) = [tag for tag in presence["tags"] if tag[0] == "a"]
            assert chat.stdin is not None
            chat.stdin.close()
            assert chat.wait(20) == 0
        assert address in peer.get()[2]["tags"], "the farewell"
        assert address[2:] == [f"ws://127.0.0.1:{server.http_port}/", "root"]
        kind, pubkey, room = address[1].split(":")
        assert [room] == [tag[1] for tag in presence["tags"] if tag[0] == "h"] == ["lobby"]
        assert len(peer.ask({"kinds": [int(kind)], "authors": [pubkey], "#d": [room]})) == 1, "the call is announced"


def refused(*options: str) -> subprocess.CompletedProcess[str]:
    """A chat that ends by itself."""
    return run_program("chat", *options, seconds=30)


def test_a_missing_relay_and_an_exposed_key_are_reported_in_one_sentence(tmp_path: Path) -> None:
    result = refused("--relay", "127.0.0.1:9", "--key", str(tmp_path / "k"))
    assert result.returncode == 42
    assert "Nobody listens on 127.0.0.1:9. Is the server running?" in result.stderr
    assert "Traceback" not in result.stderr
    (tmp_path / "k").chmod(0o644)
    result = refused("--key", str(tmp_path / "k"))
    assert result.returncode == 61
    assert "chmod 600" in result.stderr


def test_a_group_is_managed_over_the_relay_and_survives_a_restart(start_server: StartServer, tmp_path: Path) -> None:
    data = tmp_path / "data"
    server = relay(start_server, data, "--event-rate", "0")
    ann, bob, stranger = NostrPeer(server), NostrPeer(server), NostrPeer(server)
    bob_key = make("", BOB).pubkey
    stranger.say("REQ", "s", {"#h": ["club"]}, {"kinds": [39000, 39002], "limit": 0})
    stranger.get()

    def tell(peer: NostrPeer, key: bytes, kind: int, *tags: list[str], content: str = "") -> list[object]:
        return peer.publish(make(content, key, kind, ["h", "club"], *tags))[1:]

    assert tell(ann, ANN, 9007, ["name", "Club"]) == [True, ""]
    messages = [stranger.get()[2] for _ in range(4)]
    described = next(event for event in messages if event["kind"] == 39000)
    assert described["tags"] == [["d", "club"], ["name", "Club"]]
    stranger.say("CLOSE", "s")
    assert described["pubkey"] != make("", ANN).pubkey
    assert tell(ann, ANN, 9002, ["private"], ["closed"], ["restricted"]) == [True, ""]
    assert tell(bob, BOB, 9, content="let me in")[0] is False
    assert tell(bob, BOB, 9021)[0] is False
    assert tell(ann, ANN, 9009, ["code", "sesame"]) == [True, ""]
    assert tell(bob, BOB, 9021, ["code", "sesame"]) == [True, ""]
    assert tell(bob, BOB, 9, content="hello") == [True, ""]
    bob.say("REQ", "b", {"#h": ["club"]})
    assert bob.get()[2].startswith("auth-required: ")
    bob.authenticate(server, BOB)
    texts = [event["content"] for event in bob.ask({"#h": ["club"], "kinds": [9]})]
    assert texts == ["hello"]
    assert stranger.ask({"kinds": [9]}) == [], "even a filter that does not name the group shows nothing of it"
    assert bob.ask({"kinds": [9009]}) == []
    spam = make("spam", BOB, 9, ["h", "club"])
    bob.publish(spam)
    assert tell(ann, ANN, 9005, ["e", spam.id]) == [True, ""]
    deadline = time.monotonic() + 5
    while bob.ask({"ids": [spam.id]}) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert bob.ask({"ids": [spam.id]}) == []
    assert bob.publish(spam)[2].startswith("blocked: ")
    for peer in (ann, bob, stranger):
        peer.close()
    server.process.kill()
    server.process.wait()
    server = relay(start_server, data, "--event-rate", "0")
    bob, stranger = NostrPeer(server), NostrPeer(server)
    assert tell(stranger, bytes([7]) * 32, 9, content="hi")[1] == "restricted: only members may write in this group"
    assert tell(bob, BOB, 9, content="still a member") == [True, ""]
    members = stranger.ask({"kinds": [39002], "#d": ["club"]})[0]["tags"]
    assert ["p", bob_key] in members
    for event_kind in (9, 9008):
        bob.publish(make("by who may not", bytes([8]) * 32, event_kind, ["h", "club"]))
    ann = NostrPeer(server)
    assert tell(ann, ANN, 9008) == [True, ""]
    deadline = time.monotonic() + 5
    answer = ["CLOSED"]
    while answer[0] == "CLOSED" and time.monotonic() < deadline:
        # The group is closed to everybody until it is erased.
        time.sleep(0.05)
        ann.say("REQ", "w", {"#h": ["club"]})
        answer = ann.get()
    assert answer == ["EOSE", "w"]
    while ann.ask({"kinds": [39000], "#d": ["club"]}) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert ann.ask({"kinds": [39000], "#d": ["club"]}) == []
    assert stranger.count({"#h": ["club"]}) == {"count": 0, "hll": "00" * 256}
    ann.close()
    lobby = stranger.ask({"kinds": [39000], "#d": ["lobby"]})
    assert [tag for tag in lobby[0]["tags"] if tag[0] == "name"] == [["name", "Lobby"]]
    for peer in (bob, stranger):
        peer.close()


def test_events_are_exported_and_imported(start_server: StartServer, tmp_path: Path, database_place: str) -> None:
    server = relay(start_server, tmp_path / "one", "--event-rate", "0")
    peer = NostrPeer(server)
    events = [make(f"{number} \u2028 é", at=1000 + number) for number in range(50)]
    for event in events:
        peer.publish(event)
    peer.close()
    command = [sys.executable, "-m", "teleglyph", "events"]
    running = subprocess.run(
        [*command, "export", "--data-dir", str(tmp_path / "one")],
        capture_output=True,
        text=True,
        check=False,
        timeout=30,
    )
    assert running.returncode == 105
    assert "Another process uses" in running.stderr
    assert server.stop() == 0
    file = tmp_path / "all.jsonl"
    result = subprocess.run(
        [*command, "export", "--data-dir", str(tmp_path / "one"), str(file)],
        capture_output=True,
        text=True,
        check=True,
        timeout=30,
    )
    assert "events written" in result.stderr
    lines = file.read_bytes().splitlines()
    assert [event.text for event in events] == [line for line in lines if json.loads(line)["kind"] == 1]
    forged = {**json.loads(events[0].text), "content": "forged"}
    expired = sign_event(ANN, 1, 1, [["expiration", "2"]])
    with file.open("ab") as stream:
        stream.write(json.dumps(forged).encode() + b"\nnonsense\n\n" + expired.text + b"\n" + events[0].text)
    if database_place.startswith("postgresql"):
        where = ["--database", database_place]
    else:
        (tmp_path / "two").mkdir()
        where = ["--data-dir", str(tmp_path / "two")]
    first = subprocess.run(
        [*command, "import", *where, str(file)], capture_output=True, text=True, check=False, timeout=60
    )
    assert first.returncode == 1, "some were refused"
    assert f"{len(lines)} stored, 3 refused" in first.stderr
    assert "the id is not the hash" in first.stderr
    second = subprocess.run(
        [*command, "import", *where], capture_output=True, check=True, timeout=60, input=b"\n".join(lines)
    )
    assert b"0 stored, 0 refused" in second.stderr
    elsewhere = {**os.environ, "XDG_DATA_HOME": str(tmp_path / "xdg")}
    missing = subprocess.run(
        [*command, "export"], capture_output=True, text=True, check=False, timeout=30, env=elsewhere
    )
    assert missing.returncode == 2
    assert f"There is no directory '{tmp_path / 'xdg' / 'teleglyph'}'" in missing.stderr
    assert "--data-dir or --database" in missing.stderr
    (tmp_path / "xdg").mkdir()
    (tmp_path / "one").rename(tmp_path / "xdg" / "teleglyph")
    default = subprocess.run([*command, "export"], capture_output=True, check=True, timeout=30, env=elsewhere)
    assert len(default.stdout.splitlines()) == len(lines)


_FOREIGN = """
import asyncio, nostr_sdk
async def main():
    relay = nostr_sdk.LocalRelayBuilder().addr("127.0.0.1").build()
    await relay.run()
    print(await relay.url(), flush=True)
    await asyncio.Event().wait()
asyncio.run(main())
"""


def test_chat_works_on_a_relay_of_another_project(tmp_path: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", _FOREIGN], stdout=subprocess.PIPE, text=True) as foreign:
        assert foreign.stdout is not None
        url = re.search(r"ws://[0-9.:]+", foreign.stdout.readline())
        assert url is not None
        command = [sys.executable, "-m", "teleglyph", "chat", "kitchen", "--relay", url[0], "--key"]
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
        with (
            subprocess.Popen([*command, str(tmp_path / "ann"), "--name", "Ann"], **pipes) as ann,  # type: ignore[call-overload]
            subprocess.Popen([*command, str(tmp_path / "bob")], **pipes) as bob,  # type: ignore[call-overload]
        ):
            for person in (ann, bob):
                while "You are in kitchen" not in person.stdout.readline():
                    assert person.poll() is None
            ann.stdin.write("is it ready?\n")
            ann.stdin.flush()
            line = ""
            while "Ann: is it ready?" not in line:
                line = bob.stdout.readline()
                assert line
            for person in (ann, bob):
                person.stdin.close()
                assert person.wait(20) == 0
        foreign.kill()
