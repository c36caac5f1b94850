"""Text files that people edit, whatever their editor wrote."""

from __future__ import annotations

import codecs

_MARKS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),  # before UTF-16, whose mark begins like this one
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)


def decode_text(data: bytes, *, errors: str = "strict") -> str:
    """The text of a file: UTF-8 with or without a byte-order mark, or UTF-16 or UTF-32 with one.

    Line ends of Windows and of old Macs become line feeds.

    Args:
        data: the whole file.
        errors: ``replace`` puts U+FFFD where bytes are not valid, for files whose comments do not matter.

    Raises:
        ValueError: it is none of these; the message completes "it is not text: ...".
    """
    mark, encoding = encoding_of(data)
    data = data[len(mark) :]
    try:
        text = data.decode(encoding, errors)
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise ValueError(f"line {line} is not valid {encoding.upper()}; save the file as UTF-8") from None
    if "\0" in text:
        raise ValueError("it holds null characters; save the file as UTF-8")
    return text.replace("\r\n", "\n").replace("\r", "\n")


def encoding_of(data: bytes) -> tuple[bytes, str]:
    """The byte-order mark that a file begins with, if any, and the encoding that it stands for."""
    return next(((mark, name) for mark, name in _MARKS if data.startswith(mark)), (b"", "utf-8"))
