"""Who gets in, and which servers a person joins: our client and an independent one, in every combination."""

from __future__ import annotations

import base64
import contextlib
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import nacl.signing
import pytest

import acip_peer as acip
from acip_peer import AcipPeer
from conftest import ServerProcess, run_program
from teleglyph.keys import FileIdentity, fingerprint, format_public_key, parse_public_keys, randomart, write_identity
from teleglyph.wire.acip import derive_password_key
from terminal import terminal

PASSWORD, WRONG_PASSWORD = "correct horse", "battery staple"
StartServer = Callable[..., ServerProcess]


@dataclass
class People:
    """Keys on disk, and a directory for a client's known hosts."""

    directory: Path
    friend: FileIdentity
    server: FileIdentity
    environment: dict[str, str]

    def client(self, port: int, *options: str, host: str = "127.0.0.1") -> subprocess.CompletedProcess[str]:
        """Our client, which takes one picture of the call and leaves."""
        words = ["--log-level", "debug", "client", f"{host}:{port}", "--name", "somebody", *options]
        words += ["--snapshot", "--snapshot-delay", "0", "--test-pattern"]
        return run_program(*words, environment={**os.environ, **self.environment})

    def path(self, name: str) -> str:
        return str(self.directory / name)


@pytest.fixture
def people(tmp_path: Path) -> People:
    for name in ("friend", "stranger", "server", "other-server"):
        write_identity(tmp_path / name, None, name)
    seeds = {
        name: subprocess.run(  # the public halves, in OpenSSH's form
            ["ssh-keygen", "-y", "-f", str(tmp_path / name)], capture_output=True, text=True, check=True
        ).stdout
        for name in ("friend", "server")
    }
    from teleglyph.keys import load_identity

    friend, server = (load_identity(str(tmp_path / name)) for name in ("friend", "server"))
    assert isinstance(friend, FileIdentity)
    assert isinstance(server, FileIdentity)
    assert seeds["friend"].startswith(format_public_key(friend.public_key))
    (tmp_path / "friends").write_text(f"# who may come in\n{format_public_key(friend.public_key)} friend\n")
    return People(tmp_path, friend, server, {"XDG_CONFIG_HOME": str(tmp_path / "config"), "XDG_CONFIG_DIRS": ""})


def signing_key(people: People, name: str) -> nacl.signing.SigningKey:
    from teleglyph.keys import load_identity

    identity = load_identity(people.path(name))
    assert isinstance(identity, FileIdentity)
    return identity._key


# --- who gets in: every combination -----------------------------------------------------------------------------------

# wanted, offered: exit code, words of our client, words in the server's log, reasons an independent client gets
# (None: it is admitted; 0: it gives up by itself)
OUTCOMES: dict[tuple[str, str], tuple[int, str, str, int | None]] = {
    ("nothing", "nothing"): (0, "", "", None),
    ("nothing", "password"): (62, "does not ask for the password", "", None),
    ("nothing", "key"): (0, "", "", None),
    ("password", "right"): (0, "", "", None),
    ("password", "wrong"): (62, "The password from --password is wrong for", "does not know the password", 0x02),
    ("password", "nothing"): (62, "requires a password, and there is no terminal", "", 0),
    ("key", "right"): (0, "", "proved the key SHA256:", None),
    ("key", "wrong"): (62, "does not know your client key SHA256:", "SHA256:\\S+ is not admitted", 0x08),
    ("key", "nothing"): (62, "Create one with 'teleglyph keygen'", "", 0),
    ("both", "right"): (0, "", "proved the key SHA256:", None),
    ("both", "wrong password"): (62, "The password from --password is wrong for", "does not know the password", 0x02),
    ("both", "wrong key"): (62, "does not know your client key SHA256:", "SHA256:\\S+ is not admitted", 0x08),
    ("both", "only password"): (62, "only admits keys that its host knows", "showed no key", 0x04),
    ("both", "only key"): (62, "requires a password", "", 0),
}
OFFERS = {
    "nothing": ("", ""),
    "password": (PASSWORD, ""),
    "key": ("", "friend"),
    ("password", "right"): (PASSWORD, ""),
    ("password", "wrong"): (WRONG_PASSWORD, ""),
    ("key", "right"): ("", "friend"),
    ("key", "wrong"): ("", "stranger"),
    ("both", "right"): (PASSWORD, "friend"),
    ("both", "wrong password"): (WRONG_PASSWORD, "friend"),
    ("both", "wrong key"): (PASSWORD, "stranger"),
    ("both", "only password"): (PASSWORD, ""),
    ("both", "only key"): ("", "friend"),
}


