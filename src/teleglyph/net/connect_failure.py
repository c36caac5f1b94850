"""Error messages for connections that failed: the address, the reason and the next step.

All our clients print these messages.  They never contain numbers or names of exceptions.  Those for WebSockets are in
:mod:`teleglyph.net.websocket_failure`, so that a call does not have to load that library.
"""

from __future__ import annotations

import errno
import os
import re
import socket

from teleglyph.net.addresses import DEFAULT_PORT, authority

_WEB_PORTS = (80, 443)
CHECK_PORT = f"Calls, chat and games use port {DEFAULT_PORT} unless the host chose another one."
"""About the usual port."""
_UNREACHABLE = (errno.EHOSTUNREACH, errno.ENETUNREACH, errno.EINVAL, errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT)
_ENDED = (errno.ECONNRESET, errno.ECONNABORTED, errno.EPIPE)


def tcp_failure(error: OSError, host: str, port: int, seconds: float, check_port: str = CHECK_PORT) -> str:
    """The reason why a TCP connection failed.

    Args:
        error: a ``TimeoutError`` without a number means our own timeout.
        host: the destination.
        port: the destination's port.
        seconds: our timeout.
        check_port: a sentence about the usual port.
    """
    hint = port_hint(port, check_port)
    where, code = authority(host, port), _number(error)
    if isinstance(error, socket.gaierror):
        if code == socket.EAI_AGAIN:
            return f"The host name '{host}' cannot be looked up now. Check your network and try again."
        return f"The host name '{host}' is not known. Check the spelling."
    if isinstance(error, ConnectionRefusedError) or code == errno.ECONNREFUSED:
        return f"Nobody listens on {where}. Is the server running?{hint}"
    if isinstance(error, TimeoutError):
        return (
            f"{where} did not answer within {seconds:g} s. Check the address, "
            f"and that no firewall blocks port {port}.{hint}"
        )
    if code in _UNREACHABLE:
        return f"{where} cannot be reached from here. Check the address and your network."
    if isinstance(error, ConnectionError) or code in _ENDED:
        return f"{where} closed the connection instead of answering. Check the port.{hint}"
    reason = f": {os.strerror(code).lower()}" if code else ""
    return f"Cannot connect to {where}{reason}. Check the address and your network."


def is_end(error: OSError) -> bool:
    """Whether an established connection ended."""
    return error.errno in _ENDED or (
        isinstance(error, ConnectionError) and not isinstance(error, ConnectionRefusedError)
    )


def port_hint(port: int, check_port: str = CHECK_PORT) -> str:
    """A space and a sentence about the default port; empty for the ports of web servers."""
    return "" if port in _WEB_PORTS else f" {check_port}"


def _number(error: OSError) -> int | None:
    """The error's number; for a host with several addresses the event loop reports it only as text."""
    if error.errno is None and (found := re.search(r"\[Errno (\d+)\]", str(error))):
        return int(found[1])
    return error.errno
