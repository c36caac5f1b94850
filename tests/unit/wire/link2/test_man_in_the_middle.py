"""A man in the middle attacks every packet of link 2's handshake.

TLS keeps others away from these packets.  This attacker is inside: he shows the client a certificate of his own, or he
has stolen the secret key of the server's, which is far more than he could hope for.  Whatever he does: nobody is
admitted who should not be, neither side believes that the other proved what it did not, and two sides that both believe
they are connected agree on the room, the identities and the extensions.
"""

from __future__ import annotations

import copy
import hmac
import itertools
import os
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache
from typing import TypeVar

import pytest
from spake2 import ed25519_basic

from teleglyph.errors import AuthenticationError, HandshakeError, PeerError, ProtocolError, VerificationError
from teleglyph.keys import FileIdentity
from teleglyph.wire.acip import AuthFailure, Event, Feature, HandshakeDone, PacketType, encode
from teleglyph.wire.acip.messages import AuthFailed
from teleglyph.wire.acip.packet import HEADER, encode_packet, parse_packet
from teleglyph.wire.link2 import Channel, LinkClientSession, LinkServerSession
from teleglyph.wire.link2.channel import Transcript
from teleglyph.wire.link2.messages import NONE, LinkChallenge, LinkHello, LinkProof, LinkWelcome
from teleglyph.wire.link2.password import PasswordExchange

SERVER, CLIENT, ATTACKER = (FileIdentity(bytes([number]) * 32) for number in (1, 3, 5))
PASSWORD, WRONG = b"p" * 32, b"w" * 32
OWN_CERTIFICATE = Channel(b"c" * 32, SERVER.public_key)
PUBLIC_CERTIFICATE = Channel(b"d" * 32, None)
HIS_CERTIFICATE = Channel(b"h" * 32, ATTACKER.public_key)
ROOM, FEATURES = "den", Feature.SCREEN_UPDATES
OTHER = {"client": "server", "server": "client"}
STEPS = ("server", "client", "server", "client")
"""Who gets LINK_HELLO, LINK_CHALLENGE, LINK_PROOF and LINK_WELCOME."""
NAMES = ("hello", "challenge", "proof", "welcome")

Delivery = list[tuple[str, bytes]]
Packet = TypeVar("Packet", LinkHello, LinkChallenge, LinkProof)


@dataclass(frozen=True)
class Room:
    password_key: bytes | None = None
    admits: Callable[[bytes], bool] | None = None


ROOMS = {
    "password": Room(PASSWORD),
    "key": Room(admits=CLIENT.public_key.__eq__),
    "both": Room(PASSWORD, CLIENT.public_key.__eq__),
}


def only_the_server(identity: bytes | None) -> None:
    if identity != SERVER.public_key:
        raise VerificationError("not the pinned identity")


