"""The file of typed lines."""

from __future__ import annotations

from pathlib import Path

from teleglyph.client.chat.line_history import LineHistory


def lines(path: Path) -> list[str]:
    return list(LineHistory(path).load_history_strings())


def test_lines_are_stored_newest_first_and_readable_only_by_their_owner(tmp_path: Path) -> None:
    path = tmp_path / "state" / "chat_history"
    history = LineHistory(path)
    for line in ("one", "two\nrows", "日本 👍"):
        history.store_string(line)
    assert lines(path) == ["日本 👍", "two\nrows", "one"]
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.parent.stat().st_mode & 0o777 == 0o700


def test_invitations_and_very_long_lines_are_not_stored(tmp_path: Path) -> None:
    history = LineHistory(tmp_path / "h")
    for line in ("/join secret", " /JOIN secret", "x" * 20_000, "kept"):
        history.store_string(line)
    assert lines(tmp_path / "h") == ["kept"]


def test_the_file_is_bounded(tmp_path: Path) -> None:
    path = tmp_path / "h"
    history = LineHistory(path)
    for number in range(2500):
        history.store_string(str(number))
    assert 500 <= len(path.read_text().splitlines()) <= 1000
    assert lines(path)[0] == "2499"
    assert [file.name for file in tmp_path.iterdir()] == ["h"]


def test_a_damaged_or_unusable_file_is_ignored(tmp_path: Path) -> None:
    (tmp_path / "h").write_bytes(b'\xff\xfe\n"good"\n[1]\n' + b"[" * 5000 + b'\n"cut')
    assert lines(tmp_path / "h") == ["good"]
    (tmp_path / "d").mkdir()
    history = LineHistory(tmp_path / "d")
    history.store_string("x")
    assert list(history.load_history_strings()) == []
