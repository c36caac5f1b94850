"""The relay's texts in words for people.

The texts of the wire are part of the protocol, and other programs compare them; this is the one place that knows what
they mean to somebody at a table.  A text that is not known is shown as it came, made printable.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from teleglyph.printable import printable


@dataclass(frozen=True, slots=True)
class Place:
    """Where somebody wanted to play.

    Attributes:
        url: of the relay.
        game, room: which table.
        hosts: they wanted to host it.
    """

    url: str
    game: str
    room: str
    hosts: bool


_TEXTS = (
    (
        r"Room .* exceeded max amount of players \d+\.",
        "Table '{room}' already has two players. If you are one of them, type the same command on the machine and as "
        "the user you played with; otherwise choose another table.",
    ),
    (
        r"Room .* already exists for game .*\.",
        "Somebody already hosts '{room}'. Join it without --host, or choose another name. A table whose host vanished "
        "is free again after the server's grace period, 30 s unless it was changed.",
    ),
    (
        r"Room .* does not exist for game .*\.",
        "There is no table '{room}' here. Check the name, or open it yourself with --host.",
    ),
    (r"Room .* no longer exists for game .*\.", "The game at table '{room}' is over: the server has closed the table."),
    (r"Invalid reconnect token\.", "The game at table '{room}' is over, or your seat was given to somebody else."),
    (
        r"Unknown game .*\.",
        "The server at {url} does not offer the game '{game}'. Start it with '--game {game}:2', or choose another "
        "server with --server.",
    ),
    (r"Names have at most \d+ bytes.*", "'{room}' cannot be a table's name: {text}"),
    (r"Room .* run out of client ids\.", "Table '{room}' has seen too many players. Have its host open another."),
    (r"Too many rooms, .*", "The server has too many open tables. Try again later."),
    (
        r"Too many wrong tokens, .*",
        "The server refuses seats to your address for a while. Try again in a minute.",
    ),
    (r"Server has left the game\.", "The host has closed table '{room}'. The game is over."),
    (r"The host did not return\.", "The host did not come back in time. The game at table '{room}' is over."),
    (r"The server is shutting down", "The server is shutting down. The game at table '{room}' is over."),
    (
        r"We got rejected by server\.",
        "The host does not let you play at table '{room}': two are playing there already, or you were sent away.",
    ),
    (
        r"This seat was taken over by another connection\.",
        "Your seat at table '{room}' was taken over by another window or machine with your saved seat.",
    ),
    (
        r"The identity was not proved: .*",
        "The server does not go by the name in {url}, so your key proves nothing to it. {text}",
    ),
    (
        r"This seat belongs to an identity .*|The identity was not proved\.",
        "Your seat at table '{room}' belongs to a key. Type the same command again, with the same --key.",
    ),
    (
        r"Illegal .*|Message too large\.|Failed to parse join request\.|Initial error during handshake\.",
        "The server at {url} does not understand this program ({text}) Is one of the two older than the other?",
    ),
    (
        r"Error in communication with .*|Lagging on internal channel.*",
        "The connection to table '{room}' was too slow, and the server closed it.",
    ),
    (r"(Server|Client) disconnected intentionally", "You have left table '{room}'."),
    (r"Connection lost\.", "The connection to table '{room}' was lost."),
)
_PATTERNS = tuple((re.compile(pattern), words) for pattern, words in _TEXTS)


def explain(text: str, place: Place) -> str:
    """What a text of the relay means to a person; the text itself, if it is not known."""
    # One line, before it becomes part of a sentence: nobody forges a second message.
    text = printable(text)
    for pattern, words in _PATTERNS:
        if pattern.fullmatch(text):
            return words.format(room=place.room, game=place.game, url=place.url, text=text)
    return f"The server says about table '{place.room}': {text}" if text.strip() else f"Table '{place.room}' is closed."
