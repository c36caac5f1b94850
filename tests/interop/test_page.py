"""Browsers and an independent page against a real server process."""

from __future__ import annotations

import contextlib
import gzip
import http.client
import json
import re
import ssl
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect as connect_websocket

import acip_peer as acip
from acip_peer import AcipPeer
from certificates import certificate
from conftest import ServerProcess
from page_peer import DEFLATE, ROSTERS, SCREENS, PagePeer, Update
from teleglyph.media.grid import Grid, Painter, apply_update

StartServer = Callable[..., ServerProcess]
Join = Callable[..., PagePeer]
PASSWORD = "correct horse"
ROSTER_SELF, ROSTER_PICTURE, ROSTER_LISTENING = 0x01, 0x02, 0x10
SOUND_ON = bytes([0, 0, 0, 2])
HTML = {"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"}
POLICY = {
    "default-src 'none'",
    "script-src 'self'",
    "style-src 'self'",
    "connect-src 'self'",
    "img-src 'self' blob: data:",
    "media-src 'self' blob:",
    "worker-src 'self'",
    "manifest-src 'self'",
    "base-uri 'none'",
    "form-action 'none'",
    "frame-ancestors 'none'",
}


@pytest.fixture
def web_server(start_server: StartServer) -> StartServer:
    return lambda *options: start_server("--http", *options)


@pytest.fixture
def open_page() -> Iterator[Join]:
    """Connects pages and closes them at the end."""
    with contextlib.ExitStack() as stack:

        def start(server: ServerProcess, *arguments: str, **options: object) -> PagePeer:
            page = PagePeer(server.port, *arguments, **options)  # type: ignore[arg-type]
            stack.callback(page.close)
            return page

        yield start