class Sides:
    """Two sessions and the packets between them.

    Args:
        kind: what the server asks for.
        channel: the server's certificate.
        seen: the certificate that the client sees, if it is another one.
        identities: the server's.
        check: the client's decision about the identity; by default it accepts only the server's.
    """

    def __init__(
        self,
        kind: str,
        channel: Channel = OWN_CERTIFICATE,
        seen: Channel | None = None,
        identities: tuple[FileIdentity, ...] = (SERVER,),
        check: Callable[[bytes | None], None] = only_the_server,
    ) -> None:
        room = ROOMS[kind]
        self.sessions: dict[str, LinkClientSession | LinkServerSession] = {
            "client": LinkClientSession(
                seen or channel,
                password_key=room.password_key,
                client_key=CLIENT,
                check_identity=check,
                room=ROOM,
                features=FEATURES,
            ),
            "server": LinkServerSession(channel, lambda _: room, identities=identities, features=FEATURES),
        }
        self.room = room
        self.on_the_way = {"client": b"", "server": self.sessions["client"].data_to_send()}
        self.events: dict[str, list[Event]] = {"client": [], "server": []}
        self.refusals: list[tuple[str, PeerError]] = []

    def deliver(self, to: str, data: bytes) -> None:
        """Give bytes to a side, and take what it answers."""
        session, events = self.sessions[to], self.events[to]
        session.receive_data(data)
        if not self.error(to):
            try:
                while (event := session.next_event()) is not None:
                    events.append(event)
            except PeerError as error:
                self.refusals.append((to, error))
        self.on_the_way[OTHER[to]] += session.data_to_send()

    def take(self, to: str) -> bytes:
        """Take the bytes that are on the way to a side."""
        data, self.on_the_way[to] = self.on_the_way[to], b""
        return data

    def step(self) -> None:
        for to in ("server", "client"):
            if data := self.take(to):
                self.deliver(to, data)
                return

    def run(self) -> None:
        """Pass everything on until nobody sends any more."""
        while any(self.on_the_way.values()):
            self.step()

    def done(self, name: str) -> HandshakeDone | None:
        return next((event for event in self.events[name] if isinstance(event, HandshakeDone)), None)

    def error(self, name: str) -> PeerError | None:
        return next((error for side, error in self.refusals if side == name), None)

    def verdict(self) -> str:
        """The side that refused first, and how; or nobody."""
        if not self.refusals:
            return "nobody"
        name, error = self.refusals[0]
        reasons = AuthFailure(error.reasons).name if isinstance(error, AuthenticationError) else None
        return f"{name}: {reasons or type(error).__name__}"

    def assert_agreed(self) -> None:
        """Assert that neither side believes anything that is not true."""
        key = CLIENT.public_key if self.room.admits else None
        of_client, of_server = self.done("client"), self.done("server")
        if of_server is not None:
            assert of_server == HandshakeDone(True, None, True, key, FEATURES, ROOM)
        if of_client is not None:
            assert of_client == HandshakeDone(True, SERVER.public_key, True, None, FEATURES)
            assert of_server is not None, "the client waits for the server's verdict"


@cache
def _started(kind: str, channel: Channel, step: int) -> Sides:
    sides = Sides(kind, channel)
    for _ in range(step):
        sides.step()
    return sides


def before(kind: str, step: int, channel: Channel = OWN_CERTIFICATE) -> tuple[Sides, bytes]:
    """A handshake with one packet on the way, and that packet."""
    sides = copy.deepcopy(_started(kind, channel, step))
    return sides, sides.take(STEPS[step])


def packets_of(kind: str) -> list[bytes]:
    """All packets of an undisturbed handshake."""
    sides = Sides(kind)
    packets = []
    for to in STEPS:
        packets.append(sides.take(to))
        sides.deliver(to, packets[-1])
    assert sides.done("client")
    assert sides.done("server")
    sides.assert_agreed()
    return packets


def repacked(packet: bytes, payload: bytes) -> bytes:
    """The packet with another payload and a matching header."""
    return encode_packet(HEADER.unpack_from(packet)[1], payload)


