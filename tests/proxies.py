"""Debian's HAProxy and nginx, with the configurations of docs/hosting.md."""

from __future__ import annotations

import contextlib
import os
import re
import shlex
import shutil
import socket
import ssl
import subprocess
import threading
from pathlib import Path

from certificates import certificate

NAME = "relay.example.org"
"""The server's name on the page."""
PAGE = Path(__file__).parents[1] / "docs" / "hosting.md"
_SYSTEM_PROGRAMS = f"{os.environ.get('PATH', os.defpath)}:/usr/sbin:/sbin"
_STREAM_MODULE = Path("/usr/lib/nginx/modules/ngx_stream_module.so")


def block(language: str, start: str) -> str:
    """The code block of the page in a language that begins with a text."""
    found: list[str] = [
        text
        for name, text in re.findall(r"^```(\w*)\n(.*?)^```$", PAGE.read_text(), re.DOTALL | re.MULTILINE)
        if name == language and text.startswith(start)
    ]
    assert len(found) == 1, f"{len(found)} blocks in {language} begin with {start!r}"
    return found[0]


def adapt(text: str, changes: dict[str, str]) -> str:
    """Replace texts that must occur, so that a changed page cannot leave a real port or path behind."""
    for written, used in changes.items():
        assert written in text, f"{written!r} is not on the page"
        text = text.replace(written, used)
    return text


def service_options() -> list[str]:
    """The options of the server on the page that are not about ports and places on this machine."""
    words = re.search(r"^ExecStart=(.*?[^\\])$", block("ini", "[Unit]"), re.DOTALL | re.MULTILINE)
    assert words is not None
    program, command, address, *options = shlex.split(words[1].replace("\\\n", " "))
    assert (Path(program).name, command, address) == ("teleglyph", "server", "127.0.0.1")
    for option in ("--port", "--http-port", "--data-dir"):
        place = options.index(option)
        del options[place : place + 2]
    return options


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])


class Proxy:
    """A running proxy.

    Args:
        command: that runs it in the foreground.
        ports: where it listens.
        log: a file for its output.
    """

    def __init__(self, command: list[str], ports: list[int], log: Path) -> None:
        program = shutil.which(command[0], path=_SYSTEM_PROGRAMS)
        assert program is not None, f"{command[0]} is missing; scripts/system-packages installs it"
        self._log = log
        with log.open("w") as output:
            self._process = subprocess.Popen([program, *command[1:]], stdout=output, stderr=output)
        try:
            for port in ports:
                self._wait_for(port)
        except BaseException:
            self.close()
            raise

    def _wait_for(self, port: int) -> None:
        for _ in range(200):
            assert self._process.poll() is None, self._log.read_text()
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port)):
                return
            threading.Event().wait(0.05)
        raise AssertionError(f"nobody listens on port {port}: {self._log.read_text()}")

    def close(self) -> None:
        if self._process.poll() is None:
            self._process.terminate()
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            raise


class ProxyPair:
    """A proxy and its two ports.

    Args:
        place: an empty directory for its files.
        http_port: the server's port for HTTP.
        call_port: the server's port for calls.

    Attributes:
        pages: the proxy's port for pages and WebSockets, with TLS.
        calls: the proxy's port for calls.
        tls: what a client of the pages uses.
    """

    def __init__(self, place: Path, http_port: int, call_port: int) -> None:
        self.place = place
        self.http_port, self.call_port = http_port, call_port
        self.pages, self.calls = free_port(), free_port()
        self.certificate = certificate(place, NAME)
        # Who signed the certificate is not what these tests are about.
        self.tls = ssl.create_default_context()
        self.tls.check_hostname, self.tls.verify_mode = False, ssl.CERT_NONE
        self.proxy = self.start()

    def start(self) -> Proxy:
        raise NotImplementedError

    def open_socket(self, source: str) -> socket.socket:
        """Connect to the port for pages from one of this machine's loopback addresses, without TLS yet."""
        return socket.create_connection(("127.0.0.1", self.pages), 30, (source, 0))

    def close(self) -> None:
        self.proxy.close()


class HaproxyPair(ProxyPair):
    """HAProxy with both frontends of the page.

    Args:
        call_options: are added to the line of the server for calls.
    """

    def __init__(self, place: Path, http_port: int, call_port: int, call_options: str = "") -> None:
        self._call_options = call_options
        super().__init__(place, http_port, call_port)

    def start(self) -> Proxy:
        settings = adapt(
            block("haproxy", "defaults teleglyph"),
            {
                "bind :27224,[::]:27224 v6only": f"bind 127.0.0.1:{self.calls}",
                "bind :443,[::]:443 v6only": f"bind 127.0.0.1:{self.pages}",
                "127.0.0.1:27225 send-proxy-v2": f"127.0.0.1:{self.call_port} send-proxy-v2 {self._call_options}",
                "127.0.0.1:27226": f"127.0.0.1:{self.http_port}",
                f"/etc/haproxy/{NAME}.pem": str(self.certificate),
            },
        )
        assert "/etc" not in settings
        file = self.place / "haproxy.cfg"
        file.write_text(f"global\n    maxconn 200\n    ssl-default-bind-options ssl-min-ver TLSv1.2\n\n{settings}")
        return Proxy(["haproxy", "-db", "-f", str(file)], [self.calls, self.pages], self.place / "haproxy.log")


class NginxPair(ProxyPair):
    """nginx with the server for pages and the stream for calls.

    Args:
        call_host: the address of the server for calls.
    """

    def __init__(self, place: Path, http_port: int, call_port: int, call_host: str = "127.0.0.1") -> None:
        self._call_host = call_host
        super().__init__(place, http_port, call_port)

    def start(self) -> Proxy:
        pages = adapt(
            block("nginx", "map"),
            {
                "listen 443 ssl;": f"listen 127.0.0.1:{self.pages} ssl;",
                "listen [::]:443 ssl;": "",
                "127.0.0.1:27226": f"127.0.0.1:{self.http_port}",
                f"/etc/ssl/private/{NAME}.pem": str(self.certificate),
                f"/etc/ssl/{NAME}.pem": str(self.certificate),
            },
        )
        calls = adapt(
            block("nginx", "stream"),
            {
                "listen 27224;": f"listen 127.0.0.1:{self.calls};",
                "listen [::]:27224;": "",
                "192.0.2.10:27225": f"{self._call_host}:{self.call_port}",
            },
        )
        assert "/etc" not in pages + calls
        place, log = self.place, self.place / "nginx.log"
        paths = "".join(
            f"{name}_temp_path {place}/{name};" for name in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
        )
        # Started by root, the workers would run as a user that may not enter this directory.
        user = "user root;" if os.geteuid() == 0 else ""
        module = f"load_module {_STREAM_MODULE};" if _STREAM_MODULE.exists() else ""
        file = place / "nginx.conf"
        file.write_text(
            f"{module}\n{user}\ndaemon off;\nworker_processes 1;\npid {place}/nginx.pid;\n"
            f"events {{ worker_connections 200; }}\n"
            f"http {{\naccess_log off;\n{paths}\n{pages}}}\n{calls}"
        )
        return Proxy(
            ["nginx", "-p", str(place), "-e", str(log), "-c", str(file)],
            [self.calls, self.pages],
            place / "nginx.output",
        )
