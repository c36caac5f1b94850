"""QR codes as text: what is drawn is what the library made, in every form."""

from __future__ import annotations

import re

import pytest
import segno

from teleglyph.cli.qr_code import QrCode

LINK = "https://example.org:27224/den#i=" + "A" * 160


def modules_of(text: str) -> list[list[int]]:
    """The modules of a drawing in half blocks."""
    rows = []
    for line in text.splitlines():
        rows.append([int(character in "▀█") for character in line])
        rows.append([int(character in "▄█") for character in line])
    return rows


def expected(text: str) -> list[list[int]]:
    return [list(row) for row in segno.make(text, error="l", micro=False).matrix_iter(border=4)]


@pytest.mark.parametrize("text", ["http://192.0.2.7:27224/", LINK])
def test_half_blocks_show_two_modules_each(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LC_ALL", "C.UTF-8")
    code, wanted = QrCode(text), expected(text)
    plain = code.text(colors=False)
    assert "\x1b" not in plain
    assert modules_of(plain)[: len(wanted)] == wanted
    assert code.size == (len(wanted), (len(wanted) + 1) // 2)
    colored = code.text(colors=True)
    assert re.sub(r"\x1b\[[\d;]*m", "", colored) == plain
    assert all(line.startswith("\x1b[30;47m") and line.endswith("\x1b[0m") for line in colored.splitlines())


def test_without_utf8_it_is_ascii(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LC_ALL", "C")
    code, wanted = QrCode("http://192.0.2.7/"), expected("http://192.0.2.7/")
    lines = code.text(colors=False).splitlines()
    assert code.text(colors=True).isascii()
    assert [[int(line[at : at + 2] == "##") for at in range(0, len(line), 2)] for line in lines] == wanted
    assert code.size == (2 * len(wanted), len(wanted))


def test_it_fits_on_no_pipe(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")
    assert not QrCode("http://192.0.2.7/").fits()
