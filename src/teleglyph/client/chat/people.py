"""The people in a room: names and presence, both bounded."""

from __future__ import annotations

import unicodedata
from collections import OrderedDict

from teleglyph.printable import Printable, fit, printable, width
from teleglyph.wire.nostr.keys import encode_key

MAX_NAMES = 2000
"""Remembered names; the least recently used one is forgotten first."""
MAX_PRESENT = 1000
NAME_COLUMNS = 24
_SHORT_KEY = slice(5, 13)
"""Eight letters of an npub, 40 bits: enough to distinguish two people of one name."""
_UNNAMED_KEY = slice(0, 12)
_RESERVED = frozenset(":()<>[]*#\u02d0\ua789\u2236\u05c3")
"""Characters that chat lines use, and look-alikes of the colon.  With them a name could imitate a name with a message,
or with another person's key."""
_INVISIBLE = frozenset("\u115f\u1160\u2800\u3164\uffa0\u034f")
"""Letters, symbols and marks that draw nothing."""


class People:
    """Names and presence by public key (64 hexadecimal digits)."""

    def __init__(self) -> None:
        self._names: OrderedDict[str, tuple[int, Printable]] = OrderedDict()
        """When each name was chosen, and the name, which may be empty."""
        self._keys: dict[str, set[str]] = {}
        """The owners of names that look the same."""
        self._present: dict[str, float] = {}
        """Until when each person is here, in Unix seconds."""

    # --- names ----------------------------------------------------------------------------------------

    def learn(self, key: str, name: str, at: int) -> bool:
        """Remember a name; False if it is known already, or a newer one is.

        Args:
            key: the person's public key, 64 hexadecimal digits.
            name: as received; characters that are not allowed are removed.
            at: when it was chosen, Unix seconds.
        """
        name = clean_name(name)
        old = self._names.get(key)
        if old is not None and (at < old[0] or name == old[1]):
            return False
        self._forget(key)
        self._names[key] = at, name
        self._keys.setdefault(_skeleton(name), set()).add(key)
        if len(self._names) > MAX_NAMES:
            self._forget(next(iter(self._names)))
        return True

    def has_name(self, key: str) -> bool:
        """Whether a person has chosen a name."""
        return bool(self._names.get(key, (0, ""))[1])

    def name(self, key: str) -> Printable:
        """A person's name, with a part of the key if another name looks the same; or else the key."""
        name = self._names.get(key, (0, ""))[1]
        npub = encode_key("npub", bytes.fromhex(key))
        if not name:
            return printable(npub[_UNNAMED_KEY])
        self._names.move_to_end(key)
        if len(self._keys[_skeleton(name)]) > 1:
            return printable(f"{name} ({npub[_SHORT_KEY]})")
        return printable(name)

    def _forget(self, key: str) -> None:
        if (old := self._names.pop(key, None)) is not None:
            skeleton = _skeleton(old[1])
            self._keys[skeleton].discard(key)
            if not self._keys[skeleton]:
                del self._keys[skeleton]

    # --- presence -------------------------------------------------------------------------------------

    def arrived(self, key: str, until: float, now: float) -> bool:
        """Remember until when a person is here; True if they were not here before."""
        if until <= now:
            if key in self._present:
                self._present[key] = until
            return False
        is_new = key not in self._present
        if is_new and len(self._present) >= MAX_PRESENT:
            return False
        self._present[key] = until
        return is_new

    def departed(self, now: float) -> list[str]:
        """Forget the people whose presence has expired, and return them."""
        gone = [key for key, until in self._present.items() if until <= now]
        for key in gone:
            del self._present[key]
        return gone

    def is_here(self, key: str) -> bool:
        """Whether a person is here."""
        return key in self._present

    def here(self) -> list[Printable]:
        """The names of the people who are here, sorted."""
        return sorted((self.name(key) for key in self._present), key=str.casefold)


def clean_name(name: str) -> Printable:
    """A name without reserved characters, at most :data:`NAME_COLUMNS` wide; empty if nothing is left."""
    kept = "".join(
        " "
        if character in _INVISIBLE or not _RESERVED.isdisjoint(unicodedata.normalize("NFKC", character))
        else character
        for character in printable(name[: 8 * NAME_COLUMNS])
    )
    short = fit(" ".join(kept.split()), NAME_COLUMNS)
    # A name must be visible, and must not look like a key.
    if width(short) == 0 or not _skeleton(short) or _skeleton(short).startswith("npub1"):
        return printable("")
    return short


def _skeleton(name: str) -> str:
    """The same text for names that look the same."""
    return "".join(
        character
        for character in unicodedata.normalize("NFKD", name).casefold()
        if unicodedata.category(character) not in ("Cf", "Mn", "Me", "Zs") and character not in _INVISIBLE
    )
