"""A call whose frames are written to standard output as a pipe."""

from __future__ import annotations

import asyncio

from teleglyph.client.call.options import CallOptions
from teleglyph.client.call.output import PipeOutput
from teleglyph.client.call.reconnecting import ReconnectingCall
from teleglyph.client.call.uplink import Uplink
from teleglyph.client.terminal.frame_writer import FrameWriter


async def pipe_call(options: CallOptions, uplink: Uplink | None, stop: asyncio.Event) -> int:
    """Join a call and write its frames to standard output, which is not a terminal.

    Returns:
        The exit code.

    Raises:
        PeerError: the call cannot be joined, or the connection cannot be restored.
        OutputClosedError: the reader closed the pipe.
        OutputError: writing failed.
    """
    loop = asyncio.get_running_loop()
    call = ReconnectingCall(options, uplink, stop)
    writer = FrameWriter(on_failure=lambda: loop.call_soon_threadsafe(stop.set))
    try:
        if await call.join():
            await call.run(PipeOutput(writer, call.client))
    finally:
        await call.leave()
        writer.close()
    writer.check()
    return 0
