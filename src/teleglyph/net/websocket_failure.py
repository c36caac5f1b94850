"""Error messages for WebSockets that could not be opened.  Begin at :func:`websocket_failure`."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from dataclasses import dataclass
from http import HTTPStatus
from urllib.parse import urlsplit

from websockets.exceptions import (
    ConnectionClosed,
    InvalidMessage,
    InvalidProxy,
    InvalidStatus,
    InvalidUpgrade,
    InvalidURI,
    ProxyError,
    SecurityError,
    WebSocketException,
)

from teleglyph.net.addresses import authority
from teleglyph.net.connect_failure import is_end, port_hint, tcp_failure

CONNECT_ERRORS = (OSError, WebSocketException, ValueError)
"""Everything that opening a WebSocket raises when it fails."""
_PROBE_SECONDS = 2.0


@dataclass(frozen=True, slots=True)
class Service:
    """A service that a client looks for at an address.

    Attributes:
        name: in the middle of a sentence.
        option: of ``teleglyph serve``, which enables the service.
    """

    name: str
    option: str


CHAT = Service("chat", "--events")
GAMES = Service("games", "--game")
CALLS = Service("calls over WebSocket", "--http")


async def websocket_failure(
    error: Exception, url: str, service: Service, seconds: float, *, may_probe: bool = True
) -> str:
    """The reason why a WebSocket could not be opened; may connect once to check whether the server wants TLS.

    Args:
        error: raised by ``websockets`` or the event loop.
        url: the URL that failed.
        service: the wanted service.
        seconds: the timeout that was used.
        may_probe: the server can be reached without a proxy.
    """
    try:
        parts = urlsplit(url)
        host, is_secure = parts.hostname or "", parts.scheme == "wss"
        port = parts.port or (443 if is_secure else 80)
    except ValueError:
        host = ""
    if not host or isinstance(error, InvalidURI) or parts.scheme not in ("ws", "wss"):
        return f"'{url}' is not the address of a server. Write HOST, HOST:PORT, or a ws:// or wss:// URL."
    where = authority(host, port)
    if isinstance(error, ssl.SSLError):
        return _tls_failure(error, where)
    if isinstance(error, InvalidProxy | ProxyError):
        return f"The proxy of your environment (https_proxy or http_proxy) does not let us through to {where}."
    if isinstance(error, ConnectionClosed):
        reason = f": {error.rcvd.reason.rstrip('.')}" if error.rcvd is not None and error.rcvd.reason else ""
        return f"{where} ended the connection at once{reason}. Try again later."
    if isinstance(error, SecurityError):
        return f"{where} redirects us in circles, or to a place without TLS. Check the address."
    if isinstance(error, OSError) and not is_end(error):
        return tcp_failure(error, host, port, seconds)
    is_answer = isinstance(error, InvalidStatus) and error.response.status_code != HTTPStatus.BAD_REQUEST
    if may_probe and not is_secure and not is_answer and await _speaks_tls(host, port):
        return f"{where} wants TLS. Write wss://{where}."
    if isinstance(error, InvalidStatus):
        return _status_failure(error, where, port, service)
    if (isinstance(error, InvalidMessage) and isinstance(error.__cause__, EOFError)) or isinstance(error, OSError):
        no_tls = f" If the server has no certificate, write ws://{where}." if is_secure else ""
        return f"{where} closed the connection instead of answering. Check the port.{port_hint(port)}{no_tls}"
    if isinstance(error, InvalidMessage):
        return f"{where} is not a web server, so {service.name} cannot be there. Check the port.{port_hint(port)}"
    if isinstance(error, InvalidUpgrade):
        return f"{where} is a web server without WebSockets, so {service.name} cannot be there. Check the address."
    return f"{where} does not answer as a WebSocket server should. Check the address.{port_hint(port)}"


def _status_failure(error: InvalidStatus, where: str, port: int, service: Service) -> str:
    status = error.response.status_code
    body = bytes(error.response.body or b"")
    if status == HTTPStatus.NOT_FOUND and service.option.encode() in body:
        return f"The server at {where} has no {service.name}. Its host has to start it with {service.option}."
    if status in (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN):
        return f"{where} does not let us in. Ask its host who may use it."
    if status == HTTPStatus.TOO_MANY_REQUESTS:
        return f"{where} takes no more connections from your address for now. Try again in a minute."
    if status == HTTPStatus.UPGRADE_REQUIRED and b"https://" in body:
        return f"{where} wants TLS. Write wss://{where}."
    if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        return f"{where} is a web server that cannot serve us now ({_named(status)}). Try again later."
    return f"{where} is a web server, but has no {service.name} ({_named(status)}). Check the address.{port_hint(port)}"


def _named(status: int) -> str:
    with contextlib.suppress(ValueError):
        return f"{status} {HTTPStatus(status).phrase}"
    return str(status)


def _tls_failure(error: ssl.SSLError, where: str) -> str:
    if isinstance(error, ssl.SSLCertVerificationError):
        return (
            f"The certificate of {where} cannot be trusted: {error.verify_message.rstrip('.')}. "
            "Check the address, or ask its host for a valid certificate. If you have the host's own certificate, set "
            "SSL_CERT_FILE to its file."
        )
    reason = error.reason or ""
    if "ALERT" in reason:
        words = reason.lower().replace("_", " ")
        return f"{where} refused the TLS connection ({words}). Check the address."
    return f"{where} does not use TLS. Write ws://{where} if you trust the network in between."


async def _speaks_tls(host: str, port: int) -> bool:
    """Try a TLS handshake, and accept any certificate."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    try:
        async with asyncio.timeout(_PROBE_SECONDS):
            transport, _ = await asyncio.get_running_loop().create_connection(asyncio.Protocol, host, port, ssl=context)
    except ssl.SSLError as error:
        return "ALERT" in (error.reason or "")
    except (OSError, ValueError):
        return False
    transport.abort()
    return True
