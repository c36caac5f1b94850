"""Tunnels through HTTP proxies (CONNECT, RFC 9110, 9.3.6), as the environment configures them.

:func:`proxy_for` finds the proxy, :class:`Answer` reads what it says, and :func:`open_tunnel` does the I/O.
"""

from __future__ import annotations

import asyncio
import base64
import os
import re
import socket
from dataclasses import dataclass, field
from http import HTTPStatus
from urllib.request import getproxies, proxy_bypass

from websockets.exceptions import InvalidProxy
from websockets.proxy import parse_proxy

from teleglyph.errors import ConnectError, UserError, reason_of
from teleglyph.net.addresses import authority

MAX_ANSWER = 8192
"""Bytes of the head of a proxy's answer."""
_END = b"\r\n\r\n"
_STATUS_LINE = re.compile(rb"HTTP/1\.[01] ([1-5][0-9][0-9])(?: [^\r\n]*)?\r\n")
_CHUNK = 4096


class ProxyError(ConnectError):
    """The proxy cannot be reached, or does not let us through."""


@dataclass(frozen=True, slots=True)
class HttpProxy:
    """A proxy.

    Attributes:
        host: its name or address.
        port: its TCP port.
        variable: of the environment, which named it.
        credentials: user name and password, for basic authentication; None without them.
    """

    host: str
    port: int
    variable: str
    credentials: tuple[str, str] | None = field(default=None, repr=False)

    def __str__(self) -> str:
        return f"The proxy {authority(self.host, self.port)} ({self.variable})"


def proxy_for(host: str, port: int, *, is_secure: bool) -> HttpProxy | None:
    """The proxy for a WebSocket, from http_proxy or https_proxy, all_proxy and no_proxy; None for none.

    Args:
        host: of the server.
        port: of the server.
        is_secure: the connection to the server uses TLS.

    Raises:
        UserError: the environment names a proxy that we cannot use.
    """
    if proxy_bypass(authority(host, port)) or proxy_bypass(host):
        return None
    proxies = getproxies()
    for scheme in ("https" if is_secure else "http", "all"):
        if url := proxies.get(scheme):
            return _parse(url, f"{scheme}_proxy")
    return None


def _parse(url: str, variable: str) -> HttpProxy:
    """Parse a proxy's URL; the errors do not show it, because it may have a password."""
    try:
        proxy = parse_proxy(url if "://" in url else f"http://{url}")
    except InvalidProxy as error:
        raise UserError(f"{variable} is not the URL of a proxy: {error.msg}. Write http://HOST:PORT.") from None
    except ValueError:
        raise UserError(f"{variable} is not the URL of a proxy. Write http://HOST:PORT.") from None
    if proxy.scheme != "http":
        raise UserError(
            f"{variable} names a proxy with {proxy.scheme}://, but only http:// is supported. Set it to an HTTP proxy, "
            "or add the server to no_proxy."
        )
    return HttpProxy(proxy.host, proxy.port, variable, proxy.user_info)


def connect_request(proxy: HttpProxy, host: str, port: int) -> bytes:
    """The request for a tunnel to ``host`` and ``port``."""
    target = authority(host if ":" in host else host.encode("idna").decode(), port)
    lines = [f"CONNECT {target} HTTP/1.1", f"Host: {target}"]
    if proxy.credentials is not None:
        secret = base64.b64encode(":".join(proxy.credentials).encode()).decode()
        lines.append(f"Proxy-Authorization: Basic {secret}")
    return "\r\n".join([*lines, "", ""]).encode()


