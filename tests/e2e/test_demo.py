"""The demo, as a newcomer starts it."""

import subprocess
import sys
import time
from collections.abc import Callable, Iterator

import pytest


def test_without_a_terminal_it_prints_one_picture_of_the_call_and_ends() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "teleglyph", "demo"], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    rows = done.stdout.rstrip("\n").split("\n")
    assert len(rows) == 24
    assert {len(row) for row in rows} == {80}
    assert "\x1b" not in done.stdout
    quarters = [[row[x : x + 40] for row in rows[y : y + 12]] for y in (0, 12) for x in (0, 40)]
    assert all(len(set("".join(quarter))) > 3 for quarter in quarters), "each of the four participants is drawn"


Tmux = Callable[..., str]


@pytest.fixture
def tmux() -> Iterator[Tmux]:
    socket = f"teleglyph-test-{time.monotonic_ns()}"

    def call(*arguments: str) -> str:
        return subprocess.run(
            ["tmux", "-L", socket, "-f", "/dev/null", *arguments], capture_output=True, text=True, check=True
        ).stdout

    yield call
    subprocess.run(["tmux", "-L", socket, "kill-server"], capture_output=True, check=False)


def wait_for(condition: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < deadline, what
        time.sleep(0.2)


@pytest.mark.parametrize("key", ["q", "C-c"])
def test_in_a_terminal_it_draws_follows_a_resize_and_restores_the_terminal(tmux: Tmux, key: str) -> None:
    tmux("new-session", "-d", "-x", "100", "-y", "30", "env PS1='$ ' LC_ALL=C.UTF-8 sh")
    tmux("send-keys", "echo before", "Enter")
    wait_for(lambda: "\nbefore" in tmux("capture-pane", "-p"), "the shell runs")
    tmux("send-keys", f"{sys.executable} -m teleglyph demo; echo code=$?", "Enter")
    wait_for(lambda: tmux("capture-pane", "-p").count("▀") > 500, "half blocks are drawn")
    assert tmux("display-message", "-p", "#{alternate_on} #{cursor_flag}").split() == ["1", "0"]
    tmux("resize-window", "-x", "60", "-y", "20")
    wait_for(lambda: 100 < tmux("capture-pane", "-p").count("▀") <= 60 * 20, "the picture follows")
    tmux("send-keys", key)
    wait_for(lambda: "code=0" in tmux("capture-pane", "-p"), "it ends with exit code 0")
    screen = tmux("capture-pane", "-p")
    assert "before" in screen
    assert "▀" not in screen
    assert tmux("display-message", "-p", "#{alternate_on} #{cursor_flag} #{wrap_flag}").split() == ["0", "1", "1"]
