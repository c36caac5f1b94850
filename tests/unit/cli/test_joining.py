"""Messages about refusals without a terminal, by reason and by what was tried."""

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
def no_terminal_and_no_key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("SSH_AUTH_SOCK", raising=False)
    (tmp_path / "nothing").write_text("")
    with (tmp_path / "nothing").open() as nobody:
        monkeypatch.setattr("sys.stdin", nobody)
        yield tmp_path


def refusal(reasons: int, credentials: Credentials, explanation: str = "", source: str = "") -> str:
    """The message if a server refuses every attempt."""

    def attempt(_credentials: Credentials) -> int:
        raise AuthenticationError("refused", reasons, explanation)

    with pytest.raises(AuthenticationError) as caught:
        join(attempt, HERE, credentials, source)
    assert caught.value.exit_code == 62
    return str(caught.value)


@pytest.mark.parametrize(
    ("reasons", "has_password", "has_key", "words"),
    [
        (REQUIRED, False, False, "requires a password, and there is no terminal to ask for it"),
        (INCORRECT, True, False, "The password is wrong for example.invalid:27224."),
        (INCORRECT, True, True, "The password is wrong for"),
        (KEY_REQUIRED, False, False, "only admits keys that its host knows. You have no key yet"),
        (KEY_REQUIRED | REQUIRED, False, False, "only admits keys that its host knows. You have no key yet"),
        # ascii-chat's servers also say that a key is required if the client has proved one.
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


def test_the_message_names_the_source_of_a_wrong_password() -> None:
    credentials = Credentials("ann", PASSWORD_KEY)
    for source in ("--password", "TELEGLYPH_PASSWORD", "the configuration file"):
        assert f"The password from {source} is wrong" in refusal(INCORRECT, credentials, source=source)


def test_a_servers_explanation_is_cut_and_stays_on_one_line() -> None:
    text = refusal(INCORRECT, Credentials("ann", PASSWORD_KEY), "a\nteleglyph: b\x1b[2J" + "x" * 9000)
    assert len(text) < 700
    assert text.isprintable()


def test_the_default_key_is_tried_once(no_terminal_and_no_key: Path) -> None:
    ours = write_identity(no_terminal_and_no_key / "teleglyph" / "id_ed25519", None, "ann")
    tried: list[bytes | None] = []

    def attempt(credentials: Credentials) -> int:
        tried.append(credentials.client_key.public_key if credentials.client_key else None)
        raise AuthenticationError("refused", KEY_REQUIRED)

    with pytest.raises(AuthenticationError, match="does not know your client key"):
        join(attempt, HERE, Credentials("ann"))
    assert tried == [None, ours.public_key]
