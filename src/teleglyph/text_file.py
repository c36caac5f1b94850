"""Reads text files from any editor."""

from __future__ import annotations

import codecs

_MARKS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),  # before UTF-16, whose mark is a prefix of this one
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)


def decode_text(data: bytes, *, errors: str = "strict") -> str:
    """Decode a file: UTF-8 with or without a byte-order mark, or UTF-16 or UTF-32 with one.

    Line endings become line feeds.

    Args:
        data: the file's bytes.
        errors: ``strict``, or ``replace`` to put U+FFFD in place of invalid bytes.

    Raises:
        ValueError: the encoding is different; the message completes "it is not text: ...".
    """
    mark, encoding = encoding_of(data)
    data = data[len(mark) :]
    try:
        text = data.decode(encoding, errors)
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise ValueError(f"line {line} is not valid {encoding.upper()}; save the file as UTF-8") from None
    if "\0" in text:
        raise ValueError("it contains null characters; save the file as UTF-8")
    return text.replace("\r\n", "\n").replace("\r", "\n")


def encoding_of(data: bytes) -> tuple[bytes, str]:
    """The byte-order mark of a file, empty if it has none, and its encoding."""
    return next(((mark, name) for mark, name in _MARKS if data.startswith(mark)), (b"", "utf-8"))
