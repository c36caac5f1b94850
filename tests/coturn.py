"""Coturn from Debian, a STUN server that is not ours."""

from __future__ import annotations

import contextlib
import socket
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path


@contextlib.contextmanager
def coturn(folder: Path, *hosts: str) -> Iterator[int]:
    """A STUN server on some addresses; with two it answers CHANGE-REQUEST (RFC 5780).

    Args:
        folder: for its files.
        hosts: numeric addresses.

    Yields:
        Its first UDP port; the second is the next one.
    """
    port = _two_free_ports(hosts)
    listening = [option for host in hosts for option in ("-L", host)]
    process = subprocess.Popen(
        ["turnserver", "-n", "-S", *listening, "-p", str(port), "--alt-listening-port", str(port + 1)]
        + ["--no-tls", "--no-dtls", "--no-cli", "--log-file", "stdout", "--pidfile", str(folder / "pid")]
        + ["--userdb", str(folder / "turndb")],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        cwd=folder,
    )
    assert process.stdout is not None
    log = []
    try:
        for line in process.stdout:
            log.append(line)
            if "Total General servers" in line:
                break
        assert process.poll() is None, "".join(log)
        drain = threading.Thread(target=process.stdout.read, daemon=True)
        drain.start()
        yield port
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


def _two_free_ports(hosts: tuple[str, ...]) -> int:
    """The first of two neighbouring UDP ports that are free."""
    while True:
        with contextlib.ExitStack() as stack, contextlib.suppress(OSError):
            first = stack.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
            first.bind((hosts[0], 0))
            port = int(first.getsockname()[1])
            for host in hosts:
                for number in {port, port + 1} - ({port} if host == hosts[0] else set()):
                    stack.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM)).bind((host, number))
            return port
