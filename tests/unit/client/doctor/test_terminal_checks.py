"""What the doctor says about terminals."""

from __future__ import annotations

from dataclasses import replace

import pytest

from pseudo_terminal import PseudoTerminal
from teleglyph.client.doctor.report import Finding, Verdict
from teleglyph.client.doctor.terminal import (
    TerminalFacts,
    check_characters,
    check_colors,
    check_locale,
    check_size,
    check_type,
    is_installed,
    terminal_checks,
)
from teleglyph.client.terminal.block_width import measure_block
from teleglyph.client.terminal.capabilities import Terminal
from teleglyph.media.modes import ColorLevel

GOOD = Terminal(
    interactive=True,
    has_keys=True,
    color=ColorLevel.TRUECOLOR,
    color_source="COLORTERM=truecolor",
    utf8=True,
    synchronized=True,
    term="xterm-256color",
    colorterm="truecolor",
    sextants=True,
    utf8_source="LANG=C.UTF-8",
)


TMUX = "/run/tmux,1,0"


def facts(
    terminal: Terminal = GOOD,
    size: tuple[int, int] = (120, 40),
    block: int | None = 1,
    described: bool = True,
    **environment: str,
) -> TerminalFacts:
    return TerminalFacts(terminal, *size, block, described, environment)


def verdicts(found: TerminalFacts) -> list[Verdict]:
    looks = (check_type, check_size, check_colors, check_characters)
    return [*(look(found).verdict for look in looks), check_locale(found, lambda _: True).verdict]


def expect(finding: Finding, verdict: Verdict, text: str, step: str = "") -> None:
    assert finding.verdict is verdict, finding
    assert text in finding.text
    assert step in finding.step
    if verdict in (Verdict.PROBLEM, Verdict.NOTE):
        assert "\n" not in finding.text + finding.step
        assert finding.text.endswith(".")


def test_a_good_terminal_has_no_findings() -> None:
    assert verdicts(facts()) == [Verdict.OK] * 5
    assert check_characters(facts()).text == "UTF-8, blocks are one column wide, with sextants."


def test_without_a_terminal_only_the_locale_is_checked() -> None:
    found = facts(replace(GOOD, interactive=False), block=None)
    assert verdicts(found) == [Verdict.SKIPPED] * 4 + [Verdict.OK]


def test_every_check_has_a_name_of_its_own() -> None:
    assert [check.name for check in terminal_checks(facts())] == [
        "terminal-type",
        "terminal-size",
        "terminal-colors",
        "terminal-characters",
        "locale",
    ]


# --- type ---------------------------------------------------------------------------------------------------------


def test_a_terminal_that_only_prints_lines_is_a_problem() -> None:
    plain = facts(replace(GOOD, term="dumb", cursor=False))
    expect(check_type(plain), Verdict.PROBLEM, "TERM=dumb", "TERM=xterm-256color")
    expect(check_type(facts(replace(GOOD, term="", cursor=False))), Verdict.PROBLEM, "TERM is not set")
    emacs = facts(replace(GOOD, cursor=False, in_emacs=True))
    expect(check_type(emacs), Verdict.PROBLEM, "shell buffer of Emacs", "M-x term")


def test_multiplexers_and_consoles_get_hints() -> None:
    expect(check_type(facts(TMUX=TMUX)), Verdict.NOTE, "You are in tmux, but TERM=xterm-256color", "tmux-256color")
    inside = facts(replace(GOOD, term="tmux-256color"), TMUX=TMUX)
    expect(check_type(inside), Verdict.OK, "TERM=tmux-256color, in tmux.")
    expect(check_type(facts(STY="1.pts")), Verdict.NOTE, "GNU screen", "tmux")
    expect(check_type(facts(replace(GOOD, term="linux"))), Verdict.NOTE, "Linux console", "SSH")
    expect(check_type(facts(described=False)), Verdict.NOTE, "terminfo database does not know", "ncurses-term")


