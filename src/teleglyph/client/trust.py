"""Check a server's identity against pinned keys and known servers (docs/protocol/handshake.md#known-servers)."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence

from teleglyph.errors import KeyFileError, UnknownServerError, VerificationError
from teleglyph.keys import KnownHosts, ascii_chat_fingerprint, fingerprint
from teleglyph.keys.known_hosts import Entry, Verdict
from teleglyph.net import is_loopback


class NotPinnedError(VerificationError):
    """The server's identity is not one of the pinned ones."""


class ServerTrust:
    """Decides whether to accept a server's identity.

    A new server on this machine is accepted, and remembered if it has an identity.

    Args:
        hosts: the known servers.
        pinned: the only accepted identities; if empty, ``hosts`` decides.
        accept_new: remember new servers without asking.
        on_new: called with a sentence when a server is remembered.
    """

    def __init__(
        self,
        hosts: KnownHosts,
        pinned: Sequence[bytes] = (),
        *,
        accept_new: bool = False,
        on_new: Callable[[str], None] = lambda _: None,
    ) -> None:
        self.hosts = hosts
        self.pinned = tuple(pinned)
        self._accept_new = accept_new
        self._on_new = on_new

    def check(self, address: str, identity: bytes | None, *, name: str = "", is_ascii_chat: bool = False) -> None:
        """Accept a server, or raise an error.

        Args:
            address: its numeric address and port, IPv6 in brackets.
            identity: the Ed25519 key that it has proven; None if it has none.
            name: host and port as the user typed them; remembered with the server.
            is_ascii_chat: the server is one of ascii-chat's programs, which print fingerprints in another form.

        Raises:
            VerificationError: this is another server, or the connection is intercepted.
            UnknownServerError: the server is new, and the user has to decide.
            KeyFileError: a server on another machine could not be remembered.
        """
        shown = describe_identity(identity, is_ascii_chat=is_ascii_chat)
        if self.pinned:
            self._check_pinned(address, identity, shown)
            return
        verdict, entries = self.hosts.judge(address, identity)
        if verdict is Verdict.KNOWN:
            with contextlib.suppress(KeyFileError):  # the name is only a convenience
                self.hosts.add_name(entries, name)
            return
        if verdict is Verdict.CHANGED:
            before = " or ".join(dict.fromkeys(describe_identity(entry.identity) for entry in entries))
            raise VerificationError(
                f"{_both(name, address)} has changed: it shows {shown}, but before it showed {before} "
                f"({entries[0].place}). Someone may be intercepting the connection. Ask its host, over another "
                f"channel, whether the key is new. If it is: {self._remedy(address, entries)}."
            )
        # No network is in between, so a question would only teach people to say yes.
        is_local = is_loopback(address.rpartition(":")[0].strip("[]"))
        if identity is None and is_local:
            return
        if not self._accept_new and not is_local:
            advice = (
                "Nothing proves that it is the right server. To join anyway, use --accept-new-server."
                if identity is None
                else "Compare the key with its host, then use --server-key or --accept-new-server."
            )
            raise UnknownServerError(
                f"You have not joined {_both(name, address)} before. It shows {shown}, and there is no terminal to "
                f"ask you on. {advice}",
                address,
                identity,
                name=name,
                is_ascii_chat=is_ascii_chat,
            )
        try:
            self.hosts.add(address, identity, name)
        except KeyFileError:
            if not is_local:
                raise
            return
        self._on_new(f"{_both(name, address)} is new and shows {shown}. It is now a known server.")

    def _check_pinned(self, address: str, identity: bytes | None, shown: str) -> None:
        if identity is None:
            raise VerificationError(
                f"{address} shows no identity, but --server-key requires one. Someone may be intercepting the "
                "connection, or its host started it with --ephemeral."
            )
        if identity not in self.pinned:
            expected = " or ".join(fingerprint(key) for key in self.pinned[:3])
            raise NotPinnedError(
                f"{address} shows {shown}, but --server-key requires {expected}. Someone may be intercepting the "
                "connection, or its host has a new key."
            )

    def _remedy(self, address: str, entries: Sequence[Entry]) -> str:
        """The steps after which a server with a new key is accepted."""
        foreign = [entry.place for entry in entries if entry.file != self.hosts.own]
        steps = [f"teleglyph known-hosts forget '{address}'"] if len(foreign) < len(entries) else []
        return "; ".join([*steps, *(f"delete {place}" for place in foreign)])


def describe_identity(identity: bytes | None, *, is_ascii_chat: bool = False) -> str:
    """A server's identity as part of a sentence."""
    if identity is None:
        return "no identity"
    also = f" (ascii-chat prints it as {ascii_chat_fingerprint(identity)})" if is_ascii_chat else ""
    return f"the identity {fingerprint(identity)}{also}"


def _both(name: str, address: str) -> str:
    return f"{name} ({address})" if name and name != address else address
