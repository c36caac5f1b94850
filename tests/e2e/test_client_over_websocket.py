"""Our client over WebSocket: real servers, TLS, proxies and a server in ascii-chat's order."""

from __future__ import annotations

import os
import re
import shlex
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from c_server import half_blocks
from c_websocket_server import CWebSocketServer
from certificates import certificate
from conftest import ServerProcess, run_program
from connect_proxy import ConnectProxy
from teleglyph.keys import KnownHosts, format_public_key, write_identity
from terminal import terminal, wait_for
from websocket_peer import WebSocketPeer

PASSWORD = "correct horse"
StartServer = Callable[..., ServerProcess]


@pytest.fixture
def environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    for name in ("TELEGLYPH_PASSWORD", "TELEGLYPH_KEY", "SSH_AUTH_SOCK", "SSL_CERT_FILE"):
        monkeypatch.delenv(name, raising=False)
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    return {"XDG_CONFIG_HOME": str(tmp_path / "config"), "XDG_CONFIG_DIRS": "", "HOME": str(tmp_path)}


@pytest.fixture
def web_server(start_server: StartServer) -> Callable[..., ServerProcess]:
    """Starts servers with HTTP on both ports."""

    def start(*options: str) -> ServerProcess:
        server = start_server("--http", "--http-port", "0", *options)
        server.wait_for_log("HTTP")
        return server

    return start


def snapshot(environment: dict[str, str], url: str, *options: str) -> subprocess.CompletedProcess[str]:
    words = ["client", url, "--snapshot", "--snapshot-delay", "0", *options]
    return run_program(*words, environment={**os.environ, **environment})


def send_picture(environment: dict[str, str], url: str, *options: str) -> subprocess.CompletedProcess[str]:
    return snapshot(environment, url, "--test-pattern", *options)


def assert_joined(done: subprocess.CompletedProcess[str]) -> None:
    assert done.returncode == 0, done.stderr
    assert len(done.stdout.splitlines()) > 5


def assert_refused(done: subprocess.CompletedProcess[str], code: int, message: str) -> None:
    assert (done.returncode, done.stdout) == (code, ""), done.stderr
    assert re.search(message, done.stderr), done.stderr


# --- joining ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "path", ["", *(pytest.param(path, marks=pytest.mark.thorough) for path in ("/call", "/", "/behind/a/proxy"))]
)
def test_the_client_joins(web_server: StartServer, environment: dict[str, str], path: str) -> None:
    server = web_server()
    assert_joined(send_picture(environment, f"ws://127.0.0.1:{server.port}{path}"))
    server.wait_for_log("guest-1.* is gone .left.|left after")


def test_passwords_are_checked(web_server: StartServer, environment: dict[str, str]) -> None:
    url = f"ws://127.0.0.1:{web_server('--password', PASSWORD).port}"
    assert_joined(send_picture({**environment, "TELEGLYPH_PASSWORD": PASSWORD}, url))
    wrong = send_picture({**environment, "TELEGLYPH_PASSWORD": "battery staple"}, url)
    assert_refused(wrong, 62, "The password from TELEGLYPH_PASSWORD is wrong")
    assert_refused(send_picture(environment, url), 62, "requires a password")


@pytest.mark.thorough
def test_keys_and_known_hosts_work_as_over_tcp(
    web_server: StartServer, environment: dict[str, str], tmp_path: Path, lan_address: str
) -> None:
    identity = write_identity(tmp_path / "server_key", None, "server")
    friend = write_identity(Path(environment["XDG_CONFIG_HOME"]) / "teleglyph" / "id_ed25519", None, "ann")
    friends = tmp_path / "friends"
    friends.write_text(format_public_key(friend.public_key) + "\n")
    server = web_server(lan_address, "--key", str(tmp_path / "server_key"), "--client-keys", str(friends))
    where = f"{lan_address}:{server.port}"
    url = f"ws://{where}"
    assert_refused(send_picture(environment, url), 60, f"You have not joined {where} before")
    assert_joined(send_picture(environment, url, "--accept-new-server"))
    assert_joined(send_picture(environment, where))
    hosts = Path(environment["XDG_CONFIG_HOME"]) / "teleglyph" / "known_hosts"
    [entry] = KnownHosts(hosts, []).entries()
    assert (entry.address, entry.identity) == (where, identity.public_key)
    other = format_public_key(friend.public_key)
    assert_refused(send_picture(environment, url, "--server-key", other), 64, "but --server-key requires")
    os.unlink(Path(environment["XDG_CONFIG_HOME"]) / "teleglyph" / "id_ed25519")
    assert_refused(send_picture(environment, url), 61, "There is no key file")


