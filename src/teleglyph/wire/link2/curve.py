"""The group of Ed25519 for the ``spake2`` package, computed by libsodium.

The package's own arithmetic is written in Python.  It takes ten times longer, in which a server sends no frames, and
its time depends on the secrets.  Importing this module takes 0.1 s.
"""

from __future__ import annotations

import copy
from collections.abc import Callable

from nacl.bindings import (
    crypto_core_ed25519_add,
    crypto_core_ed25519_BYTES,
    crypto_core_ed25519_is_valid_point,
    crypto_scalarmult_ed25519_base_noclamp,
    crypto_scalarmult_ed25519_noclamp,
)
from spake2.ed25519_group import Ed25519Group
from spake2.parameters.ed25519 import ParamsEd25519


class Element:
    """A point of the prime-order subgroup.

    Args:
        data: its encoding (RFC 8032, 5.1.2).
    """

    def __init__(self, data: bytes) -> None:
        self._data = data

    def scalarmult(self, scalar: int) -> Element:
        """The point multiplied by any integer.  Raises an error of libsodium if the result is the neutral element."""
        return Element(crypto_scalarmult_ed25519_noclamp(_encode(scalar), self._data))

    def add(self, other: Element) -> Element:
        return Element(crypto_core_ed25519_add(self._data, other._data))

    def to_bytes(self) -> bytes:
        return self._data


class _Base(Element):
    """The generator."""

    def scalarmult(self, scalar: int) -> Element:
        return Element(crypto_scalarmult_ed25519_base_noclamp(_encode(scalar)))


class _Group:
    """What the package calls of a group."""

    Base = _Base(Ed25519Group.Base.to_bytes())

    def random_scalar(self, entropy: Callable[[int], bytes]) -> int:
        scalar: int = Ed25519Group.random_scalar(entropy)
        return scalar

    def password_to_scalar(self, password: bytes) -> int:
        scalar: int = Ed25519Group.password_to_scalar(password)
        return scalar

    def bytes_to_element(self, data: bytes) -> Element:
        """Decode a peer's point.

        Raises:
            ValueError: it is not in the subgroup, or not encoded canonically.
        """
        if len(data) != crypto_core_ed25519_BYTES or not crypto_core_ed25519_is_valid_point(data):
            raise ValueError("not a point of the subgroup")
        return Element(data)


def _encode(scalar: int) -> bytes:
    encoded: bytes = Ed25519Group.scalar_to_bytes(scalar)
    return encoded


PARAMETERS = copy.copy(ParamsEd25519)
"""For the classes of the package; the same group and constants as its own, so the messages are the same."""
PARAMETERS.group = _Group()
PARAMETERS.M, PARAMETERS.N = (Element(point.to_bytes()) for point in (ParamsEd25519.M, ParamsEd25519.N))
