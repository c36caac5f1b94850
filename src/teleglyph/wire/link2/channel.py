"""What the proofs of link 2 are bound to: the TLS connection and earlier packets (docs/protocol/link2.md#binding)."""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import dataclass

from teleglyph.wire.link2.messages import LinkChallenge, LinkHello, LinkProof

ALPN = "teleglyph/2"
"""The name of link 2 in TLS's negotiation of application protocols (RFC 7301)."""


@dataclass(frozen=True, slots=True)
class Channel:
    """The TLS connection below a link, as one end sees it.

    Attributes:
        certificate_hash: SHA-256 of the server's certificate in DER.  TLS proves that the server owns its key.
        certificate_key: the Ed25519 key of that certificate; None if it has a key of another kind.
    """

    certificate_hash: bytes
    certificate_key: bytes | None


class Transcript:
    """The binding of one handshake, for the proofs of both sides.

    Args:
        channel: below the handshake.
        hello, challenge: the packets that were sent.
    """

    def __init__(self, channel: Channel, hello: LinkHello, challenge: LinkChallenge) -> None:
        self._server = challenge.identity
        first, second = hello.encode_payload(), challenge.signed_part()
        parts = (channel.certificate_hash, len(first).to_bytes(2, "big"), first, second)
        self.binding = hashlib.sha256(b"teleglyph/2 channel\0" + b"".join(parts)).digest()
        """32 bytes that are equal at both ends, unless somebody is in between."""

    def server_text(self) -> bytes:
        """The text that the server's identity signs."""
        return b"teleglyph/2 server identity\0" + self._server + self.binding

    def client_text(self, identity: bytes) -> bytes:
        """The text that the client's identity signs."""
        return b"teleglyph/2 client identity\0" + self._server + identity + self.binding

    def client_tag(self, key: bytes, proof: LinkProof) -> bytes:
        """The client's proof that it knows the key of the password exchange."""
        return self._tag(b"teleglyph/2 client password\0", key, proof)

    def server_tag(self, key: bytes, proof: LinkProof) -> bytes:
        """The server's proof of the same."""
        return self._tag(b"teleglyph/2 server password\0", key, proof)

    def _tag(self, purpose: bytes, key: bytes, proof: LinkProof) -> bytes:
        return hmac.digest(key, purpose + self.binding + proof.identity + proof.exchange, "sha256")