@pytest.mark.thorough
def test_the_prompt_for_a_password_and_the_picture_in_a_terminal(
    web_server: StartServer, environment: dict[str, str]
) -> None:
    server = web_server("--password", PASSWORD)
    settings = " ".join(f"{name}={shlex.quote(value)}" for name, value in environment.items())
    url = f"ws://127.0.0.1:{server.port}"
    with terminal(100, 30) as window:
        window.begin(f"env {settings} {sys.executable} -m teleglyph client {url} --test-pattern --no-audio")
        window.expect(f"Password for {url}/call")
        window.type(PASSWORD)
        window.press("Enter")
        window.expect("Only this machine can join")
        server.stop()
        window.expect("Reconnecting")
        window.press("q")


@pytest.mark.thorough
def test_a_server_without_encryption_is_joined_like_over_tcp(
    web_server: StartServer, environment: dict[str, str]
) -> None:
    open_server = web_server("--no-encrypt")
    assert_joined(send_picture(environment, f"ws://127.0.0.1:{open_server.port}", "--no-encrypt"))


def test_servers_in_ascii_chats_order_are_joined(environment: dict[str, str]) -> None:
    with CWebSocketServer(half_blocks) as server:
        assert_joined(snapshot(environment, f"ws://127.0.0.1:{server.port}/", "--accept-new-server"))
        assert server.paths == ["/call"]
    assert server.received[:1] == [5000], "the first packet has the capabilities"
    assert not [kind for kind in server.received if 5100 <= kind < 5200 or kind in (3100, 3101)], "no screens"


# --- refusals ---------------------------------------------------------------------------------------------------------


def test_refusals_say_what_to_do(web_server: StartServer, environment: dict[str, str]) -> None:
    server = web_server("--max-clients", "1", "--rooms", "closed")
    url = f"ws://127.0.0.1:{server.port}"
    peer = WebSocketPeer(server.port).join()
    peer.frame()
    assert_refused(snapshot(environment, url), 48, "The server is full: Maximum client limit reached.")
    peer.close()
    assert_refused(snapshot(environment, f"{url}/call/tea"), 42, "refused the call: There is no room 'tea' on this")
    secure = f"wss://127.0.0.1:{server.port}"
    assert_refused(snapshot(environment, secure), 42, "cannot be trusted: self-signed certificate")


def test_servers_without_calls_are_named(start_server: StartServer, environment: dict[str, str]) -> None:
    server = start_server()
    refused = snapshot(environment, f"ws://127.0.0.1:{server.port}")
    assert_refused(refused, 42, "is a web server, but has no calls over WebSocket")
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    assert_refused(snapshot(environment, f"ws://127.0.0.1:{port}"), 42, f"Nobody listens on 127.0.0.1:{port}")


# --- TLS --------------------------------------------------------------------------------------------------------------


def test_certificates_are_verified(web_server: StartServer, environment: dict[str, str], tmp_path: Path) -> None:
    file = certificate(tmp_path, "localhost", is_verifiable=True)
    server = web_server("--tls-cert", str(file), "--password", PASSWORD)
    url = f"wss://localhost:{server.http_port}"
    environment["TELEGLYPH_PASSWORD"] = PASSWORD
    refused = send_picture(environment, url)
    assert_refused(refused, 42, "cannot be trusted: self-signed certificate.* set SSL_CERT_FILE to its file")
    trusting = {**environment, "SSL_CERT_FILE": str(file)}
    assert_joined(send_picture(trusting, url))
    other_name = send_picture(trusting, f"wss://127.0.0.1:{server.http_port}")
    assert_refused(other_name, 42, "cannot be trusted")
    assert_refused(send_picture(trusting, f"ws://localhost:{server.port}"), 42, "wants TLS. Write wss://")
    assert_refused(send_picture(trusting, f"ws://localhost:{server.http_port}"), 42, "wants TLS. Write wss://localhost")


