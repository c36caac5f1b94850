"""Links to calls: ``https://HOST:PORT/ROOM#i=TOKEN``, as ``teleglyph invite`` makes them.

A token lets anyone who has it join, so no error message contains one.
"""

from __future__ import annotations

from teleglyph.client.address import DEFAULT_PORT, Address, CallAddress, parse_address, parse_call_address
from teleglyph.client.session_address import Service, SessionAddress
from teleglyph.discovery.names import is_listed, is_name
from teleglyph.errors import InvitationError, UserError
from teleglyph.net.addresses import SERVICE_PORT
from teleglyph.printable import printable
from teleglyph.room_name import LOBBY, parse_room_name
from teleglyph.wire.invitation import Invitation, check_room

_PORTS = {"http": 80, "https": 443}
_KEY = "i="


def parse_call(
    text: str | None, port: int | None = None, room: str | None = None, service: Service | None = None
) -> tuple[CallAddress, Invitation | None]:
    """Parse a link, a session's name, or what :func:`~teleglyph.client.address.parse_call_address` takes.

    Args:
        text: the user's input; None means this machine.
        port: from ``--port``; must not contradict a port in the text.
        room: from ``--room``; must not contradict a room in the text.
        service: that knows sessions by name, from ``--discovery``; None for none.

    Returns:
        The address, and the invitation if the link has one.

    Raises:
        UserError: the text is not an address.
        InvitationError: its invitation is damaged, or for another room.
    """
    if text is None:
        return parse_call_address(text, port, room), None
    place, _, fragment = text.strip().partition("#")
    session = parse_session(_place_of_session(place), service, room)
    if session is not None:
        return session, None if not fragment else _invitation(fragment)
    if not is_link(text):
        return parse_call_address(text, port, room), None
    return parse_link(text, port, room)


def _place_of_session(place: str) -> str:
    """A link of a discovery service (``https://SERVICE/NAME``) in the form ``NAME@SERVICE``; other texts unchanged."""
    if _scheme(place) not in _PORTS:
        return place
    host, _, path = place.partition("://")[2].partition("/")
    name, slash, room = path.partition("/")
    if not is_listed(name.lower()):
        return place
    host = host if host.rpartition(":")[2].isdecimal() else f"{host}:{_PORTS[_scheme(place)]}"
    return f"{name}@{host}{slash}{room}"


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
    invitation = _invitation(fragment)
    if not found.room and room is None:
        # Somebody cut off the path.
        return found._replace(room=invitation.room), invitation
    check_room(invitation, found.room)
    return found, invitation


def parse_session(text: str, service: Service | None = None, room: str | None = None) -> SessionAddress | None:
    """Parse ``NAME``, ``NAME@SERVICE``, each perhaps with ``/ROOM``, or a link ``https://SERVICE/NAME``.

    Without ``@`` and without a service, only words of our own lists are a name, because three words may also be the
    name of a computer.

    Args:
        text: the user's input.
        service: from ``--discovery``; ``@`` in the text overrides it.
        room: from ``--room``; must not contradict a room in the text.

    Returns:
        None if the text is something else.

    Raises:
        UserError: the text is meant as a name, but is none.
    """
    place, _, tail = text.strip().partition("/")
    words, at, host = place.lower().partition("@")
    if "://" in text or not (at or is_listed(words) or (service is not None and is_name(words))):
        return None
    if not is_name(words):
        raise UserError(
            f"'{printable(words)[:60]}' is not the name of a call. Write three words, as in brave-otter-lamp."
        )
    if at:
        service = parse_service(host)
    if tail and room and tail.lower() != room.lower():
        raise UserError(f"'{tail[:60]}' and --room {room[:60]} are different rooms. Leave one of them out.")
    try:
        found = parse_room_name(tail.rstrip("/") or room or "")
    except ValueError as error:
        raise UserError(f"'{(tail or room or '')[:60]}' is not a room. {error}") from None
    return SessionAddress(words, service, "" if found == LOBBY else found)


def parse_service(text: str) -> Service:
    """Parse the address of a discovery service: ``HOST`` or ``HOST:PORT``.

    Raises:
        UserError: the text is not an address.
    """
    address = parse_address(text, default_port=SERVICE_PORT)
    if address.room:
        raise UserError(f"'{text[:60]}' is not a discovery service. Write HOST or HOST:PORT.")
    return Service(address.host, address.port)


def _invitation(fragment: str) -> Invitation:
    invitation = Invitation.parse(token_in(f"#{fragment}"))
    invitation.verify()
    return invitation


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
