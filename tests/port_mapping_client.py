"""Keeps a port mapped until SIGTERM, and prints every change: an address and the protocol, or ``none``."""

from __future__ import annotations

import asyncio
import dataclasses
import signal
import sys

import uvloop

from teleglyph.discovery.port_mapping import PortMapping, PortMappingSettings


async def main(port: int) -> None:
    stopped = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stopped.set)

    def show() -> None:
        print(mapping.external[0] if mapping.external else "none", mapping.protocol, flush=True)

    settings = dataclasses.replace(PortMappingSettings(), check_interval=0.3, min_renewal=0.3, retry_interval=0.3)
    async with PortMapping(settings, on_change=show) as mapping:
        await mapping.start(port)
        await stopped.wait()


uvloop.run(main(int(sys.argv[1])))
