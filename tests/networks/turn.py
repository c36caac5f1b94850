"""coturn, a relay for TURN, in a namespace."""

from __future__ import annotations

import base64
import hashlib
import hmac
import tempfile
import time
from collections.abc import Mapping
from types import TracebackType
from typing import Self

from networks.homes import OTHER_SERVICE, SERVICE, Place

PORT = 3478


class TurnServer:
    """A running coturn, which also answers STUN at two addresses and two ports (RFC 5780).

    Args:
        place: where it runs; it must have both addresses of servers.
        users: with their passwords (long-term credentials).
        secret: instead of users, for credentials with an expiry (``use-auth-secret``).
        options: further ones of ``turnserver``.
    """

    def __init__(
        self,
        place: Place,
        users: Mapping[str, str] | None = None,
        secret: str | None = None,
        options: tuple[str, ...] = (),
    ) -> None:
        self._secret = secret
        self._directory = tempfile.TemporaryDirectory(prefix="teleglyph-coturn-")
        command = ["turnserver", "-n", "--log-file", "stdout", "--simple-log", "--verbose"]
        command += [*(f"--listening-ip={address}" for address in (SERVICE, OTHER_SERVICE)), f"--relay-ip={SERVICE}"]
        command += [f"--listening-port={PORT}", "--relay-threads=1", "--no-cli", "--no-tls", "--no-dtls"]
        command += ["--realm=turn.test", "--fingerprint", f"--userdb={self._directory.name}/users"]
        command += [f"--pidfile={self._directory.name}/pid"]
        if secret is not None:
            command += ["--use-auth-secret", f"--static-auth-secret={secret}"]
        else:
            command += ["--lt-cred-mech", *(f"--user={name}:{password}" for name, password in (users or {}).items())]
        self.program = place.start([*command, *options])
        self.program.wait_for_line("SQLite DB connection success")

    def url(self, transport: str = "udp") -> str:
        """Its URL for clients that reach it by UDP or TCP."""
        return f"turn:{SERVICE}:{PORT}?transport={transport}"

    @property
    def stun_url(self) -> str:
        return f"stun:{SERVICE}:{PORT}"

    def credentials(self, name: str = "somebody", seconds: int = 600) -> tuple[str, str]:
        """A user and a password that are valid for this time; see coturn's README for the algorithm."""
        assert self._secret is not None
        user = f"{int(time.time()) + seconds}:{name}"
        password = hmac.digest(self._secret.encode(), user.encode(), hashlib.sha1)
        return user, base64.b64encode(password).decode()

    def close(self) -> None:
        """Stop it."""
        self.program.stop()
        self._directory.cleanup()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        self.close()
