"""Writes the bits of headers of compressed pictures."""

from __future__ import annotations


class BitWriter:
    """Collects bits.

    Attributes:
        bits: "0" and "1" for each.
    """

    def __init__(self) -> None:
        self.bits = ""

    def fixed(self, value: int, count: int) -> None:
        self.bits += format(value, f"0{count}b") if count else ""

    def golomb(self, *values: int) -> None:
        for value in values:
            code = format(value + 1, "b")
            self.bits += "0" * (len(code) - 1) + code

    def data(self) -> bytes:
        """All bits, filled up with zeros to whole bytes."""
        size = -(-len(self.bits) // 8)
        return int(self.bits.ljust(8 * size, "0"), 2).to_bytes(size, "big")

    def unit(self, *header: int) -> bytes:
        """A unit of HEVC or H.264 with its end and emulation prevention."""
        self.bits += "1"
        escaped = bytearray()
        for byte in self.data():
            if byte <= 3 and escaped[-2:] == b"\0\0":
                escaped.append(3)
            escaped.append(byte)
        return bytes(header) + bytes(escaped)
