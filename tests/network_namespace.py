"""Machines on a network of their own: network namespaces of Linux, joined by a pair of virtual Ethernet devices."""

from __future__ import annotations

import contextlib
import ctypes
import os
import subprocess
import threading
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import pytest

T = TypeVar("T")
_CLONE_NEWNET = 0x40000000


class Machine(NamedTuple):
    """A network namespace with one device.

    Attributes:
        name: of the namespace.
        address: its IPv4 address.
        device: its network device.
    """

    name: str
    address: str
    device: str

    @property
    def prefix(self) -> list[str]:
        """What to write before a command, so that it runs on this machine."""
        return ["ip", "netns", "exec", self.name]

    def ip(self, *arguments: str) -> None:
        """Run ``ip`` on this machine."""
        _run("ip", "-n", self.name, *arguments)

    def call(self, function: Callable[[], T]) -> T:
        """Call a function on this machine, in a thread of its own: namespaces belong to threads and to sockets."""
        results: list[Any] = []

        def enter() -> None:
            descriptor = os.open(f"/run/netns/{self.name}", os.O_RDONLY)
            try:
                if ctypes.CDLL(None, use_errno=True).setns(descriptor, _CLONE_NEWNET) != 0:
                    raise OSError(ctypes.get_errno(), "setns failed")
                results.append(function())
            except BaseException as error:
                results.append(error)
            finally:
                os.close(descriptor)

        thread = threading.Thread(target=enter)
        thread.start()
        thread.join()
        if isinstance(results[0], BaseException):
            raise results[0]
        found: T = results[0]
        return found


@contextlib.contextmanager
def two_machines() -> Iterator[tuple[Machine, Machine]]:
    """Two machines on one network, with IPv4 and link-local IPv6; skips the test where namespaces cannot be made."""
    if os.geteuid() != 0 or not Path("/usr/sbin/ip").exists():
        pytest.skip("making network namespaces needs root and iproute2")
    tag = uuid.uuid4().hex[:8]
    machines = tuple(Machine(f"tg-{tag}-{end}", f"10.77.0.{end}", f"tg{tag}{end}") for end in (1, 2))
    made = []
    try:
        for machine in machines:
            if subprocess.run(["ip", "netns", "add", machine.name], capture_output=True).returncode != 0:
                pytest.skip("this machine does not allow network namespaces")
            made.append(machine)
        first, second = machines
        _run("ip", "link", "add", first.device, "type", "veth", "peer", "name", second.device)
        for machine in machines:
            _run("ip", "link", "set", machine.device, "netns", machine.name)
            # Without this, link-local addresses cannot be used for the first second or two.
            _run(*machine.prefix, "sysctl", "-q", "-w", f"net.ipv6.conf.{machine.device}.accept_dad=0")
            machine.ip("addr", "add", f"{machine.address}/24", "dev", machine.device)
            machine.ip("link", "set", "lo", "up")
            machine.ip("link", "set", machine.device, "up")
        yield first, second
    finally:
        for machine in made:
            # Its devices go with it.
            subprocess.run(["ip", "netns", "delete", machine.name], capture_output=True)


def _run(*command: str) -> None:
    subprocess.run(command, check=True, capture_output=True)