# --- size and colours ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [(39, 40), (120, 11)])
def test_a_small_window_is_noted(size: tuple[int, int]) -> None:
    expect(check_size(facts(size=size)), Verdict.NOTE, f"{size[0]} columns, {size[1]} rows: too few", "Enlarge")


def test_a_huge_window_is_noted() -> None:
    expect(check_size(facts(size=(800, 201))), Verdict.NOTE, "160000 cells at most")
    expect(check_size(facts(size=(800, 200))), Verdict.OK, "800 columns")


def test_few_colours_are_noted_with_a_way_to_get_more() -> None:
    few = replace(GOOD, color=ColorLevel.ANSI256, color_source="terminfo of xterm-256color")
    expect(check_colors(facts(few)), Verdict.OK, "COLORTERM=truecolor")
    expect(check_colors(facts(few, TMUX=TMUX)), Verdict.NOTE, "tmux", "terminal-features")
    fewer = replace(GOOD, color=ColorLevel.ANSI16, color_source="terminfo of xterm")
    expect(check_colors(facts(fewer)), Verdict.NOTE, "coarse", "--color-mode truecolor")
    none = replace(GOOD, color=ColorLevel.NONE, color_source="NO_COLOR")
    expect(check_colors(facts(none)), Verdict.NOTE, "NO_COLOR is set", "Unset it")


# --- characters ---------------------------------------------------------------------------------------------------


def test_wide_blocks_are_a_problem() -> None:
    expect(check_characters(facts(block=2)), Verdict.PROBLEM, "two columns wide", "narrow")


def test_a_terminal_that_does_not_decode_utf8_is_a_problem() -> None:
    expect(check_characters(facts(block=3)), Verdict.PROBLEM, "every byte as a character", "--utf8 false")


def test_a_locale_that_hides_utf8_is_noted() -> None:
    ascii_only = replace(GOOD, utf8=False, utf8_source="LC_ALL=C")
    expect(check_characters(facts(ascii_only)), Verdict.NOTE, "(LC_ALL=C)", "--utf8 true")
    expect(check_characters(facts(ascii_only, block=3)), Verdict.NOTE, "ASCII only", "LANG=C.UTF-8")
    expect(check_locale(facts(ascii_only), lambda _: True), Verdict.NOTE, "LC_ALL=C, which does not", "LANG=C.UTF-8")


def test_a_silent_terminal_is_believed() -> None:
    expect(check_characters(facts(block=None)), Verdict.OK, "does not say how wide")


# --- locale -------------------------------------------------------------------------------------------------------


def test_a_locale_that_is_not_installed_is_noted() -> None:
    odd = facts(replace(GOOD, utf8_source="LANG=xx_XX.UTF-8"))
    expect(check_locale(odd), Verdict.NOTE, "LANG=xx_XX.UTF-8 is not installed", "dpkg-reconfigure")
    assert is_installed("C")


def test_no_locale_is_noted() -> None:
    none = facts(replace(GOOD, utf8=False, utf8_source="no locale is set"))
    expect(check_locale(none), Verdict.NOTE, "No locale is set", "LANG=C.UTF-8")


# --- the measurement ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("answer", "columns"),
    [(b"\x1b[7;2R", 1), (b"\x1b[7;3R", 2), (b"\x1b[7;4R", 3), (b"", None), (b"\x1b[;R", None)],
)
def test_the_cursor_tells_the_width_of_a_block(answer: bytes, columns: int | None) -> None:
    sent = False

    def reply(written: bytes) -> bytes:
        nonlocal sent
        if sent or b"\x1b[c" not in written:
            return b""
        sent = True
        return answer + b"\x1b[?62c"

    terminal = PseudoTerminal(answer=reply)
    try:
        assert measure_block(terminal.fd, terminal.fd) == columns
        assert "▀".encode() in terminal.written
        assert b"\r\x1b[K" in terminal.written
    finally:
        terminal.close()
