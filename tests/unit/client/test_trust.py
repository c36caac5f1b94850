"""Which servers a client accepts, by their address and identity."""

from __future__ import annotations

from pathlib import Path

import pytest

from teleglyph.client.trust import ServerTrust
from teleglyph.errors import KeyFileError, UnknownServerError, VerificationError
from teleglyph.keys import KnownHosts

KEY, OTHER = bytes(range(32)), bytes(32)
HERE = ["127.0.0.1:27224", "127.8.8.8:1", "[::1]:27224", "[::ffff:127.0.0.1]:27224"]
ELSEWHERE = ["192.0.2.1:27224", "[2001:db8::1]:27224", "[::2]:27224"]


@pytest.fixture
def hosts(tmp_path: Path) -> KnownHosts:
    return KnownHosts(tmp_path / "known_hosts", [])


@pytest.mark.parametrize("address", HERE)
def test_a_new_server_on_this_machine_is_accepted_and_remembered(hosts: KnownHosts, address: str) -> None:
    said: list[str] = []
    ServerTrust(hosts, on_new=said.append).check(address, KEY)
    assert [(entry.address, entry.identity) for entry in hosts.entries()] == [(address, KEY)]
    assert len(said) == 1
    assert "It is now a known server." in said[0]


@pytest.mark.parametrize("address", HERE)
def test_a_server_on_this_machine_without_an_identity_is_accepted_and_not_remembered(
    hosts: KnownHosts, address: str
) -> None:
    ServerTrust(hosts).check(address, None)
    assert list(hosts.entries()) == []


@pytest.mark.parametrize("address", ELSEWHERE)
@pytest.mark.parametrize("identity", [KEY, None])
def test_a_new_server_elsewhere_is_not_accepted(hosts: KnownHosts, address: str, identity: bytes | None) -> None:
    with pytest.raises(UnknownServerError):
        ServerTrust(hosts).check(address, identity)
    assert list(hosts.entries()) == []


@pytest.mark.parametrize("address", [HERE[0], ELSEWHERE[0]])
@pytest.mark.parametrize("identity", [OTHER, None])
def test_a_known_server_must_not_change(hosts: KnownHosts, address: str, identity: bytes | None) -> None:
    hosts.add(address, KEY)
    with pytest.raises(VerificationError, match="has changed"):
        ServerTrust(hosts, accept_new=True).check(address, identity)


def test_a_server_on_this_machine_is_joined_even_if_it_cannot_be_remembered(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    hosts = KnownHosts(tmp_path / "file" / "known_hosts", [])
    said: list[str] = []
    trust = ServerTrust(hosts, accept_new=True, on_new=said.append)
    trust.check(HERE[0], KEY)
    assert said == []
    with pytest.raises(KeyFileError, match="Cannot write"):
        trust.check(ELSEWHERE[0], KEY)


# --- invitations --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("address", [HERE[0], ELSEWHERE[0]])
def test_a_new_server_that_invited_the_user_is_accepted_without_a_question(hosts: KnownHosts, address: str) -> None:
    said: list[str] = []
    ServerTrust(hosts, on_new=said.append).check(address, KEY, has_link2=True, invited_by=KEY)
    assert [(entry.address, entry.identity, entry.has_link2) for entry in hosts.entries()] == [(address, KEY, True)]
    assert "as your invitation says. It is now a known server." in said[0]


@pytest.mark.parametrize("address", [HERE[0], ELSEWHERE[0]])
@pytest.mark.parametrize("identity", [OTHER, None])
def test_a_new_server_that_did_not_invite_the_user_is_refused_and_not_remembered(
    hosts: KnownHosts, address: str, identity: bytes | None
) -> None:
    trust = ServerTrust(hosts, accept_new=True)
    with pytest.raises(VerificationError, match="your invitation is from SHA256:"):
        trust.check(address, identity, has_link2=True, invited_by=KEY)
    assert list(hosts.entries()) == []


def test_what_is_known_of_a_server_counts_more_than_an_invitation(hosts: KnownHosts) -> None:
    hosts.add(ELSEWHERE[0], OTHER)
    with pytest.raises(VerificationError, match="has changed"):
        ServerTrust(hosts).check(ELSEWHERE[0], KEY, has_link2=True, invited_by=KEY)


def test_a_pinned_key_counts_more_than_an_invitation(hosts: KnownHosts) -> None:
    with pytest.raises(VerificationError, match="--server-key requires"):
        ServerTrust(hosts, [OTHER]).check(ELSEWHERE[0], KEY, has_link2=True, invited_by=KEY)


# --- announcements on the local network -------------------------------------------------------------------------------


@pytest.mark.parametrize("shown", [OTHER, None])
@pytest.mark.parametrize("accept_new", [True, False])
def test_a_server_must_show_the_identity_that_it_announced(
    hosts: KnownHosts, shown: bytes | None, accept_new: bool
) -> None:
    with pytest.raises(VerificationError, match="its announcement on your network names"):
        ServerTrust(hosts, announced=KEY, accept_new=accept_new).check(ELSEWHERE[0], shown)
    assert list(hosts.entries()) == []


def test_an_announcement_does_not_replace_the_question_about_a_new_server(hosts: KnownHosts) -> None:
    with pytest.raises(UnknownServerError):
        ServerTrust(hosts, announced=KEY).check(ELSEWHERE[0], KEY)


def test_an_announcement_of_a_known_server_must_be_right_too(hosts: KnownHosts) -> None:
    hosts.add(ELSEWHERE[0], KEY)
    ServerTrust(hosts, announced=KEY).check(ELSEWHERE[0], KEY)
    with pytest.raises(VerificationError, match="announcement"):
        ServerTrust(hosts, announced=OTHER).check(ELSEWHERE[0], KEY)


def test_an_announcement_does_not_excuse_a_changed_identity(hosts: KnownHosts) -> None:
    hosts.add(ELSEWHERE[0], KEY)
    with pytest.raises(VerificationError, match="has changed"):
        ServerTrust(hosts, announced=OTHER).check(ELSEWHERE[0], OTHER)
