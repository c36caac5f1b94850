"""Parse bytes from a terminal into keys.

A terminal sends more than keys: sequences for cursor and function keys, pasted text, mouse reports and late answers to
queries.  A network may split them anywhere.  This is a state machine over single bytes, modelled on the parser of DEC's
terminals (https://vt100.net/emu/dec_ansi_parser).  It consumes unknown sequences up to their end and never reads them
as letters.

The parsers of prompt_toolkit and blessed treat unknown sequences as typed text, which suits an editor but not a call.
"""

from __future__ import annotations

import enum

ESCAPE_SECONDS = 0.5
"""Silence after an ESC byte that makes it the Escape key; slow networks also split sequences after that byte."""
ALT_SECONDS = 0.05
"""A character within this time after an ESC byte was typed with Alt; a later one is a key of its own."""
STALL_SECONDS = 2.0
"""Silence after which an unfinished sequence is dropped."""
_MAX_PARAMETERS = 64
"""Bytes of a sequence's parameters; longer sequences are ignored."""

_ESC = 0x1B
_ABORTING = (0x18, 0x1A)
"""CAN and SUB: they end every sequence."""
_C1_INTRODUCERS = {0x8F: 0x4F, 0x90: 0x50, 0x98: 0x58, 0x9B: 0x5B, 0x9D: 0x5D, 0x9E: 0x5E, 0x9F: 0x5F}
"""Eight-bit controls, with the byte that follows ESC in their seven-bit form."""
_STRING_TERMINATOR = 0x9C
_ANSWER_STARTS = frozenset(range(0x21, 0x40)) | frozenset(b"GILl")
"""First bytes of strings that terminals send."""

_FINALS = {"A": "up", "B": "down", "C": "right", "D": "left"}
_KEYPAD = {chr(ord("p") + digit): str(digit) for digit in range(10)}
"""Finals of SS3 sequences: the keypad in application mode."""
_CODES = {27: "escape", 32: "space"} | {57399 + digit: str(digit) for digit in range(10)}
_CODES |= {57417: "left", 57418: "right", 57419: "up", 57420: "down"}
"""Key codes of kitty's keyboard protocol (https://sw.kovidgoyal.net/kitty/keyboard-protocol/)."""
_SHIFT, _CTRL = 0x01, 0x04
_LOCKS = 0x40 | 0x80
_RELEASED = 3


class _State(enum.Enum):
    GROUND = enum.auto()
    ESCAPE = enum.auto()
    """After an ESC byte."""
    CSI = enum.auto()
    SS3 = enum.auto()
    STRING = enum.auto()
    """In an OSC, DCS, APC, PM or SOS string."""
    STRING_ESCAPE = enum.auto()
    """After an ESC byte in a string: the first half of its terminator, or a new sequence."""
    PASTE = enum.auto()
    SKIP = enum.auto()
    """Skipping a known number of bytes."""


