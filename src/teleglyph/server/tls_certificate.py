"""The server's certificate: from files, or made for its identity; and the TLS contexts with it."""

from __future__ import annotations

import contextlib
import os
import ssl
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from teleglyph.errors import ConfigurationError, reason_of
from teleglyph.keys.certificate import channel_of, self_signed
from teleglyph.wire.acip import Identity
from teleglyph.wire.link2 import ALPN, Channel

_HTTP = "http/1.1"


@dataclass(frozen=True, slots=True)
class TlsSetup:
    """A certificate in use.

    Attributes:
        calls: the context of a port with calls; it offers link 2.
        pages: the context of a port with HTTP only.
        channel: what the proofs of link 2 are bound to.
    """

    calls: ssl.SSLContext
    pages: ssl.SSLContext
    channel: Channel


class ServerTls:
    """The server's certificate, which can be reloaded.

    Args:
        files: the certificate with the intermediate ones, and its key; None to make one for the identity.
        identity: the server's first one; None for none.
    """

    def __init__(self, files: tuple[Path, Path | None] | None, identity: Identity | None) -> None:
        self._files = files
        self._identity = identity
        self._setup: TlsSetup | None = None

    @property
    def is_public(self) -> bool:
        """Whether the certificate comes from files."""
        return self._files is not None

    @property
    def setup(self) -> TlsSetup:
        """The certificate in use; new connections get it."""
        if self._setup is None:
            raise RuntimeError("load comes first")
        return self._setup

    def load(self, before_use: Callable[[], None] = lambda: None) -> None:
        """Load the certificate, or load it again.

        Args:
            before_use: called once the certificate is loaded and before it is used; may raise to keep the previous one.

        Raises:
            ConfigurationError: it cannot be used; the previous one stays.
        """
        setup = load_setup(self._files, self._identity)
        before_use()
        self._setup = setup


def load_setup(files: tuple[Path, Path | None] | None, identity: Identity | None) -> TlsSetup:
    """The setup with a certificate from files or, without them, with one made for the identity.

    Args:
        files: the certificate with the intermediate ones, and its key; the key is None if it is in the same file.
        identity: the server's first one; None for none.

    Raises:
        ConfigurationError: the files cannot be read or do not match.
    """
    if files is not None:
        der = _leaf_of(files[0])
        calls, pages = (load_tls(*files, protocols) for protocols in ((ALPN, _HTTP), (_HTTP,)))
    else:
        made = self_signed(identity)
        der = made.der
        with _temporary_file(made.pem) as path:
            calls, pages = (load_tls(path, None, protocols) for protocols in ((ALPN, _HTTP), (_HTTP,)))
    return TlsSetup(calls, pages, channel_of(der))


def load_tls(certificate: Path, key: Path | None, protocols: tuple[str, ...] = (_HTTP,)) -> ssl.SSLContext:
    """A TLS context with a certificate and its key.

    Args:
        certificate: PEM, with the intermediate certificates.
        key: PEM; None if it is in the same file.
        protocols: offered in ALPN.

    Raises:
        ConfigurationError: they cannot be read or do not match.
    """
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    # A resumed connection would go without the certificate to which the proofs of link 2 are bound.
    context.num_tickets = 0
    context.options |= ssl.OP_NO_TICKET
    context.set_alpn_protocols(list(protocols))
    try:
        # An empty pass phrase, because a prompt on the terminal would block the server.
        context.load_cert_chain(certificate, key, password="")
    except (OSError, ssl.SSLError) as error:
        raise _unusable(certificate, key, getattr(error, "reason", None) or reason_of(error)) from error
    return context


def _leaf_of(path: Path) -> bytes:
    """The first certificate of a PEM file, in DER."""
    begin, end = "-----BEGIN CERTIFICATE-----", "-----END CERTIFICATE-----"
    try:
        text = path.read_text("ascii", "replace")
        start = text.index(begin)
        return ssl.PEM_cert_to_DER_cert(text[start : text.index(end, start) + len(end)])
    except OSError as error:
        raise _unusable(path, None, reason_of(error)) from error
    except ValueError as error:
        raise _unusable(path, None, "it has no certificate in PEM form") from error


def _unusable(certificate: Path, key: Path | None, reason: str) -> ConfigurationError:
    with_key = f" with the key {str(key)!r}" if key else ""
    return ConfigurationError(f"The certificate '{certificate}'{with_key} cannot be used: {reason}.")


@contextlib.contextmanager
def _temporary_file(data: bytes) -> Iterator[Path]:
    """A file for a moment, because ``ssl`` reads keys from files only; in memory where the system has such files."""
    if hasattr(os, "memfd_create"):
        descriptor = os.memfd_create("teleglyph", os.MFD_CLOEXEC)
        try:
            with open(descriptor, "wb", closefd=False) as file:
                file.write(data)
            yield Path(f"/proc/self/fd/{descriptor}")
        finally:
            os.close(descriptor)
        return
    with tempfile.NamedTemporaryFile() as temporary:  # readable for us only
        temporary.write(data)
        temporary.flush()
        yield Path(temporary.name)
