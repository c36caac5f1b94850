"""The chat's line editor in a real terminal, and a hostile relay."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import termios
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.server import ServerConnection, serve

from conftest import ServerProcess
from nostr_peer import BOB, NostrPeer, make
from pseudo_terminal import PseudoTerminal
from teleglyph.wire.nostr.event import sign_event

StartServer = Callable[..., ServerProcess]


class Person:
    """A chat in a pseudo terminal."""

    def __init__(
        self, port: int, home: Path, *options: str, columns: int = 60, rows: int = 20, **environment: str
    ) -> None:
        self.terminal = PseudoTerminal(columns, rows)
        self.terminal.resize(columns, rows)
        home.mkdir(exist_ok=True)
        settings = {"TERM": "xterm-256color", "LC_ALL": "C.UTF-8", "XDG_STATE_HOME": str(home), **environment}
        self.process = subprocess.Popen(
            [
                sys.executable,
                "-m",
                "teleglyph",
                "chat",
                "--server",
                f"127.0.0.1:{port}",
                "--key",
                str(home / "key"),
                *options,
            ],
            stdin=self.terminal.fd,
            stdout=self.terminal.fd,
            stderr=self.terminal.fd,
            env={**os.environ, **settings},
            start_new_session=True,
        )

    def see(self, text: str) -> None:
        self.terminal.wait_for(lambda: any(text in row for row in self.terminal.rows))

    @property
    def prompt(self) -> str:
        return next((row for row in reversed(self.terminal.rows) if row.startswith("> ")), "")

    def type(self, text: str) -> None:
        self.terminal.type(text.encode())

    def typed(self, line: str) -> None:
        self.terminal.wait_for(lambda: self.prompt.replace(" ", "") == f"> {line}".replace(" ", ""))

    def code(self) -> int:
        return self.process.wait(20)

    def close(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        self.terminal.close()


@pytest.fixture
def person() -> Iterator[Callable[..., Person]]:
    """Starts chats."""
    people: list[Person] = []

    def start(*arguments: Any, **options: Any) -> Person:
        people.append(Person(*arguments, **options))
        return people[-1]

    yield start
    for one in people:
        one.close()


@pytest.fixture
def relay(start_server: StartServer, tmp_path: Path) -> ServerProcess:
    server = start_server("--http", "--http-port", "0", "--events", "--data-dir", str(tmp_path / "data"))
    server.wait_for_log("HTTP on port")
    return server


def test_a_half_typed_line_survives_incoming_messages_and_can_be_edited(
    relay: ServerProcess, person: Callable[..., Person], tmp_path: Path
) -> None:
    ann, peer = person(relay.http_port, tmp_path / "ann", "--name", "Ann"), NostrPeer(relay)
    ann.see("You are in lobby as Ann")
    ann.type("half a line")
    ann.typed("half a line")
    for number in range(3):
        peer.publish(make(f"from bob {number}", BOB, 9, ["h", "lobby"]))
    ann.see("from bob 2")
    ann.typed("half a line")
    ann.type("\x1b[D" * 4 + "fine 日本 👍 " + "\x7f" * 3 + "\x1b[H" + "a ")
    ann.typed("a half a fine 日本line")
    ann.type("\r")
    ann.see("Ann: a half a fine")
    texts = [event["content"] for event in peer.ask({"kinds": [9], "#h": ["lobby"]})]
    assert "a half a fine 日本line" in texts
    ann.type("\x1b[A")
    ann.typed("a half a fine 日本line")
    ann.terminal.resize(24, 20)
    ann.process.send_signal(signal.SIGWINCH)
    peer.publish(make("in a narrow window " * 3, BOB, 9, ["h", "lobby"]))
    ann.see("in a narrow")
    ann.type("\x15ok\r")
    ann.see("Ann: ok")
    ann.type("\x1b[200~two\r\n  rows\x1b[201~")
    ann.type("\r")
    deadline = time.monotonic() + 10
    while "two\n  rows" not in texts and time.monotonic() < deadline:
        time.sleep(0.1)
        texts = [event["content"] for event in peer.ask({"kinds": [9], "#h": ["lobby"]})]
    assert "two\n  rows" in texts, "a paste of several lines is one message"
    ann.type("\x04")
    assert ann.code() == 0
    peer.close()


@pytest.mark.parametrize("emoji", ["👨‍👩‍👧", "👍🏽", "🇩🇪", "❤️", "é", "日", "👍"])
def test_the_cursor_treats_an_emoji_of_several_characters_as_one(
    relay: ServerProcess, person: Callable[..., Person], tmp_path: Path, emoji: str
) -> None:
    ann, peer = person(relay.http_port, tmp_path / "ann", "--name", "Ann"), NostrPeer(relay)
    ann.see("You are in lobby")
    ann.type(f"a{emoji}b\x1b[D\x1b[DX\x1b[CY\r")
    ann.see("  1 ")
    ann.type(f"c{emoji}d\x1b[D\x7fZ\r")
    ann.see("Ann: cZd")
    ann.type(f"e{emoji}f\x01\x1b[C\x1b[3~\r")
    ann.see("Ann: ef")
    texts = [event["content"] for event in peer.ask({"kinds": [9], "#h": ["lobby"]})]
    assert sorted(texts) == sorted([f"aX{emoji}Yb", "cZd", "ef"])
    peer.close()


@pytest.mark.parametrize("how", ["ctrl-c", "ctrl-d", "quit", "SIGTERM", "SIGINT"])
def test_every_way_out_of_a_chat_restores_the_terminal(
    relay: ServerProcess, person: Callable[..., Person], tmp_path: Path, how: str
) -> None:
    ann = person(relay.http_port, tmp_path / "ann")
    ann.see("You are in lobby")
    ann.type("x\x7f")
    if how.startswith("SIG"):
        ann.type("half")
        ann.process.send_signal(getattr(signal, how))
    else:
        ann.type({"ctrl-c": "\x03", "ctrl-d": "\x04", "quit": "/quit\r"}[how])
    assert ann.code() == 0
    before = termios.tcgetattr(ann.terminal.fd)
    assert before[3] & termios.ICANON
    assert before[3] & termios.ECHO
    assert os.get_blocking(ann.terminal.fd), "the shell's next program may rely on it"
    assert ann.terminal.written.rfind(b"\x1b[?2004l") > ann.terminal.written.rfind(b"\x1b[?2004h")


def test_every_command_is_answered_and_none_is_sent(
    relay: ServerProcess, person: Callable[..., Person], tmp_path: Path
) -> None:
    ann, peer = person(relay.http_port, tmp_path / "ann", "--name", "Ann", rows=50, columns=100), NostrPeer(relay)
    ann.see("You are in lobby")
    for typed, answer in (
        ("/whoo", "Did you mean /who?"),
        ("/etc/passwd is wrong", "There is no command"),
        ("/who me", "Usage: /who"),
        ("/who", "Here now: Ann."),
        ("/reply", "Usage: /reply NUMBER TEXT"),
        ("/reply x y", "Usage: /reply NUMBER TEXT"),
        ("/reply 7 y", "There is no message “7”"),
        ("/join", "You are now a member of lobby."),
        ("/join a b", "Usage: /join [CODE]"),
        ("/name", "Usage: /name NAME"),
        ("/name a:b", "cannot be used"),
        ("/name Anna", "You are now called Anna."),
        ("/help", "Everything else is sent as a message"),
        ("//slash", "Anna: /slash"),
        ("/reply 1 yes", "Anna (to 1): yes"),
        ("/re\t1 again", "Anna (to 1): again"),
    ):
        ann.type(f"{typed}\r")
        ann.see(answer)
    texts = [event["content"] for event in peer.ask({"kinds": [9]})]
    assert sorted(texts) == ["/slash", "again", "yes"]
    bob = person(relay.http_port, tmp_path / "bob", "--name", "Bob")
    ann.see("Bob joined")
    bob.type("\x03")
    ann.see("Bob left")
    peer.close()


@pytest.mark.parametrize("environment", [{"TERM": "dumb"}, {"NO_COLOR": "1"}, {"LC_ALL": "C"}])
def test_characters_that_the_terminal_cannot_show_are_replaced(
    relay: ServerProcess, person: Callable[..., Person], tmp_path: Path, environment: dict[str, str]
) -> None:
    ann, peer = person(relay.http_port, tmp_path / "ann", **environment), NostrPeer(relay)
    ann.see("You are in lobby")
    peer.publish(make("hello é", BOB, 9, ["h", "lobby"]))
    ann.see("hello")
    if "TERM" in environment:
        ann.type("typed\n")
        ann.see(": typed")
        assert b"\x1b" not in ann.terminal.written
    if "NO_COLOR" in environment:
        assert b"\x1b[38" not in ann.terminal.written
        assert b"\x1b[2m" not in ann.terminal.written
    if "LC_ALL" in environment:
        ann.see("hello ?")
    peer.close()


EVIL = "\x1b[2J\x1b]0;owned\x07\x9b31m\u202e\r* ann left\n* ann left"


@contextlib.contextmanager
def hostile_relay() -> Iterator[int]:
    """Answers everything with escape sequences; drops a connection on the message "drop"."""

    def handle(socket: ServerConnection) -> None:
        def say(*message: Any) -> None:
            socket.send(json.dumps(message))

        def event(key: bytes, kind: int, content: str, *tags: list[str]) -> None:
            now = int(time.time())
            say("EVENT", "chat", json.loads(sign_event(key, now, kind, [["h", "lobby"], *tags], content).text))

        say("AUTH", EVIL)
        say("NOTICE", EVIL)
        with contextlib.suppress(ConnectionClosed):
            for text in socket:
                verb, *rest = json.loads(text)
                if verb == "REQ":
                    event(BOB, 0, json.dumps({"name": f"{EVIL}: hi"}))
                    event(BOB, 9, EVIL)
                    say("EOSE", "chat")
                    event(BOB, 10312, "", ["expiration", str(int(time.time()) + 100)])
                    event(BOB, 10312, "", ["expiration", EVIL])
                    say("EVENT", "chat", {"id": EVIL})
                    say(EVIL, EVIL)
                    socket.send("nonsense " + EVIL)
                    say("CLOSED", "chat", f"error: {EVIL}")
                elif verb == "EVENT" and rest[0]["kind"] != 9:
                    say("OK", rest[0]["id"], True, EVIL)
                elif verb == "EVENT" and rest[0]["content"] == "drop":
                    socket.close(1011, "\x1b[31mgone")
                elif verb == "EVENT":
                    say("OK", rest[0]["id"], False, f"blocked: {EVIL}")

    with serve(handle, "127.0.0.1", 0) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield server.socket.getsockname()[1]
        server.shutdown()
        thread.join(10)


def test_a_hostile_relay_cannot_steer_the_terminal_or_forge_a_line(
    person: Callable[..., Person], tmp_path: Path
) -> None:
    with hostile_relay() as port:
        ann = person(port, tmp_path / "ann", "--name", "Ann", rows=80, NO_COLOR="1")
        ann.see("You are in lobby as Ann")
        ann.see("joined")
        ann.see("The relay says: ")
        ann.see("The relay closed the subscription: ")
        ann.type("hello\r")
        ann.see("Not sent: ")
        ann.type("drop\r")
        ann.see("Not sent: the connection was lost before")
        ann.see("Connection lost")
        ann.see("Reconnected.")
        rows = ann.terminal.rows
        assert not any(row.startswith("* ann left") for row in rows), rows
        for sequence in (b"\x1b[2J", b"\x1b]0;", b"\x07", b"\xc2\x9b", "\u202e".encode(), b"\x1b[31m"):
            assert sequence not in ann.terminal.written
        ann.type("\x03")
        assert ann.code() == 0
        assert b"Traceback" not in ann.terminal.written
        done = subprocess.run(
            [sys.executable, "-m", "teleglyph", "chat", "--server", f"127.0.0.1:{port}", "--key", str(tmp_path / "k")],
            input=b"hello\n",
            capture_output=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == 1, "the relay refused a line"
        assert b"Not sent: " in done.stdout
        assert b"\x1b" not in done.stdout + done.stderr
        assert not any(line.startswith(b"* ann") for line in done.stdout.splitlines())


def test_all_lines_from_a_pipe_are_acknowledged_before_the_end(relay: ServerProcess, tmp_path: Path) -> None:
    text = "".join(f"line {number}\n" for number in range(60)) + "same\nsame\nlast without a line feed"
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "teleglyph",
            "chat",
            "--relay",
            f"127.0.0.1:{relay.http_port}",
            "--key",
            str(tmp_path / "k"),
        ],
        input=text.encode(),
        capture_output=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done
    assert b"\x1b" not in done.stdout
    peer = NostrPeer(relay)
    texts = [event["content"] for event in peer.ask({"kinds": [9], "#h": ["lobby"]})]
    assert sorted(texts) == sorted(text.split("\n"))
    peer.close()


def test_a_message_that_is_too_long_is_refused_before_it_is_sent(relay: ServerProcess, tmp_path: Path) -> None:
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "teleglyph",
            "chat",
            "--server",
            f"127.0.0.1:{relay.http_port}",
            "--key",
            str(tmp_path / "k"),
        ],
        input="x" * 70_000 + "\n" + "日" * 50_000 + "\nfine\n",
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 1
    assert done.stdout.count("Not sent: it is too long") == 2
    peer = NostrPeer(relay)
    assert [event["content"] for event in peer.ask({"kinds": [9], "#h": ["lobby"]})] == ["fine"]
    peer.close()


@contextlib.contextmanager
def forgetful_relay() -> Iterator[int]:
    """Drops the first connection; sends three messages on the second one, the newest first."""
    connections: list[ServerConnection] = []

    def handle(socket: ServerConnection) -> None:
        connections.append(socket)
        socket.send(json.dumps(["AUTH", "x"]))
        with contextlib.suppress(ConnectionClosed):
            for text in socket:
                verb, *rest = json.loads(text)
                if verb == "EVENT":
                    socket.send(json.dumps(["OK", rest[0]["id"], True, ""]))
                elif verb == "REQ" and len(connections) == 1:
                    socket.send(json.dumps(["EOSE", "chat"]))
                    threading.Timer(1.0, socket.close).start()
                elif verb == "REQ":
                    now = int(time.time())
                    for age, content in enumerate(("third", "second", "first")):
                        event = sign_event(BOB, now - age, 9, [["h", "lobby"]], content)
                        socket.send(json.dumps(["EVENT", "chat", json.loads(event.text)]))
                    socket.send(json.dumps(["EOSE", "chat"]))

    with serve(handle, "127.0.0.1", 0) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield server.socket.getsockname()[1]
        server.shutdown()
        thread.join(10)


def test_messages_missed_during_an_outage_are_shown_in_order(person: Callable[..., Person], tmp_path: Path) -> None:
    with forgetful_relay() as port:
        ann = person(port, tmp_path / "ann", "--name", "Ann", columns=100, rows=40)
        ann.see("Reconnected.")
        for word in ("first", "second", "third"):
            ann.see(word)
        rows = "\n".join(ann.terminal.rows)
        assert rows.index("first") < rows.index("second") < rows.index("third")
        assert rows.count("You are in lobby") == 1
