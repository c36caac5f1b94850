"""Where the server stores its data, and whether that lets it run the relay."""

from __future__ import annotations

from pathlib import Path

import click
import pytest
from click.testing import CliRunner, Result

from teleglyph.cli.event_options import EventOptions
from teleglyph.cli.option_groups import with_options
from teleglyph.cli.storage_options import StorageOptions

URL = "postgresql://ann@host/name"


def resolve(*arguments: str, has_http: bool = True, **file: object) -> Result:
    """Resolve options; the result's ``return_value`` has the directory, the database and whether there is a relay."""

    @click.command()
    @with_options(storage=StorageOptions, relay=EventOptions)
    def server(storage: StorageOptions, relay: EventOptions) -> tuple[Path | None, str | None, bool]:
        storage = storage.resolved()
        relay = relay.resolved(has_storage=not storage.ephemeral, has_http=has_http)
        assert storage.ephemeral == (storage.data_dir is None)
        assert relay.events == (relay.limits is not None)
        return storage.data_dir, storage.database, relay.events

    return CliRunner().invoke(server, arguments, default_map=file, standalone_mode=False)


@pytest.fixture(autouse=True)
def default(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    return tmp_path / "teleglyph"


def test_without_options_data_is_stored_in_the_users_directory(default: Path) -> None:
    assert resolve().return_value == (default, None, True)


def test_the_directory_can_be_chosen_and_a_database_does_not_replace_it(default: Path) -> None:
    assert resolve("--data-dir", "x").return_value == (Path("x"), None, True)
    assert resolve("--database", URL).return_value == (default, URL, True)
    assert resolve("--data-dir", "x", "--database", URL).return_value == (Path("x"), URL, True)


def test_an_ephemeral_server_stores_nothing_and_has_no_relay() -> None:
    assert resolve("--ephemeral").return_value == (None, None, False)
    assert resolve("--ephemeral", "--no-events").return_value == (None, None, False)


def test_the_relay_is_off_without_http_or_if_the_user_says_so(default: Path) -> None:
    assert resolve("--no-events").return_value == (default, None, False)
    assert resolve(has_http=False).return_value == (default, None, False)
    assert resolve(events=False).return_value == (default, None, False)


@pytest.mark.parametrize(
    ("arguments", "has_http", "complaint"),
    [
        (["--ephemeral", "--data-dir", "x"], True, "--ephemeral stores nothing, so it excludes --data-dir."),
        (["--ephemeral", "--database", URL], True, "--ephemeral stores nothing, so it excludes --database."),
        (["--ephemeral", "--events"], True, "--events needs storage. Remove --ephemeral."),
        (["--events"], False, "--events needs HTTP. Remove --no-http."),
        (["--announce", "x"], False, "--announce needs the relay. Remove --no-http."),
        (["--announce", "x", "--ephemeral"], True, "--announce needs the relay. Remove --ephemeral."),
        (["--announce", "x", "--no-events"], True, "--announce needs the relay. Remove --no-events."),
    ],
)
def test_contradictions_are_usage_errors(arguments: list[str], has_http: bool, complaint: str) -> None:
    error = resolve(*arguments, has_http=has_http).exception
    assert isinstance(error, click.UsageError)
    assert error.message.startswith(complaint)


def test_a_relay_in_the_configuration_file_counts_as_asked_for() -> None:
    error = resolve("--ephemeral", events=True).exception
    assert isinstance(error, click.UsageError)


def test_flags_override_the_environment_and_that_the_file(default: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert resolve("--ephemeral", data_dir="x", database=URL).return_value == (None, None, False)
    assert resolve("--data-dir", "x", ephemeral=True).return_value == (Path("x"), None, True)
    assert resolve("--database", URL, ephemeral=True).return_value == (default, URL, True)
    monkeypatch.setenv("TELEGLYPH_EPHEMERAL", "1")
    assert resolve(data_dir="x").return_value == (None, None, False)
    assert resolve("--data-dir", "x").return_value == (Path("x"), None, True)
    monkeypatch.setenv("TELEGLYPH_DATA_DIR", "y")
    error = resolve().exception
    assert isinstance(error, click.UsageError)
    assert "excludes --data-dir" in error.message
