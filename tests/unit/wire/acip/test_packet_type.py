"""Numbers of packet types."""

import pytest

from teleglyph.wire.acip.packet_type import HANDSHAKE_TYPES, PacketType, name_of


def test_handshake_types_are_those_allowed_unencrypted_in_an_encrypted_session() -> None:
    assert {1000, *range(1100, 1110), 1201, 1202, 1203, *range(1300, 1304), 1310, 1311} == HANDSHAKE_TYPES


def test_the_first_packet_type_is_not_a_handshake_type() -> None:
    assert PacketType.PROTOCOL_VERSION not in HANDSHAKE_TYPES


@pytest.mark.parametrize(("number", "name"), [(5001, "PING (5001)"), (0, "type 0"), (65535, "type 65535")])
def test_names_are_readable_with_and_without_a_known_number(number: int, name: str) -> None:
    assert name_of(number) == name


@pytest.mark.parametrize(
    ("number", "name"),
    [
        (6000, "SESSION_CREATE"),
        (6010, "WEBRTC_ICE"),
        (6051, "RING_COLLECT"),
        (6075, "BROADCAST_ACK"),
        (6199, "ACIP_ERROR"),
    ],
)
def test_discovery_numbers_have_their_names(number: int, name: str) -> None:
    assert PacketType(number).name == name
