"""Choosing a call without an address: on this machine, nearby, or joined before."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from teleglyph.client.address import DEFAULT_HOST, Address
from teleglyph.client.recent_calls import RecentCall, RecentCalls
from teleglyph.client.terminal.chooser import Chooser, Row
from teleglyph.client.waiting import wait_for_first
from teleglyph.discovery.interfaces import InterfaceAddress
from teleglyph.discovery.lan import LanCall, LanSearch

_PROBE_SECONDS = 0.3
"""How long a server on this machine has to accept a connection."""
_SEARCH_SECONDS = 1.5
"""How long to wait for answers of the local network if there is nothing else to join."""
_SHORT_SEARCH_SECONDS = 0.7
"""The same if a server runs on this machine; others usually answer within 0.2 s."""
_UNITS = (("day", 86400), ("hour", 3600), ("minute", 60))


@dataclass(frozen=True, slots=True)
class CallChoice:
    """A call that can be joined.

    Attributes:
        address: as the user would type it; None for this machine.
        text: what people call it.
        detail: where it is, or when it was joined.
        name: remembered with its address.
        identity: the Ed25519 public key that it announces, and must prove; None if it announces none.
    """

    address: str | None
    text: str
    detail: str = ""
    name: str = ""
    identity: bytes | None = None


THIS_MACHINE = CallChoice(None, "This machine")


def call_choices(
    nearby: Sequence[LanCall],
    recent: Sequence[RecentCall],
    own: Sequence[InterfaceAddress],
    local_port: int | None,
    now: float,
) -> list[CallChoice]:
    """All calls to choose from: this machine, then those nearby, then recent ones.

    Args:
        nearby: calls on the local network.
        recent: calls that were joined before, newest first.
        own: this machine's addresses, to recognise its own announcement.
        local_port: the port of a server on this machine; None if there is none.
        now: in seconds since 1970.
    """
    mine = {str(each.address) for each in own}
    found = [] if local_port is None else [THIS_MACHINE]
    for call in nearby:
        is_mine = call.port == local_port and any(host.partition("%")[0] in mine for host in call.hosts)
        if not is_mine:
            title = f"{call.title} ({call.name})" if call.name else call.title
            typed = Address(call.host, call.port).as_typed
            found.append(CallChoice(typed, title, f"nearby, {typed}", call.title, call.identity))
    shown = {choice.address for choice in found}
    for entry in recent:
        if entry.address not in shown:
            when = describe_age(now - entry.when)
            detail = f"{entry.address}, {when}" if entry.name else when
            found.append(CallChoice(entry.address, entry.name or entry.address, detail, entry.name))
    return found


def describe_age(seconds: float) -> str:
    """A time in the past, in words."""
    for unit, length in _UNITS:
        if (count := int(seconds // length)) > 0:
            return f"{count} {unit}{'s' if count > 1 else ''} ago"
    return "just now"


async def choose_call(
    recent: RecentCalls,
    port: int,
    stop: asyncio.Event,
    *,
    utf8: bool,
    on_chooser: Callable[[Chooser], None] = lambda _: None,
) -> CallChoice | None:
    """Let the user choose a call on the terminal.

    If there is nothing but this machine, it is chosen without a question.

    Args:
        recent: calls that were joined before.
        port: of a server on this machine.
        stop: set when the user leaves.
        utf8: the terminal shows UTF-8.
        on_chooser: called with the chooser before it takes over the terminal.

    Returns:
        The call; None if the user left.
    """
    changed = asyncio.Event()
    async with LanSearch(changed.set) as search:
        is_local = await _accepts_connections(port)
        entries = recent.entries()

        def choices() -> list[CallChoice]:
            return call_choices(search.calls, entries, search.own, port if is_local else None, time.time())

        def has_others() -> bool:
            return any(choice is not THIS_MACHINE for choice in choices())

        if search.is_open and not entries:
            seconds = _SHORT_SEARCH_SECONDS if is_local else _SEARCH_SECONDS
            await _wait_for(changed, has_others, seconds, stop)
        if stop.is_set():
            return None
        if not has_others():
            return THIS_MACHINE
        return await _ask(choices, recent.notice, changed, stop, utf8=utf8, on_chooser=on_chooser)


async def _ask(
    choices: Callable[[], list[CallChoice]],
    notice: str,
    changed: asyncio.Event,
    stop: asyncio.Event,
    *,
    utf8: bool,
    on_chooser: Callable[[Chooser], None],
) -> CallChoice | None:
    chooser = Chooser("Calls that you can join", "Up, Down or a number selects, Enter joins, q quits.", utf8=utf8)
    on_chooser(chooser)
    shown: dict[str | None, CallChoice] = {}

    def show() -> None:
        found = choices()
        # Nothing is removed: a call may disappear just after the user has chosen it.
        shown.update((choice.address, choice) for choice in found)
        rows = [Row((choice.address,), choice.text, choice.detail) for choice in found]
        chooser.show(rows, notice or "Calls on your network appear here as they are found.")

    async def follow() -> None:
        while True:
            await changed.wait()
            changed.clear()
            show()

    show()
    following = asyncio.create_task(follow())
    try:
        key = await chooser.run(stop)
    finally:
        following.cancel()
        await asyncio.gather(following, return_exceptions=True)
    return shown[key[0]] if isinstance(key, tuple) else None


async def _wait_for(changed: asyncio.Event, condition: Callable[[], bool], seconds: float, stop: asyncio.Event) -> None:
    """Wait until a condition holds after a change, for a time, or until the user leaves."""
    deadline = time.monotonic() + seconds
    while not condition() and not stop.is_set() and (left := deadline - time.monotonic()) > 0:
        changed.clear()
        await wait_for_first(changed.wait(), stop.wait(), timeout=left)


async def _accepts_connections(port: int) -> bool:
    """Whether a server on this machine accepts connections."""
    with contextlib.suppress(OSError):
        async with asyncio.timeout(_PROBE_SECONDS):
            _reader, writer = await asyncio.open_connection(DEFAULT_HOST, port)
            writer.close()
            return True
    return False
