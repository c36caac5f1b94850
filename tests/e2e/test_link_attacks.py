"""Attacks on calls over link 2 as people meet them: real servers, our client, and somebody between them."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import ssl
import subprocess
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

import acip_peer as acip
from acip_peer import AcipPeer
from certificates import Authority
from conftest import ServerProcess, run_program
from teleglyph.keys import FileIdentity, fingerprint, write_identity
from teleglyph.wire.link2 import ALPN
from terminal import wait_for

StartServer = Callable[..., ServerProcess]
LINK, PLAIN = "over link 2", "over ACIP"
_ANSWERS = {
    "garbage": b"HTTP/1.1 400 Bad Request\r\n\r\n",
    "alert": b"\x15\x03\x03\0\2\2\x28",  # fatal: handshake_failure
    "close": b"",
}


class Proxy:
    """Somebody between a client and a server, who may treat TLS connections in a way of their own.

    Args:
        port: the server's.
        host: the address to listen on.
    """

    def __init__(self, port: int, host: str) -> None:
        self.target = port
        self.on_tls: str | None = None
        """What happens to a connection that begins with TLS: garbage, alert, close, hang; None passes it on."""
        self.seen: list[str] = []
        """How each connection began."""
        self._listener = socket.create_server((host, 0))
        self.port = int(self._listener.getsockname()[1])
        self._open: list[socket.socket] = []
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        for one in (self._listener, *self._open):
            with suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
            one.close()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            self._open.append(client)
            threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        first = client.recv(1 << 16)
        is_tls = first.startswith(b"\x16\x03")
        self.seen.append(LINK if is_tls else PLAIN)
        if is_tls and self.on_tls is not None:
            if self.on_tls == "hang":
                return
            client.sendall(_ANSWERS[self.on_tls])
            client.close()
            return
        server = socket.create_connection(("127.0.0.1", self.target))
        self._open.append(server)
        server.sendall(first)
        threading.Thread(target=_copy, args=(server, client), daemon=True).start()
        _copy(client, server)


def _copy(source: socket.socket, target: socket.socket) -> None:
    with suppress(OSError):
        while data := source.recv(1 << 16):
            target.sendall(data)
        target.shutdown(socket.SHUT_WR)


Between = Callable[..., Proxy]


@pytest.fixture
def between() -> Iterator[Between]:
    """Puts somebody between a client and a server's port."""
    proxies: list[Proxy] = []

    def put(port: int, host: str = "127.0.0.1") -> Proxy:
        proxies.append(Proxy(port, host))
        return proxies[-1]

    yield put
    for proxy in proxies:
        proxy.close()


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    return {"XDG_CONFIG_HOME": str(tmp_path / "config"), "XDG_CONFIG_DIRS": ""}


@pytest.fixture
def identity(tmp_path: Path) -> FileIdentity:
    return write_identity(tmp_path / "server", None, "")


def join(environment: dict[str, str], where: str, *options: str) -> subprocess.CompletedProcess[str]:
    """Our client, which takes one picture of the call and leaves."""
    words = ["client", where, "--snapshot", "--snapshot-delay", "0", "--test-pattern", *options]
    done = run_program(*words, environment={**os.environ, **environment})
    assert "Traceback" not in done.stderr
    return done


def known_hosts(environment: dict[str, str]) -> str:
    path = Path(environment["XDG_CONFIG_HOME"]) / "teleglyph" / "known_hosts"
    return path.read_text() if path.exists() else ""


# --- blocking TLS -----------------------------------------------------------------------------------------------------

NO_LINK, SILENT, NO_RESPONSE = "does not speak Teleglyph's secure link", "closes every connection", "did not respond"
each_way = pytest.mark.parametrize(
    "how", ["garbage", *(pytest.param(how, marks=pytest.mark.thorough) for how in ("close", "hang"))]
)


@each_way
@pytest.mark.usefixtures("identity")
def test_blocking_the_first_contact_leads_to_acip_unless_the_user_wants_link_2(
    start_server: StartServer, between: Between, environment: dict[str, str], tmp_path: Path, how: str
) -> None:
    proxy = between(start_server("--key", str(tmp_path / "server")).port)
    proxy.on_tls = how
    where = f"127.0.0.1:{proxy.port}"
    first = join(environment, where, "--accept-new-server")
    assert first.returncode == 0, first.stderr
    assert proxy.seen == [LINK, PLAIN]
    assert "link=2" not in known_hosts(environment)
    forced = join(environment, where, "--protocol", "2")
    code, words = {"garbage": (44, NO_LINK), "close": (46, SILENT), "hang": (43, NO_RESPONSE)}[how]
    assert (forced.returncode, words in forced.stderr) == (code, True), forced.stderr
    assert PLAIN not in proxy.seen[2:]


