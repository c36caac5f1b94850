"""The identity that a server creates when it first starts."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from teleglyph.errors import DamagedKeyError, KeyFileError
from teleglyph.keys import load_or_create_identity, parse_public_keys, write_identity


def test_the_first_call_creates_an_identity_and_later_ones_load_it(tmp_path: Path) -> None:
    path = tmp_path / "identity"
    made = load_or_create_identity(path)
    assert sorted(item.name for item in tmp_path.iterdir()) == ["identity", "identity.pub"]
    assert path.stat().st_mode & 0o777 == 0o600
    assert parse_public_keys(f"{path}.pub") == [made.public_key]
    content = path.read_bytes()
    assert load_or_create_identity(path).public_key == made.public_key
    assert path.read_bytes() == content


def test_a_crash_before_the_end_leaves_nothing_that_counts(tmp_path: Path) -> None:
    """The private file is the last step; whatever earlier steps left is replaced."""
    for name in (".identity.new", ".identity.new.pub", "identity.pub"):
        (tmp_path / name).write_text("half")
    made = load_or_create_identity(tmp_path / "identity")
    assert sorted(item.name for item in tmp_path.iterdir()) == ["identity", "identity.pub"]
    assert parse_public_keys(str(tmp_path / "identity.pub")) == [made.public_key]


@pytest.mark.parametrize("step", [1, 2])
def test_the_private_file_does_not_appear_before_its_public_half(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: int
) -> None:
    replace, steps = Path.replace, iter(range(1, 9))

    def fail_at_step(source: Path, target: Path) -> Path:
        if next(steps) == step:
            raise OSError(28, "No space left on device")
        return replace(source, target)

    monkeypatch.setattr(Path, "replace", fail_at_step)
    with pytest.raises(KeyFileError, match=r"Cannot create the key '.*identity': no space left on device"):
        load_or_create_identity(tmp_path / "identity")
    assert not (tmp_path / "identity").exists()
    assert (tmp_path / "identity.pub").exists() == (step == 2)


@pytest.mark.parametrize("keep", [0, 80, 200])
def test_a_damaged_identity_is_an_error_and_stays(tmp_path: Path, keep: int) -> None:
    path = tmp_path / "identity"
    load_or_create_identity(path)
    damaged = path.read_bytes()[:keep]
    path.write_bytes(damaged)
    with pytest.raises(DamagedKeyError, match=r"identity' is damaged\. Restore it from a backup"):
        load_or_create_identity(path)
    assert path.read_bytes() == damaged


def test_an_identity_that_others_can_read_is_an_error(tmp_path: Path) -> None:
    load_or_create_identity(tmp_path / "identity")
    (tmp_path / "identity").chmod(0o644)
    with pytest.raises(KeyFileError, match="chmod 600"):
        load_or_create_identity(tmp_path / "identity")


def test_a_broken_link_is_not_replaced(tmp_path: Path) -> None:
    (tmp_path / "identity").symlink_to(tmp_path / "unmounted" / "identity")
    with pytest.raises(KeyFileError, match="There is no key file"):
        load_or_create_identity(tmp_path / "identity")
    assert os.path.islink(tmp_path / "identity")


def test_the_owner_may_protect_the_identity_with_a_pass_phrase(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TELEGLYPH_KEY_PASSWORD", raising=False)
    monkeypatch.delenv("ASCII_CHAT_KEY_PASSWORD", raising=False)
    made = write_identity(tmp_path / "identity", "open sesame", "")
    assert load_or_create_identity(tmp_path / "identity", lambda _: "open sesame").public_key == made.public_key
    with pytest.raises(KeyFileError, match="needs a pass phrase"):
        load_or_create_identity(tmp_path / "identity")
