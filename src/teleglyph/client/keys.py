"""Bytes from the keyboard become keys."""

from __future__ import annotations

import re

_SEQUENCE = re.compile(
    rb"\x1b(?:"
    rb"\[[0-?]*[ -/]*(?P<csi>[@-~])"  # CSI: cursor and function keys, late answers of the terminal
    rb"|O(?P<ss3>[@-~])"  # SS3: cursor keys in application mode
    rb"|[P\]X^_][^\x07\x1b]*(?:\x07|\x1b\\)"  # DCS, OSC, SOS, PM, APC: answers
    rb"|(?P<alt>[^\[OP\]X^_\x1b])"  # Alt and a key
    rb")"
)
_ARROWS = {b"A": "up", b"B": "down", b"C": "right", b"D": "left"}
_MAX_PENDING = 4096


class KeyParser:
    """Splits what a terminal sends into keys: characters in lower case, and words for the others.

    The words are ``space``, ``escape``, ``up``, ``down``, ``left`` and ``right``.
    Sequences that stand for nothing of these vanish whole, so a late answer to a question never acts as keys.
    """

    def __init__(self) -> None:
        self._pending = b""

    @property
    def is_waiting(self) -> bool:
        """The input ended inside a sequence, or was the Escape key: only time tells; see :meth:`flush`."""
        return bool(self._pending)

    def feed(self, data: bytes) -> list[str]:
        """Keys that are complete with these bytes."""
        data = self._pending + data
        self._pending = b""
        keys: list[str] = []
        at = 0
        while at < len(data):
            if data[at] != 0x1B:
                if 0x20 < data[at] < 0x7F:
                    keys.append(chr(data[at]).lower())
                elif data[at] == 0x20:
                    keys.append("space")
                at += 1
            elif found := _SEQUENCE.match(data, at):
                arrow = _ARROWS.get(found["csi"] or found["ss3"] or b"")
                keys += [arrow] if arrow else []
                at = found.end()
            elif data[at + 1 : at + 2] == b"\x1b":
                keys.append("escape")
                at += 1
            else:
                self._pending = data[at:][:_MAX_PENDING]
                break
        return keys

    def flush(self) -> list[str]:
        """Nothing followed for a moment: a lone ESC was the Escape key, an unfinished sequence is forgotten."""
        pending, self._pending = self._pending, b""
        return ["escape"] if pending == b"\x1b" else []