def assert_no_secret(people: People, written: str) -> None:
    """Assert that a text contains no password, nothing derived from one, and no private key, in any encoding."""
    secrets = [PASSWORD.encode(), WRONG_PASSWORD.encode()]
    secrets += [derive_password_key(password) for password in (PASSWORD, WRONG_PASSWORD)]
    for name in ("friend", "stranger", "server"):
        secrets.append(bytes(signing_key(people, name)))
        body = Path(people.path(name)).read_text().split("\n")[3]
        assert body not in written
    for secret in secrets:
        for form in (secret.decode("latin-1"), secret.hex(), base64.b64encode(secret).decode(), repr(secret)):
            assert form not in written


def serve(start_server: StartServer, people: People, wanted: str, with_identity: bool) -> ServerProcess:
    options: list[str] = []
    if wanted in ("password", "both"):
        options += ["--password", PASSWORD]
    if wanted in ("key", "both"):
        options += ["--client-keys", people.path("friends")]
    if with_identity:
        options += ["--key", people.path("server")]
    return start_server(*options)


@pytest.mark.thorough
@pytest.mark.parametrize("with_identity", [False, True], ids=["no identity", "identity"])
@pytest.mark.parametrize(("wanted", "offered"), OUTCOMES, ids=str)
def test_every_combination_has_its_outcome(
    start_server: StartServer, people: People, wanted: str, offered: str, with_identity: bool
) -> None:
    code, to_client, to_server, reasons = OUTCOMES[wanted, offered]
    password, key = OFFERS.get((wanted, offered)) or OFFERS[offered]
    server = serve(start_server, people, wanted, with_identity)

    options = ["--password", password] if password else []
    options += ["--key", people.path(key)] if key else []
    options += ["--server-key", people.path("server.pub")] if with_identity else []
    done = people.client(server.port, *options)
    assert done.returncode == code, done.stderr
    assert to_client in done.stderr
    assert "Traceback" not in done.stderr

    peer = AcipPeer(server.port)
    signer = signing_key(people, key) if key else None
    try:
        if reasons is None:
            peer.handshake(password or None, signer)
            peer.send(acip.CLIENT_CAPABILITIES, acip.capabilities())
            assert peer.wait_for(acip.SERVER_STATE)
        elif reasons:
            with pytest.raises(acip.RefusedError) as caught:
                peer.handshake(password or None, signer)
            assert caught.value.reasons == reasons
            with pytest.raises(acip.PeerClosedError):
                peer.receive_outer()
        else:
            with pytest.raises(AssertionError, match="the server wants a"):
                peer.handshake(password or None, signer)
        assert peer.identity == (people.server.public_key if with_identity else None)
    finally:
        peer.close()
    if to_server:
        server.wait_for_log(to_server)
    assert_no_secret(people, "".join(server.log) + done.stderr + done.stdout)


# --- which servers a person joins -------------------------------------------------------------------------------------


def test_a_pinned_server_must_prove_the_pinned_identity(start_server: StartServer, people: People) -> None:
    good, other, none = (
        start_server("--key", people.path("server")),
        start_server("--key", people.path("other-server")),
        start_server(),
    )
    pin = ("--server-key", people.path("server.pub"))
    assert people.client(good.port, *pin).returncode == 0
    wrong = people.client(other.port, *pin)
    assert (wrong.returncode, "but --server-key requires" in wrong.stderr) == (64, True), wrong.stderr
    missing = people.client(none.port, *pin)
    assert (missing.returncode, "shows no identity" in missing.stderr) == (64, True), missing.stderr


