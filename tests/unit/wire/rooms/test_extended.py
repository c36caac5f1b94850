"""Messages that only ``teleglyph.rooms.1`` has."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from teleglyph.errors import ProtocolError
from teleglyph.wire.rooms.extended import JoinExtras, decode_seat_kept, seat_kept
from teleglyph.wire.rooms.messages import JoinRequest


@given(
    st.booleans(),
    st.booleans(),
    st.booleans(),
    st.one_of(st.none(), st.integers(0, 2**64 - 1)),
    st.one_of(st.just((b"", b"")), st.tuples(st.binary(min_size=32, max_size=32), st.binary(min_size=64, max_size=64))),
)
def test_extras_survive_encoding(
    is_public: bool, rotates: bool, wants_absences: bool, chosen: int | None, proof: tuple[bytes, bytes]
) -> None:
    request, extras = (
        JoinRequest("chess", "r", 300, create=True),
        JoinExtras(is_public, rotates, *proof, wants_absences, chosen),
    )
    assert JoinExtras.decode(request.encode() + extras.encode() + b"more") == (request, extras)


def test_extras_without_new_options_keep_their_old_bytes() -> None:
    assert JoinExtras(is_public=True, rotates=True).encode() == b"\x03\x00"
    assert JoinExtras(rotates=True, wants_absences=True, chosen=1).encode() == b"\x0e\x00" + bytes(7) + b"\x01"


def test_a_truncated_token_is_refused() -> None:
    with pytest.raises(ProtocolError, match="ends after"):
        JoinExtras.decode(JoinRequest("chess", "r").encode() + b"\x08\x00" + bytes(7))


@given(st.integers(0, 0xFFFF), st.integers(0, 0xFFFF_FFFF))
def test_kept_seats_survive_encoding(player: int, milliseconds: int) -> None:
    assert decode_seat_kept(seat_kept(player, milliseconds / 1000)) == (player, milliseconds / 1000)


@pytest.mark.parametrize("message", [b"\x0c", b"\x0c" + bytes(5), b"\x0c" + bytes(7)])
def test_kept_seats_of_a_wrong_length_are_refused(message: bytes) -> None:
    with pytest.raises(ProtocolError, match="7 bytes"):
        decode_seat_kept(message)
