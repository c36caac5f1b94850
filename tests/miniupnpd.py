"""A home network in network namespaces whose router runs miniupnpd, which is not ours."""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

PUBLIC = "11.22.33.44"
ROUTER, HOST = "192.168.77.1", "192.168.77.2"
_TABLE = """table inet filter {
    chain forward { type filter hook forward priority 0; jump miniupnpd; }
    chain miniupnpd { }
    chain prerouting { type nat hook prerouting priority -100; jump prerouting_miniupnpd; }
    chain postrouting { type nat hook postrouting priority 100; jump postrouting_miniupnpd; }
    chain prerouting_miniupnpd { }
    chain postrouting_miniupnpd { }
}"""


def why_not() -> str | None:
    """Why such a network cannot be made here; None if it can."""
    if sys.platform != "linux" or os.geteuid() != 0:
        return "network namespaces need Linux and root"
    missing = [name for name in ("ip", "nft", "miniupnpd") if shutil.which(name) is None]
    if missing:
        return f"not installed: {', '.join(missing)}"
    name = f"tg-{secrets.token_hex(3)}"
    if subprocess.run(["ip", "netns", "add", name], capture_output=True).returncode:
        return "network namespaces cannot be made here"
    subprocess.run(["ip", "netns", "del", name], check=True)
    return None


class Home:
    """A router with a public address, and one computer behind it.

    Attributes:
        host: the computer's namespace.
    """

    def __init__(self, folder: Path, *, upnp: bool, pcp: bool) -> None:
        self._folder = folder
        mark = secrets.token_hex(3)
        self.host, self._router = f"tg-host-{mark}", f"tg-router-{mark}"
        self._daemon: subprocess.Popen[bytes] | None = None
        answers = {True: "yes", False: "no"}
        self._configuration = folder / "miniupnpd.conf"
        self._configuration.write_text(
            f"ext_ifname=wan\nlistening_ip=lan\nenable_natpmp={answers[pcp]}\nenable_upnp={answers[upnp]}\n"
            "secure_mode=yes\nsystem_uptime=no\nuuid=12345678-1234-1234-1234-123456789abc\n"
            "allow 1024-65535 192.168.77.0/24 1024-65535\ndeny 0-65535 0.0.0.0/0 0-65535\n"
            "upnp_table_name=filter\nupnp_nat_table_name=filter\nupnp_forward_chain=miniupnpd\n"
            "upnp_nat_chain=prerouting_miniupnpd\nupnp_nat_postrouting_chain=postrouting_miniupnpd\n"
        )

    def build(self) -> None:
        """Make the namespaces."""
        for name in (self.host, self._router):
            _run("ip", "netns", "add", name)
        host, router = ("ip", "-n", self.host), ("ip", "-n", self._router)
        _run(*router, "link", "add", "lan", "type", "veth", "peer", "name", "eth", "netns", self.host)
        _run(*router, "link", "add", "wan", "type", "veth", "peer", "name", "internet")
        _run(*router, "addr", "add", f"{PUBLIC}/24", "dev", "wan")
        _run(*router, "addr", "add", f"{ROUTER}/24", "dev", "lan")
        _run(*host, "addr", "add", f"{HOST}/24", "dev", "eth")
        for command, device in ((router, "lan"), (router, "wan"), (router, "internet"), (host, "eth"), (host, "lo")):
            _run(*command, "link", "set", device, "up")
        _run(*router, "route", "add", "default", "via", "11.22.33.1")
        _run(*host, "route", "add", "default", "via", ROUTER)
        self.forget()

    def forget(self) -> None:
        """Remove all mappings, as a restart of the router does."""
        subprocess.run([*self._inside, "nft", "delete", "table", "inet", "filter"], capture_output=True)
        subprocess.run([*self._inside, "nft", "-f", "-"], input=_TABLE, text=True, check=True)

    def start(self) -> None:
        """Start miniupnpd."""
        command = [*self._inside, "miniupnpd", "-d", "-f", str(self._configuration), "-P", str(self._folder / "pid")]
        with (self._folder / "miniupnpd.log").open("ab") as log:
            self._daemon = subprocess.Popen(command, stdout=log, stderr=log, start_new_session=True)

    def stop(self) -> None:
        """Kill miniupnpd."""
        if self._daemon is not None:
            self._daemon.kill()
            self._daemon.wait()
            self._daemon = None

    def mappings(self) -> str:
        """The router's rules for mapped ports."""
        command = [*self._inside, "nft", "list", "chain", "inet", "filter", "prerouting_miniupnpd"]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout

    def remove(self) -> None:
        """Remove everything."""
        self.stop()
        for name in (self.host, self._router):
            subprocess.run(["ip", "netns", "del", name], capture_output=True)

    @property
    def _inside(self) -> tuple[str, ...]:
        return "ip", "netns", "exec", self._router


@contextlib.contextmanager
def home_network(folder: Path, *, upnp: bool = True, pcp: bool = True) -> Iterator[Home]:
    """A network whose router speaks some protocols; miniupnpd runs."""
    home = Home(folder, upnp=upnp, pcp=pcp)
    try:
        home.build()
        home.start()
        yield home
    finally:
        home.remove()


def _run(*command: str) -> None:
    subprocess.run(command, check=True, capture_output=True)
