"""WebSockets against the Autobahn test suite, which runs on Python 2.7.

The gate runs the groups that take seconds; ``AUTOBAHN=all`` runs all 517 cases, which takes about ten minutes.
``PYTHON27`` names a Python 2.7 elsewhere.
"""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent
REQUIREMENTS = ("autobahntestsuite==25.10.1", "Twisted==19.10.0")
EVERYTHING = os.environ.get("AUTOBAHN") == "all"
CASES = 517 if EVERYTHING else 247
"""How many cases there are; those about large messages (9) and compression (12, 13) take minutes."""
SLOW_GROUPS = ["9.*", "12.*", "13.*"]
SECONDS = 1800 if EVERYTHING else 300
EXPECTED = {
    # A close in the middle of a fragmented message is answered with 1002, because the message cannot be completed.
    "7.1.5": ("FAILED", "WRONG CODE"),
    # The suite only reports the close code of these.
    "7.1.6": ("INFORMATIONAL", "INFORMATIONAL"),
    "7.13.1": ("INFORMATIONAL", "INFORMATIONAL"),
    "7.13.2": ("INFORMATIONAL", "INFORMATIONAL"),
}
"""Cases that end neither OK nor NON-STRICT: what was done, and how it was closed.  docs/events.md has the same list."""
START = "import site; site.addsitedir({!r}); from autobahntestsuite.wstest import run; run()"


def python_2_7() -> str | None:
    """Find a working Python 2.7: PYTHON27, the PATH or pyenv."""
    pyenv = Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv")
    candidates = [os.environ.get("PYTHON27"), shutil.which("python2.7"), shutil.which("python2")]
    candidates += map(str, sorted(pyenv.glob("versions/2.7*/bin/python2.7"), reverse=True))
    for candidate in filter(None, candidates):
        try:
            # pyenv's shim exists even without a Python behind it.
            result = subprocess.run([candidate, "--version"], capture_output=True, text=True, timeout=20, check=False)
        except OSError:
            continue
        if result.returncode == 0 and "Python 2.7" in result.stdout + result.stderr:
            return candidate
    return None


@pytest.fixture(scope="module")
def suite() -> list[str]:
    """Return the command that runs the suite; install it into build/ first if necessary."""
    python = python_2_7()
    if python is None:
        pytest.skip("The Autobahn suite needs Python 2.7; name one with PYTHON27.")
    directory = ROOT / "build" / "autobahn"
    installed = directory / "-".join(name.replace("==", "-") for name in REQUIREMENTS)
    directory.mkdir(parents=True, exist_ok=True)
    with (directory / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not installed.is_dir():
            partial = directory / "partial"
            shutil.rmtree(partial, ignore_errors=True)
            command = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--target", partial]
            result = subprocess.run(
                [*map(str, command), *REQUIREMENTS], capture_output=True, text=True, timeout=400, check=False
            )
            if result.returncode:
                pytest.skip(f"The Autobahn suite cannot be installed: {result.stderr.strip().splitlines()[-1:]}")
            partial.rename(installed)
    return [python, "-c", START.format(str(installed))]


@pytest.fixture
def echo_server() -> Iterator[int]:
    """The port of an echo server made of the product's own WebSocket classes."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    process = subprocess.Popen(
        [sys.executable, ROOT / "tests" / "autobahn_echo.py"], stdout=subprocess.PIPE, text=True, env=environment
    )
    assert process.stdout is not None
    try:
        yield int(process.stdout.readline())
        assert process.poll() is None, "the server ended by itself"
    finally:
        process.kill()
        process.wait(10)
        process.stdout.close()


@pytest.mark.thorough
@pytest.mark.timeout(SECONDS + 500)
def test_all_cases_pass_except_known_exceptions(suite: list[str], echo_server: int) -> None:
    with tempfile.TemporaryDirectory() as directory:
        specification = {
            "outdir": f"{directory}/report",
            "servers": [{"agent": "teleglyph", "url": f"ws://127.0.0.1:{echo_server}", "options": {"version": 18}}],
            "cases": ["*"],
            "exclude-cases": [] if EVERYTHING else SLOW_GROUPS,
            "exclude-agent-cases": {},
        }
        path = Path(directory, "specification.json")
        path.write_text(json.dumps(specification))
        subprocess.run(
            [*suite, "-m", "fuzzingclient", "-s", path],
            check=True,
            capture_output=True,
            timeout=SECONDS,
            cwd=directory,
        )
        cases = json.loads(Path(directory, "report", "index.json").read_text())["teleglyph"]
    assert len(cases) == CASES
    ends = {case: (result["behavior"], result["behaviorClose"]) for case, result in cases.items()}
    others = {case: both for case, both in ends.items() if not {*both} <= {"OK", "NON-STRICT"}}
    assert others == EXPECTED
