"""One frame of a call."""

from __future__ import annotations

import asyncio
from dataclasses import replace

from teleglyph.client.call.client import CallClient, CallEvents
from teleglyph.client.call.options import CallOptions
from teleglyph.client.call.received_screen import ReceivedScreen
from teleglyph.client.call.refused_frames import UNSHOWABLE, RefusedFrameMonitor
from teleglyph.client.call.uplink import Uplink
from teleglyph.client.waiting import wait_for_first
from teleglyph.errors import PeerTimeoutError, ProtocolError
from teleglyph.media.frame_text import SafeFrame
from teleglyph.wire.acip import ScreenUpdate

_FIRST_FRAME_SECONDS = 15.0


async def snapshot_call(
    options: CallOptions, uplink: Uplink | None, delay: float, stop: asyncio.Event
) -> SafeFrame | None:
    """Join a call and return one frame: the last one within ``delay`` seconds of the first.

    Frames that the server sends before there is any picture do not count.

    Returns:
        The frame; None if the user left first.

    Raises:
        PeerError: the call cannot be joined, or sends no frame.
        ProtocolError: the frames cannot be shown.
    """
    frame: SafeFrame | None = None
    joined, first, is_refused = asyncio.Event(), asyncio.Event(), asyncio.Event()
    is_empty = False
    refused_for = ""

    def count(_connected: int, active: int) -> None:
        nonlocal is_empty
        is_empty = active == 0

    def keep_frame(newest: SafeFrame) -> None:
        nonlocal frame
        refusals.reset()
        if not is_empty:
            frame = newest
            first.set()

    def give_up(reason: str) -> None:
        nonlocal refused_for
        refused_for = reason
        is_refused.set()

    screen, refusals = ReceivedScreen(), RefusedFrameMonitor(give_up)

    def keep_screen(update: ScreenUpdate) -> None:
        if screen.apply(update) and (newest := screen.frame(*client.size)) is not None:
            keep_frame(newest)
        client.acknowledge(screen.number, wants_full=screen.needs_full_screen)

    client = CallClient(
        options.address,
        options.credentials,
        options.display.capabilities(),
        uplink,
        CallEvents(
            joined=lambda _: joined.set(), frame=keep_frame, refused=refusals.add, screen=keep_screen, members=count
        ),
        settings=options.display.settings(replace(options.preferences, names=False)),
    )
    task = asyncio.create_task(client.run(), name="call")
    try:
        # Connecting has limits of its own.
        await wait_for_first(task, joined.wait(), stop.wait())
        await wait_for_first(task, first.wait(), is_refused.wait(), stop.wait(), timeout=_FIRST_FRAME_SECONDS)
        if task.done():
            await task
        if not first.is_set() and not stop.is_set():
            if refused_for:
                raise ProtocolError(f"{UNSHOWABLE} {refused_for}.")
            raise PeerTimeoutError(
                f"{options.address} sent no picture within {_FIRST_FRAME_SECONDS:g} s. Is anyone sending one?"
            )
        await wait_for_first(task, stop.wait(), timeout=delay)
    finally:
        refusals.reset()
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    return None if stop.is_set() else frame
