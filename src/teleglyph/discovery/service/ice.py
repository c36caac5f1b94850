"""The STUN and TURN servers that the service gives to hosts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from teleglyph.wire.discovery import IceServer, turn_credentials

CREDENTIAL_SECONDS = 86_400
"""How long time-limited credentials are valid."""
_RENEWAL = 0.75
"""Part of that time after which a host gets new ones."""
_NO_END = (1 << 63) - 1
_LISTED_URL, _LISTED_NAME, _LISTED_CREDENTIAL, _LISTED = 64, 32, 64, 4
"""Bytes of the fields of SESSION_CREATED, and its number of servers of each kind."""


@dataclass(frozen=True, slots=True)
class IceSettings:
    """The servers, and how to log in to TURN.

    Attributes:
        stun: URLs of STUN servers.
        turn: URLs of TURN servers.
        username, credential: for TURN, the same for everybody; empty for none.
        secret: of the TURN servers, for time-limited credentials instead; empty for none.
    """

    stun: Sequence[str] = ()
    turn: Sequence[str] = ()
    username: str = ""
    credential: str = field(default="", repr=False)
    secret: bytes = field(default=b"", repr=False)

    @property
    def renewal_seconds(self) -> float:
        """Seconds after which a host needs new credentials; 0: never."""
        return CREDENTIAL_SECONDS * _RENEWAL if self.secret and self.turn else 0.0

    def expires_at_ms(self, now: float) -> int:
        """When credentials made now end, Unix milliseconds."""
        return (int(now) + CREDENTIAL_SECONDS) * 1000 if self.renewal_seconds else _NO_END

    def login(self, name: str, now: float) -> tuple[str, str]:
        """User name and credential for the TURN servers.

        Args:
            name: of the session.
            now: Unix seconds.
        """
        if not self.secret:
            return self.username, self.credential
        return turn_credentials(self.secret, name, int(now) + CREDENTIAL_SECONDS)

    def servers(self, name: str, now: float) -> tuple[IceServer, ...]:
        """All servers for a session, now in Unix seconds."""
        login = self.login(name, now)
        return (*map(IceServer, self.stun), *(IceServer(url, *login) for url in self.turn))

    def listed(self, name: str, now: float) -> tuple[tuple[IceServer, ...], tuple[IceServer, ...]]:
        """STUN and TURN servers that fit into SESSION_CREATED, whose fields are short."""
        # The TURN server takes any text after the time.
        username, credential = self.login(name[: _LISTED_NAME - len(str(int(now) + CREDENTIAL_SECONDS)) - 1], now)
        fits = len(username.encode()) <= _LISTED_NAME and len(credential.encode()) <= _LISTED_CREDENTIAL
        stun = [url for url in self.stun if len(url.encode()) <= _LISTED_URL]
        turn = [url for url in self.turn if fits and len(url.encode()) <= _LISTED_URL]
        return tuple(map(IceServer, stun[:_LISTED])), tuple(
            IceServer(url, username, credential) for url in turn[:_LISTED]
        )
