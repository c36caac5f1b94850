"""Parses lines of key lists in the format of OpenSSH's ``authorized_keys``: options, kind, key, comment."""

from __future__ import annotations

import re

_KINDS = ("ssh-", "ecdsa-", "sk-")
_OPTION = re.compile(r'([A-Za-z0-9-]+)(?:=("(?:\\.|[^"\\])*"|[^",\s]*))?')
_WITHOUT_MEANING = frozenset(
    {
        *("restrict", "pty", "no-pty", "agent-forwarding", "no-agent-forwarding", "port-forwarding"),
        *("no-port-forwarding", "x11-forwarding", "no-x11-forwarding", "user-rc", "no-user-rc", "environment"),
        *("permitopen", "permitlisten", "tunnel", "no-touch-required", "verify-required"),
    }
)
"""Options about shells and tunnels, which do not apply to a call.  All others restrict the use of a key, so a key with
one of them must not be admitted without enforcing it."""


def without_options(line: str) -> str:
    """Remove the options in front of the key from a line of a key list.

    Raises:
        ValueError: an option is not supported.
    """
    rest = line.strip()
    place = 0
    while not rest.startswith(_KINDS, place):
        found = _OPTION.match(rest, place)
        end = found.end() if found else place
        if found is None or not found[0] or (end < len(rest) and rest[end] not in ", \t"):
            return rest  # not a list of options: the parser of keys reports the error
        if end == len(rest):
            return rest
        if rest[end] != "," and not rest[end:].lstrip().startswith(_KINDS):
            return rest
        _check(found[1].lower())
        place = end + 1
        if rest[end] != ",":
            place += len(rest[end:]) - len(rest[end:].lstrip()) - 1
    return rest[place:]


def _check(name: str) -> None:
    if name not in _WITHOUT_MEANING:
        raise ValueError(
            f"its option '{name}' is not supported here; remove the option, or remove the key from the list"
        )
