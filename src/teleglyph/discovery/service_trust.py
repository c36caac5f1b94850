"""Decides about the identity of a discovery service.

Nothing that a service could do with another identity would reveal a password, a key or a picture, so nobody is asked:
a new service is remembered, and one that has changed is refused.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence

from teleglyph.errors import KeyFileError, VerificationError
from teleglyph.keys import KnownHosts, fingerprint, parse_public_keys
from teleglyph.keys.known_hosts import Verdict

CheckIdentity = Callable[[str, "bytes | None"], None]
"""Gets a service's numeric address with the port, and its proven key or None; raises a PeerError to refuse it."""


class ServiceTrust:
    """Accepts services that are pinned, known or new.

    Args:
        hosts: the known servers.
        pinned: the only accepted identities; if empty, ``hosts`` decides.
        name: of the service, as the user typed it, with its port.
        on_new: called with a sentence when a service is remembered.
    """

    def __init__(
        self,
        hosts: KnownHosts,
        pinned: Sequence[bytes] = (),
        *,
        name: str = "",
        on_new: Callable[[str], None] = lambda _: None,
    ) -> None:
        self._hosts = hosts
        self._pinned = tuple(pinned)
        self._name = name
        self._on_new = on_new

    @classmethod
    def of_user(cls, service: str, keys: str | None, on_new: Callable[[str], None]) -> ServiceTrust:
        """With the user's known servers.

        Args:
            service: its host and port, as text.
            keys: from ``--discovery-key``; None for none.
            on_new: called with a sentence when the service is remembered.

        Raises:
            KeyFileError, KeyFetchError: the keys cannot be read.
        """
        return cls(KnownHosts(), parse_public_keys(keys) if keys else (), name=service, on_new=on_new)

    def check(self, address: str, identity: bytes | None) -> None:
        """Accept a service, or raise an error.

        Args:
            address: its numeric address and port, IPv6 in brackets.
            identity: the Ed25519 key that it has proven; None if it has none.

        Raises:
            VerificationError: it is another service than before, or than the pinned one.
        """
        shown = "no identity" if identity is None else f"the identity {fingerprint(identity)}"
        if self._pinned:
            if identity not in self._pinned:
                wanted = " or ".join(fingerprint(key) for key in self._pinned[:3])
                raise VerificationError(
                    f"The discovery service {address} shows {shown}, but --discovery-key requires {wanted}."
                )
            return
        verdict, entries = self._hosts.judge(address, identity)
        if verdict is Verdict.CHANGED:
            raise VerificationError(
                f"The discovery service {address} has changed: it shows {shown}, and not what is in "
                f"{entries[0].place}. If its operator confirms that: teleglyph known-hosts forget '{address}'."
            )
        if verdict is Verdict.NEW and identity is not None:
            with contextlib.suppress(KeyFileError):
                self._hosts.add(address, identity, self._name, has_link2=True)
            self._on_new(f"The discovery service {self._name or address} is new and shows {shown}.")