class Answer:
    """The answer to one request."""

    def __init__(
        self,
        server: ServerProcess,
        path: str,
        method: str = "GET",
        headers: dict[str, str] | None = None,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        host = ("localhost" if tls else "127.0.0.1", server.port)
        connection = (
            http.client.HTTPSConnection(*host, timeout=10, context=tls)
            if tls
            else http.client.HTTPConnection(*host, timeout=10)
        )
        with contextlib.closing(connection):
            connection.request(method, path, headers=headers or {})
            response = connection.getresponse()
            self.status, self.headers, self.body = response.status, response.headers, response.read()


def script_of(server: ServerProcess) -> str:
    """The path of the page's script, as the page names it."""
    found = re.search(rb'src="(/web/[0-9a-f]+/main\.js)"', Answer(server, "/", headers=HTML).body)
    assert found
    return found[1].decode()


# --- calls ------------------------------------------------------------------------------------------------------------


def test_a_page_sees_the_others_and_where_they_are(
    web_server: StartServer, open_page: Join, connect: Callable[[ServerProcess], AcipPeer]
) -> None:
    server = web_server()
    page, peer = open_page(server), connect(server).join()
    welcome = page.join("Ann", columns=60, rows=20)
    assert (welcome.features, welcome.codecs, welcome.flags) == (SCREENS | DEFLATE | ROSTERS, 0x3E, 0)
    assert (welcome.room, welcome.group) == ("lobby", "")
    peer.send_color(201, 102, 3)
    grid = Grid(60, 20)

    def shows_the_picture(update: Update) -> bool:
        apply_update(update.body, update.is_whole, grid)
        return b"201;102;3" in Painter().all(grid)

    update = page.update(shows_the_picture)
    assert (update.columns, update.rows) == (60, 20)
    both = page.roster(lambda entries: len(entries) == 2 and all(entry.columns for entry in entries))
    other, own = both
    assert own.flags == ROSTER_SELF
    assert own.name == "Ann"
    assert other.flags & ROSTER_PICTURE
    assert (other.place, own.place) == (1, 2)
    for entry in both:
        assert entry.x + entry.columns <= 60
        assert entry.y + entry.rows <= 20
    apart = other.x + other.columns <= own.x or other.y + other.rows <= own.y
    assert apart, "pictures do not overlap"


def test_the_roster_follows_the_call(web_server: StartServer, open_page: Join) -> None:
    server = web_server()
    ann = open_page(server)
    ann.join("Ann")
    assert [entry.name for entry in ann.roster(lambda entries: entries[0].name == "Ann")] == ["Ann"]
    bob = open_page(server)
    bob.join("Bob")
    before = ann.roster(lambda entries: [entry.name for entry in entries] == ["Ann", "Bob"] and entries[1].columns > 0)
    bob.send(acip.STREAM_START, SOUND_ON)
    ann.roster(lambda entries: bool(entries[1].flags & ROSTER_LISTENING))
    ann.settings(spotlight=2)
    alone = ann.roster(lambda entries: entries[0].columns == 0)
    assert alone[1].columns >= before[1].columns
    ann.settings()
    ann.resize(30, 10)
    small = ann.roster(lambda entries: 0 < entries[0].columns <= 30 and entries[1].y + entries[1].rows <= 10)
    assert [entry.number for entry in small] == [entry.number for entry in before]
    bob.send(acip.CLIENT_LEAVE)
    assert len(ann.roster(lambda entries: len(entries) == 1)) == 1


def test_deltas_are_deflated_when_the_link_is_slow(
    web_server: StartServer, open_page: Join, connect: Callable[[ServerProcess], AcipPeer]
) -> None:
    server = web_server()
    page, peer = open_page(server), connect(server).join()
    page.hello()
    page.welcome()
    page.settings(max_bitrate=400_000)
    page.resize(120, 40)
    grid, colors = Grid(120, 40), iter(range(1, 255))

    def is_deflated(update: Update) -> bool:
        apply_update(update.body, update.is_whole, grid)
        peer.send_color(next(colors), 102, 3)
        return update.compression == 2

    peer.send_color(0, 102, 3)
    assert page.update(is_deflated)


def test_a_page_chooses_its_room(web_server: StartServer, open_page: Join, tmp_path: Path) -> None:
    server = web_server("--events", "--data-dir", str(tmp_path))
    page, other, by_path = open_page(server), open_page(server), open_page(server, "/call/tea")
    assert page.join("Ann", room="Tea")[3:] == ("tea", "room-call-tea")
    assert other.join("Bob")[3:] == ("lobby", "lobby")
    assert by_path.join("Eve").room == "tea"
    names = page.roster(lambda entries: len(entries) == 2 and entries[1].name == "Eve")
    assert [entry.name for entry in names] == ["Ann", "Eve"]


def test_rooms_that_cannot_be_joined_are_refused_with_a_sentence(web_server: StartServer, open_page: Join) -> None:
    server = web_server("--rooms", "closed")
    for room, sentence in {"tea": "There is no room 'tea'", "a b": "There is no room 'a b'"}.items():
        page = open_page(server)
        page.hello(room)
        reasons, text, code = page.refusal()
        assert reasons is None
        assert text.startswith(sentence)
        assert code == 1002


def test_a_password_is_asked_for_and_guesses_are_limited(web_server: StartServer, open_page: Join) -> None:
    server = web_server("--password", PASSWORD)

    def refusal(password: str = "", invitation: str = "") -> tuple[int | None, str, int]:
        page = open_page(server)
        page.hello("", password, invitation)
        return page.refusal()

    assert refusal() == (0x01, "", 1008)
    assert refusal(invitation="token")[0] is None
    page = open_page(server)
    assert page.join("Ann", password=PASSWORD).room == "lobby"
    answers = [refusal("wrong") for _ in range(12)]
    assert answers[0] == (0x02, "", 1008)
    assert answers[-1][0] == 0
    assert answers[-1][1].startswith("Too many wrong passwords from your address. Try again in ")
    assert refusal(PASSWORD)[0] == 0, "the right one is not checked then"
    page.roster()


def test_a_room_for_keys_refuses_a_page(web_server: StartServer, open_page: Join, tmp_path: Path) -> None:
    keys = tmp_path / "keys"
    keys.write_text("ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIBqxYxYvGm9VJ5dCdtNlfuNfdsHgJXcrC5xLlQYzDh9t ann\n")
    page = open_page(web_server("--client-keys", str(keys)))
    page.hello()
    assert page.refusal()[0] == 0x04


def test_a_server_without_acip_admits_pages(web_server: StartServer, open_page: Join) -> None:
    server = web_server("--no-acip")
    assert open_page(server).join("Ann").room == "lobby"
    with pytest.raises(InvalidStatus) as refused:
        connect_websocket(f"ws://127.0.0.1:{server.port}/call", subprotocols=["acip"], proxy=None)  # type: ignore[list-item]
    assert refused.value.response.status_code == 403


def test_pages_of_other_origins_are_refused(web_server: StartServer, open_page: Join) -> None:
    server = web_server("--no-acip", "--origin", "https://friend.example")
    with pytest.raises(InvalidStatus) as refused:
        open_page(server, origin="https://evil.example")
    assert refused.value.response.status_code == 403
    assert b"ACIP" not in bytes(refused.value.response.body or b"")
    assert open_page(server, origin="https://friend.example").join("Ann")


def test_a_long_first_message_is_refused(web_server: StartServer, open_page: Join) -> None:
    page = open_page(web_server())
    page.websocket.send(bytes(2000))
    assert page.refusal()[2] == 1009


def test_a_page_learns_why_it_cannot_join(start_server: StartServer, open_page: Join) -> None:
    server = start_server("--http", "--max-clients", "1")
    assert Answer(server, "/call").status == 426
    page = open_page(server)
    page.join("Ann")
    page.roster()
    answer = Answer(server, "/call")
    assert answer.status == 503
    assert json.loads(answer.body) == {"error": "Maximum client limit reached."}
    assert answer.headers["Cache-Control"] == "no-store"


def test_without_the_page_there_is_none(web_server: StartServer, open_page: Join) -> None:
    server = web_server("--no-page")
    server.wait_for_log("Join on this machine")
    assert "in a browser" not in "".join(server.log)
    assert Answer(server, "/", headers=HTML).body.startswith(b"Teleglyph ")
    assert Answer(server, "/tea", headers=HTML).status == 404
    assert Answer(server, "/health").status == 200
    with pytest.raises(InvalidStatus) as refused:
        open_page(server)
    assert refused.value.response.status_code == 403
    assert b"--no-page" in bytes(refused.value.response.body or b"")


# --- files ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["/", "/tea", "/Tea.2-x_", "/tea/", "/lobby", "/healthy"])
def test_browsers_get_the_page(web_server: StartServer, path: str) -> None:
    answer = Answer(web_server(), path, headers=HTML)
    assert answer.status == 200
    assert answer.headers["Content-Type"] == "text/html; charset=utf-8"
    assert answer.body.startswith(b"<!doctype html>")
    assert answer.headers["Cache-Control"] == "no-cache"
    assert set(answer.headers["Content-Security-Policy"].split("; ")) == POLICY
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.headers["X-Frame-Options"] == "DENY"
    assert answer.headers["Referrer-Policy"] == "no-referrer"
    assert answer.headers["Cross-Origin-Opener-Policy"] == "same-origin"
    assert answer.headers["Cross-Origin-Resource-Policy"] == "same-origin"
    assert answer.headers["Permissions-Policy"].startswith("camera=(self), microphone=(self)")
    assert "Strict-Transport-Security" not in answer.headers


def test_other_programs_get_at_the_root_what_they_got(web_server: StartServer, tmp_path: Path) -> None:
    server = web_server("--events", "--data-dir", str(tmp_path))
    assert Answer(server, "/").body.startswith(b"Teleglyph ")
    assert Answer(server, "/", headers={"Accept": "*/*"}).body.startswith(b"Teleglyph ")
    information = Answer(server, "/", headers={"Accept": "application/nostr+json"})
    assert json.loads(information.body)["supported_nips"]
    with connect_websocket(f"ws://127.0.0.1:{server.port}/", proxy=None) as relay:
        assert json.loads(relay.recv(10))[0] == "AUTH"
    assert Answer(server, "/", headers=HTML).body.startswith(b"<!doctype html>")


def test_files_are_cached_forever_and_the_page_is_asked_for(web_server: StartServer) -> None:
    server = web_server()
    script = Answer(server, script_of(server))
    assert script.status == 200
    assert script.headers["Content-Type"] == "text/javascript; charset=utf-8"
    assert script.headers["Cache-Control"] == "public, max-age=31536000, immutable"
    assert "Content-Security-Policy" in script.headers
    tag = Answer(server, "/tea").headers["ETag"]
    unchanged = Answer(server, "/tea", headers={"If-None-Match": f'"other", {tag}'})
    assert (unchanged.status, unchanged.body, unchanged.headers["ETag"]) == (304, b"", tag)
    assert Answer(server, "/tea", headers={"If-None-Match": '"other"'}).status == 200


def test_answers_are_compressed_for_those_who_can_read_that(web_server: StartServer) -> None:
    server = web_server()
    for path in ("/tea", script_of(server).replace("main.js", "crc32c.js")):
        plain = Answer(server, path)
        packed = Answer(server, path, headers={"Accept-Encoding": "br, gzip"})
        refusing = Answer(server, path, headers={"Accept-Encoding": "gzip;q=0"})
        assert "Content-Encoding" not in plain.headers
        assert refusing.body == plain.body
        assert packed.headers["Content-Encoding"] == "gzip"
        assert gzip.decompress(packed.body) == plain.body
        assert all("Accept-Encoding" in answer.headers["Vary"] for answer in (plain, packed))
        head = Answer(server, path, "HEAD", {"Accept-Encoding": "gzip"})
        assert head.body == b""
        assert head.headers["Content-Length"] == str(len(packed.body))


def test_nothing_else_is_served(web_server: StartServer) -> None:
    server = web_server()
    web = script_of(server).removesuffix("/main.js")
    for path in (
        *("/web", "/web/", "/web/main.js", "/web/0000000000000000/main.js", f"{web}/", f"{web}/index.html"),
        *(f"{web}/package.json", f"{web}/tsconfig.json", f"{web}/../server/app.py", f"{web}/..%2fserver%2fapp.py"),
        *(f"{web}/%2e%2e/%2e%2e/server/app.py", f"{web}//main.js", f"{web}/main.js%00", f"{web}/./../__init__.py"),
        *("/favicon.ico", "/Health", "/robots.txt", "/a/b", "/.git/config", "/%2e%2e/etc/passwd"),
    ):
        answer = Answer(server, path, headers=HTML)
        assert answer.status == 404, path
        assert b"import" not in answer.body
    assert Answer(server, "/tea", "POST").status == 405
    assert Answer(server, "/reload").status == 405


def test_a_name_that_no_room_can_have_gets_a_page_of_its_own(web_server: StartServer) -> None:
    answer = Answer(web_server(), "/a%20b", headers=HTML)
    assert answer.status == 404
    assert answer.headers["Content-Type"] == "text/html; charset=utf-8"
    assert b"Names of rooms" in answer.body
    assert set(answer.headers["Content-Security-Policy"].split("; ")) == POLICY


def test_a_public_certificate_makes_browsers_stay_with_tls(
    web_server: StartServer, open_page: Join, tmp_path: Path
) -> None:
    public = certificate(tmp_path, "localhost")
    server = web_server("--tls-cert", str(public))
    trusting = ssl.create_default_context(cafile=str(public))
    answer = Answer(server, "/", headers=HTML, tls=trusting)
    assert answer.headers["Strict-Transport-Security"] == "max-age=31536000"
    assert open_page(server, tls=trusting).join("Ann").room == "lobby"


def test_a_certificate_of_the_server_itself_does_not(web_server: StartServer, tmp_path: Path) -> None:
    server = web_server("--data-dir", str(tmp_path))
    trusting = ssl.create_default_context()
    trusting.check_hostname, trusting.verify_mode = False, ssl.CERT_NONE
    answer = Answer(server, "/", headers=HTML, tls=trusting)
    assert answer.status == 200
    assert "Strict-Transport-Security" not in answer.headers