@each_way
@pytest.mark.usefixtures("identity")
def test_a_known_server_is_not_joined_over_acip_because_link_2_is_blocked(
    start_server: StartServer, between: Between, environment: dict[str, str], tmp_path: Path, how: str
) -> None:
    proxy = between(start_server("--key", str(tmp_path / "server")).port)
    where = f"127.0.0.1:{proxy.port}"
    assert join(environment, where, "--accept-new-server").returncode == 0
    assert "link=2" in known_hosts(environment)
    proxy.on_tls = how
    blocked = join(environment, where, "--accept-new-server")
    code, words = {
        "garbage": (64, "spoke Teleglyph's secure link before"),
        "close": (46, SILENT),
        "hang": (43, NO_RESPONSE),
    }[how]
    assert (blocked.returncode, words in blocked.stderr) == (code, True), blocked.stderr
    assert PLAIN not in proxy.seen
    chosen = join(environment, where, "--protocol", "acip")
    assert chosen.returncode == 0, chosen.stderr
    assert proxy.seen[-1] == PLAIN


def test_an_alert_of_tls_never_leads_to_acip(
    start_server: StartServer, between: Between, environment: dict[str, str]
) -> None:
    """Not even on the first contact: ascii-chat's servers do not speak TLS."""
    proxy = between(start_server().port)
    proxy.on_tls = "alert"
    refused = join(environment, f"127.0.0.1:{proxy.port}", "--accept-new-server")
    assert (refused.returncode, "refused the TLS connection" in refused.stderr) == (44, True), refused.stderr
    assert proxy.seen == [LINK]


@pytest.mark.usefixtures("identity")
def test_a_pinned_server_is_remembered_to_speak_link_2(
    start_server: StartServer, between: Between, environment: dict[str, str], tmp_path: Path
) -> None:
    proxy = between(start_server("--key", str(tmp_path / "server")).port)
    where, pin = f"127.0.0.1:{proxy.port}", ("--server-key", str(tmp_path / "server.pub"))
    assert join(environment, where, *pin).returncode == 0
    proxy.on_tls = "garbage"
    assert join(environment, where, *pin).returncode == 64
    assert PLAIN not in proxy.seen


# --- a fake server ----------------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("identity")
def test_a_fake_server_is_refused_as_far_as_the_client_can_know(
    start_server: StartServer, between: Between, environment: dict[str, str], tmp_path: Path, lan_address: str
) -> None:
    fake = write_identity(tmp_path / "fake", None, "")
    impostor = start_server("--key", str(tmp_path / "fake"))
    proxy = between(impostor.port, lan_address)
    where, shown = f"{lan_address}:{proxy.port}", fingerprint(fake.public_key)
    unknown = join(environment, where)
    assert (unknown.returncode, "You have not joined" in unknown.stderr, shown in unknown.stderr) == (60, True, True)
    pinned = join(environment, where, "--server-key", str(tmp_path / "server.pub"))
    assert (pinned.returncode, "--server-key requires" in pinned.stderr, shown in pinned.stderr) == (64, True, True)

    proxy.target = start_server("--key", str(tmp_path / "server")).port
    assert join(environment, where, "--accept-new-server").returncode == 0
    proxy.target = impostor.port
    changed = join(environment, where, "--accept-new-server")
    assert (changed.returncode, "has changed" in changed.stderr, shown in changed.stderr) == (64, True, True)
    assert set(proxy.seen) == {LINK}
    assert not any("joined" in line for line in impostor.log), "it never saw a participant"


# --- other protocols --------------------------------------------------------------------------------------------------


def test_a_server_can_refuse_acip(start_server: StartServer, environment: dict[str, str]) -> None:
    server = start_server("--no-acip")
    where = f"127.0.0.1:{server.port}"
    older = join(environment, where, "--protocol", "acip")
    assert older.returncode != 0
    assert "This server does not speak ACIP" in older.stderr
    foreign = AcipPeer(server.port)
    foreign.send_raw(acip.packet(acip.PROTOCOL_VERSION, bytes(16)))
    kind, payload = foreign.receive_outer()
    assert kind == acip.ERROR_MESSAGE
    assert b"does not speak ACIP" in payload
    foreign.close()
    assert join(environment, where).returncode == 0


