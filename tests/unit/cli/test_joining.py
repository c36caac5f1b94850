"""What a refusal means to a person, by its reasons and by what was tried; nobody is at the keyboard here."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from teleglyph.cli.joining import join
from teleglyph.client.address import Address
from teleglyph.client.call.connection import Credentials
from teleglyph.errors import AuthenticationError
from teleglyph.keys import FileIdentity, fingerprint, write_identity
from teleglyph.wire.acip import derive_password_key

HERE = Address("example.invalid", 27224)
KEY = FileIdentity(bytes(32))
SHOWN = fingerprint(KEY.public_key)
PASSWORD_KEY = derive_password_key("battery staple")
REQUIRED, INCORRECT, KEY_REQUIRED, KEY_REJECTED, BAD_SIGNATURE = 0x01, 0x02, 0x04, 0x08, 0x10


@pytest.fixture(autouse=True)
def nobody_with_no_key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("SSH_AUTH_SOCK", raising=False)
    (tmp_path / "nothing").write_text("")
    with (tmp_path / "nothing").open() as nobody:
        monkeypatch.setattr("sys.stdin", nobody)
        yield tmp_path


def refusal(reasons: int, credentials: Credentials, explanation: str = "", source: str = "") -> str:
    """What a person reads when a server refuses whatever is tried."""

    def attempt(_credentials: Credentials) -> int:
        raise AuthenticationError("refused", reasons, explanation)

    with pytest.raises(AuthenticationError) as caught:
        join(attempt, HERE, credentials, source)
    assert caught.value.exit_code == 62
    return str(caught.value)


@pytest.mark.parametrize(
    ("reasons", "has_password", "has_key", "words"),
    [
        (REQUIRED, False, False, "wants a password, and there is no terminal to ask for it on"),
        (INCORRECT, True, False, "The password is wrong for example.invalid:27224."),
        (INCORRECT, True, True, "The password is wrong for"),
        (KEY_REQUIRED, False, False, "only lets in keys that its host knows. You have none yet"),
        (KEY_REQUIRED | REQUIRED, False, False, "only lets in keys that its host knows. You have none yet"),
        # ascii-chat's servers say that a key is required, also to somebody who showed one.
        (KEY_REQUIRED, False, True, f"does not know your client key {SHOWN}."),
        (INCORRECT | KEY_REQUIRED, True, True, "The password is wrong for"),
        (KEY_REJECTED, True, True, f"does not know your client key {SHOWN}."),
        (BAD_SIGNATURE, False, True, f"could not verify the signature of your key {SHOWN}."),
        (0, True, True, "refused"),
    ],
)
def test_a_refusal_is_explained_by_what_was_tried(reasons: int, has_password: bool, has_key: bool, words: str) -> None:
    credentials = Credentials("ann", PASSWORD_KEY if has_password else None, KEY if has_key else None)
    text = refusal(reasons, credentials)
    assert words in text
    assert "none was shown" not in text
    said = refusal(reasons or INCORRECT, credentials, "Wait 4 s.")
    assert said.endswith(" The server says: Wait 4 s.")


def test_where_a_wrong_password_came_from_is_said() -> None:
    credentials = Credentials("ann", PASSWORD_KEY)
    for source in ("--password", "TELEGLYPH_PASSWORD", "the configuration file"):
        assert f"The password from {source} is wrong" in refusal(INCORRECT, credentials, source=source)


def test_what_a_server_says_is_bounded_and_stays_on_a_line() -> None:
    text = refusal(INCORRECT, Credentials("ann", PASSWORD_KEY), "a\nteleglyph: b\x1b[2J" + "x" * 9000)
    assert len(text) < 700
    assert text.isprintable()


def test_the_default_key_is_tried_once(nobody_with_no_key: Path) -> None:
    ours = write_identity(nobody_with_no_key / "teleglyph" / "id_ed25519", None, "ann")
    tried: list[bytes | None] = []

    def attempt(credentials: Credentials) -> int:
        tried.append(credentials.client_key.public_key if credentials.client_key else None)
        raise AuthenticationError("refused", KEY_REQUIRED)

    with pytest.raises(AuthenticationError, match="does not know your client key"):
        join(attempt, HERE, Credentials("ann"))
    assert tried == [None, ours.public_key]
