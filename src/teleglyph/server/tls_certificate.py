"""Loads the certificate of the HTTP port."""

from __future__ import annotations

import ssl
from pathlib import Path

from teleglyph.errors import ConfigurationError, reason_of


def load_tls(certificate: Path, key: Path | None, context: ssl.SSLContext | None = None) -> ssl.SSLContext:
    """Load a certificate and its key into a TLS context.

    Args:
        certificate: PEM, with the intermediate certificates.
        key: PEM; None if it is in the same file.
        context: updated, if it is given; otherwise a new one is created.

    Raises:
        ConfigurationError: they cannot be read or do not match.
    """
    context = context or ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    try:
        # An empty pass phrase, because a prompt on the terminal would block the server.
        context.load_cert_chain(certificate, key, password="")
    except (OSError, ssl.SSLError) as error:
        raise ConfigurationError(
            f"The certificate '{certificate}'{f' with the key {str(key)!r}' if key else ''} cannot be used: "
            f"{getattr(error, 'reason', None) or reason_of(error)}."
        ) from error
    return context
