"""Keys from the real ssh-keygen, ssh-agent and gpg, and values that are not keys."""

from __future__ import annotations

import base64
import contextlib
import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import nacl.signing
import pytest

from teleglyph.errors import ConfigurationError, KeyFetchError, KeyFileError
from teleglyph.keys import (
    AgentIdentity,
    FileIdentity,
    KeyList,
    agent_keys,
    ascii_chat_fingerprint,
    check_new_identity,
    fingerprint,
    format_public_key,
    load_identity,
    parse_public_keys,
    randomart,
    write_identity,
)
from teleglyph.keys.public import parse_line

MESSAGE = bytes(range(32))


def keygen(path: Path, *options: str, kind: str = "ed25519", passphrase: str = "") -> bytes | None:
    """Have OpenSSH create a key; return its public bytes if there are 32."""
    subprocess.run(
        ["ssh-keygen", "-q", "-t", kind, "-N", passphrase, "-C", "somebody", "-f", str(path), *options], check=True
    )
    public = path.with_name(path.name + ".pub")
    blob = base64.b64decode(public.read_text().split()[1])
    public.unlink()
    return blob[-32:] if kind == "ed25519" else None


def verify(public_key: bytes, signature: bytes) -> None:
    nacl.signing.VerifyKey(public_key).verify(MESSAGE, signature)


