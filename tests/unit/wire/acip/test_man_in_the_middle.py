"""A man in the middle attacks every step of the handshake.

Whatever he does: nobody is admitted who should not be, neither side believes the other proved what it did not, and two
sides that both believe they are connected share a key that he does not have.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pytest

from teleglyph.errors import PeerError, VerificationError
from teleglyph.wire.acip import (
    ClientSession,
    CryptoParameters,
    HandshakeDone,
    KeyExchangeInit,
    Message,
    PacketType,
    Ping,
    ServerSession,
    Session,
    SessionState,
    encode,
)
from teleglyph.wire.acip.packet import HEADER, encode_packet
from teleglyph.wire.acip.primitives import EphemeralKey
from unit.wire.examples import CAPABILITIES, IDENTITY, OTHER_IDENTITY, PASSWORD_KEY, SeedIdentity

CLIENT_KEY = SeedIdentity(0x0B)
Change = Callable[[int, str, bytes], list[tuple[str, bytes]]]
"""Gets the number of a packet, who is to get it, and the packet; gives what is delivered to whom instead."""


@dataclass
class Sides:
    """Two sessions that both require everything that version 1 offers."""

    client: ClientSession
    server: ServerSession

    @classmethod
    def new(cls) -> Sides:
        def check(identity: bytes | None) -> None:
            if identity != IDENTITY.public_key:
                raise VerificationError("not the pinned identity")

        return cls(
            ClientSession(password_key=PASSWORD_KEY, client_key=CLIENT_KEY, check_identity=check),
            ServerSession(password_key=PASSWORD_KEY, identities=[IDENTITY], admits=CLIENT_KEY.public_key.__eq__),
        )

    def run(self, change: Change = lambda _number, to, packet: [(to, packet)]) -> dict[str, HandshakeDone | PeerError]:
        """Let them talk through the man in the middle until neither sends any more; return the result of each side."""
        results: dict[str, HandshakeDone | PeerError] = {}
        number = itertools.count()
        inbox: dict[str, list[bytes]] = {"client": [], "server": []}
        for _ in range(20):
            for name, session, other in (("client", self.client, "server"), ("server", self.server, "client")):
                for packet in inbox[name]:
                    session.receive_data(packet)
                inbox[name].clear()
                if name not in results:
                    try:
                        event = session.next_event()
                    except PeerError as error:
                        results[name] = error
                    else:
                        if isinstance(event, HandshakeDone):
                            results[name] = event
                for packet in split(session.data_to_send()):
                    for to, data in change(next(number), other, packet):
                        inbox[to].append(data)
        return results


def split(data: bytes) -> Iterator[bytes]:
    while data:
        size = HEADER.size + HEADER.unpack_from(data)[2]
        yield data[:size]
        data = data[size:]


def repacked(packet: bytes, payload: bytes) -> bytes:
    """The packet with another payload and a matching header."""
    return encode_packet(HEADER.unpack_from(packet)[1], payload)


def assert_nothing_is_lost(sides: Sides, results: dict[str, HandshakeDone | PeerError]) -> None:
    of_client, of_server = results.get("client"), results.get("server")
    if isinstance(of_client, HandshakeDone):
        assert of_client == HandshakeDone(True, IDENTITY.public_key, authenticated=True)
        assert sides.client.shared_key == sides.server.shared_key
    if isinstance(of_server, HandshakeDone):
        assert of_server == HandshakeDone(True, authenticated=True, client_identity=CLIENT_KEY.public_key)
    if isinstance(of_client, HandshakeDone) and isinstance(of_server, HandshakeDone):
        assert sides.client.shared_key == sides.server.shared_key is not None


def conversation() -> list[tuple[str, bytes]]:
    """Every packet of an undisturbed handshake, and its receiver."""
    seen: list[tuple[str, bytes]] = []

    def watch(_number: int, to: str, packet: bytes) -> list[tuple[str, bytes]]:
        seen.append((to, packet))
        return [(to, packet)]

    sides = Sides.new()
    results = sides.run(watch)
    assert set(map(type, results.values())) == {HandshakeDone}
    return seen


PACKETS = conversation()
STEPS = range(len(PACKETS))


def name_of_step(step: int) -> str:
    to, packet = PACKETS[step]
    return f"{PacketType(HEADER.unpack_from(packet)[1]).name.lower()} to {to}"


each_step = pytest.mark.parametrize("step", STEPS, ids=name_of_step)


def test_the_conversation_has_every_step() -> None:
    kinds = [HEADER.unpack_from(packet)[1] for _, packet in PACKETS]
    assert kinds == [
        PacketType.PROTOCOL_VERSION,
        PacketType.PROTOCOL_VERSION,
        PacketType.CRYPTO_CAPABILITIES,
        PacketType.CRYPTO_PARAMETERS,
        PacketType.CRYPTO_KEY_EXCHANGE_INIT,
        PacketType.PING,
        PacketType.CRYPTO_KEY_EXCHANGE_RESP,
        PacketType.CRYPTO_AUTH_CHALLENGE,
        PacketType.CRYPTO_AUTH_RESPONSE,
        PacketType.CRYPTO_SERVER_AUTH_RESP,
    ]


@each_step
def test_flipping_any_bit_of_a_payload_gains_nothing(step: int) -> None:
    payload = PACKETS[step][1][HEADER.size :]
    for place in range(8 * len(payload)):
        sides = Sides.new()

        def turn(number: int, to: str, packet: bytes, place: int = place) -> list[tuple[str, bytes]]:
            if number != step:
                return [(to, packet)]
            body = bytearray(packet[HEADER.size :])
            body[place // 8] ^= 1 << place % 8
            return [(to, repacked(packet, bytes(body)))]

        assert_nothing_is_lost(sides, sides.run(turn))


@each_step
def test_dropping_doubling_truncating_or_reflecting_a_packet_gains_nothing(step: int) -> None:
    def cut(packet: bytes) -> bytes:
        return repacked(packet, packet[HEADER.size : -1])

    ways: list[Callable[[str, bytes], list[tuple[str, bytes]]]] = [
        lambda _to, _packet: [],
        lambda to, packet: [(to, packet), (to, packet)],
        lambda to, packet: [(to, cut(packet))],
        lambda to, packet: [(to, packet[:-1])],
        lambda to, packet: [("client" if to == "server" else "server", packet)],
        lambda to, packet: [(to, packet), ("client" if to == "server" else "server", packet)],
    ]
    for way in ways:
        sides = Sides.new()
        assert_nothing_is_lost(
            sides,
            sides.run(lambda number, to, packet, way=way: way(to, packet) if number == step else [(to, packet)]),  # type: ignore[misc]
        )


@each_step
def test_a_packet_of_another_connection_gains_nothing(step: int) -> None:
    """Recorded before, with the same password and the same identities."""
    for recorded in (PACKETS[step], conversation()[step]):
        sides = Sides.new()
        results = sides.run(
            lambda number, to, packet, recorded=recorded: [(to, recorded[1])] if number == step else [(to, packet)]  # type: ignore[misc]
        )
        assert_nothing_is_lost(sides, results)
        if HEADER.unpack_from(recorded[1])[1] in (
            PacketType.CRYPTO_KEY_EXCHANGE_INIT,
            PacketType.CRYPTO_KEY_EXCHANGE_RESP,
            PacketType.CRYPTO_AUTH_CHALLENGE,
            PacketType.CRYPTO_AUTH_RESPONSE,
            PacketType.CRYPTO_SERVER_AUTH_RESP,
        ):
            assert not all(isinstance(result, HandshakeDone) for result in results.values()) or len(results) < 2


@each_step
def test_swapping_two_packets_gains_nothing(step: int) -> None:
    held: list[tuple[str, bytes]] = []
    sides = Sides.new()

    def swap(number: int, to: str, packet: bytes) -> list[tuple[str, bytes]]:
        if number == step:
            held.append((to, packet))
            return []
        return [(to, packet), *held] if number == step + 1 else [(to, packet)]

    assert_nothing_is_lost(sides, sides.run(swap))


def test_a_fully_recorded_client_is_refused() -> None:
    server = Sides.new().server
    with pytest.raises(PeerError):
        for to, packet in PACKETS:
            if to == "server":
                server.receive_data(packet)
                while server.next_event() is not None:
                    pass


def test_a_fully_recorded_server_is_refused() -> None:
    client = Sides.new().client
    with pytest.raises(PeerError):
        for to, packet in PACKETS:
            if to == "client":
                client.receive_data(packet)
                while client.next_event() is not None:
                    pass


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        (PacketType.CRYPTO_PARAMETERS, CryptoParameters()),
        (PacketType.CRYPTO_PARAMETERS, CryptoParameters(verification=1, signature_size=64)),
    ],
)
def test_removing_the_identity_is_detected(kind: PacketType, message: Message) -> None:
    """Version 1 does not sign the algorithms, but a missing pinned identity is detected."""
    own = EphemeralKey(lambda count: bytes(range(count)))
    sides = Sides.new()

    def downgrade(_number: int, to: str, packet: bytes) -> list[tuple[str, bytes]]:
        found = HEADER.unpack_from(packet)[1]
        if found == kind:
            return [(to, encode(message))]
        if found == PacketType.CRYPTO_KEY_EXCHANGE_INIT:
            return [(to, encode(KeyExchangeInit(own.public_key)))]
        return [(to, packet)]

    results = sides.run(downgrade)
    assert isinstance(results["client"], VerificationError)
    assert_nothing_is_lost(sides, results)


def test_an_invalid_signature_under_a_known_identity_is_detected() -> None:
    own = EphemeralKey(lambda count: bytes(range(count)))
    for signature in (bytes(64), OTHER_IDENTITY.sign(own.public_key), IDENTITY.sign(bytes(32))):
        sides = Sides.new()
        forged = encode(KeyExchangeInit(own.public_key, IDENTITY.public_key, signature))
        results = sides.run(
            lambda _number, to, packet, forged=forged: [  # type: ignore[misc]
                (to, forged if HEADER.unpack_from(packet)[1] == PacketType.CRYPTO_KEY_EXCHANGE_INIT else packet)
            ]
        )
        assert isinstance(results["client"], VerificationError)


# --- after the handshake ----------------------------------------------------------------------------------------------


def connected() -> tuple[Session, Session]:
    sides = Sides.new()
    sides.run()
    return sides.client, sides.server


def is_refused(session: Session, *packets: bytes) -> bool:
    for packet in packets:
        session.receive_data(packet)
    try:
        while session.next_event() is not None:
            pass
    except PeerError:
        return session.state is SessionState.FAILED
    return False


def test_sealed_packets_are_accepted_once_in_order_and_from_their_connection_only() -> None:
    client, server = connected()
    capabilities, *pings = (client.seal(encode(message)) for message in (CAPABILITIES, *[Ping()] * 80))
    assert not is_refused(server, capabilities, pings[0])
    assert is_refused(server, pings[0]), "replay"

    client, server = connected()
    sealed = [client.seal(encode(CAPABILITIES)), *(client.seal(encode(Ping())) for _ in range(80))]
    assert not is_refused(server, sealed[0], sealed[2], sealed[1]), "a small window is allowed"
    assert not is_refused(server, *sealed[4:])
    assert is_refused(server, sealed[3]), "reorder beyond it"

    client, server = connected()
    assert is_refused(client, client.seal(encode(Ping()))), "reflection"

    client, server = connected()
    stranger, _ = connected()
    assert is_refused(server, stranger.seal(encode(CAPABILITIES))), "another connection's packet"

    client, server = connected()
    for place in range(len(capabilities) - HEADER.size):
        client, server = connected()
        packet = client.seal(encode(CAPABILITIES))
        body = bytearray(packet[HEADER.size :])
        body[place] ^= 1
        assert is_refused(server, repacked(packet, bytes(body))), f"byte {place} was changed"
        if place > 40:
            break

    client, server = connected()
    packet = client.seal(encode(CAPABILITIES))
    assert is_refused(server, repacked(packet, packet[HEADER.size : -1])), "truncation"

    client, server = connected()
    assert is_refused(server, encode(CAPABILITIES)), "no plaintext once there is a key"


def test_each_connection_has_its_own_key() -> None:
    keys = {connected()[0].shared_key for _ in range(20)}
    assert len(keys) == 20