# --- proxies ----------------------------------------------------------------------------------------------------------


def test_the_client_joins_through_a_proxy(web_server: StartServer, environment: dict[str, str], tmp_path: Path) -> None:
    write_identity(tmp_path / "server_key", None, "server")
    server = web_server("--password", PASSWORD, "--key", str(tmp_path / "server_key"))
    environment["TELEGLYPH_PASSWORD"] = PASSWORD
    with ConnectProxy("ann:p@ss") as proxy:
        environment["http_proxy"] = f"http://ann:p%40ss@127.0.0.1:{proxy.port}"
        url = f"ws://localhost:{server.port}"
        assert_joined(send_picture(environment, url, "--accept-new-server"))
        assert set(proxy.targets) == {f"localhost:{server.port}"}
    [entry] = KnownHosts(Path(environment["XDG_CONFIG_HOME"]) / "teleglyph" / "known_hosts", []).entries()
    assert entry.address == f"localhost:{server.port}", "the numeric address is unknown"


def test_tls_goes_through_a_proxy(web_server: StartServer, environment: dict[str, str], tmp_path: Path) -> None:
    file = certificate(tmp_path, "localhost", is_verifiable=True)
    server = web_server("--tls-cert", str(file))
    with ConnectProxy() as proxy:
        environment |= {"https_proxy": f"127.0.0.1:{proxy.port}", "SSL_CERT_FILE": str(file)}
        assert_joined(send_picture(environment, f"wss://localhost:{server.http_port}", "--accept-new-server"))
        assert set(proxy.targets) == {f"localhost:{server.http_port}"}
        environment["no_proxy"] = "localhost"
        proxy.targets.clear()
        assert_joined(send_picture(environment, f"wss://localhost:{server.http_port}"))
        assert not proxy.targets


@pytest.mark.thorough
def test_refusals_of_a_proxy_are_shown(environment: dict[str, str]) -> None:
    for credentials, status, message in (
        ("ann:pass", 0, r"requires a user name and a password \(407\)"),
        ("", 403, r"does not let us through to localhost:9 \(403 Forbidden\)"),
        ("", 502, r"cannot reach localhost:9 \(502 Bad Gateway\)"),
    ):
        with ConnectProxy(credentials, status) as proxy:
            environment["http_proxy"] = f"http://127.0.0.1:{proxy.port}"
            refused = snapshot(environment, "ws://localhost:9")
            assert_refused(refused, 42, rf"The proxy 127.0.0.1:{proxy.port} \(http_proxy\) {message}")
    environment["http_proxy"] = "socks5://127.0.0.1:9"
    assert_refused(snapshot(environment, "ws://localhost:9"), 2, "only http:// is supported")


def test_the_client_reconnects_through_its_proxy(web_server: StartServer, environment: dict[str, str]) -> None:
    server = web_server()
    with ConnectProxy() as proxy:
        environment["http_proxy"] = f"http://127.0.0.1:{proxy.port}"
        settings = " ".join(f"{name}={shlex.quote(value)}" for name, value in environment.items())
        words = f"client ws://127.0.0.1:{server.port} --test-pattern --no-audio --accept-new-server"
        with terminal(100, 30) as window:
            window.begin(f"env {settings} {sys.executable} -m teleglyph {words}")
            window.expect("Only this machine can join")
            proxy.drop()
            wait_for(lambda: len(proxy.targets) == 2, "the client reconnects", lambda: "".join(server.log))
            server.wait_for_log("guest-2 connected|connected as guest-2")
            window.press("q")
