"""The demo, as a newcomer starts it."""

import subprocess
import sys

import pytest

from terminal import terminal


def test_without_a_terminal_the_demo_prints_one_frame_and_ends() -> None:
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


def blocks(screen: str) -> int:
    """Characters of half and quarter blocks on a screen."""
    return sum("\u2580" <= character <= "\u259f" for character in screen)


@pytest.mark.parametrize("key", ["C-c", pytest.param("q", marks=pytest.mark.thorough)])
def test_in_a_terminal_the_demo_follows_a_resize_and_restores_the_terminal(key: str) -> None:
    with terminal(100, 30) as window:
        window.type("echo before")
        window.expect("\nbefore")
        window.type(f"{sys.executable} -m teleglyph demo; echo code=$?")
        window.wait(lambda screen: blocks(screen) > 500, "blocks are drawn")
        assert window.mode("alternate_on", "cursor_flag") == ["1", "0"]
        window.resize(60, 20)
        window.wait(lambda screen: 100 < blocks(screen) <= 60 * 20, "the picture follows")
        window.press(key)
        window.expect("code=0")
        assert "before" in window.screen
        assert "▀" not in window.screen
        assert window.mode("alternate_on", "cursor_flag", "wrap_flag") == ["0", "1", "1"]


@pytest.mark.alone
def test_the_demos_people_are_heard() -> None:
    # Wide enough for the meter beside all notices.
    with terminal(150, 30) as window:
        window.type(f"{sys.executable} -m teleglyph demo --sound-test")
        window.wait(lambda screen: "room ##" in screen, "the meter of the room moves")
        window.press("q")