def test_a_server_with_several_identities_proves_the_expected_one(start_server: StartServer, people: People) -> None:
    server = start_server("--key", people.path("other-server"), "--key", people.path("server"))
    assert people.client(server.port, "--server-key", people.path("server.pub")).returncode == 0
    peer = AcipPeer(server.port)
    peer.handshake(server_key=people.server.public_key)
    assert peer.identity == people.server.public_key
    peer.close()
    patient = AcipPeer(server.port)
    patient.handshake()
    assert patient.identity is not None
    assert patient.identity != people.server.public_key, "a client that expects none gets the first"
    patient.close()


def test_a_new_server_elsewhere_is_joined_only_if_the_user_agrees(
    start_server: StartServer, people: People, lan_address: str
) -> None:
    server = start_server(lan_address, "--key", people.path("server"))
    unknown = people.client(server.port, host=lan_address)
    assert unknown.returncode == 60
    assert "You have not joined" in unknown.stderr
    assert fingerprint(people.server.public_key) in unknown.stderr
    server.wait_for_log(f"Fingerprint: {re.escape(fingerprint(people.server.public_key))}$")
    new = people.client(server.port, "--accept-new-server", host=lan_address)
    assert new.returncode == 0
    assert "It is now a known server." in new.stderr
    assert people.client(server.port, host=lan_address).returncode == 0


def test_a_server_on_this_machine_is_remembered_and_a_change_is_noticed(
    start_server: StartServer, people: People
) -> None:
    server = start_server("--key", people.path("server"))
    port = str(server.port)
    new = people.client(server.port)
    assert new.returncode == 0
    assert f"is new and shows the identity {fingerprint(people.server.public_key)}." in new.stderr
    assert people.client(server.port).returncode == 0
    server.stop()

    impostor = start_server("--key", people.path("other-server"), "--port", port)
    changed = people.client(impostor.port, "--accept-new-server")
    assert changed.returncode == 64
    assert "Someone may be intercepting" in changed.stderr
    for key in (people.server.public_key, bytes(signing_key(people, "other-server").verify_key)):
        assert fingerprint(key) in changed.stderr
    assert f"teleglyph known-hosts forget '127.0.0.1:{port}'" in changed.stderr
    impostor.stop()

    stripped = start_server("--port", port)
    silent = people.client(stripped.port, "--accept-new-server")
    assert silent.returncode == 64
    assert "it shows no identity" in silent.stderr

    forgotten = subprocess.run(
        [sys.executable, "-m", "teleglyph", "known-hosts", "forget", f"127.0.0.1:{port}"],
        capture_output=True,
        text=True,
        env={**os.environ, **people.environment},
    )
    shown = fingerprint(people.server.public_key)
    assert (forgotten.returncode, forgotten.stdout) == (0, f"Forgot 127.0.0.1:{port}: {shown}\n")
    assert people.client(stripped.port).returncode == 0, "this machine needs no identity"


@pytest.mark.parametrize("answer", ["y", "n"])
def test_a_person_is_asked_about_a_new_server(
    start_server: StartServer, people: People, lan_address: str, answer: str
) -> None:
    server = start_server(lan_address, "--key", people.path("server"))
    places = " ".join(f"{name}='{value}'" for name, value in people.environment.items())
    with terminal(100, 40) as window:
        window.type(
            f"{places} {sys.executable} -m teleglyph client {lan_address}:{server.port} --test-pattern --no-audio"
            "; echo code=$?"
        )
        window.expect("Join and remember it?")
        assert f"Its identity is {fingerprint(people.server.public_key)}\n" in window.screen
        assert randomart(people.server.public_key) in window.screen
        assert "ascii-chat" not in window.screen
        window.type(answer)
        if answer == "n":
            window.expect("code=60")
            return
        window.expect("1 in the call")
        window.press("q")
        window.expect("code=0")
    assert people.client(server.port, host=lan_address).returncode == 0


# --- guessing, reloading ----------------------------------------------------------------------------------------------


