"""Looks at a server once, for several checks: how it is reached, what it speaks, its certificate and its clock."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime
from typing import Generic, TypeVar

from teleglyph.client.address import Address
from teleglyph.errors import ConnectError
from teleglyph.net import authority
from teleglyph.net.connect_failure import tcp_failure
from teleglyph.wire.link2 import ALPN

T = TypeVar("T")

CONNECT_SECONDS = 3.0
TLS_SECONDS = 4.0
HTTP_SECONDS = 4.0
SERVER_SECONDS = 15.0
"""For everything that :func:`look_at` does."""
_MAX_BODY = 65536
_FAMILIES = {socket.AF_INET: "IPv4", socket.AF_INET6: "IPv6"}


@dataclass(frozen=True, slots=True)
class ServerClock:
    """What a server's clock says.

    Attributes:
        offset: seconds by which it is ahead of this machine's.
        uncertainty: seconds by which the offset may be wrong.
    """

    offset: float
    uncertainty: float


@dataclass(frozen=True, slots=True)
class ServerFacts:
    """What could be found out about a server.

    Attributes:
        address: as the user typed it.
        numeric: its numeric address and port.
        round_trips: seconds for each version of IP over which it was reached.
        failures: why it was not reached, for each other version of IP for which it has an address.
        has_tls: it speaks TLS.
        has_link2: it speaks link 2.
        certificate: in DER; None without TLS.
        distrust: why this machine does not trust the certificate; empty if it does, or without TLS.
        has_http: it answers HTTP requests, with or without TLS.
        clock: None if it does not say its time.
    """

    address: Address
    numeric: str
    round_trips: dict[str, float]
    failures: dict[str, str] = field(default_factory=dict)
    has_tls: bool = False
    has_link2: bool = False
    certificate: bytes | None = None
    distrust: str = ""
    has_http: bool = False
    clock: ServerClock | None = None


class Once(Generic[T]):
    """Something that several checks need, done once when the first one asks for it."""

    def __init__(self, work: Callable[[], Awaitable[T]]) -> None:
        self._work = work
        self._task: asyncio.Future[T] | None = None

    async def __call__(self) -> T:
        """Wait for the result; raises what the work raised."""
        if self._task is None:
            self._task = asyncio.ensure_future(self._work())
        # A check that runs out of time must not take the result from the others.
        return await asyncio.shield(self._task)


async def look_at(address: Address) -> ServerFacts:
    """Connect to a server, a few times within a second, without joining anything.

    Raises:
        ConnectError: it cannot be reached; the message says why.
    """
    numeric, round_trips, failures = await _reach(address)
    place = numeric.rpartition(":")[0].strip("[]")
    certificate, has_link2 = await _secure_link(address, place)
    distrust = "" if certificate is None else await _distrust(address, place)
    has_http, clock = await _ask_time(address, place, has_tls=certificate is not None)
    return ServerFacts(
        address,
        numeric,
        round_trips,
        failures,
        certificate is not None,
        has_link2,
        certificate,
        distrust,
        has_http,
        clock,
    )


async def _reach(address: Address) -> tuple[str, dict[str, float], dict[str, str]]:
    """Its first numeric address that answers, and round trips and failures by version of IP."""
    loop = asyncio.get_running_loop()
    try:
        async with asyncio.timeout(CONNECT_SECONDS):
            found = await loop.getaddrinfo(address.host, address.port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        failure = error if isinstance(error, OSError) else OSError(str(error))
        raise ConnectError(tcp_failure(failure, address.host, address.port, CONNECT_SECONDS)) from error
    places: dict[str, str] = {}
    for family, _, _, _, where in found:
        if family in _FAMILIES:
            places.setdefault(_FAMILIES[socket.AddressFamily(family)], str(where[0]))
    outcomes = await asyncio.gather(*(_connect(place, address.port) for place in places.values()))
    round_trips, failures, numeric = {}, {}, ""
    for (family_name, place), outcome in zip(places.items(), outcomes, strict=True):
        if isinstance(outcome, float):
            round_trips[family_name] = outcome
            numeric = numeric or authority(place, address.port)
        else:
            failures[family_name] = outcome
    if not numeric:
        raise ConnectError(next(iter(failures.values()), f"{address} has no address that this machine can use."))
    return numeric, round_trips, failures


async def _connect(place: str, port: int) -> float | str:
    """The seconds of a round trip, or why there was none."""
    started = time.perf_counter()
    try:
        async with asyncio.timeout(CONNECT_SECONDS):
            _, writer = await asyncio.open_connection(place, port)
    except OSError as error:
        return tcp_failure(error, place, port, CONNECT_SECONDS)
    seconds = time.perf_counter() - started
    await _close(writer)
    return seconds


async def _secure_link(address: Address, place: str) -> tuple[bytes | None, bool]:
    """The certificate, None without TLS, and whether the server speaks link 2."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    # Only to look at it: nothing is sent to this server that it should not know.
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.set_alpn_protocols([ALPN, "http/1.1"])
    try:
        async with asyncio.timeout(TLS_SECONDS):
            _, writer = await asyncio.open_connection(place, address.port, ssl=context, server_hostname=address.host)
    except OSError:  # includes ssl.SSLError and TimeoutError
        return None, False
    tls = writer.get_extra_info("ssl_object")
    certificate, protocol = tls.getpeercert(binary_form=True), tls.selected_alpn_protocol()
    await _close(writer)
    return certificate, protocol == ALPN


async def _distrust(address: Address, place: str) -> str:
    """Why this machine does not trust the server's certificate; empty if it does."""
    context = await asyncio.to_thread(ssl.create_default_context)
    context.set_alpn_protocols(["http/1.1"])
    try:
        async with asyncio.timeout(TLS_SECONDS):
            _, writer = await asyncio.open_connection(place, address.port, ssl=context, server_hostname=address.host)
    except ssl.SSLCertVerificationError as error:
        return error.verify_message
    except OSError:
        return "it could not be checked"
    await _close(writer)
    return ""


async def _ask_time(address: Address, place: str, *, has_tls: bool) -> tuple[bool, ServerClock | None]:
    """Whether the server answers an HTTP request, and the date in its answer."""
    import aiohttp

    scheme, port = ("https" if has_tls else "http"), address.port
    url = f"{scheme}://{authority(place, port)}/health"
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    limit = aiohttp.ClientTimeout(total=HTTP_SECONDS)
    try:
        async with aiohttp.ClientSession(timeout=limit) as http:
            before = time.time()
            async with http.get(url, ssl=context, headers={"Host": str(address)}, allow_redirects=False) as answer:
                after = time.time()
                date = answer.headers.get("Date", "")
    except (aiohttp.ClientError, OSError, ValueError):
        return False, None
    return True, clock_of(date, before, after)


def clock_of(date: str, before: float, after: float) -> ServerClock | None:
    """What the date of an HTTP answer says about a server's clock.

    Args:
        date: the header; it has whole seconds.
        before: this machine's time when the request left.
        after: this machine's time when the answer arrived.
    """
    try:
        stated = parsedate_to_datetime(date).timestamp()
    except (ValueError, TypeError, OverflowError):
        return None
    # On average, half a second was cut off.
    return ServerClock(stated + 0.5 - (before + after) / 2, 0.5 + (after - before) / 2)


async def _close(writer: asyncio.StreamWriter) -> None:
    writer.close()
    with contextlib.suppress(OSError, TimeoutError):
        async with asyncio.timeout(1):
            await writer.wait_closed()
