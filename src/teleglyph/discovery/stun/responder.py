"""A small STUN server: says where a request came from, and answers from another port or address if asked to."""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import socket
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from teleglyph.errors import BindError, StunError
from teleglyph.net import SlidingWindow, TokenBucket, authority, network_of
from teleglyph.net.addresses import numeric
from teleglyph.wire.stun import DEFAULT_PORT, Attribute, MessageClass, StunAddress, StunMessage, decode, encode

MAX_REQUEST: Final = 548
"""Largest request in bytes; one without RFC 5780's PADDING needs far less."""
_MAX_UNKNOWN: Final = 8
"""Unknown attributes that a response names."""
_BATCH: Final = 32
"""Requests that are answered before anything else gets a turn."""
_UNKNOWN_ATTRIBUTE: Final = 420


@dataclass
class StunCounters:
    """What a responder has done since it started.

    Attributes:
        answered: success responses.
        refused: error responses.
        invalid: datagrams that are not valid requests.
        limited: requests that exceeded a rate.
        dropped: responses that the system did not accept.
    """

    answered: int = 0
    refused: int = 0
    invalid: int = 0
    limited: int = 0
    dropped: int = 0


class StunResponder:
    """Answers binding requests over UDP (RFC 8489), and CHANGE-REQUEST (RFC 5780) where it can.

    Anybody can write somebody else's address on a request, so a response is never much larger than its request, each
    address gets only so many, and nothing but a request is answered.

    Args:
        per_minute: requests per minute from one address; 0 for any number.
        per_second: requests per second from all addresses.
        clock: seconds that never go back.
    """

    def __init__(
        self, *, per_minute: int = 120, per_second: int = 5000, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.counters = StunCounters()
        self._per_address = SlidingWindow(per_minute, 60.0)
        self._total = TokenBucket(per_second, per_second)
        self._clock = clock
        self._doors: dict[tuple[bool, bool], _Door] = {}

    async def start(
        self,
        host: str,
        port: int = DEFAULT_PORT,
        *,
        alternate_port: int | None = None,
        other_host: str | None = None,
        public_host: str | None = None,
        other_public_host: str | None = None,
    ) -> None:
        """Start to listen.

        Args:
            host: numeric address to listen on.
            port: UDP port; 0 for any.
            alternate_port: a second port, which tells some kinds of NAT apart; 0 for any, None for no second port.
            other_host: a second address of this machine, which tells them all apart.  It needs a second port as well.
            public_host: the address that others use for ``host``, if a NAT of a data centre is in between.
            other_public_host: the same for ``other_host``.

        Raises:
            BindError: an address or a port is not available.
        """
        doors = [(False, False, host, port)]
        if alternate_port is not None:
            doors.append((False, True, host, alternate_port))
        if alternate_port is not None and other_host is not None:
            doors += [(True, False, other_host, port), (True, True, other_host, alternate_port)]
        try:
            for other, alternate, address, wanted in doors:
                # Both addresses use the same two ports, also if the system has chosen them.
                twin = self._doors.get((False, alternate)) if other else None
                public = (other_public_host if other else public_host) or address
                door = _Door(address, twin.port if twin else wanted, public)
                self._doors[other, alternate] = door
        except BindError:
            await self.close()
            raise
        loop = asyncio.get_running_loop()
        for place, door in self._doors.items():
            loop.add_reader(door.socket, self._read, place, door)

    @property
    def port(self) -> int:
        """The first UDP port."""
        return self._doors[False, False].port

    @property
    def alternate_port(self) -> int | None:
        """The second UDP port; None if there is none."""
        door = self._doors.get((False, True))
        return door.port if door else None

    async def close(self) -> None:
        """Stop to listen."""
        for door in self._doors.values():
            asyncio.get_running_loop().remove_reader(door.socket)
            door.socket.close()
        self._doors.clear()

    def _read(self, place: tuple[bool, bool], door: _Door) -> None:
        for _ in range(_BATCH):
            try:
                data, source = door.socket.recvfrom(MAX_REQUEST + 1)
            except OSError:
                return
            answer = self._answer(place, data, source)
            if answer is None:
                continue
            message, sender = answer
            try:
                sender.socket.sendto(encode(message), source)
            except OSError:
                self.counters.dropped += 1

    def _answer(
        self, place: tuple[bool, bool], data: bytes, source: tuple[str, int]
    ) -> tuple[StunMessage, _Door] | None:
        """The response to a datagram, and the door through which it leaves; None if there is none."""
        host, port = source[0], source[1]
        now = self._clock()
        if not self._total.allow(now) or not self._per_address.allow(network_of(host), now):
            self.counters.limited += 1
            return None
        try:
            if len(data) > MAX_REQUEST or port == 0:
                raise StunError("A STUN request is too large, or cannot be answered.")
            request = decode(data)
        except StunError:
            self.counters.invalid += 1
            return None
        if request.kind != MessageClass.REQUEST:
            self.counters.invalid += 1
            return None
        other, alternate = place
        sender = self._doors.get((other ^ request.change_address, alternate ^ request.change_port))
        # Without a second address, OTHER-ADDRESS names the second port: that much can still be tested.
        opposite = self._doors.get((not other, not alternate)) or self._doors.get((other, not alternate))
        unknown = request.unknown[:_MAX_UNKNOWN] or ((int(Attribute.CHANGE_REQUEST),) if sender is None else ())
        if unknown or sender is None:
            self.counters.refused += 1
            return (
                StunMessage(
                    MessageClass.ERROR,
                    request.transaction_id,
                    error_code=_UNKNOWN_ATTRIBUTE,
                    error_reason="Unknown Attribute",
                    unknown=unknown,
                    has_fingerprint=request.has_fingerprint,
                ),
                self._doors[place],
            )
        self.counters.answered += 1
        return (
            StunMessage(
                MessageClass.SUCCESS,
                request.transaction_id,
                mapped_address=StunAddress(numeric(host) or host, port),
                response_origin=sender.public,
                other_address=opposite.public if opposite else None,
                has_fingerprint=request.has_fingerprint,
            ),
            sender,
        )


class _Door:
    """One socket of a responder.

    Attributes:
        socket: bound and non-blocking.
        port: its port.
        public: the address that others use; None if that is not known, as of a socket for all addresses.
    """

    def __init__(self, host: str, port: int, public_host: str) -> None:
        self.socket = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_DGRAM)
        try:
            if ":" in host:
                self.socket.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            self.socket.bind((host, port))
        except OSError as error:
            self.socket.close()
            raise BindError(
                f"Cannot listen for STUN on UDP {authority(host, port)}: {error.strerror or error}. Stop the other "
                "program or choose another port."
            ) from error
        self.socket.setblocking(False)
        self.port = int(self.socket.getsockname()[1])
        self.public: StunAddress | None = None
        with contextlib.suppress(ValueError):
            if not ipaddress.ip_address(public_host).is_unspecified:
                self.public = StunAddress(public_host, self.port)
