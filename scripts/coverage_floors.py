"""Prints the coverage of each package and compares it with its floor.

Usage: coverage_floors.py REPORT, where REPORT is what ``coverage json`` writes.
"""

from __future__ import annotations

import json
import sys
from collections import defaultdict
from pathlib import Path, PurePath

FLOORS = {
    "call": 90,
    "cli": 63,
    "client": 61,
    "events": 72,
    "keys": 92,
    "media": 92,
    "net": 85,
    "rooms": 69,
    "server": 59,
    "store": 94,
    "teleglyph": 82,
    "wire": 96,
}
"""Percent of lines: what one run of the unit tests measured, less two.  Raise a floor when its package gets better."""


def main() -> int:
    """Compare; returns the exit code."""
    counts: dict[str, list[int]] = defaultdict(lambda: [0, 0])
    for name, file in json.loads(Path(sys.argv[1]).read_text())["files"].items():
        parts = PurePath(name).parts
        inner = parts[len(parts) - parts[::-1].index("teleglyph") :]
        counts[inner[0] if len(inner) > 1 else "teleglyph"][0] += file["summary"]["covered_lines"]
        counts[inner[0] if len(inner) > 1 else "teleglyph"][1] += file["summary"]["num_statements"]
    below = []
    for package, (covered, lines) in sorted(counts.items()):
        percent, floor = 100 * covered / max(1, lines), FLOORS.get(package, 0)
        print(f"{package:10} {percent:5.1f} %  (at least {floor} %)")
        if percent < floor:
            below.append(package)
    if below:
        print(f"Below its floor: {', '.join(below)}. Add unit tests, or say in the commit why the floor is lower.")
    return 1 if below else 0


if __name__ == "__main__":
    sys.exit(main())
