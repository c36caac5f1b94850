"""HTTP proxies: which one the environment names, what it is asked, and what its answers mean."""

from __future__ import annotations

import asyncio
import base64
import socket
import threading

import pytest

from teleglyph.errors import UserError
from teleglyph.net.http_proxy import MAX_ANSWER, Answer, HttpProxy, ProxyError, connect_request, open_tunnel, proxy_for

VARIABLES = ("http_proxy", "https_proxy", "all_proxy", "no_proxy")


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    return monkeypatch


@pytest.mark.parametrize(
    ("variables", "is_secure", "expected"),
    [
        ({}, True, None),
        ({"http_proxy": "http://a:1"}, False, "a:1 (http_proxy)"),
        ({"http_proxy": "http://a:1"}, True, None),
        ({"https_proxy": "http://b:2"}, True, "b:2 (https_proxy)"),
        ({"HTTPS_PROXY": "http://b:2"}, True, "b:2 (https_proxy)"),
        ({"all_proxy": "http://c:3", "http_proxy": "http://a"}, True, "c:3 (all_proxy)"),
        ({"all_proxy": "http://c:3", "http_proxy": "http://a"}, False, "a:80 (http_proxy)"),
        ({"https_proxy": "b:2"}, True, "b:2 (https_proxy)"),
        ({"https_proxy": "http://[2001:db8::1]:2"}, True, "[2001:db8::1]:2 (https_proxy)"),
        ({"https_proxy": "http://b:2", "no_proxy": "call.example"}, True, None),
        ({"https_proxy": "http://b:2", "no_proxy": "call.example:443"}, True, None),
        ({"https_proxy": "http://b:2", "no_proxy": "call.example:80"}, True, "b:2 (https_proxy)"),
        ({"https_proxy": "http://b:2", "no_proxy": ".example"}, True, None),
        ({"https_proxy": "http://b:2", "no_proxy": "*"}, True, None),
    ],
)
def test_the_environment_names_the_proxy(
    environment: pytest.MonkeyPatch, variables: dict[str, str], is_secure: bool, expected: str | None
) -> None:
    for name, value in variables.items():
        environment.setenv(name, value)
    proxy = proxy_for("call.example", 443, is_secure=is_secure)
    assert (None if proxy is None else str(proxy)) == (expected and f"The proxy {expected}")


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("https://u:secret@b:2", "https://, but only http:// is supported"),
        ("socks5://u:secret@b:2", "socks5://, but only http:// is supported"),
        ("ftp://u:secret@b", "isn't supported"),
        ("http://u:secret@b:port", "is not the URL of a proxy"),
        ("http://u:secret@b/path", "is not the URL of a proxy"),
        ("http://", "is not the URL of a proxy"),
    ],
)
def test_unusable_proxies_are_named_without_their_password(
    environment: pytest.MonkeyPatch, url: str, message: str
) -> None:
    environment.setenv("https_proxy", url)
    with pytest.raises(UserError) as refused:
        proxy_for("call.example", 443, is_secure=True)
    assert str(refused.value).startswith("https_proxy ")
    assert message in str(refused.value)
    assert "secret" not in str(refused.value)


def test_the_request_has_the_target_and_the_credentials(environment: pytest.MonkeyPatch) -> None:
    environment.setenv("https_proxy", "http://ann:p%40ss%3Aword@b:2")
    proxy = proxy_for("call.example", 443, is_secure=True)
    assert proxy is not None
    assert "p@ss" not in f"{proxy} {proxy!r}"
    lines = connect_request(proxy, "call.example", 443).decode().split("\r\n")
    assert lines[:2] == ["CONNECT call.example:443 HTTP/1.1", "Host: call.example:443"]
    name, _, secret = lines[2].partition(": Basic ")
    assert (name, base64.b64decode(secret)) == ("Proxy-Authorization", b"ann:p@ss:word")
    assert lines[3:] == ["", ""]
    assert connect_request(HttpProxy("b", 2, "x"), "::1", 80).startswith(b"CONNECT [::1]:80 HTTP/1.1\r\nHost: [::1]:80")
    assert connect_request(HttpProxy("b", 2, "x"), "bücher.example", 80).startswith(
        b"CONNECT xn--bcher-kva.example:80 "
    )


