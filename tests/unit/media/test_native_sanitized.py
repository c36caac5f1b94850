"""Compiles the native core with sanitizers and runs its own test program."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

NATIVE = Path(__file__).parents[3] / "src" / "native"
SANITIZE = ["-fsanitize=address,undefined", "-fno-sanitize-recover=all"]


@pytest.fixture(scope="module")
def compiler(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A C++ compiler that can link and run a sanitized program."""
    folder = tmp_path_factory.mktemp("probe")
    (folder / "probe.cpp").write_text("int main() { return 0; }\n")
    for name in (os.environ.get("CXX", ""), "g++", "clang++", "c++"):
        if name and shutil.which(name):
            command = [name, *SANITIZE, str(folder / "probe.cpp"), "-o", str(folder / "probe")]
            if subprocess.run(command, capture_output=True).returncode == 0:
                return name
    pytest.skip("no C++ compiler here has the address and undefined-behaviour sanitizers")


@pytest.mark.timeout(900)  # the compiler takes a minute, or several on a busy machine
def test_the_core_keeps_to_its_buffers_and_agrees_with_plain_loops(compiler: str, tmp_path: Path) -> None:
    sources = [str(path) for path in sorted(NATIVE.glob("*.cpp")) if not path.name.startswith("module")]
    program = str(tmp_path / "native_tests")
    flags = ["-std=c++20", "-O1", "-g", "-Wall", "-Wextra", "-Werror", "-I", str(NATIVE), *SANITIZE]
    build = subprocess.run(
        [compiler, *flags, str(NATIVE / "tests" / "native_tests.cpp"), *sources, "-o", program],
        capture_output=True,
        text=True,
    )
    assert build.returncode == 0, build.stderr
    run = subprocess.run([program], capture_output=True, text=True)
    assert run.returncode == 0, run.stdout + run.stderr
    assert "portable code: passed" in run.stdout