def ask_over_tls(port: int, version: ssl.TLSVersion, *protocols: str) -> bytes:
    """What the server answers to an HTTP request inside TLS; nothing if it closes the connection."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.maximum_version = version
    context.set_alpn_protocols([*protocols])
    answer = b""
    with (
        suppress(ConnectionError, ssl.SSLEOFError),
        socket.create_connection(("127.0.0.1", port)) as plain,
        context.wrap_socket(plain) as tls,
    ):
        tls.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        while chunk := tls.recv(1 << 16):
            answer += chunk
    return answer


def test_link_2_needs_tls_1_3_and_its_name(server: ServerProcess) -> None:
    older, newer = ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3
    assert ask_over_tls(server.port, older, ALPN) == b""
    assert ask_over_tls(server.port, newer, ALPN) == b"", "no HTTP under this name"
    for version in (older, newer):
        assert ask_over_tls(server.port, version).startswith(b"HTTP/1.1 ")
        assert ask_over_tls(server.port, version, "http/1.1").startswith(b"HTTP/1.1 ")


# --- certificates of authorities --------------------------------------------------------------------------------------


def with_certificate(start_server: StartServer, host: str, tmp_path: Path, file: Path) -> ServerProcess:
    return start_server(host, "--key", str(tmp_path / "server"), "--tls-cert", str(file))


def test_a_server_with_a_valid_certificate_is_joined_without_a_question(
    start_server: StartServer,
    environment: dict[str, str],
    tmp_path: Path,
    identity: FileIdentity,
    lan_address: str,
) -> None:
    authority = Authority(tmp_path)
    server = with_certificate(start_server, lan_address, tmp_path, authority.issue(tmp_path / "web.pem", lan_address))
    trusting = {**environment, "SSL_CERT_FILE": str(authority.file)}
    where = f"{lan_address}:{server.port}"
    refused = join(environment, where)
    assert (refused.returncode, "You have not joined" in refused.stderr) == (60, True), refused.stderr
    assert fingerprint(identity.public_key) in refused.stderr, "proved by a signature"
    accepted = join(trusting, where)
    assert accepted.returncode == 0, accepted.stderr
    assert f"{fingerprint(identity.public_key)}, and has a valid certificate" in accepted.stderr

    authority.issue(tmp_path / "web.pem", lan_address)
    server.process.send_signal(signal.SIGHUP)
    server.wait_for_log("Reloaded the certificate")
    again = join(environment, where)
    assert (again.returncode, again.stderr) == (0, ""), "its identity is the same, and that is what counts"


@pytest.mark.usefixtures("identity")
def test_a_certificate_that_is_not_valid_leads_to_the_question(
    start_server: StartServer, environment: dict[str, str], tmp_path: Path, lan_address: str
) -> None:
    authority = Authority(tmp_path)
    trusting = {**environment, "SSL_CERT_FILE": str(authority.file)}
    expired = authority.issue(tmp_path / "expired.pem", lan_address, is_expired=True)
    other = authority.issue(tmp_path / "other.pem", "example.org")
    for file in (expired, other):
        server = with_certificate(start_server, lan_address, tmp_path, file)
        asked = join(trusting, f"{lan_address}:{server.port}")
        assert (asked.returncode, "You have not joined" in asked.stderr) == (60, True), asked.stderr
        assert join(trusting, f"{lan_address}:{server.port}", "--accept-new-server").returncode == 0


@contextmanager
def agent_with(key: Path) -> Iterator[str]:
    """An agent that holds a key; the file is gone then."""
    directory = Path(tempfile.mkdtemp(prefix="tg"))  # a socket's path must be short
    path = directory / "s"
    with subprocess.Popen(["ssh-agent", "-D", "-a", str(path)], stdout=subprocess.DEVNULL) as agent:
        wait_for(path.exists, "the agent never began")
        environment = {**os.environ, "SSH_AUTH_SOCK": str(path)}
        subprocess.run(["ssh-add", "-q", str(key)], check=True, capture_output=True, env=environment)
        key.unlink()
        try:
            yield str(path)
        finally:
            agent.terminate()
    shutil.rmtree(directory)


def test_an_agent_may_hold_the_servers_identity(
    start_server: StartServer, environment: dict[str, str], tmp_path: Path, identity: FileIdentity
) -> None:
    with agent_with(tmp_path / "server") as path:
        server = start_server("--key", str(tmp_path / "server"), environment={"SSH_AUTH_SOCK": path})
        where, pin = f"127.0.0.1:{server.port}", ("--server-key", str(tmp_path / "server.pub"))
        for protocol in ("2", "acip"):
            done = join(environment, where, "--protocol", protocol, *pin)
            assert done.returncode == 0, done.stderr
    gone = join(environment, where, "--protocol", "2", *pin)
    assert gone.returncode != 0
    server.wait_for_log("ERROR .*Cannot prove the server's identity, so nobody can join: The key agent did not sign")
