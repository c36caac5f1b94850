"""What the doctor says about disks, directories and keys."""

from __future__ import annotations

from pathlib import Path

import pytest

from teleglyph.client.doctor.files import (
    Places,
    check_data_directory,
    check_disk,
    check_key,
    check_known_hosts,
    file_checks,
)
from teleglyph.client.doctor.report import Finding, Verdict
from teleglyph.keys import KnownHosts, write_identity

GIB = 1 << 30
MIB = 1 << 20


def nothing(_path: Path, _mode: int) -> bool:
    """Somebody who may do nothing."""
    return False


def expect(finding: Finding, verdict: Verdict, text: str, step: str = "") -> None:
    assert finding.verdict is verdict, finding
    assert text in finding.text
    assert step in finding.step


@pytest.mark.parametrize(
    ("free", "verdict", "text"),
    [
        (50 * GIB, Verdict.OK, "50.0 GiB free for"),
        (GIB, Verdict.OK, "1.0 GiB free for"),
        (GIB - 1, Verdict.NOTE, "Only 1023 MiB free"),
        (100 * MIB - 1, Verdict.PROBLEM, "Only 99 MiB free"),
        (0, Verdict.PROBLEM, "Only 0 MiB free"),
    ],
)
def test_disk_space(tmp_path: Path, free: int, verdict: Verdict, text: str) -> None:
    expect(check_disk(tmp_path, lambda _: free), verdict, text, "" if verdict is Verdict.OK else "Delete")


def test_the_disk_of_a_directory_that_does_not_exist_yet(tmp_path: Path) -> None:
    asked: list[Path] = []

    def free(path: Path) -> int:
        asked.append(path)
        return GIB

    expect(check_disk(tmp_path / "a" / "b", free), Verdict.OK, str(tmp_path / "a" / "b"))
    assert asked == [tmp_path]


def test_a_disk_that_cannot_be_asked(tmp_path: Path) -> None:
    def free(_path: Path) -> int:
        raise OSError(5, "Input/output error")

    expect(check_disk(tmp_path, free), Verdict.PROBLEM, "input/output error", "Check network drives")


def test_a_private_data_directory_is_fine(tmp_path: Path) -> None:
    tmp_path.chmod(0o700)
    (tmp_path / "identity").touch(0o600)
    expect(check_data_directory(tmp_path, ["identity", "relay.key"]), Verdict.OK, "only for you")


@pytest.mark.parametrize(
    ("mode", "verdict", "text"),
    [(0o777, Verdict.PROBLEM, "can change"), (0o770, Verdict.PROBLEM, "can change"), (0o755, Verdict.NOTE, "can list")],
)
def test_a_data_directory_of_others(tmp_path: Path, mode: int, verdict: Verdict, text: str) -> None:
    tmp_path.chmod(mode)
    expect(check_data_directory(tmp_path), verdict, text, f"Run: chmod 700 {tmp_path}")


def test_a_secret_that_others_can_read(tmp_path: Path) -> None:
    tmp_path.chmod(0o700)
    secret = tmp_path / "identity"
    secret.touch()
    secret.chmod(0o644)
    expect(check_data_directory(tmp_path, ["identity"]), Verdict.PROBLEM, "can read", f"Run: chmod 600 {secret}")


def test_a_missing_data_directory_is_made_later(tmp_path: Path) -> None:
    expect(check_data_directory(tmp_path / "new"), Verdict.OK, "does not exist yet")


def test_a_file_instead_of_a_data_directory(tmp_path: Path) -> None:
    (tmp_path / "data").touch()
    expect(check_data_directory(tmp_path / "data"), Verdict.PROBLEM, "is not a directory", "--data-dir")
    expect(check_data_directory(tmp_path / "data" / "in"), Verdict.PROBLEM, "Cannot read", "--data-dir")


def test_a_data_directory_that_may_not_be_written(tmp_path: Path) -> None:
    expect(check_data_directory(tmp_path, may=nothing), Verdict.PROBLEM, "may not write", "sudo chown")
    expect(check_data_directory(tmp_path / "new", may=nothing), Verdict.PROBLEM, "may not create", "--data-dir")


def test_no_key_is_fine(tmp_path: Path) -> None:
    expect(check_key(tmp_path / "id_ed25519"), Verdict.OK, "You have none")


def test_a_key_that_can_be_used(tmp_path: Path) -> None:
    path = tmp_path / "id_ed25519"
    write_identity(path, None, "test")
    expect(check_key(path), Verdict.OK, "SHA256:")


def test_a_key_that_others_can_read(tmp_path: Path) -> None:
    path = tmp_path / "id_ed25519"
    write_identity(path, None, "test")
    path.chmod(0o644)
    expect(check_key(path), Verdict.PROBLEM, "Others on this machine can read the key", f"Run: chmod 600 '{path}'")


def test_a_damaged_key(tmp_path: Path) -> None:
    path = tmp_path / "id_ed25519"
    path.write_text("-----BEGIN OPENSSH PRIVATE KEY-----\nAAAA\n-----END OPENSSH PRIVATE KEY-----\n")
    path.chmod(0o600)
    expect(check_key(path), Verdict.PROBLEM, "damaged", "teleglyph keygen")


def test_known_hosts(tmp_path: Path) -> None:
    path = tmp_path / "known_hosts"
    expect(check_known_hosts(path), Verdict.OK, "joined no server")
    KnownHosts(path, ()).add("192.0.2.7:27224", bytes(32), "example.org:27224")
    expect(check_known_hosts(path), Verdict.OK, "1 server in")
    path.chmod(0o666)
    expect(check_known_hosts(path), Verdict.PROBLEM, "make you trust their servers", f"Run: chmod 600 {path}")


def test_known_hosts_that_cannot_be_read(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    expect(check_known_hosts(tmp_path / "file" / "known_hosts"), Verdict.PROBLEM, "Cannot read", "sudo chown")


def test_read_only_known_hosts(tmp_path: Path) -> None:
    path = tmp_path / "known_hosts"
    path.touch(0o400)
    expect(check_known_hosts(path, nothing), Verdict.NOTE, "read-only", "chmod 600")


def test_names_of_the_checks(tmp_path: Path) -> None:
    places = Places(tmp_path, (), tmp_path / "key", tmp_path / "hosts")
    assert [check.name for check in file_checks(places)] == ["disk", "data-directory", "client-key", "known-hosts"]
