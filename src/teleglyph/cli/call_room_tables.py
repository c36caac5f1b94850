"""The tables of the configuration file for call rooms: ``[call_room.NAME]``."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from teleglyph.cli.option_types import is_password
from teleglyph.room_name import LOBBY, parse_room_name

# Every command reads the configuration file, but only the server needs these, and they take long to import.
if TYPE_CHECKING:
    from teleglyph.keys import KeyList
    from teleglyph.server.config import CallRoomSettings

CALL_ROOM = "call_room"
"""The table that has one table for each room."""
KEYS = {
    "password": "Password of this room, instead of the server's.",
    "client_keys": "Clients must have one of these keys, instead of the server's; as for client_keys in [security].",
}
"""What a room's table may have, and what it means."""


def read_tables(tables: Any) -> tuple[dict[str, dict[str, Any]], list[str]]:
    """The valid tables of rooms, by name, and a sentence for each fault, to follow the file's name.

    Args:
        tables: the value of ``call_room`` in the file.
    """
    if not isinstance(tables, dict):
        return {}, [f"[{CALL_ROOM}] is a table, not a value."]
    rooms: dict[str, dict[str, Any]] = {}
    faults: list[str] = []
    for written, table in tables.items():
        found = _faults(written, table)
        if not found and (name := parse_room_name(written)) in rooms:
            found = [f"there are two tables for the call room '{name}'; upper and lower case make no difference."]
        if found:
            faults += found
        else:
            rooms[name] = table
    return rooms, faults


def rooms_of(tables: Mapping[str, Mapping[str, Any]]) -> dict[str, CallRoomSettings]:
    """The settings of call rooms.

    Args:
        tables: from :func:`read_tables`.

    Raises:
        ConfigurationError, KeyFetchError: a list of keys cannot be read.
    """
    from teleglyph.server.config import CallRoomSettings

    return {name: CallRoomSettings(table.get("password"), _keys(table)) for name, table in tables.items()}


def table_name(room: str) -> str:
    """The heading of a room's table, without brackets."""
    return f'{CALL_ROOM}."{room}"' if "." in room else f"{CALL_ROOM}.{room}"


def _keys(table: Mapping[str, Any]) -> KeyList | None:
    from teleglyph.keys import KeyList

    keys = table.get("client_keys")
    return None if keys is None else KeyList([keys] if isinstance(keys, str) else keys)


def _faults(written: str, table: Any) -> list[str]:
    if not isinstance(table, dict):
        return [f"'{written}' belongs in the table of a room. Write [{CALL_ROOM}.NAME] above it."]
    try:
        name = parse_room_name(written)
    except ValueError as error:
        return [f"[{CALL_ROOM}.{written}] is not the table of a room. {error}"]
    if name == LOBBY:
        return [f"there is no table [{CALL_ROOM}.{written}]. The lobby needs what [security] says."]
    place = f"[{table_name(written)}]"
    return [f"{place} {fault}" for key, value in table.items() if (fault := _fault(written, key, value))]


def _fault(room: str, key: str, value: Any) -> str:
    """What is wrong with a setting of a room, to follow its table; empty if nothing is."""
    if key == "password":
        if not isinstance(value, str):
            return "password must be one value, not this value."
        size = len(value.encode())
        return "" if is_password(value) else f"password cannot be this value: it has {size} bytes; it needs 8 to 256."
    if key == "client_keys":
        is_right = isinstance(value, str) or (isinstance(value, list) and all(isinstance(one, str) for one in value))
        if not is_right:
            return f"client_keys must be a list of strings, not {value!r}."
        return "" if value else "client_keys is empty, so nobody could join. List a key, or remove the setting."
    if isinstance(value, dict):
        return f"has no table '{key}'. A name with a dot needs quotes: [{table_name(f'{room}.{key}')}]."
    near = difflib.get_close_matches(key, KEYS, n=1)
    return f"has no '{key}'. " + (f"Did you mean '{near[0]}'?" if near else f"Choose from: {', '.join(KEYS)}.")
