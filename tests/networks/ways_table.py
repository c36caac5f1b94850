"""Prints docs/anywhere.md's table: ``PYTHONPATH=src:tests python -m networks.ways_table``; it needs root.

For each pair of routers: the way, and the seconds from the start of ``teleglyph client NAME`` to its first picture.
"""

import tempfile
import time
from pathlib import Path

from networks.homes import Home, Networks
from networks.port_mapping_router import PortMappingRouter
from networks.test_calls_by_name import KINDS, Meeting


def measure(meeting: Meeting, place: int = 1, name: str = "") -> str:
    """How a guest gets into the call, and how long that takes."""
    started = time.monotonic()
    way, said = meeting.guest(place, name=name)
    seconds = time.monotonic() - started
    return f"{way or said.splitlines()[-1]}, {seconds:.1f} s"


def main() -> None:
    """Print one line for each pair."""
    for host in KINDS:
        for guest in KINDS:
            with Networks(host, guest) as networks, tempfile.TemporaryDirectory() as directory:
                meeting = Meeting(networks, Path(directory))
                meeting.host("--no-port-mapping")
                print(f"| {host} | {guest} | {measure(meeting)} |", flush=True)
                meeting.close()
    with Networks("port restricted", "symmetric") as networks, tempfile.TemporaryDirectory() as directory:
        meeting = Meeting(networks, Path(directory))
        with PortMappingRouter(networks.homes[0]):
            meeting.host().wait_for_line("Port mapping: ")
            print(f"| port restricted, with UPnP | symmetric | {measure(meeting)} |", flush=True)
        meeting.close()
    with Networks(Home("symmetric", hosts=2)) as networks, tempfile.TemporaryDirectory() as directory:
        meeting = Meeting(networks, Path(directory))
        meeting.host("--no-port-mapping")
        print(f"| the same home | | {measure(meeting, 0, meeting.name.partition('@')[0])} |", flush=True)
        meeting.close()


if __name__ == "__main__":
    main()
