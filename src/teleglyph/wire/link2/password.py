"""The password exchange of link 2: SPAKE2 (docs/protocol/link2.md#password), from the ``spake2`` package.

Neither a listener nor a wrong peer learns anything with which it could test passwords by itself.  A wrong peer learns
from one exchange whether one password is right.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from teleglyph.errors import HandshakeError
from teleglyph.wire.acip.primitives import RandomBytes
from teleglyph.wire.link2.channel import Channel

if TYPE_CHECKING:
    from spake2 import SPAKE2_A, SPAKE2_B

_CLIENT, _SERVER = b"teleglyph/2 client", b"teleglyph/2 server\0"


class PasswordExchange:
    """One side of one exchange.

    Each side takes about 1 ms of processor time, less than half of it in the constructor.

    Args:
        password_key: from :func:`~teleglyph.wire.acip.primitives.derive_password_key`.
        channel: the TLS connection; its certificate is one of the exchange's identities.
        server: the server's Ed25519 key, or zeros; it is part of the same identity.
        is_server: which side.
        random: source of the secret scalar.
    """

    def __init__(
        self, password_key: bytes, channel: Channel, server: bytes, *, is_server: bool, random: RandomBytes
    ) -> None:
        # Imported here, because it takes 0.1 s, and most calls have no password.
        from spake2 import SPAKE2_A, SPAKE2_B

        from teleglyph.wire.link2.curve import PARAMETERS

        side = SPAKE2_B if is_server else SPAKE2_A
        self._side: SPAKE2_A | SPAKE2_B = side(
            password_key,
            idA=_CLIENT,
            idB=_SERVER + channel.certificate_hash + server,
            params=PARAMETERS,
            entropy_f=random,
        )
        self.message: bytes = self._side.start()
        """For the peer."""

    def finish(self, message: bytes) -> bytes:
        """The key of the exchange, 32 bytes: equal on both sides if they used the same password and channel.

        Args:
            message: the peer's.

        Raises:
            HandshakeError: it is not a valid message of the other side.
        """
        try:
            key: bytes = self._side.finish(message)
        except Exception:
            # The package raises errors of many kinds for points that are not on the curve, of low order, or our own.
            raise HandshakeError("The peer's message of the password exchange is not valid.") from None
        return key


def prepare() -> None:
    """Load the package, which takes 0.1 s.  A server calls this before it serves anybody."""
    import teleglyph.wire.link2.curve  # noqa: F401
