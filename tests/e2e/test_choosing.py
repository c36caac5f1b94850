"""``teleglyph client`` without an address: real servers and terminals on two machines of one network."""

from __future__ import annotations

import contextlib
import json
import os
import shlex
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from mdns_peer import MdnsPeer, encode_response, encode_text, service
from network_namespace import Machine, two_machines
from teleglyph.client.recent_calls import RecentCalls
from terminal import Terminal, terminal

TITLE = "Calls that you can join"
UNREACHABLE = ("10.77.0.8", "10.77.0.9")
"""No machine has these addresses."""
OPTIONS = "--test-pattern --no-audio"


@pytest.fixture(scope="module")
def machines() -> Iterator[tuple[Machine, Machine]]:
    with two_machines() as pair:
        yield pair


@pytest.fixture
def there(machines: tuple[Machine, Machine]) -> Machine:
    """Where servers run."""
    return machines[0]


@pytest.fixture
def here(machines: tuple[Machine, Machine]) -> Machine:
    """Where the user sits."""
    return machines[1]


class User:
    """A user at a terminal, with files of their own."""

    def __init__(self, machine: Machine, home: Path) -> None:
        self.machine = machine
        self.home = home
        self.file = home / "teleglyph" / "recent_calls.json"
        self.recent = RecentCalls(self.file)

    def environment(self, **changes: str) -> dict[str, str]:
        return {"XDG_STATE_HOME": str(self.home), "XDG_CONFIG_HOME": str(self.home / "config"), **changes}

    def begin(self, window: Terminal, words: str = OPTIONS, **changes: str) -> None:
        """Type the command; the shell prints its exit code."""
        settings = [f"{name}={shlex.quote(value)}" for name, value in self.environment(**changes).items()]
        command = [*self.machine.prefix, sys.executable, "-m", "teleglyph", "client"]
        window.begin(" ".join(["env", *settings, *command, words, "; echo code=$?"]))

    def run(self, *words: str) -> subprocess.CompletedProcess[str]:
        """The command without a terminal."""
        return subprocess.run(
            [*self.machine.prefix, sys.executable, "-m", "teleglyph", "client", *words],
            capture_output=True,
            text=True,
            timeout=60,
            stdin=subprocess.DEVNULL,
            env={**os.environ, **self.environment()},
        )

    def remember(self, *addresses: str) -> None:
        for when, address in enumerate(reversed(addresses)):
            self.recent.add(address, "", when)

    @property
    def remembered(self) -> list[str]:
        return [call.address for call in self.recent.entries()]


@pytest.fixture
def user(here: Machine, tmp_path: Path) -> User:
    return User(here, tmp_path / "user")


