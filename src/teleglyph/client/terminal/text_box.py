"""Text for the box over the picture: wrapped sentences, and the help in columns or pages."""

from __future__ import annotations

from collections.abc import Sequence

import wcwidth

from teleglyph.printable import fit, printable, width

_GAP, _COLUMN_GAP = 2, 3
_MAX_COLUMNS = 3
_MIN_TEXT = 12
"""Width of a text beside its key; in narrower windows the text goes below."""


def wrap(text: str, columns: int) -> list[str]:
    """Wrap a line of text between words, and break words that are too long."""
    columns = max(1, columns)
    if width(text) <= columns:
        return [text]
    lines = [""]
    for word in printable(text).split():
        joined = f"{lines[-1]} {word}" if lines[-1] else word
        if width(joined) <= columns:
            lines[-1] = joined
            continue
        if not lines[-1]:
            lines.pop()
        rest = word
        while width(rest) > columns:
            part = fit(rest, columns) or next(wcwidth.iter_graphemes(rest))
            lines.append(part)
            rest = rest[len(part) :]
        lines.append(rest)
    return [line for line in lines if line]


def wrap_lines(lines: Sequence[str], columns: int, rows: int) -> list[str]:
    """Wrap lines to a box; if they do not fit, the last row ends with dots."""
    wrapped = [part for line in lines for part in (wrap(line, columns) if line else [""])]
    if len(wrapped) <= rows:
        return wrapped
    kept = wrapped[: max(1, rows)]
    return [*kept[:-1], f"{fit(kept[-1], max(0, columns - 4))} ..."]


def help_pages(keys: Sequence[tuple[str, str]], about: str, columns: int, rows: int) -> list[list[str]]:
    """Lay out the help as pages of lines that fit into a box.

    Keys and texts form two columns.  In a low window there are two or three such pairs side by side; if that is too
    wide, there are several pages.

    Args:
        keys: names of keys, and what they do.
        about: a last line.
        columns: width of the box's text.
        rows: height of the box's text.
    """
    beside = _MIN_TEXT + _GAP + max((width(key) for key, _ in keys), default=0) <= columns
    for count in range(1, _MAX_COLUMNS + 1) if beside else ():
        lines = _table(keys, count)
        if len(lines) <= rows and all(width(line) <= columns for line in lines):
            if width(about) <= columns and len(lines) + 2 <= rows:
                lines += ["", about]
            return [["", *lines, ""] if len(lines) + 2 <= rows else lines]
    return _numbered(_narrow([*keys, ("", about)], columns, beside=beside), columns, rows)


def _table(keys: Sequence[tuple[str, str]], count: int) -> list[str]:
    """Lines with ``count`` pairs side by side, filled downwards."""
    height = -(-len(keys) // count)
    blocks = [keys[start : start + height] for start in range(0, len(keys), height)] if keys else []
    lines = [""] * height
    for block in blocks:
        key_columns = max(width(key) for key, _ in block)
        text_columns = max(width(text) for _, text in block)
        is_last = block is blocks[-1]
        for index, (key, text) in enumerate(block):
            pad = 0 if is_last else text_columns - width(text) + _COLUMN_GAP
            lines[index] += f"{' ' * (key_columns - width(key))}{key}{' ' * _GAP}{text}{' ' * pad}"
    return lines


def _narrow(keys: Sequence[tuple[str, str]], columns: int, *, beside: bool) -> list[str]:
    """Lines with one pair below the other; long texts are wrapped."""
    indent = max((width(key) for key, _ in keys), default=0) + _GAP if beside else 1
    lines = []
    for key, text in keys:
        if not key:
            lines += wrap(text, columns)
        elif beside:
            parts = wrap(text, columns - indent)
            lines.append(f"{' ' * (indent - _GAP - width(key))}{key}{' ' * _GAP}{parts[0]}")
            lines += [f"{' ' * indent}{part}" for part in parts[1:]]
        else:
            lines += wrap(f"{key}: {text}", columns)
    return lines


def _numbered(lines: Sequence[str], columns: int, rows: int) -> list[list[str]]:
    """Split lines into pages; the last line of each says how to turn it, if there is room."""
    if len(lines) <= rows:
        return [list(lines)]
    room = max(1, rows - 1)
    parts = [list(lines[start : start + room]) for start in range(0, len(lines), room)]
    if rows < 2:
        return parts
    for number, part in enumerate(parts, 1):
        foot = f"? next page ({number}/{len(parts)})" if number < len(parts) else f"? close ({number}/{len(parts)})"
        part.append(foot if width(foot) <= columns else fit(f"? {number}/{len(parts)}", columns))
    return parts
