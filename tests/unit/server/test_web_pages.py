"""The files of the page, and the paths that they share with everything else."""

from __future__ import annotations

from pathlib import Path

import pytest
from aiohttp import web

from teleglyph.room_name import parse_room_name
from teleglyph.server.app import Server
from teleglyph.server.call_http import call_http
from teleglyph.server.config import ServerConfig
from teleglyph.server.page_files import load_page
from teleglyph.server.tls_certificate import ServerTls
from teleglyph.server.web_pages import RESERVED_NAMES

INDEX = """<script src="/web/main.js"></script><link href='web/look.css'><p>see web/ and https://x/web/a</p>"""


@pytest.fixture
def routes() -> list[web.RouteDef]:
    """All routes of a server."""
    config = ServerConfig()
    return call_http(Server(config), ServerTls(config.tls, None)).routes()


@pytest.fixture
def files(tmp_path: Path) -> Path:
    (tmp_path / "index.html").write_text(INDEX)
    (tmp_path / "main.js").write_text("import './parts/one.js'\n" * 20)
    (tmp_path / "parts").mkdir()
    (tmp_path / "parts" / "one.js").write_text("1")
    for name in ("package.json", "tsconfig.json", "types.d.ts", "README.md", "secret", "main.js.map", ".hidden"):
        (tmp_path / name).write_text("{}")
    return tmp_path


def test_every_other_path_is_reserved(routes: list[web.RouteDef]) -> None:
    first = {route.path.split("/")[1] for route in routes}
    taken = {name for name in first if name and not name.startswith("{")}
    assert {"call", "health", "rooms", "web"} <= taken
    assert taken <= RESERVED_NAMES


def test_reserved_names_are_names_that_rooms_could_have() -> None:
    assert {parse_room_name(name) for name in RESERVED_NAMES} == RESERVED_NAMES


def test_only_files_of_the_page_are_read(files: Path) -> None:
    assert set(load_page(files).others) == {"main.js", "parts/one.js"}


def test_the_page_refers_to_its_files_by_their_version(files: Path) -> None:
    page = load_page(files)
    prefix = f"/web/{page.version}/"
    assert page.index.body.decode() == INDEX.replace('"/web/main', f'"{prefix}main').replace("'web/", f"'{prefix}")


def test_the_version_depends_on_names_and_contents(files: Path) -> None:
    versions = [load_page(files).version]
    (files / "parts" / "one.js").write_text("2")
    versions.append(load_page(files).version)
    (files / "parts" / "one.js").rename(files / "parts" / "two.js")
    versions.append(load_page(files).version)
    assert len(set(versions)) == 3
    assert load_page(files).version == versions[-1]


def test_files_that_do_not_shrink_are_not_compressed(files: Path) -> None:
    page = load_page(files)
    assert page.others["parts/one.js"].compressed is None
    assert page.others["main.js"].compressed is not None


def test_the_package_has_the_page() -> None:
    page = load_page()
    assert b"<title>" in page.index.body
    assert "main.js" in page.others