@pytest.mark.parametrize("chunk", [1, 3, 1000])
@pytest.mark.parametrize(
    ("data", "status"),
    [
        (b"HTTP/1.1 200 Connection established\r\n\r\n", 200),
        (b"HTTP/1.0 200\r\nVia: x\r\n\r\n", 200),
        (b"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 4\r\n\r\nbody", 407),
    ],
)
def test_answers_may_arrive_in_pieces(data: bytes, status: int, chunk: int) -> None:
    answer = Answer()
    for start in range(0, len(data), chunk):
        if not answer.status:
            answer.feed(data[start : start + chunk])
    assert answer.status == status


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"SSH-2.0-OpenSSH\r\n", "does not speak HTTP"),
        (b"HTTP/1.1 20 OK\r\n\r\n", "does not speak HTTP"),
        (b"HTTP/1.1 200 OK\r\n\r\nhello", "sent something before the server could"),
        (b"HTTP/1.1 200 OK\r\n" + b"a: b\r\n" * (MAX_ANSWER // 6), f"more than {MAX_ANSWER} bytes"),
    ],
)
def test_other_answers_are_refused(data: bytes, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Answer().feed(data)


def answering(data: bytes) -> HttpProxy:
    """A proxy that reads one request, sends ``data`` and closes."""
    listener = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        with listener, listener.accept()[0] as client:
            request = b""
            while b"\r\n\r\n" not in request:
                request += client.recv(1000)
            client.sendall(data)

    threading.Thread(target=serve, daemon=True).start()
    return HttpProxy("127.0.0.1", listener.getsockname()[1], "https_proxy")


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (
            b"HTTP/1.1 407 x\r\n\r\n",
            r"requires a user name and a password \(407\). Set https_proxy to http://USER:PASS",
        ),
        (b"HTTP/1.1 403 x\r\n\r\n", r"does not let us through to call.example:443 \(403 Forbidden\)"),
        (b"HTTP/1.1 502 x\r\n\r\n", r"cannot reach call.example:443 \(502 Bad Gateway\)"),
        (b"HTTP/1.1 599 x\r\n\r\n", r"does not let us through to call.example:443 \(599\)"),
        (b"HTTP/1.1 200", "closed the connection without an answer"),
        (b"", "closed the connection without an answer"),
        (b"220 mail.example ESMTP\r\n", "is not an HTTP proxy: it does not speak HTTP. Check https_proxy."),
    ],
)
def test_refusals_name_the_proxy_and_what_it_said(data: bytes, message: str) -> None:
    proxy = answering(data)
    with pytest.raises(ProxyError, match=message) as refused:
        asyncio.run(open_tunnel(proxy, "call.example", 443))
    assert str(refused.value).startswith(f"The proxy 127.0.0.1:{proxy.port} (https_proxy) ")


def test_wrong_credentials_are_named() -> None:
    proxy = answering(b"HTTP/1.1 407 x\r\n\r\n")
    proxy = HttpProxy(proxy.host, proxy.port, "https_proxy", ("ann", "secret"))
    with pytest.raises(ProxyError, match=r"does not accept our user name and password \(407\)") as refused:
        asyncio.run(open_tunnel(proxy, "call.example", 443))
    assert "secret" not in str(refused.value)


def test_a_proxy_that_is_not_there_is_named() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    message = r"cannot be reached: connection refused. Check http_proxy, or add call.example to no_proxy."
    with pytest.raises(ProxyError, match=message):
        asyncio.run(open_tunnel(HttpProxy("127.0.0.1", port, "http_proxy"), "call.example", 80))


def test_a_tunnel_is_an_open_socket() -> None:
    proxy = answering(b"HTTP/1.1 200 OK\r\n\r\n")
    tunnel = asyncio.run(open_tunnel(proxy, "call.example", 443))
    assert tunnel.getpeername() == ("127.0.0.1", proxy.port)
    tunnel.close()
