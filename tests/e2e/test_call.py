"""A call between people: the server and two clients, each in its own terminal."""

import os
import re
import signal
import sys
from contextlib import ExitStack
from pathlib import Path

import pytest

from terminal import Terminal, terminal

TELEGLYPH = f"{sys.executable} -m teleglyph"
PLAIN = "--color-mode none --render-mode foreground --palette-chars .:oM"
QUIET = f"--no-audio {PLAIN}"
"""Four glyphs without colours: '.' for the dark quarter up to 'M' for the bright one."""


def still(path: Path, luminance: int) -> Path:
    """A picture of one shade of grey, 16:9."""
    path.write_bytes(b"P5 160 90 255\n" + bytes([luminance]) * (160 * 90))
    return path


def start_server(window: Terminal, *options: str) -> int:
    window.type(f"{TELEGLYPH} server 127.0.0.1 --port 0 --no-http {' '.join(options)}; echo code=$?")
    window.expect("listening on")
    found = re.search(r"listening on 127\.0\.0\.1:(\d+)", window.screen)
    assert found, window.screen
    return int(found[1])


def glyphs(screen: str, glyph: str) -> int:
    """How often a glyph occurs in the picture, which is everything above the status line."""
    return "\n".join(screen.rstrip("\n").split("\n")[:-1]).count(glyph)


def is_restored(window: Terminal) -> bool:
    return window.mode("alternate_on", "cursor_flag", "wrap_flag") == ["0", "1", "1"]


@pytest.mark.parametrize("codec", ["raw", "hevc"])
def test_two_people_see_each_other_until_one_leaves(tmp_path: Path, codec: str) -> None:
    bright, dim = still(tmp_path / "bright.pgm", 250), still(tmp_path / "dim.pgm", 150)
    with ExitStack() as stack:
        host, ann, bob = (stack.enter_context(terminal(columns, 26)) for columns in (150, 100, 70))
        port = start_server(host)
        for window, file, name in ((ann, bright, "ann"), (bob, dim, "bob")):
            options = f"--file {file} --video-codec {codec} --name {name} {QUIET}"
            window.type(f"{TELEGLYPH} client :{port} {options}; echo code=$?")
            window.wait(lambda s: glyphs(s, "M") > 300, "the first to come is shown")
        for window in (ann, bob):
            window.wait(lambda s: glyphs(s, "M") > 300 and glyphs(s, "o") > 300, "both pictures are shown")
            window.expect("2 in the call")
            assert window.mode("alternate_on", "cursor_flag") == ["1", "0"]
            window.wait(lambda s: -1 < s.find("M") < s.find("o"), "the first to come has the first place")
        before = glyphs(ann.screen, "M")

        bob.press("q")
        bob.expect("code=0")
        assert is_restored(bob)
        ann.wait(lambda s: "oooo" not in s and glyphs(s, "M") > 1.3 * before, "the one who stays fills the screen")
        ann.expect("1 in the call")

        ann.press("C-c")
        ann.expect("code=0")
        assert is_restored(ann)
        host.press("C-c")
        host.expect("code=0")
        for line in ("ann joined", "bob joined (2 in the call)", "bob left after", "ann left after"):
            assert line in host.screen


def test_resizes_keys_and_the_camera_switch_take_effect_at_once(tmp_path: Path) -> None:
    with terminal(100, 30) as host, terminal(90, 30) as ann:
        port = start_server(host)
        ann.type(f"{TELEGLYPH} client :{port} --file {still(tmp_path / 'bright.pgm', 250)} {QUIET}; echo code=$?")
        ann.wait(lambda s: glyphs(s, "M") == 90 * 26, "the picture is as wide as the window")
        ann.resize(60, 20)
        ann.wait(lambda s: glyphs(s, "M") == 60 * 17, "the picture follows the window")
        ann.press("r")
        ann.expect("half-block")
        ann.wait(lambda s: s.count("█" * 60) == 17, "half-blocks without colours")
        for mode in ("quadrant", "braille", "shape", "foreground"):
            ann.press("r")
            ann.expect(mode)
        ann.press("c")
        ann.expect("16 colours")
        ann.press("?")
        ann.expect("camera on and off")
        ann.press("Escape")
        ann.wait(lambda s: "camera on and off" not in s, "Escape closes the help, not the program")
        ann.press("v")
        ann.expect("picture off")
        ann.expect("camera off")
        ann.wait(lambda s: glyphs(s, "M") == 0, "the picture is gone")
        ann.press("v")
        ann.wait(lambda s: glyphs(s, "M") > 500, "the picture is back")
        ann.press("q")
        ann.expect("code=0")
        assert "NDELAY" not in ann.screen, "the terminal is restored"
        assert is_restored(ann)