def flipped(data: bytes, place: int) -> bytes:
    changed = bytearray(data)
    changed[place // 8] ^= 1 << place % 8
    return bytes(changed)


def decoded(kind: type[Packet], packet: bytes) -> Packet:
    return kind.decode_payload(parse_packet(packet).payload)


each_step = pytest.mark.parametrize("step", range(4), ids=NAMES)
each_kind = pytest.mark.parametrize("kind", ROOMS)


@each_kind
def test_the_conversation_has_every_step(kind: str) -> None:
    kinds = [HEADER.unpack_from(packet)[1] for packet in packets_of(kind)]
    assert kinds == [
        PacketType.LINK_HELLO,
        PacketType.LINK_CHALLENGE,
        PacketType.LINK_PROOF,
        PacketType.LINK_WELCOME,
    ]


# --- inside TLS, with the certificate's secret key --------------------------------------------------------------------

FIELDS: dict[str, list[tuple[str, int, set[str]]]] = {
    "hello": [
        ("version", 2, {"server: HandshakeError", "server: SIGNATURE_INVALID"}),
        ("features", 4, {"server: SIGNATURE_INVALID"}),
        ("nonce", 32, {"server: SIGNATURE_INVALID"}),
        ("identity", 32, {"server: SIGNATURE_INVALID"}),
        ("length", 1, {"server: ProtocolError"}),
        ("room", len(ROOM), {"server: SIGNATURE_INVALID", "server: ProtocolError"}),
    ],
    "challenge": [
        ("features", 4, {"client: HandshakeError", "server: SIGNATURE_INVALID"}),
        ("flags", 1, {"client: ProtocolError", "server: CLIENT_KEY_REQUIRED"}),
        ("nonce", 32, {"server: SIGNATURE_INVALID"}),
        ("identity", 32, {"client: VerificationError"}),
        ("exchange", 33, {"client: HandshakeError", "server: SIGNATURE_INVALID"}),
        # The key is the certificate's, so there is no signature, and nobody reads its place.
        ("signature", 64, {"nobody"}),
    ],
    "proof": [
        ("identity", 32, {"server: SIGNATURE_INVALID"}),
        ("signature", 64, {"server: SIGNATURE_INVALID"}),
        ("exchange", 33, {"server: HandshakeError", "server: PASSWORD_INCORRECT"}),
        ("tag", 32, {"server: PASSWORD_INCORRECT"}),
    ],
    "welcome": [("tag", 32, {"client: AuthenticationError"})],
}
"""The fields of each packet, their sizes, and who refuses a change."""
CLIENT_KEY_FLAG = 8 * 4 + 1
"""The place of the bit in LINK_CHALLENGE that asks for a key."""


@each_step
def test_a_flipped_bit_is_refused_by_the_side_that_can_see_it(step: int) -> None:
    start = 0
    for name, size, expected in FIELDS[NAMES[step]]:
        seen = set()
        for place in range(start, start + size):
            bits = (place % 8,) if size > 4 and step < 2 else range(8)
            for bit in bits:
                sides, packet = before("both", step)
                payload = packet[HEADER.size :]
                sides.deliver(STEPS[step], repacked(packet, flipped(payload, 8 * place + bit)))
                sides.run()
                sides.assert_agreed()
                seen.add(sides.verdict())
        if name == "exchange":
            # Whether a changed point still belongs to the group, and so who refuses it, is a matter of chance.
            assert seen, name
            assert seen <= expected, name
        else:
            assert seen == expected, name
        start += size
    assert start == len(packet) - HEADER.size, "every byte has its turn"


@pytest.mark.parametrize("channel", [OWN_CERTIFICATE, PUBLIC_CERTIFICATE], ids=["own", "public"])
@each_step
def test_flipping_any_bit_of_a_payload_gains_nothing(step: int, channel: Channel) -> None:
    size = len(before("key", step, channel)[1]) - HEADER.size
    for place in range(8 * size):
        sides, packet = before("key", step, channel)
        sides.deliver(STEPS[step], repacked(packet, flipped(packet[HEADER.size :], place)))
        sides.run()
        if channel is OWN_CERTIFICATE and (NAMES[step], place) == ("challenge", CLIENT_KEY_FLAG):
            # With the certificate's secret key he could be a server that asks for nothing, too.
            assert sides.done("client") == HandshakeDone(True, SERVER.public_key, False, None, FEATURES)
            assert sides.done("server") is None
            continue
        sides.assert_agreed()
        if channel is PUBLIC_CERTIFICATE and step < 2:
            assert sides.done("client") is None, "the server's signature covers all of both packets"


@each_step
def test_flipping_any_bit_of_a_header_gains_nothing(step: int) -> None:
    for place in range(8 * HEADER.size):
        sides, packet = before("both", step)
        sides.deliver(STEPS[step], flipped(packet, place))
        sides.run()
        sides.assert_agreed()
        is_client_id = place >= 8 * (HEADER.size - 4)
        assert (sides.done("client") is not None) == is_client_id, "the handshake does not use the client's number"


@each_kind
@each_step
def test_dropping_doubling_truncating_or_reflecting_a_packet_gains_nothing(kind: str, step: int) -> None:
    def cut(packet: bytes) -> bytes:
        return repacked(packet, packet[HEADER.size : -1])

    to, back = STEPS[step], OTHER[STEPS[step]]
    ways: list[tuple[Callable[[bytes], Delivery], str | None]] = [
        (lambda packet: [], None),
        (lambda packet: [(to, packet[:-1])], None),
        (lambda packet: [(to, cut(packet))], to),
        (lambda packet: [(to, packet + packet)], to),
        (lambda packet: [(back, packet)], back),
        (lambda packet: [(back, packet), (to, packet)], back),
    ]
    for way, refuses in ways:
        sides, packet = before(kind, step)
        for receiver, data in way(packet):
            sides.deliver(receiver, data)
        sides.run()
        sides.assert_agreed()
        if refuses is None:
            assert sides.refusals == [], "both wait"
            assert sides.done("client") is None
        else:
            assert isinstance(sides.error(refuses), HandshakeError | ProtocolError)


@each_kind
@each_step
def test_a_packet_of_another_connection_is_refused(kind: str, step: int) -> None:
    """Recorded before, with the same certificate, password and keys."""
    recorded = packets_of(kind)
    sides, packet = before(kind, step)
    sides.deliver(STEPS[step], recorded[step])
    sides.run()
    sides.assert_agreed()
    if kind == "key" and step == 3:
        assert recorded[step] == packet, "this answer holds nothing; TLS keeps it in its connection"
        return
    assert sides.done("client") is None
    assert (sides.done("server") is None) == (step < 3)


@each_kind
def test_a_recorded_client_cannot_join_again(kind: str) -> None:
    recorded = packets_of(kind)
    sides = Sides(kind)
    for packet in (recorded[0], recorded[2]):
        sides.deliver("server", packet)
    assert sides.done("server") is None
    error = sides.error("server")
    assert isinstance(error, AuthenticationError)
    assert error.reasons == (AuthFailure.SIGNATURE_INVALID if kind != "password" else AuthFailure.PASSWORD_INCORRECT)


def test_packets_in_any_other_order_are_refused() -> None:
    recorded = packets_of("both")
    for step, to, number in itertools.product(range(4), OTHER, range(4)):
        # One side waits for the packet that is on the way, the other already for the answer to it.
        if STEPS[number] == to and number in (step, step + 1):
            continue
        sides, _ = before("both", step)
        sides.deliver(to, recorded[number])
        sides.assert_agreed()
        assert isinstance(sides.error(to), HandshakeError), (NAMES[step], to, NAMES[number])


# --- with a certificate of his own ------------------------------------------------------------------------------------


def accept_anything(_: bytes | None) -> None:
    """A person who joins every server."""


@each_kind
def test_a_server_that_is_passed_on_is_refused_by_the_client(kind: str) -> None:
    """Both of its ways to prove its identity: by its certificate and by a signature."""
    for channel in (OWN_CERTIFICATE, PUBLIC_CERTIFICATE):
        sides = Sides(kind, channel, seen=HIS_CERTIFICATE, check=accept_anything)
        sides.run()
        assert isinstance(sides.error("client"), VerificationError)
        assert sides.done("server") is None


@each_kind
def test_his_own_identity_is_refused_by_a_client_that_knows_the_server(kind: str) -> None:
    sides = Sides(kind, HIS_CERTIFICATE, identities=(ATTACKER,))
    sides.run()
    assert isinstance(sides.error("client"), VerificationError)
    assert sides.events["server"] == [], "no key and no password was shown"


@pytest.mark.parametrize(
    ("kind", "reason"),
    [
        ("password", AuthFailure.PASSWORD_INCORRECT),
        ("key", AuthFailure.SIGNATURE_INVALID),
        ("both", AuthFailure.SIGNATURE_INVALID),
    ],
)
@pytest.mark.parametrize("has_identity", [True, False])
def test_proofs_that_are_passed_on_are_refused_by_the_server(
    kind: str, reason: AuthFailure, has_identity: bool
) -> None:
    """Even if the person accepted him as a new server: he puts his identity into the server's packet."""
    identities = (SERVER,) if has_identity else ()
    sides = Sides(kind, seen=HIS_CERTIFICATE, identities=identities, check=accept_anything)
    sides.step()
    challenge = decoded(LinkChallenge, sides.take("client"))
    shown = ATTACKER.public_key if has_identity else NONE
    sides.deliver("client", encode(replace(challenge, identity=shown)))
    sides.step()
    error = sides.error("server")
    assert isinstance(error, AuthenticationError)
    assert error.reasons == reason
    assert sides.on_the_way["client"] == encode(AuthFailed(reason))
    sides.run()
    assert sides.done("client") is None


@pytest.mark.parametrize("kind", ["password", "both"])
def test_an_answer_of_his_own_does_not_convince_a_client_with_a_password(kind: str) -> None:
    guesses = (bytes(32), b"", b"\xff" * 32)
    for tag in guesses:
        sides = Sides(kind, HIS_CERTIFICATE, identities=(ATTACKER,), check=accept_anything)
        sides.step()
        sides.step()
        proof = decoded(LinkProof, sides.take("server"))
        # Without anything better: nothing, or the client's own tag.
        sides.deliver("client", encode(LinkWelcome(tag or proof.tag)))
        error = sides.error("client")
        assert isinstance(error, AuthenticationError)
        assert "does not know the password" in str(error)


def test_a_client_with_only_a_key_believes_a_server_that_its_person_accepted() -> None:
    """As with SSH: the key does not prove the server.  What he gets is of no use at the real one."""
    sides = Sides("key", HIS_CERTIFICATE, identities=(ATTACKER,), check=accept_anything)
    proof = packets_of_fake(sides)
    done = sides.done("client")
    assert done is not None
    assert done.identity == ATTACKER.public_key
    real = Sides("key")
    real.step()
    real.deliver("server", proof)
    error = real.error("server")
    assert isinstance(error, AuthenticationError)
    assert error.reasons == AuthFailure.SIGNATURE_INVALID


def packets_of_fake(sides: Sides) -> bytes:
    """Let a fake server admit the client; returns the client's proof."""
    sides.step()
    sides.step()
    proof = sides.on_the_way["server"]
    sides.take("server")
    sides.deliver("client", encode(LinkWelcome()))
    return proof


# --- guessing the password --------------------------------------------------------------------------------------------


class FakeServer:
    """Plays the server with one guess, until the client has shown its tag.

    Args:
        guess: the key of the password that it tries.
    """

    def __init__(self, guess: bytes) -> None:
        self._secret = os.urandom(64)
        self._exchange = self._side(guess)
        client = LinkClientSession(HIS_CERTIFICATE, password_key=PASSWORD, room=ROOM)
        hello = decoded(LinkHello, client.data_to_send())
        challenge = LinkChallenge(0, 1, bytes(32), ATTACKER.public_key, self._exchange.message)
        client.receive_data(encode(challenge))
        assert client.next_event() is None
        proof = decoded(LinkProof, client.data_to_send())
        self._proof = proof
        self._transcript = Transcript(HIS_CERTIFICATE, hello, challenge)

    def _side(self, password: bytes) -> PasswordExchange:
        return PasswordExchange(
            password, HIS_CERTIFICATE, ATTACKER.public_key, is_server=True, random=lambda _: self._secret
        )

    def is_right(self, password: bytes) -> bool:
        """Whether the client's tag fits a password, computed afterwards with everything that the server has."""
        side = self._side(password)
        side._side.outbound_message = self._exchange.message[1:]
        key = side.finish(self._proof.exchange)
        return hmac.compare_digest(self._transcript.client_tag(key, self._proof), self._proof.tag)


def test_a_fake_server_can_test_one_password_in_each_connection() -> None:
    assert FakeServer(PASSWORD).is_right(PASSWORD)
    assert not FakeServer(WRONG).is_right(WRONG)


def test_a_fake_server_cannot_test_a_second_password_afterwards() -> None:
    assert not FakeServer(WRONG).is_right(PASSWORD)


def test_every_password_is_possible_for_a_listener() -> None:
    """Even one who reads inside TLS: whatever the password, there are secrets that would make the same messages."""
    packets = packets_of("password")
    challenge, proof = decoded(LinkChallenge, packets[1]), decoded(LinkProof, packets[2])
    blinds = PasswordExchange(PASSWORD, OWN_CERTIFICATE, NONE, is_server=False, random=os.urandom)._side.params
    for guess in (PASSWORD, WRONG, *(bytes([number]) * 32 for number in range(20))):
        scalar = blinds.group.password_to_scalar(guess)
        for message, blind in ((proof.exchange, blinds.M), (challenge.exchange, blinds.N)):
            point = blinds.group.bytes_to_element(message[1:])
            unblinded = point.add(blind.scalarmult(-scalar))
            # The group has a prime order: each of its elements but zero is a public key of somebody.
            assert blinds.group.bytes_to_element(unblinded.to_bytes())


# --- points -----------------------------------------------------------------------------------------------------------

Q = ed25519_basic.Q
SIGN = 1 << 255


def points_of_low_order() -> dict[str, int]:
    """All encodings of points whose order divides 8, canonical or not, and others that are not points."""
    eighth = 0x7A03AC9277FDC74EC6CC392CFA53202A0F67100D760B3CBA4FD83D3D706A17C7
    ys = {"order 1": 1, "order 2": Q - 1, "order 4": 0, "order 8": eighth, "another order 8": Q - eighth}
    values = {}
    for name, y in ys.items():
        for form, value in (("", y), (" not reduced", y + Q)):
            if value < SIGN:
                values[name + form] = value
                values[f"{name}{form}, other sign"] = value | SIGN
    return {**values, "all bits": 2**256 - 1, "not on the curve": 2}


def mixed_order() -> int:
    """A right point plus one of order 2."""
    group = ed25519_basic
    two = group.ElementOfUnknownGroup(group.xform_affine_to_extended((0, Q - 1)))
    return int.from_bytes(two.add(group.Base).to_bytes(), "little")


POINTS = {**points_of_low_order(), "order 2L": mixed_order()}


@pytest.mark.parametrize("point", POINTS.values(), ids=POINTS)
def test_special_points_are_refused_by_both_sides(point: int) -> None:
    encoded = point.to_bytes(32, "little")
    sides, packet = before("password", 2)
    proof = decoded(LinkProof, packet)
    sides.deliver("server", encode(replace(proof, exchange=b"A" + encoded)))
    assert sides.verdict() in ("server: HandshakeError", "server: PASSWORD_INCORRECT")

    sides, packet = before("password", 1)
    challenge = decoded(LinkChallenge, packet)
    sides.deliver("client", encode(replace(challenge, exchange=b"B" + encoded)))
    if sides.error("client") is None:
        sides.deliver("client", encode(LinkWelcome()))
    assert sides.verdict() in ("client: HandshakeError", "client: AuthenticationError")


def test_only_the_neutral_point_in_a_wrong_form_gets_past_the_check_of_points() -> None:
    """The package compares with its canonical form.  The key then still depends on the other side's secret."""
    let_through = []
    for name, point in POINTS.items():
        keys = set()
        for _ in range(2):
            side = PasswordExchange(PASSWORD, OWN_CERTIFICATE, NONE, is_server=True, random=os.urandom)
            try:
                keys.add(side.finish(b"A" + point.to_bytes(32, "little")))
            except HandshakeError:
                continue
        if keys:
            let_through.append(name)
            assert len(keys) == 2
    assert all(name.startswith("order 1") and name != "order 1" for name in let_through)


@pytest.mark.parametrize("side", [b"A", b"B", b"S", b"\0"])
def test_a_message_of_the_exchange_is_not_accepted_by_the_side_that_made_it(side: bytes) -> None:
    sides, packet = before("password", 1)
    challenge = decoded(LinkChallenge, packet)
    reflected = LinkProof(exchange=side + challenge.exchange[1:], tag=bytes(32))
    sides.deliver("server", encode(reflected))
    assert isinstance(sides.error("server"), HandshakeError)


# --- low orders in signatures -----------------------------------------------------------------------------------------


def test_a_signature_under_a_key_of_low_order_is_refused() -> None:
    """Such keys have signatures that fit any text."""
    for value in points_of_low_order().values():
        key = value.to_bytes(32, "little")
        if key == NONE:
            continue
        room = Room(admits=lambda _: True)
        server = LinkServerSession(OWN_CERTIFICATE, lambda _, room=room: room, identities=(SERVER,))  # type: ignore[misc]
        server.receive_data(encode(LinkHello(0, bytes(32))))
        assert server.next_event() is None
        server.receive_data(encode(LinkProof(key, (1).to_bytes(32, "little") + bytes(32))))
        with pytest.raises((AuthenticationError, ProtocolError)):
            server.next_event()