@pytest.fixture(autouse=True)
def no_secrets_from_outside(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("TELEGLYPH_KEY_PASSWORD", "ASCII_CHAT_KEY_PASSWORD", "SSH_AUTH_SOCK"):
        monkeypatch.delenv(name, raising=False)


# --- files ------------------------------------------------------------------------------------------------------------


def test_a_plain_key_signs(tmp_path: Path) -> None:
    public_key = keygen(tmp_path / "key")
    identity = load_identity(str(tmp_path / "key"))
    assert identity.public_key == public_key
    verify(identity.public_key, identity.sign(MESSAGE))


@pytest.mark.parametrize("cipher", ["aes256-ctr", "aes256-cbc"])
@pytest.mark.parametrize("way", ["TELEGLYPH_KEY_PASSWORD", "ASCII_CHAT_KEY_PASSWORD", "typed"])
def test_an_encrypted_key_opens_with_its_pass_phrase(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cipher: str, way: str
) -> None:
    public_key = keygen(tmp_path / "key", "-Z", cipher, passphrase="open sesame")
    asked: list[str] = []

    def ask(text: str) -> str:
        asked.append(text)
        return "open sesame" if len(asked) == 2 else "wrong"

    if way != "typed":
        monkeypatch.setenv(way, "open sesame")
    identity = load_identity(str(tmp_path / "key"), ask)
    assert identity.public_key == public_key, "it comes from the seed: docs/protocol/handshake.md#public-keys"
    assert len(asked) == (2 if way == "typed" else 0)


def test_a_wrong_or_missing_pass_phrase_is_reported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    keygen(tmp_path / "key", passphrase="open sesame")
    with pytest.raises(KeyFileError, match=r"no terminal to ask for it on\. Set TELEGLYPH_KEY_PASSWORD"):
        load_identity(str(tmp_path / "key"))
    questions: list[str] = []

    def ask(text: str) -> str:
        questions.append(text)
        return "wrong"

    with pytest.raises(KeyFileError, match="None of these was the pass phrase"):
        load_identity(str(tmp_path / "key"), ask)
    again = f"Wrong pass phrase. Pass phrase of {tmp_path / 'key'}"
    assert questions == [f"Pass phrase of {tmp_path / 'key'}", again, again]
    monkeypatch.setenv("TELEGLYPH_KEY_PASSWORD", "secret-wrong")
    with pytest.raises(KeyFileError, match="TELEGLYPH_KEY_PASSWORD does not open") as caught:
        load_identity(str(tmp_path / "key"))
    assert "secret-wrong" not in str(caught.value)


def test_a_wrong_pass_phrase_in_the_environment_is_reported_and_prompted_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    public_key = keygen(tmp_path / "key", passphrase="open sesame")
    monkeypatch.setenv("TELEGLYPH_KEY_PASSWORD", "wrong")
    questions: list[str] = []

    def ask(text: str) -> str:
        questions.append(text)
        return "open sesame"

    assert load_identity(str(tmp_path / "key"), ask).public_key == public_key
    assert len(questions) == 1
    assert questions[0].startswith("The pass phrase in TELEGLYPH_KEY_PASSWORD does not open the key")


@pytest.mark.parametrize("kind", ["rsa", "ecdsa"])
def test_other_kinds_are_refused_with_advice(tmp_path: Path, kind: str) -> None:
    keygen(tmp_path / "key", kind=kind)
    with pytest.raises(KeyFileError, match=f"{kind}.*teleglyph keygen"):
        load_identity(str(tmp_path / "key"))
    keygen(tmp_path / "pem", "-m", "PEM", kind=kind)
    with pytest.raises(KeyFileError, match=r"not in OpenSSH's format.*teleglyph keygen"):
        load_identity(str(tmp_path / "pem"))


@pytest.mark.parametrize("beside", [True, False], ids=["with the private half", "alone"])
@pytest.mark.parametrize("change", [lambda data: data, lambda data: b"\xef\xbb\xbf\n" + data.replace(b"\n", b"\r\n")])
def test_the_public_half_is_not_a_private_key(tmp_path: Path, beside: bool, change: Callable[[bytes], bytes]) -> None:
    made = write_identity(tmp_path / "key", None, "ann")
    (tmp_path / "key.pub").write_bytes(change((tmp_path / "key.pub").read_bytes()))
    if not beside:
        (tmp_path / "key").unlink()
    with pytest.raises(KeyFileError, match=r"is the public half of a key\. --key needs the private half") as caught:
        load_identity(str(tmp_path / "key.pub"))
    assert (f"--key '{tmp_path / 'key'}'" in str(caught.value)) is beside
    assert made.public_key.hex() not in str(caught.value)


@pytest.mark.parametrize("passphrase", ["", "open sesame"])
@pytest.mark.parametrize(
    "change",
    [
        lambda data: data.replace(b"\n", b"\r\n"),
        lambda data: b"\xef\xbb\xbf" + data,
        lambda data: b"\n\n" + data.rstrip(b"\n"),
    ],
    ids=["CRLF", "byte order mark", "blank lines"],
)
def test_key_files_that_an_editor_saved_are_read(
    tmp_path: Path, change: Callable[[bytes], bytes], passphrase: str
) -> None:
    public_key = keygen(tmp_path / "key", passphrase=passphrase)
    (tmp_path / "key").write_bytes(change((tmp_path / "key").read_bytes()))
    assert load_identity(str(tmp_path / "key"), lambda _: passphrase).public_key == public_key


def test_a_public_key_that_an_editor_saved_is_read(tmp_path: Path) -> None:
    (tmp_path / "friends").write_bytes(b"\xef\xbb\xbf" + f"{LINE} ann\r\n\r\n{OTHER.hex()}\r\n".encode())
    assert parse_public_keys(str(tmp_path / "friends")) == [KEY, OTHER]


def test_a_key_that_others_can_read_is_refused(tmp_path: Path) -> None:
    keygen(tmp_path / "key")
    (tmp_path / "key").chmod(0o640)
    with pytest.raises(KeyFileError, match=r"mode 0640.*chmod 600"):
        load_identity(str(tmp_path / "key"))


@pytest.mark.parametrize("value", ["github:someone", "ssh-ed25519 AAAA", "https://example.org/key"])
def test_public_keys_are_not_private_ones(value: str) -> None:
    with pytest.raises(KeyFileError, match="needs the private one"):
        load_identity(value)


def test_damaged_and_missing_files_are_reported(tmp_path: Path) -> None:
    with pytest.raises(KeyFileError, match="There is no key file"):
        load_identity(str(tmp_path / "none"))
    keygen(tmp_path / "key")
    good = (tmp_path / "key").read_bytes()
    for bad in (b"", b"hello", good[:80], good.replace(b"A", b"B"), good[:-40], b"x" * 70_000):
        (tmp_path / "key").write_bytes(bad)
        with pytest.raises(KeyFileError):
            load_identity(str(tmp_path / "key"))


def test_a_key_that_takes_minutes_to_open_is_refused(tmp_path: Path) -> None:
    keygen(tmp_path / "key", passphrase="open sesame")
    text = (tmp_path / "key").read_text()
    body = bytearray(base64.b64decode("".join(text.split("\n")[1:-2])))
    place = body.index(b"bcrypt") + 6 + 4 + 4 + 16
    body[place : place + 4] = (2**31).to_bytes(4, "big")
    wrapped = base64.encodebytes(body).decode()
    (tmp_path / "key").write_text(f"-----BEGIN OPENSSH PRIVATE KEY-----\n{wrapped}-----END OPENSSH PRIVATE KEY-----\n")
    with pytest.raises(KeyFileError, match="2147483648 rounds"):
        load_identity(str(tmp_path / "key"), lambda _: "open sesame")


@pytest.mark.parametrize("passphrase", [None, "open sesame"])
def test_openssh_reads_our_keys(tmp_path: Path, passphrase: str | None) -> None:
    path = tmp_path / "new" / "id"
    made = write_identity(path, passphrase, "ann@example")
    assert oct(path.stat().st_mode)[-3:] == "600"
    printed = subprocess.run(
        ["ssh-keygen", "-y", "-P", passphrase or "", "-f", str(path)], capture_output=True, text=True, check=True
    ).stdout
    assert parse_public_keys(printed.strip()) == [made.public_key]
    assert parse_public_keys(str(path) + ".pub") == [made.public_key]
    assert load_identity(str(path), lambda _: passphrase).public_key == made.public_key
    with pytest.raises(KeyFileError, match="exists already"):
        write_identity(path, None, "")


def test_the_path_of_a_new_key_is_checked_first(tmp_path: Path) -> None:
    check_new_identity(tmp_path / "new")
    write_identity(tmp_path / "taken", None, "")
    (tmp_path / "half.pub").write_text("")
    (tmp_path / "dangling").symlink_to(tmp_path / "nowhere")
    (tmp_path / "file").write_text("")
    for name, words in {
        "taken": "taken' exists already",
        "half": "half.pub' exists already",
        "dangling": "dangling' exists already",
        ".": "is a directory. Name a file in it",
        "missing/new": "There is no directory .*mkdir -p",
        "file/new": "is not a directory",
    }.items():
        with pytest.raises(KeyFileError, match=words):
            check_new_identity(tmp_path / name)
    with pytest.raises(KeyFileError, match="You may not write"):
        check_new_identity(Path("/proc/self/new"))


def test_a_key_is_written_whole_or_not_at_all(tmp_path: Path) -> None:
    (tmp_path / "key.pub").write_text("somebody else's")
    with pytest.raises(KeyFileError, match=r"key\.pub' exists already"):
        write_identity(tmp_path / "key", None, "")
    assert [path.name for path in tmp_path.iterdir()] == ["key.pub"]


@pytest.mark.parametrize(
    ("passphrase", "fits"), [("x" * 72, True), ("x" * 73, False), ("ü" * 36, True), ("ü" * 37, False)]
)
def test_a_pass_phrase_may_be_as_long_as_openssh_accepts(tmp_path: Path, passphrase: str, fits: bool) -> None:
    if fits:
        made = write_identity(tmp_path / "key", passphrase, "")
        assert load_identity(str(tmp_path / "key"), lambda _: passphrase).public_key == made.public_key
    else:
        with pytest.raises(KeyFileError, match="at most 72"):
            write_identity(tmp_path / "key", passphrase, "")
        assert not (tmp_path / "key").exists()


def test_a_pass_phrase_that_is_too_long_is_wrong(tmp_path: Path) -> None:
    keygen(tmp_path / "key", passphrase="open sesame")
    with pytest.raises(KeyFileError, match="None of these"):
        load_identity(str(tmp_path / "key"), lambda _: "x" * 5000)


def test_a_comment_stays_on_its_line(tmp_path: Path) -> None:
    write_identity(tmp_path / "key", None, "ann\nssh-ed25519 AAAA mallory\x1b[2J")
    assert len((tmp_path / "key.pub").read_text().splitlines()) == 1
    assert "\x1b" not in (tmp_path / "key.pub").read_text()


def test_secrets_do_not_appear_in_output() -> None:
    seed = bytes([7]) * 32
    identity = FileIdentity(seed)
    assert seed.hex() not in repr(identity) + str(vars(identity))


# --- agents -----------------------------------------------------------------------------------------------------------


@pytest.fixture
def agent(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A separate ssh-agent; the path of its socket must be short."""
    directory = Path(tempfile.mkdtemp(prefix="tg"))
    with subprocess.Popen(["ssh-agent", "-D", "-a", str(directory / "s")], stdout=subprocess.DEVNULL) as process:
        monkeypatch.setenv("SSH_AUTH_SOCK", str(directory / "s"))
        while not (directory / "s").exists():
            pass
        yield
        process.terminate()
    shutil.rmtree(directory)


@pytest.mark.usefixtures("agent")
def test_the_agent_signs_for_a_file_that_it_holds(tmp_path: Path) -> None:
    public_key = keygen(tmp_path / "key")
    assert public_key is not None
    keygen(tmp_path / "other", kind="rsa")
    for name in ("key", "other"):
        subprocess.run(["ssh-add", "-q", str(tmp_path / name)], check=True, capture_output=True)
    assert [identity.public_key for identity in agent_keys()] == [public_key]
    (tmp_path / "key").write_text("not needed")
    (tmp_path / "key.pub").write_text(format_public_key(public_key) + " somebody\n")
    identity = load_identity(str(tmp_path / "key"))
    assert isinstance(identity, AgentIdentity)
    verify(public_key, identity.sign(MESSAGE))
    subprocess.run(["ssh-add", "-q", "-D"], check=True, capture_output=True)
    with pytest.raises(KeyFileError, match="did not sign"):
        identity.sign(MESSAGE)


def test_a_missing_or_broken_agent_has_no_keys(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert agent_keys() == []
    monkeypatch.setenv("SSH_AUTH_SOCK", str(tmp_path / "none"))
    assert agent_keys() == []
    with pytest.raises(KeyFileError):
        AgentIdentity(bytes(32), str(tmp_path / "none")).sign(MESSAGE)


# --- GnuPG ------------------------------------------------------------------------------------------------------------


@pytest.fixture
def gnupg(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    home = Path(tempfile.mkdtemp(prefix="tg"))
    home.chmod(0o700)
    monkeypatch.setenv("GNUPGHOME", str(home))
    yield home
    with contextlib.suppress(subprocess.CalledProcessError):
        subprocess.run(["gpgconf", "--kill", "all"], check=True, capture_output=True)
    shutil.rmtree(home, ignore_errors=True)


def gpg_key(kind: str) -> str:
    """The fingerprint of a new key without a pass phrase."""
    subprocess.run(
        ["gpg", "--batch", "--passphrase", "", "--quick-generate-key", f"{kind}@example.org", kind, "sign", "never"],
        check=True,
        capture_output=True,
    )
    listing = subprocess.run(
        ["gpg", "--batch", "--with-colons", "--list-keys", f"{kind}@"], check=True, capture_output=True, text=True
    ).stdout
    return next(line.split(":")[9] for line in listing.splitlines() if line.startswith("fpr"))


@pytest.mark.usefixtures("gnupg")
def test_gnupg_signatures_are_ordinary_ones() -> None:
    name = gpg_key("ed25519")
    for key_id in (name, name[-16:], "0x" + name[-8:]):
        identity = load_identity(f"gpg:{key_id}")
        verify(identity.public_key, identity.sign(MESSAGE))
        assert parse_public_keys(f"gpg:{key_id}") == [identity.public_key]


@pytest.mark.usefixtures("gnupg")
def test_unknown_gnupg_keys_and_other_kinds_are_refused() -> None:
    name = gpg_key("rsa2048")
    with pytest.raises(KeyFileError, match=r"not an Ed25519 key\. Make one"):
        load_identity(f"gpg:{name}")
    with pytest.raises(KeyFileError, match="gpg:"):
        load_identity("gpg:" + "0" * 40)
    for bad in ("", "xyz", "123", "--help"):
        with pytest.raises(KeyFileError, match="hexadecimal digits"):
            load_identity(f"gpg:{bad}")


# --- public keys ------------------------------------------------------------------------------------------------------

KEY = bytes(range(100, 132))
OTHER = bytes(range(32))
LINE = format_public_key(KEY)


@pytest.mark.parametrize(
    "value",
    [LINE, LINE + " ann@example.org", LINE.split()[1], KEY.hex(), KEY.hex().upper(), base64.b64encode(KEY).decode()],
)
def test_a_key_may_be_written_in_many_ways(value: str) -> None:
    assert parse_public_keys(value) == [KEY]
    assert parse_public_keys(f" {value} , {OTHER.hex()},{value}") == [KEY, OTHER]


def test_a_comma_in_a_comment_or_a_path_does_not_end_an_item(tmp_path: Path) -> None:
    friends = tmp_path / "a,b" / "my, friends"
    friends.parent.mkdir()
    friends.write_text(f"{OTHER.hex()}\n")
    assert parse_public_keys(f"{LINE} ann, the first") == [KEY]
    assert parse_public_keys(f"{LINE} ann, the first,{OTHER.hex()}") == [KEY, OTHER]
    assert parse_public_keys(str(friends)) == [OTHER]
    assert parse_public_keys(f"{LINE} ann, x,{friends},{KEY.hex()}") == [KEY, OTHER]
    assert parse_public_keys(f",{friends},,{LINE},") == [OTHER, KEY]
    with pytest.raises(ConfigurationError, match="'typo' is not a key"):
        parse_public_keys(f"{KEY.hex()},typo")


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le-mark", "latin-1", "utf-32"])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("has_last", [True, False])
def test_a_list_may_come_from_any_editor(tmp_path: Path, encoding: str, end: str, has_last: bool) -> None:
    text = end.join([f"{LINE} j\u00f6rg", "# \u00fcber", OTHER.hex()]) + (end if has_last else "")
    data = b"\xff\xfe" + text.encode("utf-16-le") if encoding == "utf-16-le-mark" else text.encode(encoding)
    (tmp_path / "friends").write_bytes(data)
    assert parse_public_keys(str(tmp_path / "friends")) == [KEY, OTHER]


def test_utf_16_without_a_mark_is_reported(tmp_path: Path) -> None:
    (tmp_path / "friends").write_bytes(LINE.encode("utf-16-le"))
    with pytest.raises(ConfigurationError, match="null characters; save the file as UTF-8"):
        parse_public_keys(str(tmp_path / "friends"))


@pytest.mark.parametrize(
    "options",
    [
        "restrict",
        "no-pty,no-port-forwarding",
        'environment="A=b, c d",no-pty',
        'environment="quoted \\" comma, inside",restrict',
        "No-Agent-Forwarding",
        'permitopen="host:80",permitopen="host:81"',
    ],
)
def test_options_without_meaning_in_a_call_are_ignored(options: str) -> None:
    assert parse_line(f"{options} {LINE} ann, with a comma") == KEY
    assert parse_line(f"{options}\t{LINE}") == KEY


@pytest.mark.parametrize(
    ("options", "name"),
    [
        ('from="10.0.0.0/8,!10.1.1.1"', "from"),
        ('no-pty,command="echo hi, there",restrict', "command"),
        ("cert-authority", "cert-authority"),
        ('expiry-time="20300101"', "expiry-time"),
        ("restrict,unheard-of", "unheard-of"),
        ('principals="a"', "principals"),
    ],
)
def test_options_that_restrict_a_key_are_named(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, options: str, name: str
) -> None:
    with pytest.raises(ValueError, match=f"its option '{name}' is not supported"):
        parse_line(f"{options} {LINE} ann")
    path = tmp_path / "friends"
    path.write_text(f"{options} {LINE} ann\n{OTHER.hex()}\n")
    assert parse_public_keys(str(path)) == [OTHER]
    assert f"Ignored line 1 of {path}: its option '{name}'" in caplog.text


@pytest.mark.parametrize("kind", ["OpenSSH", "PEM", "PuTTY", "nsec", "text"])
def test_a_private_key_in_a_list_is_refused(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "id_ed25519"
    if kind == "OpenSSH":
        write_identity(path, None, "x")
    text = {
        "OpenSSH": path.read_text() if kind == "OpenSSH" else "",
        "PEM": "-----BEGIN PRIVATE KEY-----\nMC4C\n-----END PRIVATE KEY-----\n",
        "PuTTY": "PuTTY-User-Key-File-3: ssh-ed25519\n",
        "nsec": "nsec1vl029mgpspedva04g90vltkh6fvh240zqtv9k0t9af8935ke9laqsnlfe5\n",
        "text": f"{LINE}\n-----BEGIN EC PRIVATE KEY-----\n",
    }[kind]
    path.write_text(text)
    with pytest.raises(ConfigurationError, match="holds a private key, and public keys are needed") as caught:
        parse_public_keys(str(path))
    assert "MC4C" not in str(caught.value)
    if kind != "text":
        with pytest.raises(ConfigurationError, match="it is a private key"):
            parse_public_keys(text.splitlines()[0])


def test_a_file_holds_a_key_on_each_line(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = tmp_path / "friends"
    path.write_text(f"# my friends\n\n{LINE} ann\n  {OTHER.hex()}\nssh-rsa AAAA bob\nnonsense\n")
    assert parse_public_keys(str(path)) == [KEY, OTHER]
    assert f"Ignored line 5 of {path}: it is a key of type ssh-rsa" in caplog.text
    assert f"Ignored line 6 of {path}" in caplog.text


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ("ssh-rsa AAAA", "only ssh-ed25519 keys are supported"),
        (fingerprint(KEY), "it is a fingerprint, and the public key itself is needed"),
        ("zzz", "neither a key nor a file"),
        ("AAAAC3NzaC1lZDI1NTE5AAAAIA==", "it is not an Ed25519 key"),
        ("./nowhere", "Cannot read the list of keys"),
        ("github:-evil", "is not a valid user name"),
        ("github:a/../b", "is not a valid user name"),
    ],
)
def test_values_that_are_not_keys_are_explained(value: str, words: str) -> None:
    with pytest.raises(ConfigurationError, match=words) as caught:
        parse_public_keys(value)
    assert caught.value.exit_code == 4


def test_an_empty_list_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "empty").write_text("# nobody yet\n")
    with pytest.raises(ConfigurationError, match="no Ed25519 key"):
        KeyList([str(tmp_path / "empty")])


def test_a_list_is_reloaded_and_unchanged_if_that_fails(tmp_path: Path) -> None:
    path = tmp_path / "friends"
    path.write_text(LINE)
    friends = KeyList([str(path)])
    assert friends.admits(KEY)
    assert not friends.admits(OTHER)
    path.write_text(OTHER.hex())
    friends.reload()
    assert friends.admits(OTHER)
    assert not friends.admits(KEY)
    path.unlink()
    with pytest.raises(ConfigurationError):
        friends.reload()
    assert friends.admits(OTHER)


def test_names_are_looked_up(caplog: pytest.LogCaptureFixture) -> None:
    asked = []

    def fetch(service: str, user: str) -> str:
        asked.append((service, user))
        return f"{LINE}\nssh-rsa AAAA\n" if user == "ann" else "\n"

    assert parse_public_keys("github:ann,gitlab:ann", fetch) == [KEY]
    assert asked == [("github", "ann"), ("gitlab", "ann")]
    with pytest.raises(KeyFetchError, match="publishes no Ed25519 key"):
        parse_public_keys("github:bob", fetch)


# --- for people -------------------------------------------------------------------------------------------------------


def openssh_shows(directory: Path, keys: list[bytes]) -> list[tuple[str, str]]:
    """Fingerprint and picture of each key, as ssh-keygen prints them."""
    path = directory / "shown.pub"
    path.write_text("".join(f"{format_public_key(key)} somebody\n" for key in keys))
    lines = subprocess.run(
        ["ssh-keygen", "-lv", "-E", "sha256", "-f", str(path)], capture_output=True, text=True, check=True
    ).stdout.splitlines()
    assert len(lines) == 12 * len(keys)
    return [(lines[at].split()[1], "\n".join(lines[at + 1 : at + 12])) for at in range(0, len(lines), 12)]


def test_fingerprint_and_picture_equal_openssh(tmp_path: Path) -> None:
    keys = [bytes(nacl.signing.SigningKey.generate().verify_key) for _ in range(2000)]
    keys += [bytes(32), b"\xff" * 32, KEY, OTHER]
    assert [(fingerprint(key), randomart(key)) for key in keys] == openssh_shows(tmp_path, keys)


def test_openssh_shows_our_key_like_we_do(tmp_path: Path) -> None:
    made = write_identity(tmp_path / "key", None, "ann").public_key
    shown = subprocess.run(
        ["ssh-keygen", "-lv", "-f", str(tmp_path / "key")], capture_output=True, text=True, check=True
    ).stdout
    assert shown == f"256 {fingerprint(made)} ann (ED25519)\n{randomart(made)}\n"


def test_the_documented_command_prints_ascii_chats_fingerprint(tmp_path: Path) -> None:
    path = tmp_path / ".local" / "share" / "teleglyph" / "identity"
    made = write_identity(path, None, "a comment with blanks")
    text = (Path(__file__).parents[3] / "docs" / "security.md").read_text()
    (command,) = (line for line in text.splitlines() if line.endswith("| sha256sum"))
    printed = subprocess.run(
        ["sh", "-c", command], env={**os.environ, "HOME": str(tmp_path)}, capture_output=True, text=True, check=True
    ).stdout
    assert f"SHA256:{printed.split()[0]}" == ascii_chat_fingerprint(made.public_key)


def test_the_fingerprint_of_ascii_chat_matches_the_specification() -> None:
    key = bytes.fromhex("ea4a6c63e29c520abef5507b132ec5f9954776aebebe7b92421eea691446d22c")
    assert ascii_chat_fingerprint(key) == "SHA256:fe812c12f3ab4ce6ac5db69ac352f906cb1b11ef43fb33e252ef7ff552263889"
