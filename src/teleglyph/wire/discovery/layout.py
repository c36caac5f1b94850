"""Payloads of fixed size: their fields, in order (docs/protocol/discovery.md#fields)."""

from __future__ import annotations

import re
import struct
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar, Self

from teleglyph.errors import BadDataError, ProtocolError, SessionNameError
from teleglyph.wire.acip.messages.base import Message, clip_text, decode_padded
from teleglyph.wire.acip.packet_type import PacketType

ID_SIZE = 16
"""Bytes of the id of a session or participant."""
NO_ID = bytes(ID_SIZE)
MAX_SESSION_NAME = 48
"""Bytes of a session's name."""
ADDRESS_SIZE = 64
"""Bytes of a text with an address."""

_NAME_FORM = re.compile(rb"[a-z-]*")
_ADDRESS_FORM = re.compile(rb"[!-~]*")


@dataclass(frozen=True, slots=True)
class Field:
    """One field of a layout.

    Attributes:
        code: its format in :mod:`struct`, little-endian.
        pack: turns a value into what the format takes.  Raises ValueError for a value that does not fit.
        unpack: the opposite.  Raises BadDataError.
    """

    code: str
    pack: Callable[[Any], Any]
    unpack: Callable[[Any], Any]


def integer(code: str, bits: int) -> Field:
    """An unsigned integer, little-endian."""

    def pack(value: int) -> int:
        if not 0 <= value < 1 << bits:
            raise ValueError(f"{value} does not fit into {bits} bits")
        return value

    return Field(code, pack, int)


def raw(size: int) -> Field:
    """Bytes of a fixed number."""

    def pack(value: bytes) -> bytes:
        if len(value) != size:
            raise ValueError(f"{len(value)} bytes where {size} belong")
        return value

    return Field(f"{size}s", pack, bytes)


def prose(size: int) -> Field:
    """A text for people; a longer one is cut."""
    return Field(f"{size}s", lambda text: clip_text(text, size - 1), decode_padded)


def secret(size: int) -> Field:
    """A text of any bytes, such as a password; a longer one is an error, which does not contain it."""

    def pack(text: str) -> bytes:
        data = text.encode("utf-8", "surrogateescape")
        if len(data) > size or b"\0" in data:
            raise ValueError(f"the text has {len(data)} bytes (at most {size}, without NUL)")
        return data

    return Field(f"{size}s", pack, lambda data: data.partition(b"\0")[0].decode("utf-8", "surrogateescape"))


def _pack_address(text: str) -> bytes:
    data = text.encode()
    if len(data) > ADDRESS_SIZE or not _ADDRESS_FORM.fullmatch(data):
        raise ValueError(f"address {text!r} (at most {ADDRESS_SIZE} visible ASCII characters)")
    return data


def _unpack_address(field: bytes) -> str:
    data = field.partition(b"\0")[0]
    if not _ADDRESS_FORM.fullmatch(data):
        raise BadDataError(f"address {data!r} has other characters than visible ASCII ones")
    return data.decode()


def pack_name(name: str) -> bytes:
    """The bytes of a session's name, which may be empty.

    Raises:
        ValueError: it is too long, or has other characters than lower-case letters and hyphens.
    """
    data = name.encode()
    if len(data) > MAX_SESSION_NAME or not _NAME_FORM.fullmatch(data):
        raise ValueError(f"session name {name!r} (at most {MAX_SESSION_NAME} lower-case letters and hyphens)")
    return data


def unpack_name(data: bytes) -> str:
    """The opposite of :func:`pack_name`.  It raises SessionNameError."""
    if len(data) > MAX_SESSION_NAME or not _NAME_FORM.fullmatch(data):
        raise SessionNameError(
            f"session name {data[: MAX_SESSION_NAME + 1]!r} (at most {MAX_SESSION_NAME} lower-case letters and hyphens)"
        )
    return data.decode()


def _pack_sized_name(name: str) -> bytes:
    data = pack_name(name)
    return bytes((len(data),)) + data


def _unpack_sized_name(field: bytes) -> str:
    if field[0] > MAX_SESSION_NAME:
        raise SessionNameError(f"session name of {field[0]} bytes (at most {MAX_SESSION_NAME})")
    return unpack_name(field[1 : 1 + field[0]])


U8, U16, U32, U64 = integer("B", 8), integer("H", 16), integer("I", 32), integer("Q", 64)
U16_BE = Field("2s", lambda value: value.to_bytes(2, "big"), lambda data: int.from_bytes(data, "big"))
FLAG = Field("B", int, bool)
ID, KEY, SIGNATURE = raw(ID_SIZE), raw(32), raw(64)
ADDRESS = Field(f"{ADDRESS_SIZE}s", _pack_address, _unpack_address)
NAME = Field(f"{1 + MAX_SESSION_NAME}s", _pack_sized_name, _unpack_sized_name)
"""The length of a session's name and the name, padded with NUL."""


class Layout:
    """The fixed part of a payload.

    Args:
        type: of the packet, for messages of errors.
        fields: by the names of the message's attributes, in order of the wire.
    """

    def __init__(self, type: PacketType, **fields: Field) -> None:
        self.type = type
        self._fields = fields
        self.struct = struct.Struct("<" + "".join(field.code for field in fields.values()))

    @property
    def size(self) -> int:
        """In bytes."""
        return self.struct.size

    def pack(self, message: object) -> bytes:
        """Encode the attributes of a message.

        Raises:
            ValueError: a value does not fit into its field.
        """
        values = []
        for name, field in self._fields.items():
            try:
                values.append(field.pack(getattr(message, name)))
            except ValueError as error:
                raise ValueError(f"{self.type.name} {name}: {error}") from None
        return self.struct.pack(*values)

    def unpack(self, payload: bytes) -> dict[str, Any]:
        """Decode the fixed part of a payload, which may be longer.

        Raises:
            ProtocolError: the payload is shorter.
            BadDataError: a value is invalid.
        """
        if len(payload) < self.size:
            raise ProtocolError(f"{self.type.name} payload size {len(payload)} (at least {self.size})")
        values = {}
        for (name, field), value in zip(self._fields.items(), self.struct.unpack_from(payload), strict=True):
            try:
                values[name] = field.unpack(value)
            except BadDataError as error:
                raise type(error)(f"{self.type.name} {name}: {error}") from None
        return values

    def fault(self, reason: str) -> BadDataError:
        """The error for a value that is out of range."""
        return BadDataError(f"{self.type.name} {reason}")


class FixedMessage(Message):
    """A message whose payload is one layout, and nothing else."""

    __slots__ = ()

    layout: ClassVar[Layout]

    def encode_payload(self) -> bytes:
        return self.layout.pack(self)

    @classmethod
    def decode_payload(cls, payload: bytes) -> Self:
        if len(payload) > cls.layout.size:
            raise ProtocolError(f"{cls.type.name} payload size {len(payload)} (expected {cls.layout.size})")
        message = cls(**cls.layout.unpack(payload))
        message.check()
        return message

    def check(self) -> None:
        """Raise BadDataError if values of a received message are out of range."""
