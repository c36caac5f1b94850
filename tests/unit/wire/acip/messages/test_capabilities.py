"""CLIENT_CAPABILITIES."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from teleglyph.errors import BadDataError
from teleglyph.wire.acip import Capabilities
from unit.wire.examples import VECTORS

VALID = VECTORS["capabilities"][0]
PAYLOAD = VALID.encode_payload()
UTF8, PALETTE, CUSTOM = slice(85, 89), slice(89, 93), slice(93, 157)


def changed(**values: Any) -> bytes:
    assert isinstance(VALID, Capabilities)
    return dataclasses.replace(VALID, **values).encode_payload()


def patched(field: slice, data: bytes) -> bytes:
    payload = bytearray(PAYLOAD)
    payload[field] = data
    assert len(payload) == len(PAYLOAD)
    return bytes(payload)


@pytest.mark.parametrize(
    ("field", "low", "high"),
    [
        ("width", 1, 4096),
        ("height", 1, 4096),
        ("color_level", 0, 3),
        ("render_mode", 0, 2),
        ("palette_type", 0, 6),
        ("desired_fps", 1, 144),
    ],
)
def test_each_number_is_accepted_at_its_limits_and_refused_beyond(field: str, low: int, high: int) -> None:
    for value in (low, high):
        assert getattr(Capabilities.decode_payload(changed(**{field: value})), field) == value
    with pytest.raises(BadDataError) as caught:
        Capabilities.decode_payload(changed(**{field: high + 1}))
    assert str(caught.value) == (f"CLIENT_CAPABILITIES {field} out of range: {high + 1} (valid: {low}-{high})")


@pytest.mark.parametrize("field", ["width", "height"])
def test_a_size_of_zero_has_its_own_reason(field: str) -> None:
    with pytest.raises(BadDataError) as caught:
        Capabilities.decode_payload(changed(**{field: 0}))
    assert str(caught.value) == f"CLIENT_CAPABILITIES {field} cannot be zero"


def test_a_frame_rate_of_zero_is_refused() -> None:
    with pytest.raises(BadDataError, match=r"desired_fps out of range: 0 \(valid: 1-144\)"):
        Capabilities.decode_payload(changed(desired_fps=0))


@pytest.mark.parametrize("size", [0, 167, 169, 190])
def test_a_wrong_size_is_refused_with_the_size(size: int) -> None:
    with pytest.raises(BadDataError) as caught:
        Capabilities.decode_payload((PAYLOAD + bytes(64))[:size])
    assert str(caught.value) == f"CLIENT_CAPABILITIES payload size {size} (expected 168)"


@pytest.mark.parametrize("flag", [b"\0\0\0\1", b"\1\0\0\0", b"\xff\xff\xff\xff"])
def test_utf8_support_is_any_value_but_zero_in_any_byte_order(flag: bytes) -> None:
    assert Capabilities.decode_payload(patched(UTF8, flag)).utf8


def test_no_utf8_support_is_zero() -> None:
    assert not Capabilities.decode_payload(patched(UTF8, bytes(4))).utf8


def test_a_custom_palette_is_accepted_with_its_glyphs() -> None:
    message = Capabilities.decode_payload(changed(palette_type=6, palette_custom=" .:░█"))
    assert (message.palette_type, message.palette_custom) == (6, " .:░█")


def test_a_custom_palette_may_fill_its_field() -> None:
    message = Capabilities.decode_payload(patched(CUSTOM, b"x" * 64))
    assert message.palette_custom == "x" * 64


@pytest.mark.parametrize("value", [0, 12, 255])
def test_the_colour_filter_may_be_any_byte(value: int) -> None:
    assert Capabilities.decode_payload(changed(color_filter=value)).color_filter == value


def test_names_that_are_too_long_are_cut_to_their_fields() -> None:
    message = Capabilities.decode_payload(changed(term_type="ä" * 20, colorterm="c" * 40))
    assert (message.term_type, message.colorterm) == ("ä" * 16, "c" * 32)
