"""Compares decoding in a confined process with decoding in a thread: ``python -m bench.decode`` (a minute).

Both decode one sender's film picture by picture, in turns, in the same run.  CPU time is the sum of this process and
the confined one.  Targets: at most 1 ms later, at most 10 % more CPU time.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import statistics
import time
from pathlib import Path
from typing import NamedTuple

import numpy as np

from bench.clip import make_clip
from bench.report import print_table
from teleglyph.call.decoding import ConfinedDecoding, Decoding, ThreadDecoding
from teleglyph.call.limits import CallLimits
from teleglyph.media import retain_large_buffers
from teleglyph.media.hevc import HevcEncoder
from teleglyph.media.picture_codec import PictureCodec

SIZES = {(480, 270): (320, 180), (640, 360): None, (1280, 720): (640, 360)}
"""Size of the sent pictures, and the size that viewers need (None: full size)."""
LATER_MS, MORE_CPU = 1.0, 0.10
TURN = 30
"""Pictures that each decodes in one turn."""


class Cost(NamedTuple):
    """Milliseconds per picture, and CPU milliseconds per picture."""

    wall: list[float]
    cpu: list[float]


def cpu_seconds(processes: list[int]) -> float:
    """CPU time used so far by this process and some others."""
    total = time.process_time()
    for process in processes:
        # /proc/PID/schedstat begins with the time on a CPU in nanoseconds.
        total += int(Path(f"/proc/{process}/schedstat").read_text(encoding="ascii").split()[0]) / 1e9
    return total


async def measure(size: tuple[int, int], needed: tuple[int, int] | None, rounds: int) -> dict[str, Cost]:
    encoder = HevcEncoder(*size, 30, keyframe_seconds=1000)
    outputs = [encoder.encode(picture)[0].data for picture in make_clip(*size, TURN)]
    limits = CallLimits()
    confined = ConfinedDecoding(limits)
    ways: dict[str, Decoding] = {"thread": ThreadDecoding(limits), "process": confined}
    costs = {name: Cost([], []) for name in ways}
    for turn in range(rounds + 1):
        for name, decoding in ways.items():
            stream = decoding.open_stream(PictureCodec.HEVC, False)
            before = cpu_seconds(confined.processes)
            known = len(confined.processes)
            for output in outputs:
                started = time.perf_counter()
                await decoding.decode(stream, output, needed)
                if turn:
                    costs[name].wall.append(1e3 * (time.perf_counter() - started))
            if turn and known == len(confined.processes):
                costs[name].cpu.append(1e3 * (cpu_seconds(confined.processes) - before) / len(outputs))
            decoding.close_stream(stream)
    for decoding in ways.values():
        await decoding.close()
    return costs


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=20, help=f"turns of {TURN} pictures for each (default: 20)")
    options = parser.parse_args()
    retain_large_buffers()
    rows = []
    for size, needed in SIZES.items():
        costs = asyncio.run(measure(size, needed, options.rounds))
        thread, process = costs["thread"], costs["process"]
        later = statistics.median(process.wall) - statistics.median(thread.wall)
        worst = [float(np.percentile(cost.wall, 99)) for cost in (thread, process)]
        cpu = [statistics.median(cost.cpu) for cost in (thread, process)]
        more = cpu[1] / cpu[0] - 1
        rows.append(
            [
                f"{size[0]}x{size[1]}",
                "all" if needed is None else f"{needed[0]}x{needed[1]}",
                *(f"{statistics.median(cost.wall):.2f}" for cost in (thread, process)),
                f"{later:+.2f} {'met' if later <= LATER_MS else 'MISSED'}",
                "/".join(f"{value:.1f}" for value in worst),
                *(f"{value:.2f}" for value in cpu),
                f"{more:+.0%} {'met' if more <= MORE_CPU else 'MISSED'}",
            ]
        )
    header = [
        "pictures",
        "needed",
        "thread ms",
        "process ms",
        "later",
        "p99",
        "thread CPU ms",
        "process CPU ms",
        "more",
    ]
    print_table(f"A picture decoded in a thread and in a confined process ({os.cpu_count()} cores)", header, rows)


if __name__ == "__main__":
    main()
