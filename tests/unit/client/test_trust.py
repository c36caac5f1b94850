"""Which servers are accepted, by address and by name."""

from __future__ import annotations

from pathlib import Path

import pytest

from teleglyph.client.trust import ServerTrust
from teleglyph.errors import UnknownServer, VerificationError
from teleglyph.keys import KnownHosts

KEY, OTHER = bytes(range(32)), bytes(range(100, 132))
HERE, THERE, NAME = "192.0.2.7:27224", "192.0.2.8:27224", "example.org:27224"


@pytest.fixture
def trust(tmp_path: Path) -> ServerTrust:
    """Somebody who has joined example.org."""
    trust = ServerTrust(KnownHosts(tmp_path / "known_hosts", []))
    trust.hosts.add(HERE, KEY, NAME)
    return trust


def test_a_server_that_moved_is_accepted_and_remembered_there(trust: ServerTrust) -> None:
    trust.check(THERE, KEY, name=NAME)
    trust.check(THERE, KEY)
    with pytest.raises(UnknownServer):
        trust.check("192.0.2.9:27224", KEY)


@pytest.mark.parametrize("shown", [OTHER, None])
def test_another_server_behind_a_known_name_is_reported(trust: ServerTrust, shown: bytes | None) -> None:
    with pytest.raises(VerificationError) as refused:
        trust.check(THERE, shown, name=NAME)
    assert not isinstance(refused.value, UnknownServer)
    text = str(refused.value)
    assert text.startswith(f"{NAME} ({THERE}) has changed: it shows ")
    assert "before it showed the identity SHA256:" in text
    assert f" at {HERE} (" in text
    assert f"teleglyph known-hosts forget '{NAME}'." in text


def test_another_server_at_a_known_address_is_reported(trust: ServerTrust) -> None:
    with pytest.raises(VerificationError, match=f"forget '{HERE}'"):
        trust.check(HERE, OTHER, name=NAME)
