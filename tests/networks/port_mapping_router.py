"""MiniUPnPd on a home's router, as on many real ones: UPnP IGD, NAT-PMP and PCP."""

from __future__ import annotations

import tempfile
from pathlib import Path
from types import TracebackType
from typing import Self

from networks.homes import HomeNetwork
from networks.routers import PORT_MAPPING_CHAINS, TABLE

NAT_PMP_PORT = 5351


class PortMappingRouter:
    """A running MiniUPnPd.

    Args:
        home: whose router it controls.
        upnp: answers UPnP.
        nat_pmp: answers NAT-PMP and PCP.
        options: further lines of its configuration.
    """

    def __init__(
        self, home: HomeNetwork, upnp: bool = True, nat_pmp: bool = True, options: tuple[str, ...] = ()
    ) -> None:
        self._directory = tempfile.TemporaryDirectory(prefix="teleglyph-miniupnpd-")
        forward, inwards, outwards = PORT_MAPPING_CHAINS
        configuration = {
            "ext_ifname": "wan",
            "listening_ip": "lan",
            "enable_upnp": _yes(upnp),
            "enable_natpmp": _yes(nat_pmp),
            "secure_mode": "yes",
            "system_uptime": "yes",
            "uuid": "3d5c0a1e-2f6b-4b55-9d52-6a7f0c2b9e10",
            "min_lifetime": 1,
            "max_lifetime": 86400,
            "lease_file": f"{self._directory.name}/leases",
            "upnp_table_name": TABLE,
            "upnp_nat_table_name": TABLE,
            "upnp_forward_chain": forward,
            "upnp_nat_chain": inwards,
            "upnp_nat_postrouting_chain": outwards,
        }
        lines = [f"{name}={value}" for name, value in configuration.items()]
        file = Path(self._directory.name, "miniupnpd.conf")
        file.write_text("\n".join([*lines, *options, "allow 1024-65535 0.0.0.0/0 1024-65535", ""]))
        pid = f"{self._directory.name}/pid"
        self.program = home.router.start(["miniupnpd", "-d", "-f", file, "-P", pid])
        self.program.wait_for_line("Listening for NAT-PMP/PCP traffic" if nat_pmp else "HTTP listening on port")

    def close(self) -> None:
        """Stop it."""
        self.program.stop()
        self._directory.cleanup()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        self.close()


def _yes(value: bool) -> str:
    return "yes" if value else "no"