class Answer:
    """The head of a proxy's answer, which may arrive in pieces.

    Attributes:
        status: of the answer; 0 while it is incomplete.
    """

    def __init__(self) -> None:
        self.status = 0
        self._data = bytearray()

    def feed(self, data: bytes) -> None:
        """Add received bytes.

        Raises:
            ValueError: this is not the answer of an HTTP proxy; the message says why.
        """
        self._data += data
        start, end, rest = self._data.partition(_END)
        if len(start) > MAX_ANSWER:
            raise ValueError(f"sent a head of more than {MAX_ANSWER} bytes")
        if not b"HTTP/1.".startswith(self._data[:7]):
            raise ValueError("does not speak HTTP")
        if not end:
            return
        if (line := _STATUS_LINE.match(start + b"\r\n")) is None:
            raise ValueError("does not speak HTTP")
        status = int(line[1])
        if status // 100 == 2 and rest:
            raise ValueError("sent something before the server could")
        self.status = status


async def open_tunnel(proxy: HttpProxy, host: str, port: int) -> socket.socket:
    """Connect to a server through a proxy; returns a socket whose other end is the server.  The caller limits the time.

    Raises:
        ProxyError: the proxy cannot be reached, or does not let us through.
    """
    try:
        tunnel = await _connect(proxy)
    except OSError as error:
        raise ProxyError(
            f"{proxy} cannot be reached: {_why(error)}. Check {proxy.variable}, or add {host} to no_proxy."
        ) from error
    try:
        answer = await _ask(tunnel, proxy, connect_request(proxy, host, port))
        if answer.status // 100 != 2:
            raise ProxyError(_refusal(proxy, answer.status, authority(host, port)))
    except BaseException:
        tunnel.close()
        raise
    return tunnel


async def _connect(proxy: HttpProxy) -> socket.socket:
    """Connect to the first of the proxy's addresses that accepts."""
    loop = asyncio.get_running_loop()
    failure = OSError("its name has no address")
    for family, kind, protocol, _, address in await loop.getaddrinfo(proxy.host, proxy.port, type=socket.SOCK_STREAM):
        candidate = socket.socket(family, kind, protocol)
        try:
            candidate.setblocking(False)
            await loop.sock_connect(candidate, address)
        except OSError as error:
            candidate.close()
            failure = error
        except BaseException:
            candidate.close()
            raise
        else:
            return candidate
    raise failure


async def _ask(tunnel: socket.socket, proxy: HttpProxy, request: bytes) -> Answer:
    loop, answer = asyncio.get_running_loop(), Answer()
    try:
        await loop.sock_sendall(tunnel, request)
        while not answer.status:
            data = await loop.sock_recv(tunnel, _CHUNK)
            if not data:
                raise ProxyError(f"{proxy} closed the connection without an answer. Check {proxy.variable}.")
            answer.feed(data)
    except OSError as error:
        raise ProxyError(f"{proxy} closed the connection: {_why(error)}. Check {proxy.variable}.") from error
    except ValueError as error:
        raise ProxyError(f"{proxy} is not an HTTP proxy: it {error}. Check {proxy.variable}.") from None
    return answer


def _why(error: OSError) -> str:
    """The system's reason, without asyncio's addition."""
    if isinstance(error, socket.gaierror) or not error.errno:
        return reason_of(error)
    return os.strerror(error.errno).lower()


def _refusal(proxy: HttpProxy, status: int, target: str) -> str:
    if status == HTTPStatus.PROXY_AUTHENTICATION_REQUIRED:
        if proxy.credentials is None:
            form = f"http://USER:PASSWORD@{authority(proxy.host, proxy.port)}"
            return f"{proxy} requires a user name and a password (407). Set {proxy.variable} to {form}."
        return f"{proxy} does not accept our user name and password (407). Correct them in {proxy.variable}."
    try:
        named = f"{status} {HTTPStatus(status).phrase}"
    except ValueError:
        named = str(status)
    if status in (HTTPStatus.BAD_GATEWAY, HTTPStatus.SERVICE_UNAVAILABLE, HTTPStatus.GATEWAY_TIMEOUT):
        return f"{proxy} cannot reach {target} ({named}). Check the address of the server."
    return f"{proxy} does not let us through to {target} ({named}). Ask its administrator, or try port 443."