class KeyParser:
    """Turns a terminal's bytes into keys: characters in lower case, and words for other keys.

    The words are ``space``, ``escape``, ``up``, ``down``, ``left``, ``right`` and ``ctrl-c``.
    The result depends on pauses, not on how the bytes are split.  All times are seconds on one clock.
    """

    def __init__(self) -> None:
        self._state = _State.GROUND
        self._parameters = bytearray()
        self._continuations = 0
        """Missing bytes of a character outside ASCII."""
        self._skip = 0
        self._is_new = False
        """The string has no bytes yet after its introducer."""
        self._tail = b""
        """The last bytes of pasted text, as many as its end marker has."""
        self._changed_at = 0.0
        self._escaped_at: float | None = None
        """When a lone ESC was read as the Escape key; an introducer soon after shows that it was not."""

    @property
    def deadline(self) -> float | None:
        """When to call :meth:`expire` if nothing arrives; None between sequences."""
        if self._state is _State.GROUND:
            return None
        return self._changed_at + (ESCAPE_SECONDS if self._state is _State.ESCAPE else STALL_SECONDS)

    def expire(self, now: float) -> list[str]:
        """Keys completed by silence until ``now``: a lone ESC is the Escape key, other sequences are dropped."""
        deadline = self.deadline
        if deadline is None or now < deadline:
            return []
        was_escape = self._state is _State.ESCAPE
        self._state, self._continuations = _State.GROUND, 0
        if not was_escape:
            return []
        self._escaped_at = now
        return ["escape"]

    def feed(self, data: bytes, now: float) -> list[str]:
        """Keys completed by bytes that arrived at ``now``."""
        keys = self.expire(now)
        for byte in data:
            keys += self._parse(byte, now)
            self._changed_at = now
        return keys

    # --- one byte ---------------------------------------------------------------------------------------

    def _parse(self, byte: int, now: float) -> list[str]:
        match self._state:
            case _State.GROUND:
                return self._ground(byte, now)
            case _State.ESCAPE:
                return self._after_escape(byte, now)
            case _State.CSI:
                return self._csi(byte, now)
            case _State.SS3:
                return self._ss3(byte, now)
            case _State.STRING:
                return self._string(byte, now)
            case _State.STRING_ESCAPE:
                if byte != ord("\\"):
                    self._state = _State.ESCAPE
                    return self._after_escape(byte, now)
                self._state = _State.GROUND
            case _State.PASTE:
                self._paste(byte)
            case _State.SKIP:
                self._skip -= 1
                if not self._skip:
                    self._state = _State.GROUND
        return []

    def _ground(self, byte: int, now: float) -> list[str]:
        if self._continues(byte):
            return []
        escaped_at, self._escaped_at = self._escaped_at, None
        if byte == _ESC:
            self._state = _State.ESCAPE
        elif byte in _C1_INTRODUCERS:
            self._introduce(_C1_INTRODUCERS[byte])
        elif escaped_at is not None and now - escaped_at < STALL_SECONDS and self._introduce(byte):
            pass
        elif byte == 0x20:
            return ["space"]
        elif 0x20 < byte < 0x7F:
            return [chr(byte).lower()]
        elif byte == 0x03:
            return ["ctrl-c"]
        return []

    def _continues(self, byte: int) -> bool:
        """Whether a byte belongs to a character outside ASCII (which is not a key), by the rules of UTF-8."""
        if self._continuations and 0x80 <= byte < 0xC0:
            self._continuations -= 1
            return True
        self._continuations = 0
        if 0xC2 <= byte <= 0xF4:
            self._continuations = 3 if byte >= 0xF0 else 2 if byte >= 0xE0 else 1
            return True
        return False

    def _after_escape(self, byte: int, now: float) -> list[str]:
        if byte == _ESC:
            return ["escape"]
        if byte in _ABORTING:
            self._state = _State.GROUND
        elif not self._introduce(byte):
            self._state = _State.GROUND
            keys = self._ground(byte, now)
            return [] if now - self._changed_at < ALT_SECONDS else ["escape", *keys]
        return []

    def _introduce(self, byte: int) -> bool:
        """Start the sequence that this byte introduces after ESC; False if it introduces none."""
        self._parameters.clear()
        self._continuations = 0
        self._is_new = True
        match chr(byte):
            case "[":
                self._state = _State.CSI
            case "O":
                self._state = _State.SS3
            case "P" | "X" | "]" | "^" | "_":
                self._state = _State.STRING
            case _:
                return False
        return True

    def _restart(self, byte: int, now: float) -> list[str]:
        """Handle a byte that ends the current sequence and is read on its own."""
        self._state = _State.GROUND
        return [] if byte in _ABORTING else self._ground(byte, now)

    def _csi(self, byte: int, now: float) -> list[str]:
        if byte == _ESC or byte in _ABORTING or byte >= 0x80:
            return self._restart(byte, now)
        if byte < 0x20 or byte == 0x7F:
            return []
        if byte < 0x40:
            if len(self._parameters) <= _MAX_PARAMETERS:
                self._parameters.append(byte)
            return []
        self._state = _State.GROUND
        return self._finish_csi(self._parameters.decode(), chr(byte))

    def _finish_csi(self, parameters: str, final: str) -> list[str]:
        if final == "[" and not parameters:
            self._state, self._skip = _State.SKIP, 1  # function keys of Linux's console: ESC [ [ A
        elif final == "M" and not parameters:
            self._state, self._skip = _State.SKIP, 3  # the mouse in its first encoding: button, column, row
        elif final == "~" and parameters == "200":
            self._state, self._tail = _State.PASTE, b""
        elif len(parameters) <= _MAX_PARAMETERS:
            return _key_of(parameters, final)
        return []

    def _ss3(self, byte: int, now: float) -> list[str]:
        if byte == _ESC or byte in _ABORTING or byte >= 0x80:
            return self._restart(byte, now)
        if byte < 0x40:
            # Old versions of xterm put the modifiers here.
            return []
        self._state = _State.GROUND
        key = _FINALS.get(chr(byte)) or _KEYPAD.get(chr(byte))
        return [key] if key else []

    def _string(self, byte: int, now: float) -> list[str]:
        is_new, self._is_new = self._is_new, False
        if is_new and 0x20 <= byte < 0x7F and byte not in _ANSWER_STARTS and now - self._changed_at >= ALT_SECONDS:
            # Alt with a capital P looks like the start of a string and would swallow all keys that follow.
            return self._restart(byte, now)
        if self._continues(byte):
            return []
        if byte == _ESC:
            self._state = _State.STRING_ESCAPE
        elif byte in (0x07, _STRING_TERMINATOR) or byte in _ABORTING:
            self._state = _State.GROUND
        return []

    def _paste(self, byte: int) -> None:
        end = b"\x1b[201~"
        self._tail = (self._tail + bytes([byte]))[-len(end) :]
        if self._tail == end:
            self._state = _State.GROUND


def _key_of(parameters: str, final: str) -> list[str]:
    """The key of a control sequence; nothing for other sequences and released keys."""
    if not all(character in "0123456789;:" for character in parameters):
        return []
    fields = [[_number(part) for part in field.split(":")] for field in parameters.split(";")]
    fields += [[0]] * 3
    modifiers, event = (fields[1] + [0])[:2]
    if event == _RELEASED:
        return []
    held = max(0, modifiers - 1) & ~_LOCKS
    if final in _FINALS:
        return [_FINALS[final]] if fields[0] in ([0], [1]) else []
    if final == "u":
        code, shifted = (fields[0] + [0])[:2]
        character = fields[2][0] or (shifted if held & _SHIFT else 0)
        return _character(character or code, held)
    if final == "~" and fields[0] == [27]:
        return _character(fields[2][0], held)
    return []


def _character(code: int, held: int) -> list[str]:
    if held == _CTRL and code in (ord("c"), ord("C")):
        return ["ctrl-c"]
    if held & ~_SHIFT:
        return []
    if key := _CODES.get(code):
        return [key]
    return [chr(code).lower()] if 0x20 < code < 0x7F else []


def _number(text: str) -> int:
    return int(text) if 0 < len(text) <= 9 else 0
