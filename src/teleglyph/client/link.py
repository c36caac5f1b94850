"""Links to calls: ``https://HOST:PORT/ROOM#i=TOKEN``, as ``teleglyph invite`` makes them.

A token lets anyone who has it join, so no error message contains one.
"""

from __future__ import annotations

from teleglyph.client.address import DEFAULT_PORT, Address, CallAddress, parse_address, parse_call_address
from teleglyph.errors import InvitationError, UserError
from teleglyph.wire.invitation import Invitation, check_room

_PORTS = {"http": 80, "https": 443}
_KEY = "i="


def parse_call(
    text: str | None, port: int | None = None, room: str | None = None
) -> tuple[CallAddress, Invitation | None]:
    """Parse a link, or what :func:`~teleglyph.client.address.parse_call_address` takes.

    Args:
        text: the user's input; None means this machine.
        port: from ``--port``; must not contradict a port in the text.
        room: from ``--room``; must not contradict a room in the text.

    Returns:
        The address, and the invitation if the link has one.

    Raises:
        UserError: the text is not an address.
        InvitationError: its invitation is damaged, or for another room.
    """
    if text is None or not is_link(text):
        return parse_call_address(text, port, room), None
    return parse_link(text, port, room)


def is_link(text: str) -> bool:
    """Whether a text is a link, also one that was copied without its scheme."""
    return _scheme(text) in _PORTS or "#" in text


def parse_link(text: str, port: int | None = None, room: str | None = None) -> tuple[Address, Invitation | None]:
    """Parse a link; the arguments, the result and the errors are those of :func:`parse_call`."""
    address, _, fragment = text.strip().partition("#")
    scheme = _scheme(address)
    if scheme in ("ws", "wss"):
        raise UserError(
            "An invitation cannot be used over a WebSocket. Write the link as you got it, with http:// or https://."
        )
    place = address.partition("://")[2] if scheme in _PORTS else address
    place = place.rstrip("/")
    if not place.partition("/")[0]:
        raise UserError(f"'{address[:100]}' is not a link: there is no host in it.")
    if "?" in place:
        raise UserError(f"'{address[:100]}' is not a link to a call: remove the ? and what follows it.")
    found = parse_address(place, port, room, default_port=_PORTS.get(scheme, DEFAULT_PORT))
    if not fragment:
        return found, None
    invitation = Invitation.parse(token_in(f"#{fragment}"))
    invitation.verify()
    if not found.room and room is None:
        # Somebody cut off the path.
        return found._replace(room=invitation.room), invitation
    check_room(invitation, found.room)
    return found, invitation


def token_in(text: str) -> str:
    """The text of the invitation in a link, or a text that has no link around it.

    Raises:
        InvitationError: the link has no invitation.
    """
    if "#" not in text and "/" not in text:
        return text.strip()
    for part in text.strip().partition("#")[2].split("&"):
        if part.startswith(_KEY):
            return part.removeprefix(_KEY)
    raise InvitationError("The link has no invitation: #i= and a long word are missing at its end. Copy all of it.")


def _scheme(text: str) -> str:
    head, separator, _ = text.strip().partition("://")
    return head.lower() if separator else ""