@contextlib.contextmanager
def server(machine: Machine, *words: str) -> Iterator[Callable[[], None]]:
    """A server that can be joined; yields a function that stops it."""
    process = subprocess.Popen(
        [*machine.prefix, sys.executable, "-m", "teleglyph", "server", *words],
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stderr is not None
    log = []
    for line in process.stderr:
        log.append(line)
        if "Announced '" in line or ("Data: " in line and words[0] == "127.0.0.1"):
            break

    def stop() -> None:
        process.send_signal(signal.SIGTERM)
        _, rest = process.communicate(timeout=20)
        assert process.returncode == 0, "".join(log) + rest

    try:
        yield stop
    finally:
        if process.poll() is None:
            stop()


def selected(window: Terminal) -> list[str]:
    """The rows with the mark."""
    return [row for row in window.rows if row.startswith(" >")]


def expect_selected(window: Terminal, text: str) -> None:
    window.wait(lambda _: any(text in row for row in selected(window)), f"{text!r} was never selected")


def leave(window: Terminal) -> None:
    window.expect("in the call")
    window.press("q")
    window.expect("code=0")


# --- nearby ---------------------------------------------------------------------------------------------------------


def test_a_call_nearby_is_joined_and_remembered(user: User, there: Machine, tmp_path: Path) -> None:
    with server(there, "0.0.0.0", "--data-dir", str(tmp_path / "server")), terminal() as window:
        user.begin(window)
        window.expect("nearby, 10.77.0.1")
        assert TITLE in window.screen
        window.press("Enter")
        window.expect("remember it? [y/N]:")
        assert not user.file.exists(), "a call that was not joined is not remembered"
        window.type("y")
        leave(window)
        assert user.remembered == ["10.77.0.1"]
        user.begin(window)
        window.expect("nearby, 10.77.0.1")
        assert window.screen.count("10.77.0.1") == 1
        window.press("1", "Enter")
        leave(window)


def test_the_list_follows_the_network(user: User, there: Machine) -> None:
    user.remember(*UNREACHABLE)
    with terminal() as window:
        user.begin(window)
        expect_selected(window, UNREACHABLE[0])
        with server(there, "0.0.0.0", "--ephemeral") as stop:
            window.expect("nearby, 10.77.0.1")
            expect_selected(window, UNREACHABLE[0])
            window.press("Up")
            expect_selected(window, "nearby")
            stop()
            window.wait(lambda screen: "nearby" not in screen, "the call did not disappear")
            assert selected(window) == []
            window.press("Enter", "Down")
            expect_selected(window, UNREACHABLE[0])
        window.press("q")
        window.expect("code=0")


def test_a_server_that_is_not_what_was_announced_is_refused(user: User, there: Machine, tmp_path: Path) -> None:
    text = encode_text(b"v=1", b"host_pubkey=" + b"12" * 32, b"name=Ann")
    packet = encode_response(service("Ann", there.address, 4321, text))
    words = ("127.0.0.1", there.address, "--no-lan", "--port", "4321", "--data-dir", str(tmp_path / "server"))
    with (
        server(there, *words),
        there.call(lambda: MdnsPeer(there.address, [packet])),
        terminal() as window,
    ):
        user.begin(window, f"{OPTIONS} --accept-new-server")
        window.expect("nearby, 10.77.0.1:4321")
        window.press("Enter")
        window.expect("code=64")
        assert "its announcement on your network" in " ".join(window.screen.split())
        assert not user.file.exists()


# --- this machine ---------------------------------------------------------------------------------------------------


def test_with_nothing_else_this_machine_is_joined_without_a_question(user: User, here: Machine) -> None:
    with server(here, "127.0.0.1", "--ephemeral"), terminal() as window:
        user.begin(window)
        leave(window)
        assert TITLE not in window.screen
        assert not user.file.exists(), "calls on this machine are not remembered"


def test_this_machine_is_the_first_choice(user: User, here: Machine) -> None:
    user.remember(*UNREACHABLE)
    with server(here, "127.0.0.1", "--ephemeral"), terminal() as window:
        user.begin(window)
        expect_selected(window, "1 This machine")
        window.press("Enter")
        leave(window)


def test_the_announcement_of_this_machine_is_no_second_choice(user: User, here: Machine) -> None:
    user.remember(*UNREACHABLE)
    with server(here, "0.0.0.0", "--ephemeral"), terminal() as window:
        user.begin(window)
        expect_selected(window, "1 This machine")
        window.expect(UNREACHABLE[1])
        assert "nearby" not in window.screen
        window.press("q")
        window.expect("code=0")


def test_without_any_call_this_machine_is_tried(user: User) -> None:
    with terminal() as window:
        user.begin(window)
        window.expect("code=42")
        assert "localhost:27224" in window.screen


def test_without_a_terminal_nobody_is_asked(user: User) -> None:
    user.remember(*UNREACHABLE)
    done = user.run()
    assert done.returncode == 42
    assert "localhost:27224" in done.stderr


@pytest.mark.parametrize("words", ["--snapshot", "--port 27224", "--room team"])
def test_options_that_name_a_call_need_no_question(user: User, words: str) -> None:
    user.remember(*UNREACHABLE)
    with terminal() as window:
        user.begin(window, f"{OPTIONS} {words}")
        window.expect("code=42")
        assert "localhost:27224" in window.screen


def test_a_terminal_without_a_cursor_shows_no_list(user: User) -> None:
    user.remember(*UNREACHABLE)
    with terminal() as window:
        user.begin(window, TERM="dumb")
        window.expect("code=25")
        assert TITLE not in window.screen


# --- recent calls ---------------------------------------------------------------------------------------------------


def test_keys_select_rows(user: User) -> None:
    user.remember(*(f"host{number}" for number in range(1, 31)))
    with terminal(60, 20) as window:
        user.begin(window)
        expect_selected(window, "1 host1 ")
        for keys, row in (
            ("Down", "2 host2 "),
            ("Up Up Up", "1 host1 "),
            ("3", "3 host3 "),
            ("9", "9 host9 "),
            ("Down", "host10 "),
            ("0 x", "host10 "),
            ("End Down", "host30 "),
            ("Up", "host29 "),
            ("Home", "1 host1 "),
            ("j j k", "2 host2 "),
        ):
            window.press(*keys.split())
            expect_selected(window, f" {row}")
            assert len(selected(window)) == 1
        window.press("q")
        window.expect("code=0")


def test_the_chosen_call_is_joined(user: User) -> None:
    user.remember("host1.invalid:4000", "host2.invalid/team")
    with terminal() as window:
        user.begin(window)
        expect_selected(window, "host1")
        window.press("2", "Enter")
        window.expect("code=42")
        assert "host2.invalid" in window.screen
        assert user.remembered[0] == "host1.invalid:4000", "a call that cannot be joined does not become the newest"


@pytest.mark.parametrize("key", ["q", "C-c", pytest.param("C-d", marks=pytest.mark.thorough)])
def test_leaving_restores_the_terminal(user: User, key: str) -> None:
    user.remember(*UNREACHABLE)
    with terminal() as window:
        user.begin(window)
        window.expect(TITLE)
        assert window.mode("alternate_on") == ["1"]
        window.press(key)
        window.expect("code=0")
        assert window.mode("alternate_on", "cursor_flag", "wrap_flag") == ["0", "1", "1"]
        window.type("echo still $((40 + 2))")
        window.expect("still 42")


@pytest.mark.parametrize("signal_number", [signal.SIGTERM, signal.SIGHUP])
def test_a_signal_restores_the_terminal(user: User, signal_number: signal.Signals) -> None:
    user.remember(*UNREACHABLE)
    with terminal() as window:
        user.begin(window)
        window.expect(TITLE)
        os.kill(foreground_process(window), signal_number)
        window.expect("code=0")
        assert window.mode("alternate_on", "cursor_flag") == ["0", "1"]


def foreground_process(window: Terminal) -> int:
    """The process that owns the window's keyboard."""
    tty = window.tmux("display-message", "-p", "#{pane_tty}").strip().removeprefix("/dev/")
    listed = subprocess.run(["ps", "-t", tty, "-o", "pid=,stat="], capture_output=True, text=True, check=True).stdout
    [pid] = [int(line.split()[0]) for line in listed.splitlines() if "+" in line.split()[1]]
    return pid


def test_the_list_follows_the_size_of_the_window(user: User) -> None:
    user.remember(*(f"host{number}.a-long-name.example.org" for number in range(1, 31)))
    with terminal(80, 24) as window:
        user.begin(window)
        window.expect("host20.")
        window.resize(30, 8)
        window.wait(lambda screen: "host1." in screen and "host5." not in screen, "the list did not shrink")
        assert "example.org" not in window.screen
        window.press("End")
        expect_selected(window, "host30.")
        window.resize(100, 40)
        window.wait(lambda screen: "host1.a-long-name.example.org" in screen, "the list did not grow")
        expect_selected(window, "host30.a-long-name.example.org")
        window.press("q")
        window.expect("code=0")


def test_a_suspended_list_comes_back(user: User) -> None:
    user.remember(*UNREACHABLE)
    with terminal() as window:
        user.begin(window)
        window.expect(TITLE)
        window.press("C-z")
        window.wait(lambda screen: TITLE not in screen and "code=" in screen, "it was not suspended")
        window.type("echo paused $((40 + 2))")
        window.expect("paused 42")
        assert "NDELAY" not in window.screen, "the shell had to repair the terminal"
        window.begin("fg")
        window.expect(TITLE)
        window.press("Down")
        expect_selected(window, UNREACHABLE[1])
        window.press("q")
        window.wait(lambda screen: TITLE not in screen, "it did not end")
        window.type("echo left=$?")
        window.expect("left=0")


@pytest.mark.parametrize(
    "environment",
    [
        {"TERM": "vt100", "LC_ALL": "C", "NO_COLOR": "1"},
        {"TERM": "xterm-256color", "LANG": "C", "LC_ALL": ""},
    ],
    ids=["vt100", "no locale"],
)
def test_simple_terminals_show_the_list_in_ascii(user: User, environment: dict[str, str]) -> None:
    user.recent.add(UNREACHABLE[0], "Zoë 界", 1)
    user.recent.add(UNREACHABLE[1], "", 2)
    with terminal() as window:
        user.begin(window, **environment)
        window.press("Down")
        expect_selected(window, "2 Zo? ?")
        assert window.screen.isascii()
        window.press("q")
        window.expect("code=0")


def test_titles_keep_their_letters_in_utf8(user: User) -> None:
    user.recent.add(UNREACHABLE[0], "Zoë 界", 1)
    with terminal() as window:
        user.begin(window)
        expect_selected(window, "1 Zoë 界  10.77.0.8")
        window.press("q")
        window.expect("code=0")


@pytest.mark.thorough
def test_a_damaged_list_is_reported(user: User, there: Machine) -> None:
    user.file.parent.mkdir(parents=True)
    user.file.write_text("damaged")
    user.file.chmod(0o600)
    with terminal(120, 30) as window:
        user.begin(window)
        window.expect("code=42")
        assert "The list of recent calls starts again" in window.screen
        with server(there, "0.0.0.0", "--ephemeral"):
            user.begin(window)
            window.expect("The list of recent calls starts again")
            window.press("q")
            window.expect("code=0")


@pytest.mark.thorough
def test_secrets_are_not_remembered(user: User, there: Machine, tmp_path: Path) -> None:
    home, password = tmp_path / "server", "correct horse"
    environment = {**os.environ, "TELEGLYPH_PASSWORD": password}
    words = [*there.prefix, sys.executable, "-m", "teleglyph"]
    with server(there, "0.0.0.0", "--password", password, "--data-dir", str(home)), terminal() as window:
        invite = [*words, "invite", "--room", "team", "--data-dir", str(home), "--host", there.address]
        link = subprocess.run(invite, capture_output=True, text=True, check=True, env=environment).stdout.strip()
        token = link.partition("#i=")[2]
        assert len(token) > 20
        user.begin(window, f"{shlex.quote(link)} {OPTIONS}")
        window.expect("in team")
        window.press("q")
        window.expect("code=0")
        user.begin(window, f"{there.address} {OPTIONS}", TELEGLYPH_PASSWORD=password)
        leave(window)
    stored = user.file.read_text()
    assert {call["address"] for call in json.loads(stored)["calls"]} == {"10.77.0.1", "10.77.0.1/team"}
    assert token not in stored
    assert password not in stored


@pytest.mark.thorough
def test_a_user_need_not_be_remembered(user: User, there: Machine) -> None:
    with server(there, "0.0.0.0", "--ephemeral"), terminal() as window:
        user.begin(window, f"{there.address} --accept-new-server --no-remember {OPTIONS}")
        leave(window)
        assert not user.file.exists()


@pytest.mark.thorough
def test_recent_calls_are_forgotten_on_request(user: User) -> None:
    user.remember(*UNREACHABLE)
    done = user.run("--forget-recent")
    assert (done.returncode, done.stderr) == (0, "Forgot 2 recent calls.\n")
    assert not user.file.exists()
    assert user.run("--forget-recent").stderr == "Forgot 0 recent calls.\n"
    refused = user.run("example.org", "--forget-recent")
    assert refused.returncode == 2
    assert "takes no ADDRESS" in refused.stderr
