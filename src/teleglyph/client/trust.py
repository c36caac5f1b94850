"""Whether a server is the one that is meant: pinned keys, servers that were met before (spec acip-crypto 9.2, 9.3)."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from teleglyph.errors import UnknownServer, VerificationError
from teleglyph.keys import KnownHosts, fingerprint
from teleglyph.keys.known_hosts import Verdict
from teleglyph.net import is_loopback


class NotPinned(VerificationError):
    """The server shows an identity, but none of the pinned ones."""


class ServerTrust:
    """Decides about servers' identities.

    Args:
        hosts: what was met before.
        pinned: the only identities that are accepted; without any, what was met before decides.
        accept_new: remember servers that were never met without asking.
        on_new: gets a sentence when that happens.
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

    def check(self, address: str, identity: bytes | None) -> None:
        """Accept a server, or not.

        Args:
            address: its numeric address and port, IPv6 in brackets.
            identity: the Ed25519 key that it has proven; None if it shows none.

        Raises:
            VerificationError: it is not the one that is meant, or somebody is in the middle.
            UnknownServer: it was never met.
        """
        if self.pinned:
            self._check_pinned(address, identity)
            return
        verdict, entries = self.hosts.judge(address, identity)
        if verdict is Verdict.KNOWN:
            return
        if verdict is Verdict.CHANGED:
            before = " or ".join(dict.fromkeys(_describe(entry.identity) for entry in entries))
            raise VerificationError(
                f"{address} is not what it was: it shows {_describe(identity)}, but before it showed {before} "
                f"({entries[0].place}). Somebody may be in the middle. Ask its host, by another way than this one, "
                f"whether the key is new; if it is: {_remedy(address, entries[0].place, str(self.hosts.own))}"
            )
        if identity is None and is_loopback(address.rpartition(":")[0].strip("[]")):
            return
        if not self._accept_new:
            raise UnknownServer(
                f"{address} was never met before and shows {_describe(identity)}, and nobody can be asked here: "
                "compare that with its host and use --server-key, or --accept-new-server",
                address,
                identity,
            )
        self.hosts.add(address, identity)
        self._on_new(f"{address} is new and shows {_describe(identity)}; it is remembered")

    def _check_pinned(self, address: str, identity: bytes | None) -> None:
        if identity is None:
            raise VerificationError(
                f"{address} shows no identity, but --server-key says which it must have: somebody may be in the "
                "middle, or its host runs it without --key"
            )
        if identity not in self.pinned:
            raise NotPinned(
                f"{address} shows {_describe(identity)}, which is not what --server-key says: somebody may be in the "
                "middle, or its host has a new key"
            )


def _describe(identity: bytes | None) -> str:
    return "no identity" if identity is None else f"the identity {fingerprint(identity)}"


def _remedy(address: str, place: str, own: str) -> str:
    if place.startswith(own):
        return f"teleglyph known-hosts forget '{address}'"
    return f"delete {place}"
