"""One forwarded port: found, renewed, checked and removed."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Callable
from types import TracebackType

from teleglyph.discovery.port_mapping.mapper import (
    Mapped,
    Mapper,
    NotPublicError,
    PortMappingSettings,
    check_public,
    in_time,
)
from teleglyph.discovery.port_mapping.protocols import OPENERS
from teleglyph.discovery.port_mapping.route import Route
from teleglyph.errors import GatewayError
from teleglyph.net import authority

_log = logging.getLogger(__name__)


class PortMapping:
    """Keeps a TCP port of ours reachable through the router, while this object is open.

    All protocols are tried side by side; the first that forwards the port from a public address wins.  Problems become
    :attr:`status`, never exceptions.

    Args:
        settings: times and addresses.
        on_change: called after :attr:`external` has changed.
    """

    def __init__(
        self, settings: PortMappingSettings | None = None, *, on_change: Callable[[], None] | None = None
    ) -> None:
        self._settings = settings or PortMappingSettings()
        self._on_change = on_change
        self._status = "Port mapping is off."
        self._external: tuple[str, int] | None = None
        self._port = 0
        self._mapper: Mapper | None = None
        self._task: asyncio.Task[None] | None = None
        self._settled = asyncio.Event()

    @property
    def external(self) -> tuple[str, int] | None:
        """The public address and port that lead to ours; None if there are none now."""
        return self._external

    @property
    def protocol(self) -> str | None:
        """How the port is forwarded: ``PCP``, ``NAT-PMP`` or ``UPnP``; None if it is not."""
        return self._mapper.protocol if self._mapper and self._external else None

    @property
    def status(self) -> str:
        """What is the case now, in one or a few sentences for people."""
        return self._status

    async def start(self, port: int) -> None:
        """Start to look for a router, and return at once; see :meth:`settled`.

        Args:
            port: our TCP port.
        """
        await self.close()
        self._port = port
        self._status = "Looking for a router that forwards the port."
        self._settled.clear()
        self._task = asyncio.create_task(self._run())

    async def settled(self) -> None:
        """Wait until the first attempt has succeeded or failed: usually 10 s, with a very slow router a minute."""
        await self._settled.wait()

    async def close(self) -> None:
        """Remove the mapping from the router, if it answers within a few seconds."""
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            await asyncio.wait([task])
        await self._release()
        self._change(None, "Port mapping is off.")
        self._settled.set()

    async def __aenter__(self) -> PortMapping:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.close()

    async def _run(self) -> None:
        try:
            while True:
                route = await self._settings.find_route()
                mapped = await self._establish(route) if route else None
                if route is None:
                    self._change(None, "There is no router: this machine has no default route for IPv4.")
                self._settled.set()
                if route and mapped:
                    await self._hold(route, mapped)
                    await self._release()
                    # A router that forgets everything at once must not keep us busy.
                    await asyncio.sleep(self._settings.min_renewal)
                else:
                    await self._wait_for_another_network(route)
        except Exception as error:
            # A mapping is a convenience: the server goes on without it.
            _log.exception("Port mapping stopped")
            self._change(None, f"Port mapping stopped because of an unexpected error: {error!r}.")
            self._settled.set()

    async def _establish(self, route: Route) -> Mapped | None:
        """Map the port with the first protocol that can; afterwards ``_mapper`` has the mapping."""
        pending = {
            asyncio.create_task(in_time(opener(route, self._settings), name, self._settings.attempt_timeout))
            for name, opener in OPENERS.items()
        }
        failures: list[GatewayError] = []
        try:
            while pending:
                done, _ = await asyncio.wait(pending, return_when=asyncio.FIRST_COMPLETED)
                for task in done:
                    pending.discard(task)
                    try:
                        # One protocol maps at a time: on many routers they share one table.
                        mapped = await self._mapped_by(task.result(), route)
                    except GatewayError as error:
                        failures.append(error)
                        await self._release()
                    else:
                        return mapped
        finally:
            for task in pending:
                task.cancel()
            await _close_all(pending)
        advice = (
            f"Turn on UPnP or NAT-PMP in the settings of the router {route.gateway}, or forward a TCP port to "
            f"{route.own} port {self._port} there by hand."
        )
        sentences = ["The port is not mapped.", *map(str, failures)]
        if not any(isinstance(failure, NotPublicError) for failure in failures):
            sentences.append(advice)
        self._change(None, " ".join(sentences))
        return None

    async def _mapped_by(self, mapper: Mapper, route: Route) -> Mapped:
        self._mapper = mapper
        if mapper.external is not None:
            check_public(mapper.external, mapper.protocol)
        mapped = await self._map(mapper, self._port)
        check_public(mapped.address, mapper.protocol)
        self._accept(mapper, mapped, route)
        return mapped

    async def _hold(self, route: Route, mapped: Mapped) -> None:
        """Renew the mapping; returns when it is lost or the network has changed."""
        settings, mapper = self._settings, self._mapper
        if mapper is None:
            return
        expires = time.monotonic() + mapped.lease
        due = self._due(expires)
        while True:
            await asyncio.sleep(max(0.0, min(settings.check_interval, due - time.monotonic())))
            if await settings.find_route() != route:
                self._change(None, "The network has changed; looking for a router again.")
                return
            if time.monotonic() < due and await _is_alive(mapper):
                continue
            try:
                mapped = await self._map(mapper, mapped.port)
                check_public(mapped.address, mapper.protocol)
            except NotPublicError as error:
                self._change(None, str(error))
                return
            except GatewayError as error:
                if time.monotonic() >= expires:
                    self._change(None, f"The mapping has expired. {error}")
                    return
                self._change(self._external, f"{self._success(mapper, route)} It could not be renewed yet. {error}")
            else:
                expires = time.monotonic() + mapped.lease
                self._accept(mapper, mapped, route)
            due = self._due(expires)

    async def _map(self, mapper: Mapper, wanted_port: int) -> Mapped:
        return await in_time(mapper.map(self._port, wanted_port), mapper.protocol, self._settings.attempt_timeout)

    def _due(self, expires: float) -> float:
        """When to renew: after half of the remaining time."""
        now = time.monotonic()
        return now + max(self._settings.min_renewal, min(expires - now, self._settings.lease) / 2)

    def _accept(self, mapper: Mapper, mapped: Mapped, route: Route) -> None:
        external = mapped.address, mapped.port
        if external != self._external:
            _log.info("Port mapped: external=%s protocol=%s", authority(*external), mapper.protocol)
        self._change(external, "")
        self._status = self._success(mapper, route)

    def _success(self, mapper: Mapper, route: Route) -> str:
        outside = authority(*self._external) if self._external else "its external address"
        return f"The router forwards {outside} to {authority(route.own, self._port)} ({mapper.protocol})."

    def _change(self, external: tuple[str, int] | None, status: str) -> None:
        previous, self._external, self._status = self._external, external, status
        if previous and not external:
            _log.info("Port no longer mapped: external=%s", authority(*previous))
        if previous != external and self._on_change is not None:
            self._on_change()

    async def _wait_for_another_network(self, route: Route | None) -> None:
        retry = time.monotonic() + self._settings.retry_interval
        while time.monotonic() < retry:
            await asyncio.sleep(self._settings.check_interval)
            if await self._settings.find_route() != route:
                return

    async def _release(self) -> None:
        """Remove the mapping that may exist, and close its sockets."""
        mapper, self._mapper = self._mapper, None
        if mapper is None:
            return
        try:
            with contextlib.suppress(GatewayError, TimeoutError):
                async with asyncio.timeout(self._settings.close_timeout):
                    await mapper.unmap()
        finally:
            await mapper.close()


async def _close_all(tasks: set[asyncio.Task[Mapper]]) -> None:
    """Wait for tasks, and close the sockets of those that have succeeded."""
    for result in await asyncio.gather(*tasks, return_exceptions=True):
        if not isinstance(result, BaseException):
            await result.close()


async def _is_alive(mapper: Mapper) -> bool:
    """Whether a mapping need not be made again.  A router that does not answer a check may answer the renewal."""
    try:
        return await mapper.is_alive()
    except GatewayError:
        return True
