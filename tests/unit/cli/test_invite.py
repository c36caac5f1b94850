"""``teleglyph invite``: the links it makes, what it revokes, and its errors."""

from __future__ import annotations

import time
from pathlib import Path

import click
import pytest
from click.testing import CliRunner, Result

from teleglyph.cli.main import cli
from teleglyph.client.link import parse_link, token_in
from teleglyph.errors import ConfigurationError, InvitationError, KeyFileError, StoreError, UserError
from teleglyph.keys import FileIdentity, write_identity
from teleglyph.server.invitations import Invitations
from teleglyph.server.running_server import RunningServer
from teleglyph.wire.invitation import Invitation

DAY = 86_400


class Host:
    """A server's data directory, after the server has started."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.identity = write_identity(directory / "identity", None, "")
        self.server = RunningServer(("example.org",), 27224, True, (self.identity.public_key.hex(),))
        self.server.write(directory)

    def run(self, *words: str, environment: dict[str, str] | None = None) -> Result:
        arguments = ["invite", "--data-dir", str(self.directory), *words]
        return CliRunner().invoke(cli, arguments, standalone_mode=False, env=environment)

    def invite(self, *words: str) -> tuple[str, Invitation]:
        done = self.run(*words)
        assert done.exit_code == 0, done.exception
        return done.stdout.strip(), Invitation.parse(token_in(done.stdout.strip()))

    def admits(self, invitation: Invitation) -> bool:
        try:
            Invitations([self.identity], self.directory).admit(invitation.text, invitation.room)
        except InvitationError:
            return False
        return True


@pytest.fixture
def host(tmp_path: Path) -> Host:
    return Host(tmp_path)


def test_a_link_lets_anyone_in_for_a_day(host: Host) -> None:
    before = int(time.time())
    done = host.run()
    link = done.stdout.strip()
    assert link.startswith("https://example.org:27224/#i=")
    address, invitation = parse_link(link)
    assert invitation is not None
    assert (address.host, address.port, address.room) == ("example.org", 27224, "")
    assert 0 <= invitation.issued - before <= 60
    assert (invitation.expires - invitation.issued, invitation.view_only) == (DAY, False)
    assert host.admits(invitation)
    assert "Anyone who has this link can join the lobby until " in done.stderr
    assert f"teleglyph invite --revoke {invitation.id.hex()}" in done.stderr
    assert invitation.text not in done.stderr


@pytest.mark.parametrize(
    ("words", "room", "seconds", "view_only", "start"),
    [
        (("--room", "Den"), "den", DAY, False, "https://example.org:27224/den#i="),
        (("--room", "lobby", "--view-only"), "", DAY, True, "https://example.org:27224/#i="),
        (("--expires", "2h"), "", 7200, False, "https://"),
        (("--expires", "30m"), "", 1800, False, "https://"),
        (("--expires", "2W"), "", 14 * DAY, False, "https://"),
        (("--expires", "never"), "", None, False, "https://"),
        (("--host", "fd00::7"), "", DAY, False, "https://[fd00::7]:27224/#i="),
    ],
)
def test_options_of_a_link(
    host: Host, words: tuple[str, ...], room: str, seconds: int | None, view_only: bool, start: str
) -> None:
    link, invitation = host.invite(*words)
    assert link.startswith(start)
    assert (invitation.room, invitation.view_only) == (room, view_only)
    assert invitation.expires == (0 if seconds is None else invitation.issued + seconds)
    assert host.admits(invitation)


@pytest.mark.parametrize("text", ["", "0d", "30s", "2", "h", "-1h", "1.5h", "99999d", "1h30m", "²h"])
def test_a_lifetime_that_cannot_be_read_is_an_error(host: Host, text: str) -> None:
    done = host.run("--expires", text)
    assert done.exit_code == 1
    assert "is not a length of time" in str(done.exception) or "out of range" in str(done.exception)


def test_notes_say_what_keeps_a_link_from_working(host: Host) -> None:
    assert "not running" not in host.run().stderr
    host.server.stopped().write(host.directory)
    assert "The server is not running." in host.run().stderr
    RunningServer(("localhost",), 27224, False, host.server.identities).write(host.directory)
    assert "works on this machine only" in host.run().stderr
    assert "works on this machine only" not in host.run("--host", "example.org").stderr


# --- revoking -----------------------------------------------------------------------------------------------------


def test_links_are_revoked_by_id_by_token_and_by_link(host: Host) -> None:
    kept = host.invite()[1]
    (_, first), (_, second), (link, third) = host.invite(), host.invite(), host.invite("--room", "den")
    assert host.run("--revoke", first.id.hex().upper(), "--revoke", second.text, "--revoke", link).exit_code == 0
    assert [host.admits(one) for one in (kept, first, second, third)] == [True, False, False, False]
    listed = host.run("--list-revoked").stdout
    assert f"{first.id.hex()}  without an end" in listed
    assert f"{second.id.hex()}  would have expired on 2" in listed


def test_all_links_are_revoked_and_new_ones_work_at_once(host: Host) -> None:
    old = [host.invite()[1] for _ in range(2)]
    host.run("--revoke", old[0].id.hex())
    assert host.run("--revoke-all").exit_code == 0
    assert [host.admits(one) for one in old] == [False, False]
    assert host.admits(host.invite()[1])
    listed = host.run("--list-revoked").stdout
    assert listed.startswith("everything made until ")
    assert old[0].id.hex() not in listed


def test_an_empty_list_says_so(host: Host) -> None:
    done = host.run("--list-revoked")
    assert (done.stdout, "No invitations are revoked" in done.stderr) == ("", True)


@pytest.mark.parametrize(
    ("words", "error", "text"),
    [
        (("--revoke", "0123"), UserError, "'0123' is neither a link nor an ID"),
        (("--revoke", "https://example.org/#"), InvitationError, "Copy all of it"),
        (("--revoke", "https://example.org/#i=AQAB"), InvitationError, "damaged"),
        (("--revoke-all", "--list-revoked"), click.UsageError, "cannot be combined"),
        (("--room", "no room"), UserError, "is not a room"),
        (("--host", "example.org:1"), UserError, "without a port"),
        (("--host", "example.org/den"), UserError, "without a port"),
        (("--identity", "missing"), KeyFileError, "no key file"),
    ],
)
def test_errors(host: Host, words: tuple[str, ...], error: type[Exception], text: str) -> None:
    done = host.run(*words)
    assert isinstance(done.exception, error)
    assert text in str(done.exception)


def test_a_link_of_another_server_cannot_be_revoked_here(host: Host) -> None:
    foreign = Invitation.issue(FileIdentity(b"o" * 32), "", 1, 0, bytes)
    done = host.run("--revoke", foreign.text)
    assert "for another server" in str(done.exception)
    assert foreign.text not in str(done.exception)


# --- the server's directory and key -------------------------------------------------------------------------------


def test_a_directory_without_a_server_is_an_error(tmp_path: Path) -> None:
    for words in ((), ("--revoke-all",), ("--list-revoked",)):
        done = CliRunner().invoke(cli, ["invite", "--data-dir", str(tmp_path), *words], standalone_mode=False)
        assert isinstance(done.exception, StoreError)
        assert "No server has used the data directory" in str(done.exception)


def test_the_directory_may_come_from_the_environment(host: Host) -> None:
    done = CliRunner().invoke(cli, ["invite"], env={"TELEGLYPH_DATA_DIR": str(host.directory)}, standalone_mode=False)
    assert done.stdout.startswith("https://example.org:27224/#i=")


def test_a_server_without_an_identity_cannot_invite(host: Host) -> None:
    RunningServer(("example.org",), 1, False, ()).write(host.directory)
    done = host.run()
    assert isinstance(done.exception, ConfigurationError)
    assert "no identity" in str(done.exception)


def test_rooms_that_do_not_exist_are_refused_if_nobody_may_open_them(host: Host) -> None:
    rooms = RunningServer(("example.org",), 1, False, host.server.identities, (), ("den", "team"))
    rooms.write(host.directory)
    assert host.invite("--room", "den")[1].room == "den"
    assert host.invite("--room", "lobby")[1].room == ""
    done = host.run("--room", "dem")
    assert isinstance(done.exception, UserError)
    assert "no call room 'dem'" in str(done.exception)
    assert "den, team" in str(done.exception)


def test_a_key_of_the_servers_options_signs(host: Host, tmp_path: Path) -> None:
    key = write_identity(tmp_path / "other", None, "")
    done = host.run("--identity", str(tmp_path / "other"))
    assert isinstance(done.exception, KeyFileError)
    assert "is not the server's" in str(done.exception)
    used = RunningServer(("example.org",), 1, False, (key.public_key.hex(),), (str(tmp_path / "other"),))
    used.write(host.directory)
    assert host.invite()[1].identity == key.public_key
