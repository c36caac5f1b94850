"""A TURN server of a test's own: coturn on an address of this machine."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import hmac
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from data_channels import Server
from teleglyph.net import own_addresses

TURNSERVER = shutil.which("turnserver", path="/usr/bin:/usr/local/bin:/usr/sbin")
USER, PASSWORD = "ann", "open sesame"
SECRET = "shared with the service"


@dataclass(frozen=True)
class TurnProcess:
    """A running server.

    Attributes:
        address: where it listens, for UDP and TCP alike.
        port: of the address.
        tls_port: with TLS, also on localhost; 0 without a certificate.
    """

    address: str
    port: int
    tls_port: int

    def server(self, username: str = USER, credential: str = PASSWORD, *, transport: str = "udp") -> Server:
        """The server for a data channel."""
        return Server(f"turn:{self.address}:{self.port}?transport={transport}", username, credential)


def timed_credentials(expires_in: float, secret: str = SECRET) -> tuple[str, str]:
    """A user name and a password that expire, as a service with the server's secret makes them."""
    username = f"{int(time.time() + expires_in)}:ann"
    return username, base64.b64encode(hmac.digest(secret.encode(), username.encode(), hashlib.sha1)).decode()


@contextlib.contextmanager
def turn_server(directory: Path, *, has_secret: bool = False, certificate: Path | None = None) -> Iterator[TurnProcess]:
    """Run a server until the end of the block.

    Args:
        directory: for its files.
        has_secret: credentials expire; otherwise there is one user.
        certificate: with its key, for TLS.
    """
    assert TURNSERVER is not None, "There is no TURN server. See scripts/system-packages."
    address = own_addresses()[0]
    port, tls_port = _free_port(address), _free_port(address)
    arguments = [f"--listening-ip={address}", f"--relay-ip={address}", f"--listening-port={port}", "--no-dtls"]
    arguments += ["-n", "--no-cli", "--realm=test", "--no-multicast-peers", "--log-file=stdout", "--simple-log"]
    arguments += [f"--pidfile={directory / 'pid'}", f"--userdb={directory / 'users'}", "--fingerprint"]
    if certificate is None:
        arguments += ["--no-tls"]
    else:
        arguments += ["--listening-ip=127.0.0.1"]  # for the certificate's name
        arguments += [f"--tls-listening-port={tls_port}", f"--cert={certificate}", f"--pkey={certificate}"]
    if has_secret:
        arguments += ["--use-auth-secret", f"--static-auth-secret={SECRET}"]
    else:
        arguments += ["--lt-cred-mech", f"--user={USER}:{PASSWORD}"]
    with (directory / "log").open("wb") as log:
        process = subprocess.Popen([TURNSERVER, *arguments], stdout=log, stderr=log, cwd=directory)
    try:
        for wanted in (port, *([] if certificate is None else [tls_port])):
            _wait_for(process, address, wanted, directory / "log")
        yield TurnProcess(address, port, 0 if certificate is None else tls_port)
    finally:
        process.terminate()
        process.wait()


def _free_port(address: str) -> int:
    with socket.socket() as probe:
        probe.bind((address, 0))
        return int(probe.getsockname()[1])


def _wait_for(process: subprocess.Popen[bytes], address: str, port: int, log: Path) -> None:
    for _ in range(400):
        assert process.poll() is None, log.read_text()
        with contextlib.suppress(OSError), socket.create_connection((address, port), timeout=5):
            return
        time.sleep(0.05)
    raise AssertionError(log.read_text())
