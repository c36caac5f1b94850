"""The program in docs/rooms.md, run unchanged."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from conftest import ServerProcess

PAGE = Path(__file__).parents[2] / "docs" / "rooms.md"


def test_the_documented_program_works(start_server: Callable[..., ServerProcess], tmp_path: Path) -> None:
    found = re.search(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL)
    assert found
    (tmp_path / "counter.py").write_text(found[1])
    server = start_server("--http", "--http-port", "0", "--game", "whiteboard")
    server.wait_for_log("HTTP on port")
    command = [sys.executable, str(tmp_path / "counter.py"), f"ws://127.0.0.1:{server.http_port}/rooms"]
    with subprocess.Popen([*command, "host"]) as host:
        server.wait_for_log("Room .* opened")
        shown = []
        for _ in range(3):
            with subprocess.Popen([*command, "guest"], stdout=subprocess.PIPE, text=True) as guest:
                assert guest.stdout is not None
                lines = [guest.stdout.readline(), guest.stdout.readline()]
                shown.append([int(line.split()[-1]) for line in lines])
                guest.kill()
        host.kill()
    assert [last for _, last in shown] == [1, 2, 3]