def guess(server: ServerProcess, password: str) -> tuple[int, str]:
    """One attempt: the bits of AUTH_FAILED, or 0 if admitted, and the sentence if it was not verified."""
    peer = AcipPeer(server.port)
    try:
        peer.handshake(password)
    except acip.RefusedError as refused:
        with contextlib.suppress(acip.PeerClosedError):
            kind, payload = peer.receive_outer()
            code, sentence = int.from_bytes(payload[:4]), payload[8:].decode()
            assert kind == acip.ERROR_MESSAGE
            assert re.fullmatch(r"Too many wrong passwords from your address\. Try again in \d+ s\.", sentence)
            if code == 46:
                return refused.reasons, sentence
            assert code == 62, "it was verified, and the next one has to wait"
        return refused.reasons, ""
    finally:
        peer.close()
    return 0, ""


def test_a_neighbour_with_the_right_password_joins_after_wrong_guesses_from_the_same_address(
    start_server: StartServer,
) -> None:
    server = start_server("--password", PASSWORD)
    for _ in range(4):
        assert guess(server, WRONG_PASSWORD) == (0x02, "")
    for _ in range(6):
        assert guess(server, PASSWORD) == (0, ""), "a right password uses nothing up"
    assert guess(server, WRONG_PASSWORD) == (0x02, "")
    reasons, sentence = guess(server, PASSWORD)
    assert reasons == 0, "the password is not called wrong"
    assert re.search(r"Try again in [12] s", sentence)
    time.sleep(2.1)
    assert guess(server, PASSWORD) == (0, ""), "the pause is over"


@pytest.mark.alone
def test_of_many_simultaneous_guesses_only_a_few_are_verified(start_server: StartServer) -> None:
    server = start_server("--password", PASSWORD)
    with ThreadPoolExecutor(40) as pool:
        outcomes = list(pool.map(lambda number: guess(server, f"wrong password {number}"), range(40)))
    seen = [sentence for _, sentence in outcomes if not sentence]
    # Five at once, and one more for every two seconds that the forty need on a busy machine.
    assert 5 <= len(seen) <= 7
    assert all(reasons == (0 if sentence else 0x02) for reasons, sentence in outcomes)


def test_guesses_of_others_do_not_delay_a_listed_key(start_server: StartServer, people: People) -> None:
    server = serve(start_server, people, "both", with_identity=False)
    for _ in range(12):
        peer = AcipPeer(server.port)
        with pytest.raises(acip.RefusedError) as caught:
            peer.handshake(PASSWORD, signing_key(people, "stranger"))
        assert caught.value.reasons == 0x08, "a stranger learns nothing about the password"
        peer.close()
    friend = AcipPeer(server.port)
    friend.handshake(PASSWORD, signing_key(people, "friend"))
    friend.close()


@pytest.mark.thorough
def test_guessers_wait_longer_and_longer(start_server: StartServer, people: People) -> None:
    server = start_server("--password", PASSWORD)
    for _ in range(5):
        assert guess(server, WRONG_PASSWORD) == (0x02, "")
    started, looked_at = time.monotonic(), 0
    while looked_at < 2 and time.monotonic() < started + 20:
        looked_at += not guess(server, WRONG_PASSWORD)[1]
        time.sleep(0.1)
    assert looked_at == 2
    # 2 s after the fifth failure, 4 s after the sixth.
    assert time.monotonic() - started > 5.5
    told = people.client(server.port, "--password", PASSWORD)
    assert (told.returncode, "rong password." in told.stderr) == (46, False), told.stderr
    assert re.search(r"Too many wrong passwords from your address\. Try again in \d s\.", told.stderr), told.stderr
    server.wait_for_log("Too many wrong passwords")


@pytest.fixture
def member(start_server: StartServer, people: People) -> Iterator[tuple[ServerProcess, AcipPeer]]:
    server = serve(start_server, people, "key", with_identity=False)
    peer = AcipPeer(server.port)
    peer.handshake(key=signing_key(people, "friend"))
    peer.send(acip.CLIENT_CAPABILITIES, acip.capabilities())
    yield server, peer
    peer.close()


