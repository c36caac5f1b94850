"""How the doctor's results are printed."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest

from teleglyph.cli.doctor_report import TextReport, as_json, count
from teleglyph.client.doctor.examination import Check, Result
from teleglyph.client.doctor.report import Finding, Verdict, note, ok, problem, skipped
from teleglyph.printable import width


async def _never() -> Finding:
    raise AssertionError


def result(name: str, finding: Finding) -> Result:
    return Result(Check(name, name, _never, ""), finding, 0.12345)


RESULTS = [
    result("size", ok("120 columns.")),
    result("camera", note("No camera was found.", "Connect one.")),
    result("keys", problem("Others can read /höme/名前/key.", "Run: chmod 600 key")),
    result("NAT", skipped("No STUN server was named.")),
]
Printed = Callable[..., str]


@pytest.fixture
def printed(capsys: pytest.CaptureFixture[str]) -> Printed:
    def show(
        results: list[Result] = RESULTS, columns: int | None = None, colors: bool = False, utf8: bool = True
    ) -> str:
        report = TextReport([each.check.title for each in results], columns, has_colors=colors, has_utf8=utf8)
        for each in results:
            report.show(each)
        report.end(results)
        return capsys.readouterr().out

    return show


def test_lines_are_aligned(printed: Printed) -> None:
    assert printed() == (
        "ok       size    120 columns.\n"
        "note     camera  No camera was found.\n"
        "                 → Connect one.\n"
        "problem  keys    Others can read /höme/名前/key.\n"
        "                 → Run: chmod 600 key\n"
        "skipped  NAT     No STUN server was named.\n"
        "\n"
        "1 problem, 1 note.\n"
    )


def test_a_terminal_without_utf8_gets_ascii(printed: Printed) -> None:
    assert "-> Connect one." in printed(utf8=False)
    assert "→" not in printed(utf8=False)


def test_colours_do_not_move_anything(printed: Printed) -> None:
    shown = printed(colors=True)
    assert "\x1b[1;31mproblem\x1b[m  keys" in shown
    assert "\x1b" not in printed()
    for code in ("32", "33", "1;31", "2"):
        shown = shown.replace(f"\x1b[{code}m", "")
    assert shown.replace("\x1b[m", "") == printed()


@pytest.mark.parametrize("columns", [24, 40, 59, 60, 80, 110, 400])
def test_no_line_is_wider_than_the_window(printed: Printed, columns: int) -> None:
    long = result("keys", problem("名前 " * 60 + "x" * 200, "Do this. " * 30))
    lines = printed([*RESULTS, long], columns).splitlines()
    assert max(map(width, lines)) <= min(columns, 110)
    assert "\N{REPLACEMENT CHARACTER}" not in "".join(lines)


def test_a_pipe_gets_whole_lines(printed: Printed) -> None:
    long = result("keys", problem("Word " * 100, "Step " * 100))
    assert len(printed([long]).splitlines()) == 4


def test_foreign_text_cannot_steer_the_terminal(printed: Printed) -> None:
    assert "\x1b" not in printed([result("server", problem("It says \x1b[2J.", "Ask \x1b]0;x\x07."))])


@pytest.mark.parametrize(
    ("findings", "end"),
    [
        ([ok("a")], "No problems, no notes."),
        ([note("a")], "No problems, 1 note."),
        ([problem("a", "b")] * 2, "2 problems, no notes."),
        ([], "No problems, no notes."),
    ],
)
def test_the_last_line_counts(printed: Printed, findings: list[Finding], end: str) -> None:
    assert printed([result("x", finding) for finding in findings]).splitlines()[-1] == end


def test_json_has_the_documented_keys() -> None:
    shown = json.loads(as_json(RESULTS))
    assert list(shown) == ["version", "teleglyph", "counts", "checks"]
    assert shown["version"] == 1
    assert shown["counts"] == count(RESULTS) == {"ok": 1, "note": 1, "problem": 1, "skipped": 1}
    assert shown["checks"][1] == {
        "name": "camera",
        "verdict": "note",
        "text": "No camera was found.",
        "step": "Connect one.",
        "seconds": 0.123,
    }
    assert shown["checks"][0]["step"] is None
    assert {check["verdict"] for check in shown["checks"]} == {verdict.value for verdict in Verdict}


def test_json_is_ascii() -> None:
    assert as_json(RESULTS).isascii()
