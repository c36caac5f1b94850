"""Names of call rooms: one rule for the server, its configuration and its clients."""

from __future__ import annotations

import re

LOBBY = "lobby"
"""The room of everybody who names none."""
MAX_ROOM_NAME = 32
"""Characters of a name."""
# Only ASCII: in other alphabets, names that look the same could be different rooms.  A name must also be easy to say,
# to type and to put into a URL.
_NAME = re.compile(rf"[a-z0-9_][a-z0-9_.-]{{0,{MAX_ROOM_NAME - 1}}}", re.ASCII | re.IGNORECASE)


def parse_room_name(text: str) -> str:
    """The form in which a name is stored and compared: in lower case, and ``lobby`` for an empty one.

    Raises:
        ValueError: the text is not a name; the message is a sentence with the rule.
    """
    if not text:
        return LOBBY
    if len(text) > MAX_ROOM_NAME or not text.isascii() or not _NAME.fullmatch(text):
        raise ValueError(
            f"Names of rooms have 1 to {MAX_ROOM_NAME} letters from a to z, digits, '-', '_' or '.', and begin with a "
            "letter, a digit or '_'."
        )
    return text.lower()