def test_a_slow_connection_shows_on_a_narrow_status_line() -> None:
    with terminal(100, 30) as host, terminal(80, 24) as ann:
        port = start_server(host)
        ann.type(f"{TELEGLYPH} client :{port} --pattern plasma --max-bitrate 40k --no-audio; echo code=$?")
        ann.expect("slow connection: detail -")
        ann.press("q")
        ann.expect("code=0")
        assert "NDELAY" not in ann.screen, "the terminal is restored"


def test_a_lost_server_shows_on_the_screen_and_is_found_again(tmp_path: Path) -> None:
    with terminal(100, 30) as host, terminal(90, 24) as ann:
        port = start_server(host)
        ann.type(f"{TELEGLYPH} client :{port} --file {still(tmp_path / 'bright.pgm', 250)} {QUIET}; echo code=$?")
        ann.wait(lambda s: glyphs(s, "M") > 300, "the picture is shown")
        host.press("C-c")
        host.expect("code=0")
        ann.expect("Reconnecting in")
        host.begin(f"{TELEGLYPH} server 127.0.0.1 --port {port} --no-http; echo code=$?")
        ann.wait(lambda s: "Reconnecting" not in s and glyphs(s, "M") > 300, "the picture is back")
        ann.press("q")
        ann.expect("code=0")
        assert "NDELAY" not in ann.screen, "the terminal is restored"


def test_ctrl_z_restores_the_terminal_and_fg_resumes_the_call(tmp_path: Path) -> None:
    with terminal(100, 30) as host, terminal(90, 24) as ann:
        port = start_server(host)
        ann.type("set -m")
        ann.type(f"{TELEGLYPH} client :{port} --file {still(tmp_path / 'bright.pgm', 250)} {QUIET}")
        ann.wait(lambda s: glyphs(s, "M") > 300, "the picture is shown")
        ann.press("C-z")
        ann.expect("Stopped")
        assert is_restored(ann)
        ann.type("fg")
        ann.wait(lambda s: glyphs(s, "M") > 300, "the picture is back")
        ann.press("q")
        ann.wait(lambda s: s.rstrip().endswith("ready$"), "the shell goes on")
        assert is_restored(ann)


def test_a_second_signal_ends_the_client_at_once_and_still_restores_the_terminal(tmp_path: Path) -> None:
    with terminal(100, 30) as host, terminal(90, 24) as ann:
        port = start_server(host)
        picture = still(tmp_path / "bright.pgm", 250)
        pid = tmp_path / "pid"
        ann.type("set +m")
        ann.type(f"sh -c 'echo $$ >{pid}; exec {TELEGLYPH} client :{port} --file {picture} {QUIET}'; echo code=$?")
        ann.wait(lambda s: glyphs(s, "M") > 300, "the picture is shown")
        # A stopped process cannot act on the first signal before the second one arrives.
        for number in (signal.SIGSTOP, signal.SIGINT, signal.SIGTERM, signal.SIGCONT):
            os.kill(int(pid.read_text()), number)
        ann.expect("code=1")
        assert is_restored(ann)
        assert "M" * 40 not in ann.screen


def test_a_mirror_shows_a_file_and_obeys_its_keys(tmp_path: Path) -> None:
    with terminal(90, 30) as ann:
        ann.type(f"{TELEGLYPH} mirror {still(tmp_path / 'bright.pgm', 250)} {PLAIN}; echo code=$?")
        ann.wait(lambda s: glyphs(s, "M") == 90 * 25, "the picture fills the window")
        ann.resize(40, 20)
        ann.wait(lambda s: glyphs(s, "M") == 40 * 11, "the picture follows the window")
        ann.press("q")
        ann.expect("code=0")
        assert "NDELAY" not in ann.screen, "the terminal is restored"
        assert is_restored(ann)


