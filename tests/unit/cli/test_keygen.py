"""``teleglyph keygen``: what it refuses before it asks, and what it prints."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from teleglyph.keys import fingerprint, load_identity, parse_public_keys, randomart
from terminal import terminal


def run(tmp_path: Path, *words: str, **environment: str) -> subprocess.CompletedProcess[str]:
    settings = {name: value for name, value in os.environ.items() if not name.endswith("_KEY_PASSWORD")}
    return subprocess.run(
        [sys.executable, "-m", "teleglyph", "keygen", *words],
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
        cwd=tmp_path,
        env={**settings, "XDG_CONFIG_HOME": str(tmp_path / "config"), **environment},
    )


@pytest.mark.parametrize(
    ("file", "words"),
    [
        ("taken", "'taken' exists already"),
        ("half", "'half.pub' exists already"),
        ("directory", "'directory' is a directory"),
        ("missing/key", "There is no directory 'missing'"),
        ("taken/key", "'taken' is not a directory"),
        ("/proc/self/key", "You may not write"),
    ],
)
def test_an_invalid_file_is_refused_before_the_prompt(tmp_path: Path, file: str, words: str) -> None:
    (tmp_path / "taken").write_text("mine")
    (tmp_path / "half.pub").write_text("mine")
    (tmp_path / "directory").mkdir()
    before = sorted(tmp_path.rglob("*"))
    # Without a terminal, a prompt would fail with exit code 2.
    done = run(tmp_path, file)
    assert (done.returncode, words in done.stderr) == (61, True), done.stderr
    assert sorted(tmp_path.rglob("*")) == before


def test_it_explains_how_to_use_the_key(tmp_path: Path) -> None:
    done = run(tmp_path, "my key", "--no-passphrase")
    assert done.returncode == 0, done.stderr
    key = load_identity(str(tmp_path / "my key")).public_key
    assert parse_public_keys(str(tmp_path / "my key.pub")) == [key]
    assert fingerprint(key) in done.stdout
    assert randomart(key) in done.stdout
    assert "send my key.pub to their host" in done.stdout
    assert "teleglyph client HOST --key 'my key'" in done.stdout
    assert "teleglyph server --key 'my key'" in done.stdout


def test_the_default_file_needs_no_option(tmp_path: Path) -> None:
    done = run(tmp_path, TELEGLYPH_KEY_PASSWORD="open sesame")
    assert done.returncode == 0, done.stderr
    assert "Then join with: teleglyph client HOST\n" in done.stdout
    path = tmp_path / "config" / "teleglyph" / "id_ed25519"
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.parent.stat().st_mode & 0o777 == 0o700
    assert load_identity(str(path), lambda _: "open sesame").public_key
    assert run(tmp_path).returncode == 61


def test_a_pass_phrase_that_is_too_long_is_refused(tmp_path: Path) -> None:
    done = run(tmp_path, TELEGLYPH_KEY_PASSWORD="x" * 73)
    assert (done.returncode, "at most 72" in done.stderr) == (61, True), done.stderr


def test_the_pass_phrase_is_entered_twice_and_compared(tmp_path: Path) -> None:
    with terminal() as window:
        window.type(f"cd {tmp_path}; clear; {sys.executable} -m teleglyph keygen key; echo code=$?")
        for question, count, typed in (
            ("Pass phrase", 1, "one thing"),
            ("Repeat it", 1, "another"),
            ("Pass phrase", 2, "x" * 80),
            ("Pass phrase", 3, "open sesame"),
            ("Repeat it", 2, "open sesame"),
        ):
            window.wait(lambda screen, text=question, times=count: screen.count(text) == times, f"{question} {count}")  # type: ignore[misc]
            window.type(typed)
        window.expect("code=0")
        assert "The entries do not match." in window.screen
        assert "the maximum is 72" in window.screen
    assert load_identity(str(tmp_path / "key"), lambda _: "open sesame").public_key
