"""Check a server's identity against pinned keys and known servers (docs/protocol/handshake.md#known-servers)."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence

from teleglyph.errors import DowngradeError, KeyFileError, UnknownServerError, VerificationError
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
        allows_downgrade: accept servers that spoke link 2 before and do not now.
        announced: the identity that the server's announcement on the local network names, which it must show; None
            without one.  Anybody can announce anything, so it does not replace any other check.
        on_new: called with a sentence when a server is remembered.
    """

    def __init__(
        self,
        hosts: KnownHosts,
        pinned: Sequence[bytes] = (),
        *,
        accept_new: bool = False,
        allows_downgrade: bool = False,
        announced: bytes | None = None,
        on_new: Callable[[str], None] = lambda _: None,
    ) -> None:
        self.hosts = hosts
        self.pinned = tuple(pinned)
        self.allows_downgrade = allows_downgrade
        self._accept_new = accept_new
        self._announced = announced
        self._on_new = on_new

    def check(
        self,
        address: str,
        identity: bytes | None,
        *,
        name: str = "",
        is_ascii_chat: bool = False,
        has_link2: bool = False,
        is_certified: bool = False,
        invited_by: bytes | None = None,
    ) -> None:
        """Accept a server, or raise an error.

        Args:
            address: its numeric address and port, IPv6 in brackets.
            identity: the Ed25519 key that it has proven; None if it has none.
            name: host and port as the user typed them; remembered with the server.
            is_ascii_chat: the server is one of ascii-chat's programs, which print fingerprints in another form.
            has_link2: the connection is link 2, which is remembered with the server.
            is_certified: an authority that this machine trusts has certified the server's name.
            invited_by: the identity that signed the user's invitation, which a new server must show; None without one.

        Raises:
            VerificationError: this is another server, or the connection is intercepted.
            DowngradeError: the server spoke link 2 before.
            UnknownServerError: the server is new, and the user has to decide.
            KeyFileError: a server on another machine could not be remembered.
        """
        if not has_link2:
            self.check_downgrade(address, name)
        shown = describe_identity(identity, is_ascii_chat=is_ascii_chat)
        verdict, entries = self.hosts.judge(address, identity)
        if self.pinned:
            self._check_pinned(address, identity, shown)
            if has_link2:
                self._remember_pinned(verdict, entries, address, identity, name)
            return
        if verdict is not Verdict.CHANGED:
            self._check_announced(name, address, identity, shown)
        if verdict is Verdict.KNOWN:
            with contextlib.suppress(KeyFileError):  # the server is known without these
                self.hosts.add_name(entries, name)
                if has_link2 and not all(entry.has_link2 for entry in entries):
                    self.hosts.mark_link2(self.hosts.judge(address, identity)[1])
            return
        if verdict is Verdict.CHANGED:
            before = " or ".join(dict.fromkeys(describe_identity(entry.identity) for entry in entries))
            raise VerificationError(
                f"{_both(name, address)} has changed: it shows {shown}, but before it showed {before} "
                f"({entries[0].place}). Someone may be intercepting the connection. Ask its host, over another "
                f"channel, whether the key is new. If it is: {self._remedy(address, entries)}."
            )
        if invited_by is not None and identity != invited_by:
            raise VerificationError(
                f"{_both(name, address)} shows {shown}, but your invitation is from {fingerprint(invited_by)}. The "
                "address may be wrong, or someone may be intercepting the connection. Ask the host for a new link."
            )
        # No network is in between, so a question would only teach people to say yes.
        is_local = is_loopback(address.rpartition(":")[0].strip("[]"))
        if identity is None and is_local:
            return
        if not self._accept_new and not is_local and not is_certified and invited_by is None:
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
        if identity is None and is_certified:
            return  # there is nothing to compare with next time but its certificate
        try:
            self.hosts.add(address, identity, name, has_link2=has_link2)
        except KeyFileError:
            if not is_local:
                raise
            return
        why = ", as your invitation says" if invited_by is not None else ""
        why = why or (", and has a valid certificate" if is_certified else "")
        self._on_new(f"{_both(name, address)} is new and shows {shown}{why}. It is now a known server.")

    def check_downgrade(self, address: str, name: str = "") -> None:
        """Refuse a server that does not speak link 2, if it did before.

        Args:
            address: its numeric address and port, IPv6 in brackets.
            name: host and port as the user typed them.

        Raises:
            DowngradeError: it did before.
        """
        if self.allows_downgrade or not self.hosts.speaks_link2(address, name):
            return
        raise DowngradeError(
            f"{_both(name, address)} spoke Teleglyph's secure link before, and now only offers the older protocol "
            "ACIP. Someone may be blocking the secure link, to listen or to impersonate the server. Ask its host, over "
            "another channel, whether an older program replaced the server. If so: "
            f"teleglyph known-hosts forget '{name or address}'; or join once with --protocol acip."
        )

    def _remember_pinned(
        self, verdict: Verdict, entries: Sequence[Entry], address: str, identity: bytes | None, name: str
    ) -> None:
        """Remember that a server with a pinned key speaks link 2, so that it cannot be downgraded."""
        with contextlib.suppress(KeyFileError):  # the pinned key protects without this
            if verdict is Verdict.NEW:
                self.hosts.add(address, identity, name, has_link2=True)
            elif verdict is Verdict.KNOWN and not any(entry.has_link2 for entry in entries):
                self.hosts.mark_link2(entries)

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

    def _check_announced(self, name: str, address: str, identity: bytes | None, shown: str) -> None:
        if self._announced is not None and identity != self._announced:
            raise VerificationError(
                f"{_both(name, address)} shows {shown}, but its announcement on your network names "
                f"{fingerprint(self._announced)}. Someone may be announcing or intercepting calls that are not theirs. "
                "Ask the host for the server's address and fingerprint."
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
