"""How long a handshake may take, with short limits."""

from __future__ import annotations

import asyncio
import struct
import time
from collections.abc import Callable
from typing import TypeVar

import nacl.bindings
import pytest

import acip_peer as acip
from acip_peer import AcipPeer
from teleglyph.call.limits import CallLimits
from teleglyph.server.app import Server
from teleglyph.server.config import ServerConfig

PASSWORD = "correct horse"
LIMITS = CallLimits(handshake_timeout=0.8, challenge_timeout=6.0, challenged_per_address=2, challenged_total=3)
Result = TypeVar("Result")
_opened: list[AcipPeer] = []


def connect(port: int) -> AcipPeer:
    """A peer that is closed when the server has stopped."""
    _opened.append(AcipPeer(port))
    return _opened[-1]


def serve(work: Callable[[int], Result], **settings: object) -> Result:
    """Run ``work``, which gets the port, beside a server."""

    async def main() -> Result:
        config = ServerConfig(addresses=("127.0.0.1",), port=0, http=False, password=PASSWORD, **settings)  # type: ignore[arg-type]
        server = Server(config)
        await server.start()
        try:
            return await asyncio.to_thread(work, server.bound[0][1])
        finally:
            await server.stop()
            while _opened:
                _opened.pop().close()

    return asyncio.run(main())


def challenged(port: int) -> tuple[AcipPeer, bytes]:
    """A peer whose user is typing the password, like ascii-chat's client."""
    peer = connect(port)
    peer.send_raw(acip.packet(acip.PROTOCOL_VERSION, struct.pack(">HHBBBH7x", 1, 0, 1, 0, 0, 0)))
    peer.expect_outer(acip.PROTOCOL_VERSION, 16)
    peer.send_raw(acip.packet(acip.CRYPTO_CAPABILITIES, struct.pack(">HHHBBBB", 1, 1, 1, 0, 1, 0, 1)))
    peer.expect_outer(acip.CRYPTO_PARAMETERS, 18)
    offer = peer.expect_outer(acip.KEY_EXCHANGE_INIT, 32)
    secret = bytes(range(32))
    peer.send_raw(acip.packet(acip.KEY_EXCHANGE_RESP, nacl.bindings.crypto_scalarmult_base(secret)))
    peer.key = nacl.bindings.crypto_scalarmult(secret, offer)
    return peer, peer.expect_outer(acip.AUTH_CHALLENGE, 33)


def is_closed(peer: AcipPeer) -> bool:
    peer.socket.settimeout(0.05)
    try:
        peer.receive_outer()
    except acip.PeerClosedError:
        return True
    except TimeoutError:
        return False
    raise AssertionError("the server said something")


def test_a_person_has_time_to_type_the_password_after_the_challenge() -> None:
    def work(port: int) -> None:
        peer, challenge = challenged(port)
        time.sleep(1.6)
        peer.authenticate(challenge, PASSWORD)
        peer.send(acip.CLIENT_CAPABILITIES, acip.capabilities())
        assert peer.wait_for(acip.SERVER_STATE)
        peer.close()

    serve(work, call=LIMITS)


def test_the_time_before_the_challenge_is_not_extended() -> None:
    def work(port: int) -> None:
        peer = connect(port)
        peer.send_raw(acip.packet(acip.PROTOCOL_VERSION, struct.pack(">HHBBBH7x", 1, 0, 1, 0, 0, 0)))
        peer.expect_outer(acip.PROTOCOL_VERSION, 16)
        started = time.monotonic()
        with pytest.raises(acip.PeerClosedError):
            peer.receive_outer()
        assert time.monotonic() - started < LIMITS.challenge_timeout / 2

    serve(work, call=LIMITS)


def test_nothing_that_is_sent_after_the_challenge_moves_its_deadline() -> None:
    def work(port: int) -> None:
        peer, _ = challenged(port)
        started = time.monotonic()
        try:
            for byte in acip.packet(acip.AUTH_RESPONSE, bytes(64)):
                peer.send_raw(bytes([byte]))
                time.sleep(0.2)
                if is_closed(peer):
                    break
        except OSError:
            pass
        assert time.monotonic() - started < 4.0

    serve(work, call=CallLimits(handshake_timeout=0.8, challenge_timeout=1.5))


def test_only_a_few_of_an_address_may_take_so_long_at_once() -> None:
    def work(port: int) -> None:
        peers = [challenged(port)[0] for _ in range(4)]
        time.sleep(1.6)
        assert [is_closed(peer) for peer in peers] == [False, False, True, True]
        peers[0].close()
        time.sleep(0.3)
        late, challenge = challenged(port)
        time.sleep(1.6)
        late.authenticate(challenge, PASSWORD)
        late.close()

    serve(work, call=LIMITS)


def test_peers_that_wait_for_their_users_do_not_keep_others_out() -> None:
    def work(port: int) -> None:
        waiting = [challenged(port)[0] for _ in range(2)]
        for _ in range(3):
            other, challenge = challenged(port)
            other.authenticate(challenge, PASSWORD)
            other.send(acip.CLIENT_CAPABILITIES, acip.capabilities())
            assert other.wait_for(acip.SERVER_STATE)
        for peer in waiting:
            assert not is_closed(peer)

    serve(work, call=LIMITS, max_handshakes=1)
