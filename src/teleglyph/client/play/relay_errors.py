"""Explain the relay's errors to a player.

The relay's texts are part of the protocol, and other programs compare them; only this module knows what they mean to a
player.  An unknown text is shown as received, made printable.
"""

from __future__ import annotations

import re

from teleglyph.client.play.table_address import TableAddress
from teleglyph.printable import printable

_TEXTS = (
    (
        r"Room .* exceeded max amount of players \d+\.",
        "Table '{room}' already has two players. If you are one of them, run the same command on the same machine and "
        "as the same user; otherwise choose another table.",
    ),
    (
        r"Room .* already exists for game .*\.",
        "Someone already hosts '{room}'. Join it without --host, or choose another name. A table whose host vanished "
        "is free again after the server's grace period, 30 s by default.",
    ),
    (
        r"Room .* does not exist for game .*\.",
        "There is no table '{room}' here. Check the name, or open it yourself with --host.",
    ),
    (r"Room .* no longer exists for game .*\.", "The game at table '{room}' is over: the server has closed the table."),
    (r"Invalid reconnect token\.", "The game at table '{room}' is over, or someone else has your seat."),
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
        "The server refuses seats to your address for now. Try again in a minute.",
    ),
    (r"Server has left the game\.", "The host has closed table '{room}'. The game is over."),
    (r"The host did not return\.", "The host did not return in time. The game at table '{room}' is over."),
    (r"The server is shutting down", "The server is shutting down. The game at table '{room}' is over."),
    (
        r"We got rejected by server\.",
        "The host does not let you play at table '{room}': it already has two players, or the host removed you.",
    ),
    (
        r"This seat was taken over by another connection\.",
        "Another window or machine with your saved seat has taken over your seat at table '{room}'.",
    ),
    (
        r"The identity was not proved: .*",
        "The server does not recognize the name in {url}, so it cannot accept your key. {text}",
    ),
    (
        r"This seat belongs to an identity .*|The identity was not proved\.",
        "Your seat at table '{room}' belongs to a key. Run the same command again, with the same --key.",
    ),
    (
        r"Illegal .*|Message too large\.|Failed to parse join request\.|Initial error during handshake\.",
        "The server at {url} does not understand this program: '{text}' Update the older of the two.",
    ),
    (
        r"Error in communication with .*|Lagging on internal channel.*",
        "The connection to table '{room}' was too slow, and the server closed it.",
    ),
    (r"(Server|Client) disconnected intentionally", "You have left table '{room}'."),
    (r"Connection lost\.", "The connection to table '{room}' was lost."),
)
_PATTERNS = tuple((re.compile(pattern), words) for pattern, words in _TEXTS)


def explain(text: str, address: TableAddress) -> str:
    """A text from the relay, in words for the player; an unknown text is quoted."""
    # One line, so that the text cannot forge a second message.
    text = printable(text)
    for pattern, words in _PATTERNS:
        if pattern.fullmatch(text):
            return words.format(room=address.room, game=address.game, url=address.url, text=text)
    return (
        f"The server says about table '{address.room}': {text}"
        if text.strip()
        else f"Table '{address.room}' is closed."
    )
