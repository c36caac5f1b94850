"""What a server leaves in its data directory for ``teleglyph invite``."""

from __future__ import annotations

import json
import stat
from pathlib import Path

import pytest

from teleglyph.errors import StoreError
from teleglyph.keys import FileIdentity, fingerprint
from teleglyph.server.running_server import SERVER_FILE, RunningServer, page_link, read_running_server

KEY = FileIdentity(b"s" * 32).public_key
SERVER = RunningServer(("example.org", "192.0.2.7"), 27224, True, (KEY.hex(),), ("/keys/a",), ("den",))


def test_it_is_read_as_it_was_written(tmp_path: Path) -> None:
    for server in (SERVER, SERVER.stopped(), RunningServer(("localhost",), 1, False, ())):
        server.write(tmp_path)
        assert read_running_server(tmp_path) == server
    assert stat.S_IMODE((tmp_path / SERVER_FILE).stat().st_mode) == 0o600
    assert SERVER.fingerprints == [fingerprint(KEY)]


def test_a_directory_that_no_server_has_used_is_an_error(tmp_path: Path) -> None:
    for place in (tmp_path, tmp_path / "missing"):
        with pytest.raises(StoreError, match="No server has used the data directory"):
            read_running_server(place)


@pytest.mark.parametrize(
    "change", [{"hosts": []}, {"hosts": "example.org"}, {"port": "x"}, {"identities": ["0g"]}, {"keys": [1]}, None]
)
def test_a_damaged_file_is_an_error(tmp_path: Path, change: dict[str, object] | None) -> None:
    SERVER.write(tmp_path)
    path = tmp_path / SERVER_FILE
    path.write_text("{" if change is None else json.dumps({**json.loads(path.read_text()), **change}))
    with pytest.raises(StoreError, match="damaged"):
        read_running_server(tmp_path)


@pytest.mark.parametrize(
    ("host", "port", "has_certificate", "room", "link"),
    [
        ("example.org", 27224, True, "", "https://example.org:27224/"),
        ("example.org", 443, True, "den", "https://example.org/den"),
        ("example.org", 4430, True, "", "https://example.org:4430/"),
        ("192.0.2.7", 80, False, "lobby", "http://192.0.2.7:80/"),
        ("192.0.2.7", 443, False, "", "http://192.0.2.7:443/"),
        ("fd00::7", 443, True, "", "https://[fd00::7]/"),
        ("fd00::7", 27224, False, "open.day", "http://[fd00::7]:27224/open.day"),
    ],
)
def test_links(host: str, port: int, has_certificate: bool, room: str, link: str) -> None:
    assert page_link(host, port, has_certificate=has_certificate, room=room) == link
    assert page_link(host, port, has_certificate=has_certificate, room=room, token="abc") == f"{link}#i=abc"


def test_the_first_name_is_the_one_in_links() -> None:
    assert SERVER.link("den", "abc") == "https://example.org:27224/den#i=abc"
    assert SERVER.link(host="friends.example") == "https://friends.example:27224/"
