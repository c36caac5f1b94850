"""Plain sockets in namespaces, which show what a router lets through.

To show that a packet does not arrive, tests send it before one that does: both take the same way, in order.
"""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import contextmanager

from networks.namespace import Namespace

SECONDS = 5.0
"""For packets that must arrive."""
Address = tuple[str, int]


class UdpProbe:
    """A UDP socket in a namespace, on a port of its own unless one is given."""

    def __init__(self, namespace: Namespace, address: str = "", port: int = 0) -> None:
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        with namespace.entered():
            self._socket = socket.socket(family, socket.SOCK_DGRAM)
        self._socket.bind((address, port))
        self._socket.settimeout(SECONDS)

    @property
    def address(self) -> Address:
        """Where it is bound."""
        return _address(self._socket.getsockname())

    def send(self, destination: Address, text: str = "probe") -> None:
        # A router may tell that it does not let a packet out.
        try:
            self._socket.sendto(text.encode(), destination)
        except PermissionError:
            return

    def receive(self) -> tuple[str, Address]:
        """The next packet and its sender."""
        data, sender = self._socket.recvfrom(2048)
        return data.decode(), _address(sender)

    def waiting(self, seconds: float = 0.0) -> list[tuple[str, Address]]:
        """Packets that have arrived, and that arrive within these seconds after the last one."""
        packets = []
        self._socket.settimeout(seconds)
        try:
            while True:
                packets.append(self.receive())
        except (TimeoutError, BlockingIOError):
            return packets
        finally:
            self._socket.settimeout(SECONDS)

    def join_group(self, group: str, interface_address: str) -> None:
        """Also receive what is sent to a multicast group."""
        membership = socket.inet_aton(group) + socket.inet_aton(interface_address)
        self._socket.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, membership)

    def close(self) -> None:
        self._socket.close()

    def __enter__(self) -> UdpProbe:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _address(pair: tuple[str, int]) -> Address:
    return pair[0], pair[1]


def outside_address(inside: UdpProbe, server: UdpProbe) -> Address:
    """The address of a probe as a server sees it, which answers; so connection tracking knows both directions."""
    inside.send(server.address, "who am I?")
    text, address = server.receive()
    assert text == "who am I?"
    server.send(address, "you are")
    assert inside.receive() == ("you are", server.address)
    return address


@contextmanager
def tcp_listener(namespace: Namespace, address: str, port: int = 0) -> Iterator[socket.socket]:
    """A listening socket in a namespace."""
    with namespace.entered():
        listener = socket.create_server((address, port), family=socket.AF_INET6 if ":" in address else socket.AF_INET)
    listener.settimeout(SECONDS)
    with listener:
        yield listener


def connect(namespace: Namespace, destination: Address) -> socket.socket:
    """A TCP connection from a namespace."""
    with namespace.entered():
        return socket.create_connection(destination, SECONDS)
