"""The password exchange: the same as the package's own, and strict about points."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from spake2 import SPAKE2_A, SPAKE2_B
from spake2.ed25519_basic import Base, bytes_to_unknown_group_element
from spake2.parameters.ed25519 import ParamsEd25519

from teleglyph.errors import HandshakeError
from teleglyph.wire.link2 import Channel
from teleglyph.wire.link2.password import PasswordExchange

KEY = b"p" * 32
CHANNEL = Channel(b"c" * 32, None)
IDENTITY = b"i" * 32
IDENTITIES = {"idA": b"teleglyph/2 client", "idB": b"teleglyph/2 server\0" + b"c" * 32 + IDENTITY}
ORDER_2 = ((1 << 255) - 20).to_bytes(32, "little")
ZERO = (1).to_bytes(32, "little")
OFF_CURVE = (2).to_bytes(32, "little")
NOT_CANONICAL = ((1 << 255) - 18).to_bytes(32, "little")


def entropy(seed: int) -> Callable[[int], bytes]:
    return lambda size: bytes((seed * 7 + place) % 256 for place in range(size))


def exchange(*, is_server: bool, seed: int = 1, key: bytes = KEY) -> PasswordExchange:
    return PasswordExchange(key, CHANNEL, IDENTITY, is_server=is_server, random=entropy(seed))


@pytest.mark.parametrize("seed", range(1, 6))
def test_messages_and_keys_are_those_of_the_package(seed: int) -> None:
    ours = exchange(is_server=True, seed=seed)
    theirs = SPAKE2_B(KEY, **IDENTITIES, params=ParamsEd25519, entropy_f=entropy(seed))
    client = SPAKE2_A(KEY, **IDENTITIES, params=ParamsEd25519, entropy_f=entropy(seed + 100))
    from_client = client.start()
    assert ours.message == theirs.start()
    assert ours.finish(from_client) == theirs.finish(from_client) == client.finish(ours.message)


def test_our_client_fits_the_package_s_server() -> None:
    ours = exchange(is_server=False)
    server = SPAKE2_B(KEY, **IDENTITIES, params=ParamsEd25519, entropy_f=entropy(9))
    assert ours.finish(server.start()) == server.finish(ours.message)


def test_different_passwords_give_different_keys() -> None:
    client, server = exchange(is_server=False), exchange(is_server=True, seed=2, key=b"w" * 32)
    assert client.finish(server.message) != server.finish(client.message)


@pytest.mark.parametrize("point", [ZERO, ORDER_2, OFF_CURVE, NOT_CANONICAL, b"", ZERO[:31]])
def test_a_point_outside_of_the_group_is_refused(point: bytes) -> None:
    with pytest.raises(HandshakeError, match="not valid"):
        exchange(is_server=True).finish(b"A" + point)


def test_a_point_of_mixed_order_is_refused() -> None:
    mixed = Base.add(bytes_to_unknown_group_element(ORDER_2)).to_bytes()
    with pytest.raises(HandshakeError, match="not valid"):
        exchange(is_server=True).finish(b"A" + mixed)


def test_a_point_that_cancels_the_password_is_refused() -> None:
    server = exchange(is_server=True)
    blinding = ParamsEd25519.M.scalarmult(ParamsEd25519.group.password_to_scalar(KEY)).to_bytes()
    with pytest.raises(HandshakeError, match="not valid"):
        server.finish(b"A" + blinding)


@pytest.mark.parametrize("is_server", [True, False])
def test_a_reflected_message_is_refused(is_server: bool) -> None:
    one = exchange(is_server=is_server)
    side = b"A" if is_server else b"B"
    with pytest.raises(HandshakeError, match="not valid"):
        one.finish(side + one.message[1:])
    with pytest.raises(HandshakeError, match="not valid"):
        exchange(is_server=is_server).finish(one.message)