def test_the_key_list_is_reloaded_without_ending_calls(member: tuple[ServerProcess, AcipPeer], people: People) -> None:
    server, peer = member
    stranger = (people.directory / "stranger.pub").read_text()
    (people.directory / "friends").write_text(stranger)
    server.process.send_signal(signal.SIGHUP)
    server.wait_for_log("Reloaded the client keys: count=1")
    newcomer = AcipPeer(server.port)
    newcomer.handshake(key=signing_key(people, "stranger"))
    newcomer.close()
    late = AcipPeer(server.port)
    with pytest.raises(acip.RefusedError):
        late.handshake(key=signing_key(people, "friend"))
    late.close()
    peer.send(acip.PING)
    assert peer.wait_for(acip.PONG) == b"", "people in the call stay in it"
    (people.directory / "friends").unlink()
    server.process.send_signal(signal.SIGHUP)
    server.wait_for_log("were not reloaded: Cannot read the list of keys")


@pytest.mark.thorough
def test_a_key_that_cannot_be_used_ends_the_command_with_its_code(people: People) -> None:
    done = people.client(1, "--key", people.path("nowhere"))
    assert done.returncode == 61
    assert done.stderr == (
        f"teleglyph: There is no key file '{people.path('nowhere')}'. Make one with 'teleglyph keygen' or "
        "'ssh-keygen -t ed25519'.\n"
    )
    done = people.client(1, "--server-key", "nonsense")
    assert done.returncode == 4
    done = people.client(1, "--server-key", people.path("server.pub"), "--no-encrypt")
    assert (done.returncode, "need encryption" in done.stderr) == (2, True)


def test_the_keys_that_keygen_creates_are_accepted_everywhere(tmp_path: Path) -> None:
    def run(*options: str) -> subprocess.CompletedProcess[str]:
        return run_program("keygen", *options, environment={**os.environ, "XDG_CONFIG_HOME": str(tmp_path)})

    assert run().returncode == 2, "nobody can be asked for a pass phrase"
    done = run("--no-passphrase", "--comment", "ann")
    assert done.returncode == 0, done.stderr
    public = (tmp_path / "teleglyph" / "id_ed25519.pub").read_text()
    assert public.endswith(" ann\n")
    assert public.rsplit(" ", 1)[0] in done.stdout
    assert fingerprint(parse_public_keys(public)[0]) in done.stdout
    again = run("--no-passphrase")
    assert (again.returncode, "exists already" in again.stderr) == (61, True)


def test_no_output_contains_a_secret(start_server: StartServer, people: People, tmp_path: Path) -> None:
    """The most verbose level, statistics all the time, stacks of all tasks, a wrong guess, an error on each side."""
    server = start_server(
        *("--password", PASSWORD, "--client-keys", people.path("friends"), "--key", people.path("server")),
        *("--statistics-interval", "0.1"),
    )
    log = tmp_path / "client.log"
    peer = AcipPeer(server.port)
    peer.handshake(PASSWORD, signing_key(people, "friend"))
    assert peer.key is not None
    server.process.send_signal(signal.SIGUSR1)
    server.wait_for_log("Stack of thread")
    bad = bytearray(peer.seal(acip.packet(acip.PING)))
    bad[-1] ^= 1
    peer.send_raw(bytes(bad))
    with pytest.raises((acip.PeerClosedError, OSError)):
        while True:
            peer.receive_outer()
    peer.close()
    written = ""
    for password in (PASSWORD, WRONG_PASSWORD):
        words = ["--log-level", "debug", "--log-file", str(log), "client", f"127.0.0.1:{server.port}"]
        words += ["--password", password, "--key", people.path("friend"), "--server-key", people.path("server.pub")]
        words += ["--snapshot", "--snapshot-delay", "0", "--test-pattern"]
        done = run_program(*words, environment={**os.environ, **people.environment})
        written += done.stdout + done.stderr
    server.stop()
    written += "".join(server.log) + (log.read_text() if log.exists() else "")
    assert "proved the key" in written
    assert_no_secret(people, written)
    assert peer.key.hex() not in written
    assert repr(peer.key) not in written
