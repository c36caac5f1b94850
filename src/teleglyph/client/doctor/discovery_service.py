"""Visits a discovery service for the doctor's checks."""

from __future__ import annotations

import time
from contextlib import AbstractAsyncContextManager

from teleglyph.client.address import Address
from teleglyph.discovery.names import random_name
from teleglyph.discovery.service_client import ServiceClient
from teleglyph.errors import VerificationError
from teleglyph.keys import KnownHosts
from teleglyph.keys.known_hosts import Verdict
from teleglyph.wire.discovery import NatProbed


class ServiceVisitor:
    """Connects to a service; joins and registers nothing.

    Args:
        address: of the service.
        known: the servers that the user has joined.  A new service is accepted, because it learns nothing.
    """

    def __init__(self, address: Address, known: KnownHosts) -> None:
        self._address = address
        self._known = known

    async def visit(self) -> float:
        """Look a name up, and return the seconds until the answer.

        Raises:
            PeerError: the service cannot be reached, is another one than before, or does not know such requests.
        """
        async with self._open() as service:
            started = time.perf_counter()
            # A call server completes the handshake, too.
            await service.lookup(random_name())
            return time.perf_counter() - started

    async def probe(self, port: int) -> NatProbed:
        """Have the service try a port of this machine.

        Raises:
            PeerError: the service cannot be reached, or does not answer.
        """
        async with self._open() as service:
            return await service.probe(port)

    def _open(self) -> AbstractAsyncContextManager[ServiceClient]:
        return ServiceClient.open(self._address.host, self._address.port, check_identity=self._check)

    def _check(self, numeric: str, identity: bytes | None) -> None:
        verdict, entries = self._known.judge(numeric, identity)
        if verdict is Verdict.CHANGED:
            raise VerificationError(
                f"{self._address} shows another key than before ({entries[0].place}). Ask its operator whether the key "
                "is new: someone may be intercepting the connection."
            )