def test_the_status_line_shows_sound_and_mute() -> None:
    with terminal(100, 30) as host, terminal(140, 24) as ann, terminal(140, 24) as bob:
        port = start_server(host)
        ann.type(f"{TELEGLYPH} client :{port} --no-video --sound-test {PLAIN}; echo code=$?")
        ann.expect("mic .....")
        ann.press("m")
        ann.expect("mic muted")
        ann.press("Down")
        ann.expect("volume 90%")
        ann.press("q")
        ann.expect("code=0")
        assert "NDELAY" not in ann.screen, "the terminal is restored"
        bob.type(f"{TELEGLYPH} client :{port} --no-video {QUIET}; echo code=$?")
        bob.expect("1 in the call")
        bob.press("m")
        bob.expect("There is no sound")
        bob.press("C-c")
        bob.expect("code=0")
        assert is_restored(bob)


@pytest.mark.thorough
def test_keys_without_effect_say_why_and_a_spotlight_is_named() -> None:
    with terminal(100, 30) as host, terminal(110, 24) as ann, terminal(80, 24) as bob:
        port = start_server(host)
        ann.type(f"{TELEGLYPH} client :{port} --test-pattern --name ann {QUIET}; echo code=$?")
        ann.expect("1 in the call")
        for key, answer in (
            ("1", "Nobody else is here yet."),
            ("Right", "Nobody else is here yet."),
            ("Space", "There is no sound: you joined with --no-audio."),
            ("x", "x does nothing here; ? shows the keys."),
        ):
            ann.press(key)
            ann.expect(answer)
        ann.press("?")
        ann.wait(
            lambda s: "render mode" in s and "only one" not in s and "mute" not in s, "only keys that work are listed"
        )
        ann.press("?")
        bob.type(f"{TELEGLYPH} client :{port} --no-video --sound-test --name bob {PLAIN}; echo code=$?")
        ann.expect("2 in the call")
        ann.press("5")
        ann.expect("There is no participant 5.")
        ann.press("2")
        ann.expect("only bob; 0 shows everyone")
        ann.press("?")
        ann.expect("show only one participant")
        ann.press("Escape")
        ann.resize(20, 10)
        ann.wait(lambda s: s.rstrip().split("\n")[-1] == " ? | 0: everyone", "fields are dropped whole")
        ann.resize(110, 24)
        ann.expect("only bob; 0 shows everyone")
        bob.expect("2 in the call")
        bob.press("v")
        bob.expect("You have no picture to send")
        bob.press("Space")
        bob.expect("Space is for --push-to-talk")
        bob.press("q")
        bob.expect("code=0")
        ann.expect("bob left; you see everyone again.")
        ann.press("q")
        ann.expect("code=0")
        assert "NDELAY" not in ann.screen, "the terminal is restored"


def test_an_outage_removes_stale_fields_from_the_status_line() -> None:
    with terminal(100, 30) as host, terminal(100, 24) as ann:
        port = start_server(host)
        ann.type(f"{TELEGLYPH} client :{port} --test-pattern {QUIET}; echo code=$?")
        ann.wait(lambda s: "1 in the call" in s and "frames/s" in s, "the status line is complete")
        host.press("C-c")
        ann.wait(lambda s: "| reconnecting" in s and "in the call" not in s and "frames/s" not in s, "nothing is stale")
        ann.press("q")
        ann.expect("code=0")
        assert "NDELAY" not in ann.screen, "the terminal is restored"


def test_a_resumed_call_is_redrawn(tmp_path: Path) -> None:
    with terminal(100, 30) as host, terminal(100, 24) as ann:
        port = start_server(host)
        ann.type("bash --norc -i")
        ann.type(f"{TELEGLYPH} client :{port} --file {still(tmp_path / 'bright.pgm', 250)} {QUIET}; echo code=$?")
        ann.wait(lambda s: glyphs(s, "M") > 1000 and "frames/s" in s, "the picture is there")
        before = glyphs(ann.screen, "M")
        ann.press("C-z")
        ann.expect("Stopped")
        ann.type("fg")
        ann.wait(lambda s: glyphs(s, "M") == before and "in the call" in s, "all of it is there again")
        ann.press("q")
        ann.wait(lambda s: s.rstrip().endswith("ready$"), "the shell is back")
        assert is_restored(ann)
