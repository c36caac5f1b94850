"""Time-limited credentials for TURN, as coturn's ``use-auth-secret`` checks them."""

from __future__ import annotations

import base64
import hmac


def turn_credentials(secret: bytes, name: str, expires_at: int) -> tuple[str, str]:
    """User name and credential (docs/protocol/discovery.md#turn-credentials).

    Args:
        secret: shared with the TURN server.
        name: of the session; for the logs of the TURN server only.
        expires_at: Unix time in seconds.
    """
    username = f"{expires_at}:{name}"
    return username, base64.b64encode(hmac.digest(secret, username.encode(), "sha1")).decode()
