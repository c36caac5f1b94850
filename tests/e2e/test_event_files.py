"""Files of events that came through an editor."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from nostr_peer import make


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-32"])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
@pytest.mark.parametrize("way", ["file", "pipe"])
def test_events_are_imported_from_any_editors_file(tmp_path: Path, encoding: str, end: str, way: str) -> None:
    events = [make(f"f\u00fcr {number} \U0001f98a") for number in range(3)]
    text = end + end.join(event.text.decode() for event in events)  # the last line has no end
    path = tmp_path / "events.jsonl"
    path.write_bytes(text.encode(encoding))
    command = [sys.executable, "-m", "teleglyph", "events"]
    words = [str(path)] if way == "file" else []
    done = subprocess.run(
        [*command, "import", "--data-dir", str(tmp_path), *words],
        input=None if way == "file" else path.read_bytes(),
        capture_output=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    assert b"3 stored, 0 refused" in done.stderr
    done = subprocess.run([*command, "export", "--data-dir", str(tmp_path)], capture_output=True, timeout=60)
    assert done.stdout == b"".join(event.text + b"\n" for event in events)
