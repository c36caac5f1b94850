"""Text on standard output and standard error."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import teleglyph

_SOURCE = Path(teleglyph.__file__).parent
_WRITERS = {
    "console.py": "text, through the gate",
    "client/terminal/screen.py": "pictures, status line and boxes on a terminal",
    "client/terminal/frame_writer.py": "pictures in a row",
    "client/terminal/capabilities.py": "questions to the terminal",
    "media/decoding_process.py": "answers, into the socket of its server",
}
"""The modules that may write to the standard streams, and what."""
_FORBIDDEN_CALLS = {
    "print",
    "click.echo",
    "click.secho",
    "click.echo_via_pager",
    "sys.stdout.write",
    "sys.stdout.writelines",
    "sys.stderr.write",
    "sys.stderr.writelines",
    "sys.__stdout__.write",
    "sys.__stderr__.write",
    "os.write",
    "traceback.print_exc",
    "traceback.print_exception",
    "traceback.print_stack",
    "pprint.pprint",
}
_FORBIDDEN_VALUES = {"sys.stdout.buffer", "sys.stderr.buffer"}


def _dotted(node: ast.AST) -> str:
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute):
        return f"{_dotted(node.value)}.{node.attr}"
    return "?"


def _writes(tree: ast.AST) -> Iterator[tuple[int, str]]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and (name := _dotted(node.func)) in _FORBIDDEN_CALLS:
            yield node.lineno, name
        if isinstance(node, ast.Attribute) and (name := _dotted(node)) in _FORBIDDEN_VALUES:
            yield node.lineno, name


def test_only_modules_with_a_gate_write_to_the_standard_streams() -> None:
    offenders = []
    for path in sorted(_SOURCE.rglob("*.py")):
        name = path.relative_to(_SOURCE).as_posix()
        if name not in _WRITERS:
            offenders += [f"{name}:{line}: {call}" for line, call in _writes(ast.parse(path.read_text("utf-8")))]
    assert offenders == []


@pytest.mark.parametrize("statement", ["print(x)", "sys.stdout.write(x)", "click.echo(x)", "os.write(1, x)"])
def test_the_search_for_call_sites_finds_known_ones(statement: str) -> None:
    assert list(_writes(ast.parse(statement)))


def _run(code: str, shell_end: str = "") -> subprocess.CompletedProcess[str]:
    command = f'exec "{sys.executable}" -c "$CODE" {shell_end}'
    return subprocess.run(
        ["bash", "-c", command], env={"CODE": code, **_environment()}, capture_output=True, text=True, timeout=60
    )


def _environment() -> dict[str, str]:
    return dict(os.environ)


def test_foreign_text_cannot_steer_the_terminal() -> None:
    done = _run(r"from teleglyph.console import echo; echo('a\x1b[2Jb\rc\nd\u202ee')")
    assert done.stdout == "a\ufffd[2Jb c\nd\ufffde\n"


def test_a_full_disk_is_one_sentence() -> None:
    code = (
        "import teleglyph.console as c, teleglyph.errors as e\n"
        "try: c.echo('x')\nexcept e.OutputError as x: c.echo(x, err=True)"
    )
    done = _run(code, ">/dev/full")
    assert (done.returncode, done.stderr) == (0, "Cannot write to standard output: no space left on device.\n")


def test_closed_standard_descriptors_are_never_reused() -> None:
    code = (
        "import os, teleglyph.console as c; c.reserve_standard_streams()\n"
        "new = os.open('/dev/null', os.O_RDONLY); raise SystemExit(new)"
    )
    done = _run(code, "<&- >&- 2>&-")
    assert done.returncode > 2


def test_characters_that_the_encoding_lacks_become_question_marks() -> None:
    done = _run(r"from teleglyph.console import echo; echo('caf\xe9 \u2192')", "")
    assert done.stdout == "café →\n"
    done = subprocess.run(
        [sys.executable, "-c", r"from teleglyph.console import echo; echo('caf\xe9 \u2192')"],
        env={**os.environ, "PYTHONIOENCODING": "ascii"},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.stdout == "caf? ?\n"


def test_text_waits_for_a_slow_reader_of_a_non_blocking_output() -> None:
    """An event loop that reads a terminal's keyboard makes its output non-blocking as well."""
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    script = "import os, sys; from teleglyph.console import write_text; write_text('x' * 1_000_000)"
    try:
        with subprocess.Popen(
            [sys.executable, "-c", script + "; sys.exit(os.get_blocking(1))"], stdout=writing
        ) as child:
            os.close(writing)
            count = 0
            while data := os.read(reading, 1 << 16):
                count += len(data)
        assert count == 1_000_000
        assert child.returncode == 0, "the output is as it was before"
    finally:
        os.close(reading)
