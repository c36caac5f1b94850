"""What a server writes into its data directory for ``teleglyph invite``: where it is, and who it is."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from teleglyph.errors import StoreError, reason_of
from teleglyph.net import authority
from teleglyph.room_name import LOBBY
from teleglyph.server.private_file import write_private
from teleglyph.wire.acip import fingerprint

SERVER_FILE = "server.json"
_MAX_FILE = 64 << 10
_HTTPS_PORT = 443


@dataclass(frozen=True, slots=True)
class RunningServer:
    """A server that runs, or ran, with a data directory.

    Attributes:
        hosts: names and addresses for others, the best one first.
        port: for calls and pages.
        has_certificate: browsers may check its certificate, because it comes from files.
        identities: its Ed25519 public keys, in hexadecimal.
        keys: the values of ``--key``; empty if the identity is in the data directory.
        rooms: the configured call rooms, if there are no others beside the lobby; None if people may open rooms.
        is_running: it has not been stopped since.
        session: its name at a discovery service, as ``NAME@SERVICE``; empty for none.
    """

    hosts: tuple[str, ...]
    port: int
    has_certificate: bool
    identities: tuple[str, ...]
    keys: tuple[str, ...] = ()
    rooms: tuple[str, ...] | None = None
    is_running: bool = True
    session: str = ""

    @property
    def fingerprints(self) -> list[str]:
        """The fingerprints of its identities."""
        return [fingerprint(bytes.fromhex(one)) for one in self.identities]

    def link(self, room: str = "", token: str = "", host: str = "") -> str:
        """The URL of a call on this server.

        Args:
            room: its name; empty for the lobby.
            token: an invitation; empty for none.
            host: instead of the server's first name.
        """
        return page_link(host or self.hosts[0], self.port, has_certificate=self.has_certificate, room=room, token=token)

    def link_from_anywhere(self, room: str = "", token: str = "") -> str:
        """A link of a call for ``teleglyph client``, by its name: ``NAME@SERVICE/room#i=token``.

        Args:
            room: its name; empty for the lobby.
            token: an invitation; empty for none.
        """
        place = f"/{room}" if room and room != LOBBY else ""
        return f"{self.session}{place}" + (f"#i={token}" if token else "")

    def write(self, directory: Path) -> None:
        """Write it into a data directory.

        Raises:
            StoreError: it cannot be written.
        """
        write_private(directory / SERVER_FILE, json.dumps(asdict(self), indent=1).encode() + b"\n")

    def stopped(self) -> RunningServer:
        """The same server after its end."""
        return replace(self, is_running=False)


def read_running_server(directory: Path) -> RunningServer:
    """The server that uses a data directory, or used it last.

    Raises:
        StoreError: no server has used it, or its file cannot be read.
    """
    path = directory / SERVER_FILE
    try:
        with path.open("rb") as file:
            content = json.loads(file.read(_MAX_FILE))
        server = RunningServer(
            _texts(content["hosts"]),
            int(content["port"]),
            bool(content["has_certificate"]),
            tuple(bytes.fromhex(one).hex() for one in _texts(content["identities"])),
            _texts(content["keys"]),
            None if content["rooms"] is None else _texts(content["rooms"]),
            bool(content["is_running"]),
            _text(content.get("session", "")),
        )
    except FileNotFoundError:
        raise StoreError(
            f"No server has used the data directory '{directory}'. Start one with 'teleglyph server', or name its "
            "directory with --data-dir. A server with --ephemeral has none, so it cannot invite."
        ) from None
    except OSError as error:
        raise StoreError(f"Cannot read '{path}': {reason_of(error)}.") from error
    except (ValueError, TypeError, KeyError):
        raise StoreError(f"'{path}' is damaged. Start the server again, which rewrites it.") from None
    if not server.hosts:
        raise StoreError(f"'{path}' is damaged. Start the server again, which rewrites it.")
    return server


def page_link(host: str, port: int, *, has_certificate: bool, room: str = "", token: str = "") -> str:
    """The URL of a call: ``https://host:27224/room#i=token``.

    The token is in the fragment, which browsers do not send to a server.

    Args:
        host: a name or an address.
        port: of the server.
        has_certificate: browsers can check its certificate.
        room: its name; empty for the lobby.
        token: an invitation; empty for none.
    """
    scheme = "https" if has_certificate else "http"
    place = authority(host, port)
    if has_certificate and port == _HTTPS_PORT:
        place = place.removesuffix(f":{port}")
    return f"{scheme}://{place}/{'' if room == LOBBY else room}" + (f"#i={token}" if token else "")


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise ValueError("not a text")
    return value


def _texts(values: Sequence[object]) -> tuple[str, ...]:
    if not isinstance(values, list) or not all(isinstance(one, str) for one in values):
        raise ValueError("not a list of texts")
    return tuple(str(one) for one in values)
