"""Invitations in a browser: to watch only, expired, and revoked while the server runs."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import expect

from call_page import SERVER, CallPage
from conftest import ServerProcess
from teleglyph.keys import load_identity
from teleglyph.wire.acip import Codec, CodedPicture, RosterFlag
from teleglyph.wire.invitation import Invitation

StartServer = Callable[..., ServerProcess]
OpenPage = Callable[..., CallPage]


@pytest.fixture
def server(start_server: StartServer, tmp_path: Path) -> ServerProcess:
    """A server with a password."""
    return start_server("--data-dir", str(tmp_path), "--password", "correct horse", *SERVER)


def invite(directory: Path, *options: str) -> str:
    command = [sys.executable, "-m", "teleglyph", "invite", "--data-dir", str(directory), *options]
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout.strip()


def fragment(link: str) -> str:
    return "/#" + link.partition("#")[2]


def test_a_guest_who_may_only_watch_is_not_seen_whatever_the_page_sends(
    server: ServerProcess, open_page: OpenPage, tmp_path: Path
) -> None:
    page = open_page(server, fragment(invite(tmp_path, "--view-only")))
    expect(page.notices).to_contain_text("invited to watch and listen")
    page.joined("eve")
    assert page.page.locator("[aria-label*=camera]").count() == 0
    picture = list(CodedPicture(Codec.JPEG, 64, 48, b"\xff\xd8\xff\xd9", True).encode_payload())
    page.run("for (let i = 0; i < 3; i++) app._call._connection.send(3003, new Uint8Array(a));", picture)
    page.wait("app._roster.length === 1", "nobody is there")
    flags = page.run("return app._roster[0].flags")
    assert flags & RosterFlag.VIEW_ONLY
    assert not flags & RosterFlag.PICTURE
    assert page.run("return app._call.isIn"), "sending is ignored"


def test_an_expired_and_a_revoked_invitation_are_explained(
    server: ServerProcess, open_page: OpenPage, tmp_path: Path
) -> None:
    identity = load_identity(str(tmp_path / "identity"))
    now = int(time.time())
    expired = Invitation.issue(identity, "", now - 100, now - 10, os.urandom)
    page = open_page(server, f"/#i={expired.text}")
    page.join("eve")
    expect(page.notices).to_contain_text("expired")
    link = invite(tmp_path)
    invite(tmp_path, "--revoke", link)
    page = open_page(server, fragment(link))
    page.join("eve")
    expect(page.notices).to_contain_text("revoked")
