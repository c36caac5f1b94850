"""Calls on the local network: announced and found over multicast DNS (RFC 6762, RFC 6763).

The service type and the keys of the TXT record are those of ascii-chat.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import secrets
import socket
from collections.abc import Callable, Iterable, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from teleglyph.discovery.interfaces import InterfaceAddress, interface_addresses, local_addresses
from teleglyph.discovery.lan_records import MAX_TEXT, SERVICE_TYPE, LanCall, announced_text, merged, read_call
from teleglyph.errors import reason_of
from teleglyph.printable import printable

if TYPE_CHECKING:
    from zeroconf import ServiceStateChange
    from zeroconf.asyncio import AsyncServiceBrowser, AsyncServiceInfo, AsyncZeroconf

__all__ = ["LanAnnouncement", "LanCall", "LanSearch", "find_on_lan"]

_log = logging.getLogger(__name__)

MAX_CALLS = 20
"""Calls that a search returns."""
_MAX_INSTANCES = 64
"""Answers that a search looks at; anybody can send any number."""
_RESOLVE_SECONDS = 3.0
"""How long a search waits for the rest of an answer."""
_WATCH_SECONDS = 5.0
"""How often an announcement looks for changes of the network."""
_GOODBYE_SECONDS = 0.8
"""How long closing may take."""
_MAX_INSTANCE_BYTES = 60
"""One label of a domain name has at most 63 bytes; a number may follow if the name is taken."""


class LanAnnouncement:
    """Announces a server on the local network until it is closed, and follows changes of the network.

    Only private and link-local addresses are announced: nobody beyond the network could use the announcement.  If this
    machine has none at first, the announcement starts as soon as it has.

    Args:
        name: the call's three words; empty for none.
        identity: the Ed25519 public key that the server proves; None for none.
        addresses: those that the server listens on, perhaps ``0.0.0.0`` and ``::``.
        port: its TCP port.
        title: what people call it; the name of this machine by default.
    """

    def __init__(
        self, name: str, identity: bytes | None, addresses: Iterable[str], port: int, *, title: str = ""
    ) -> None:
        self.announced: tuple[str, ...] = ()
        """The announced addresses."""
        self._name, self._identity = name, identity
        self._bound, self._port = tuple(addresses), port
        self._title = _cut(printable(title or socket.gethostname().partition(".")[0]).strip()) or "Teleglyph"
        # A name of our own: the machine's name may belong to another program, with other addresses.
        self._target = f"teleglyph-{secrets.token_hex(6)}.local."
        self._zeroconf: AsyncZeroconf | None = None
        self._info: AsyncServiceInfo | None = None
        self._watching: asyncio.Task[None] | None = None
        self._changing = asyncio.Lock()
        self._warned = ""

    async def start(self) -> None:
        """Announce the server in the background; failures are logged as warnings."""
        self._watching = asyncio.create_task(self._watch(), name="announcement on the local network")
        self._watching.add_done_callback(_log_failure)

    async def rename(self, name: str) -> None:
        """Announce another name of the call: three words, or nothing."""
        self._name = name
        async with self._changing:
            if self._zeroconf is not None and self.announced:
                self._info = self._describe(self._instance, self.announced)
                await (await self._zeroconf.async_update_service(self._info))

    async def close(self) -> None:
        """Say goodbye to the network, in less than a second; may be called repeatedly."""
        if self._watching is not None:
            self._watching.cancel()
            await asyncio.gather(self._watching, return_exceptions=True)
            self._watching = None
        await self._withdraw()

    # --- following the network ------------------------------------------------------------------------

    async def _watch(self) -> None:
        before: list[InterfaceAddress] = []
        while True:
            found = local_addresses(self._bound, interface_addresses())
            if found != before:
                before = found
                async with self._changing:
                    await self._withdraw()
                    try:
                        await self._announce(found)
                    except OSError as error:
                        before = []
                        await self._withdraw()
                        self._warn(reason_of(error))
            await asyncio.sleep(_WATCH_SECONDS)

    def _warn(self, reason: str) -> None:
        if reason != self._warned:
            self._warned = reason
            _log.warning(
                "Cannot announce the call on the local network: %s. Others can still join with the address. "
                "--no-lan turns announcements off.",
                reason,
            )

    async def _announce(self, found: Sequence[InterfaceAddress]) -> None:
        if not found:
            return
        from zeroconf import Error

        self._zeroconf = _open(found)
        addresses = tuple(dict.fromkeys(str(each.address) for each in found))
        self._info = self._describe(_label(self._title), addresses)
        try:
            announcing = await self._zeroconf.async_register_service(self._info, allow_name_change=True)
            self.announced = addresses
            await announcing
        except Error as error:
            raise OSError(f"mDNS failed with {type(error).__name__} {error}".strip()) from error
        self._warned = ""
        _log.info("Announced '%s' on the local network: addresses=%s", self._instance, ",".join(addresses))

    @property
    def _instance(self) -> str:
        return "" if self._info is None else self._info.name.removesuffix(f".{SERVICE_TYPE}")

    def _describe(self, instance: str, addresses: Sequence[str]) -> AsyncServiceInfo:
        from zeroconf.asyncio import AsyncServiceInfo

        return AsyncServiceInfo(
            SERVICE_TYPE,
            f"{instance}.{SERVICE_TYPE}",
            port=self._port,
            properties=announced_text(self._name, self._identity, self._title),
            server=self._target,
            parsed_addresses=list(addresses),
        )

    async def _withdraw(self) -> None:
        opened, self._zeroconf, self._info, self.announced = self._zeroconf, None, None, ()
        if opened is not None:
            await _close(opened)


class LanSearch:
    """Looks for calls on the local network while it is open; an async context manager.

    Without a network, or if the search cannot start, it finds nothing.

    Args:
        on_change: called when the calls change.
    """

    def __init__(self, on_change: Callable[[], None] = lambda: None) -> None:
        self.is_open = False
        """Whether anything can be found."""
        self.own: Sequence[InterfaceAddress] = ()
        """This machine's addresses."""
        self._on_change = on_change
        self._calls: dict[str, LanCall] = {}
        self._resolving: dict[str, asyncio.Task[None]] = {}
        self._again: set[str] = set()
        self._zeroconf: AsyncZeroconf | None = None
        self._browser: AsyncServiceBrowser | None = None

    @property
    def calls(self) -> list[LanCall]:
        """What was found so far, in the order of the answers; at most :data:`MAX_CALLS`."""
        return merged(self._calls.values(), MAX_CALLS)

    async def __aenter__(self) -> Self:
        from zeroconf.asyncio import AsyncServiceBrowser

        self.own = interface_addresses()
        if self.own:
            try:
                self._zeroconf = _open(self.own)
            except OSError as error:
                _log.info("Cannot look for calls on the local network: %s", reason_of(error))
            else:
                self.is_open = True
                self._browser = AsyncServiceBrowser(self._zeroconf.zeroconf, SERVICE_TYPE, handlers=[self._on_state])
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.is_open = False
        tasks = list(self._resolving.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        if self._browser is not None:
            await self._browser.async_cancel()
        if self._zeroconf is not None:
            await _close(self._zeroconf)

    def _on_state(self, *, name: str, state_change: ServiceStateChange, **_: Any) -> None:
        from zeroconf import ServiceStateChange

        if state_change is ServiceStateChange.Removed:
            self._again.discard(name)
            if (task := self._resolving.get(name)) is not None:
                task.cancel()
            self._set(name, None)
        elif name in self._resolving:
            self._again.add(name)
        elif self.is_open and (name in self._calls or len(self._calls) + len(self._resolving) < _MAX_INSTANCES):
            self._resolve(name)

    def _resolve(self, name: str) -> None:
        task = asyncio.get_running_loop().create_task(self._request(name))
        self._resolving[name] = task
        task.add_done_callback(lambda done: self._resolved(name, done))

    def _resolved(self, name: str, task: asyncio.Task[None]) -> None:
        if self._resolving.get(name) is task:
            del self._resolving[name]
        if not task.cancelled() and (error := task.exception()) is not None:
            # What others send must not end the search.
            _log.debug("Ignored the answer of '%s': %s", printable(name), error)
        if name in self._again and self.is_open:
            self._again.discard(name)
            self._resolve(name)

    async def _request(self, name: str) -> None:
        from zeroconf.asyncio import AsyncServiceInfo

        if self._zeroconf is None:
            return
        info = AsyncServiceInfo(SERVICE_TYPE, name)
        if not await info.async_request(self._zeroconf.zeroconf, _RESOLVE_SECONDS * 1000):
            return
        call = None
        if len(info.text or b"") <= MAX_TEXT:
            instance = name[: -len(SERVICE_TYPE) - 1]
            call = read_call(instance, info.properties, info.parsed_scoped_addresses(), info.port, self.own)
        if call is None:
            _log.debug("Ignored the invalid announcement of '%s'", printable(name))
        self._set(name, call)

    def _set(self, name: str, call: LanCall | None) -> None:
        before = self._calls.get(name)
        if call is not None:
            self._calls[name] = call
        else:
            self._calls.pop(name, None)
        if call != before:
            self._on_change()


async def find_on_lan(timeout: float, name: str | None = None, identity: bytes | None = None) -> list[LanCall]:
    """Look for calls on the local network.

    What is found is only claimed: a server proves its identity when you join.

    Args:
        timeout: seconds.
        name: only look for a call with these three words; the search ends as soon as it is found.
        identity: only look for a call that announces this Ed25519 public key, so that a false answer does not end the
            search.
    """
    changed = asyncio.Event()

    def wanted(call: LanCall) -> bool:
        return name in (None, call.name) and identity in (None, call.identity)

    async with LanSearch(changed.set) as search:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(timeout):
                while search.is_open:
                    await changed.wait()
                    changed.clear()
                    if (name is not None or identity is not None) and any(map(wanted, search.calls)):
                        break
        return [call for call in search.calls if wanted(call)]


def _open(addresses: Sequence[InterfaceAddress]) -> AsyncZeroconf:
    """Sockets on the interfaces with these addresses.

    Raises:
        OSError: they cannot be opened.
    """
    from zeroconf.asyncio import AsyncZeroconf

    # Its warnings quote packets of others, and a network that has just gone is not worth a traceback.
    logging.getLogger("zeroconf").setLevel(logging.CRITICAL)
    interfaces: list[str | int] = [str(each.address) for each in addresses if each.address.version == 4]
    interfaces += sorted({each.interface for each in addresses if each.address.version == 6 and each.interface})
    try:
        return AsyncZeroconf(interfaces=interfaces)
    except RuntimeError as error:
        # An interface has gone since it was listed.
        raise OSError(str(error)) from error


async def _close(opened: AsyncZeroconf) -> None:
    """Withdraw what is announced, and close the sockets."""
    with contextlib.suppress(TimeoutError, OSError):
        async with asyncio.timeout(_GOODBYE_SECONDS):
            await opened.async_close()


def _label(title: str) -> str:
    """A title as the name of an instance: one label of a domain name."""
    return title.replace(".", " ").strip() or "Teleglyph"


def _cut(text: str) -> str:
    """The start of a text, short enough for a label and for an entry of a TXT record."""
    return text.encode()[:_MAX_INSTANCE_BYTES].decode("utf-8", "ignore").strip()


def _log_failure(task: asyncio.Task[None]) -> None:
    if not task.cancelled() and (error := task.exception()) is not None:
        _log.error("Announcement on the local network failed", exc_info=error)
