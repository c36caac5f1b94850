"""The configuration file: places, precedence and faults."""

from __future__ import annotations

import subprocess
import sys
import tomllib
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from teleglyph.cli import config_file
from teleglyph.cli.call_room_tables import rooms_of
from teleglyph.cli.config_file import Configuration
from teleglyph.cli.main import cli
from teleglyph.cli.option_groups import Configurable
from teleglyph.errors import ConfigurationError
from teleglyph.keys import format_public_key

KEY = format_public_key(bytes([1] * 32))


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "user"))
    monkeypatch.setenv("XDG_CONFIG_DIRS", f"{tmp_path / 'low'}:{tmp_path / 'high'}")
    for name in ("TELEGLYPH_PORT", "TELEGLYPH_PASSWORD"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path


def write(home: Path, where: str, text: str) -> Path:
    path = home / where / "teleglyph" / "config.toml"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(0o600)
    return path


def effective(*words: str, monkeypatch: pytest.MonkeyPatch) -> dict[str, object]:
    """The values that a command would get."""
    found: dict[str, object] = {}
    command = cli.get_command(click.Context(cli), words[0])
    assert command is not None
    monkeypatch.setattr(command, "callback", lambda *_args, **values: found.update(values))
    configuration = Configuration(cli)
    values = configuration.default_map(configuration.load(), [words[0]])
    cli.main([*words], standalone_mode=False, default_map=values)
    return found


def test_flags_override_the_environment_which_overrides_the_file(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(home, "user", '[network]\nport = 1111\nmax_clients = 7\naddresses = ["0.0.0.0", "::"]\n')
    found = effective("server", monkeypatch=monkeypatch)
    assert (found["port"], found["max_clients"], found["connection_rate"]) == (1111, 7, 50)
    assert found["addresses"] == ("0.0.0.0", "::")
    monkeypatch.setenv("TELEGLYPH_PORT", "2222")
    assert effective("server", monkeypatch=monkeypatch)["port"] == 2222
    found = effective("server", "127.0.0.1", "--port", "3333", monkeypatch=monkeypatch)
    assert (found["port"], found["addresses"]) == (3333, ("127.0.0.1",))
    assert effective("client", monkeypatch=monkeypatch)["port"] == 2222


def test_the_users_file_overrides_the_systems(home: Path) -> None:
    write(home, "low", "[network]\nport = 1\nhttp_port = 1\nmax_clients = 1\n")
    write(home, "high", "[network]\nport = 2\nhttp_port = 2\n")
    user = write(home, "user", "[network]\nport = 3\n")
    settings = Configuration(cli).load()
    assert [settings[name].value for name in ("port", "http_port", "max_clients")] == [3, 2, 1]
    assert settings["port"].place == user


def test_every_kind_of_value_reaches_its_command(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(
        home,
        "user",
        '[security]\nkey = "/k"\nclient_keys = ["a", "b"]\nencrypt = false\n[display]\nfps = 30\n'
        'color_mode = "256"\n[audio]\naudio = false\npush_to_talk = true\n',
    )
    server = effective("server", monkeypatch=monkeypatch)
    assert (server["keys"], server["client_keys"], server["encrypt"]) == (("/k",), ("a", "b"), False)
    client = effective("client", monkeypatch=monkeypatch)
    assert (client["key"], client["audio"], client["push_to_talk"]) == ("/k", False, True)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[netwrk]\nport = 1", r"no table \[netwrk\]\. Did you mean 'network'"),
        ("[network]\nprot = 1", r"no 'prot' in \[network\]\. Did you mean 'port'"),
        ("[security]\nport = 1", r"'port' belongs in \[network\], not in \[security\]"),
        ("port = 1", r"'port' belongs in the table \[network\]"),
        ("[network]\nport = 99999", r"\[network\] port cannot be 99999"),
        ("[network]\nport = true", r"\[network\] port must be one value, not True"),
        ("[network]\nport = [1]", r"\[network\] port must be one value"),
        ('[security]\npassword = ["hunter2"]', r"\[security\] password must be one value, not this value\.$"),
        ("[network]\nhttp = 1", r"\[network\] http must be true or false, not 1"),
        ("[security]\nclient_keys = [1]", r"client_keys must be a list of strings"),
        ('[network]\naddresses = ["example.org"]', r"not an IPv4 or IPv6 address"),
        ('[display]\npalette = "nice"', r"\[display\] palette cannot be 'nice'"),
        ('[security]\npassword = "short"', r"\[security\] password cannot be this value: the password has 5 bytes"),
        ('[call_room.a]\npasword = "x"', r"\[call_room\.a\] has no 'pasword'\. Did you mean 'password'\?"),
        ("[call_room.a]\nsize = 1", r"\[call_room\.a\] has no 'size'\. Choose from: password, client_keys\."),
        ('[call_room.a]\npassword = "hunter2"', r"password cannot be this value: it has 7 bytes; it needs 8 to 256\.$"),
        ('[call_room.a]\npassword = ["hunter2"]', r"password must be one value, not this value\.$"),
        ("[call_room.a]\nclient_keys = [1]", r"client_keys must be a list of strings, not \[1\]"),
        ("[call_room.a]\nclient_keys = []", "nobody could join"),
        ('[call_room]\npassword = "hunter2"', r"'password' belongs in the table of a room\. Write \[call_room\.NAME\]"),
        ("[call_room.lobby]", r"no table \[call_room\.lobby\]\. The lobby needs what \[security\] says"),
        ('[call_room."a b"]', r"\[call_room\.a b\] is not the table of a room\. Names of rooms have"),
        ("[call_room.a.b]", r"has no table 'b'\. A name with a dot needs quotes: \[call_room\.\"a\.b\"\]"),
        ("[call_room.a]\n[call_room.A]", "two tables for the call room 'a'"),
        ("call_room = 1", r"\[call_room\] is a table, not a value"),
        ("[room.a]", r"no table \[room\]\. Did you mean 'call_room'"),
        ("[call_rooms]", r"no table \[call_rooms\]\. Did you mean 'call_room'"),
        ("[network", "is not valid TOML"),
        ("network = 1", r"\[network\] is a table, not a value"),
        ("\xff", "line 1 is not valid UTF-8"),
        ("[network]\n# caf\xe9", "line 2 is not valid UTF-8"),
        ("[network]\nport = 1\0", "null characters"),
    ],
)
def test_a_fault_is_reported_with_its_place(home: Path, text: str, words: str) -> None:
    path = write(home, "user", text)
    path.write_bytes(text.encode("latin-1"))
    with pytest.raises(ConfigurationError, match=words) as caught:
        Configuration(cli).load()
    assert caught.value.exit_code == 4
    assert str(path) in str(caught.value)


def test_a_readable_file_with_a_password_is_refused(home: Path) -> None:
    path = write(home, "user", '[security]\npassword = "correct horse"\n')
    assert Configuration(cli).load()["password"].value == "correct horse"
    path.chmod(0o644)
    with pytest.raises(ConfigurationError, match="can be read by others") as caught:
        Configuration(cli).load()
    assert "correct horse" not in str(caught.value)
    path.chmod(0o600)
    shown = CliRunner().invoke(cli, ["config", "show"])
    assert "correct horse" not in shown.output
    assert 'password = "(not shown)"' in shown.output


def test_call_rooms_reach_the_server_and_nobody_else(home: Path) -> None:
    path = write(
        home,
        "user",
        f'[call_room.Team]\nclient_keys = "{KEY}"\n[call_room."a.b"]\npassword = "correct horse"\n[call_room.plain]\n',
    )
    configuration = Configuration(cli)
    settings = configuration.load()
    assert "call_rooms" not in configuration.default_map(settings, ["client"])["client"]
    rooms = rooms_of(configuration.default_map(settings, ["server"])["server"]["call_rooms"])
    assert {name: room.is_private for name, room in rooms.items()} == {"team": True, "a.b": True, "plain": False}
    assert rooms["a.b"].password == "correct horse"
    assert rooms["team"].client_keys is not None
    assert len(rooms["team"].client_keys) == 1
    shown = CliRunner().invoke(cli, ["config", "show"]).output
    assert "correct horse" not in shown
    found = tomllib.loads(shown)["call_room"]
    assert found == {"team": {"client_keys": KEY}, "a.b": {"password": "(not shown)"}, "plain": {}}
    path.chmod(0o644)
    with pytest.raises(ConfigurationError, match="can be read by others") as caught:
        Configuration(cli).load()
    assert "correct horse" not in str(caught.value)


def test_a_room_of_a_later_file_replaces_that_of_an_earlier_one(home: Path) -> None:
    write(home, "high", '[call_room.a]\npassword = "correct horse"\n[call_room.b]\n')
    write(home, "user", "[call_room.A]\n")
    configuration = Configuration(cli)
    rooms = configuration.default_map(configuration.load(), ["server"])["server"]["call_rooms"]
    assert rooms == {"a": {}, "b": {}}


def test_protected_rooms_need_encryption(home: Path) -> None:
    write(home, "user", '[call_room.a]\npassword = "correct horse"\n')
    done = subprocess.run(
        [sys.executable, "-m", "teleglyph", "server", "--no-encrypt"], capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 2
    assert "Call rooms with a password or keys need encryption. Remove --no-encrypt." in done.stderr


def test_a_named_file_must_exist(home: Path) -> None:
    with pytest.raises(ConfigurationError, match="Cannot read"):
        Configuration(cli).load(home / "none")


def test_every_key_belongs_to_one_table() -> None:
    context = click.Context(cli)
    commands = [cli, *(cli.get_command(context, name) for name in config_file.COMMANDS)]
    options = [each for command in commands if command for each in command.params if isinstance(each, Configurable)]
    assert {(each.table, each.key) for each in options} == {
        (table, key) for table, keys in Configuration(cli).tables.items() for key in keys
    }
    assert len({each.key for each in options}) == sum(map(len, Configuration(cli).tables.values()))


def test_a_created_file_is_valid_and_changes_nothing(home: Path) -> None:
    runner = CliRunner()
    assert runner.invoke(cli, ["config", "create"]).exit_code == 0
    created = config_file.user_file()
    assert oct(created.stat().st_mode)[-3:] == "600"
    assert Configuration(cli).load() == {}
    assert isinstance(runner.invoke(cli, ["config", "create"]).exception, ConfigurationError)
    # Uncommented, it lists the defaults; settings without a default are empty.
    lines = [line.removeprefix("# ") for line in created.read_text().splitlines() if " = " in line or line[:1] == "["]
    assert tomllib.loads("\n".join(lines))["network"]["port"] == 27224
    shown = runner.invoke(cli, ["config", "show"])
    assert tomllib.loads(shown.output)["display"]["fps"] == 60


def test_check_and_path_list_the_files(home: Path) -> None:
    runner = CliRunner()
    assert "There is no configuration file" in runner.invoke(cli, ["config", "check"]).output
    path = write(home, "user", "[network]\nport = 1\n")
    assert runner.invoke(cli, ["config", "check"]).output == f"{path}: 1 setting, no faults.\n"
    listed = runner.invoke(cli, ["config", "path"]).output.splitlines()
    assert listed[-1] == str(path)
    assert listed[0].endswith("(not there)")


_TEXT = '[network]\nport = 1111\nname = "J\u00f6rg"\n'


@pytest.mark.parametrize(
    "data",
    [
        _TEXT.encode(),
        _TEXT.rstrip("\n").encode(),
        _TEXT.replace("\n", "\r\n").encode(),
        _TEXT.replace("\n", "\r").encode(),
        _TEXT.encode("utf-8-sig"),
        _TEXT.encode("utf-16"),
        b"\xfe\xff" + _TEXT.encode("utf-16-be"),
        _TEXT.replace("\n", "\r\n").encode("utf-32"),
    ],
    ids=["plain", "no last line feed", "CRLF", "CR", "UTF-8 mark", "UTF-16", "UTF-16 big endian", "UTF-32 CRLF"],
)
def test_files_of_any_editor_are_read(home: Path, data: bytes) -> None:
    write(home, "user", "").write_bytes(data)
    settings = Configuration(cli).load()
    assert (settings["port"].value, settings["name"].value) == (1111, "J\u00f6rg")


def test_all_faults_are_reported_at_once(home: Path) -> None:
    path = write(home, "user", "[network]\nprot = 1\nport = 0.5\nmax_clients = 3\n[nets]\n[audio]\naudio = 2\n")
    settings, faults = Configuration(cli).examine(path)
    assert [setting.name for setting in settings] == ["max_clients"]
    assert len(faults) == 4
    with pytest.raises(ConfigurationError) as caught:
        Configuration(cli).load()
    assert str(caught.value).splitlines() == faults
    done = subprocess.run(
        [sys.executable, "-m", "teleglyph", "config", "check"], capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 4
    assert done.stderr.splitlines() == [*faults, f"teleglyph: {path}: 4 faults."]


@pytest.mark.parametrize("before", [True, False], ids=["--config", "TELEGLYPH_CONFIG"])
def test_check_and_show_use_the_named_file(home: Path, monkeypatch: pytest.MonkeyPatch, before: bool) -> None:
    write(home, "user", "[network]\nport = 1\n")
    named = home / "named.toml"
    named.write_text("[network]\nport = 4242\n")
    command = [sys.executable, "-m", "teleglyph"]
    if before:
        command += ["--config", str(named)]
    else:
        monkeypatch.setenv("TELEGLYPH_CONFIG", str(named))
    done = subprocess.run([*command, "config", "show"], capture_output=True, text=True, timeout=60, check=True)
    assert f"port = 4242  # {named}\n" in done.stdout
    done = subprocess.run([*command, "config", "check"], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout == f"{named}: 1 setting, no faults.\n"
