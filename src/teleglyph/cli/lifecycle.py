"""How a command lives and dies: the event loop, Ctrl-C, SIGTERM, and a look inside with SIGUSR1."""

from __future__ import annotations

import asyncio
import faulthandler
import io
import logging
import os
import signal
import sys
import traceback
from collections.abc import Awaitable, Callable

_log = logging.getLogger(__name__)

_SIGNALS = () if sys.platform == "win32" else (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1)

Main = Callable[[asyncio.Event], Awaitable[int]]
"""A command's work: runs until it is done or the event is set, and returns the exit code."""


def run(main: Main, on_abort: Callable[[], None] = lambda: None) -> int:
    """Run a command on an event loop.

    The first SIGINT, SIGTERM or SIGHUP sets the event, so that the command ends in good order; a second one ends the
    process at once with exit code 1.  SIGUSR1 writes the stacks of all tasks and threads to the log.  Afterwards the
    signals do again what they did before.

    Args:
        main: the command; gets the event.
        on_abort: called before the process ends at once.
    """
    if sys.platform == "win32":
        return asyncio.run(_supervise(main, on_abort))
    import uvloop

    before = {number: signal.getsignal(number) for number in _SIGNALS}
    try:
        return uvloop.run(_supervise(main, on_abort))
    finally:
        # uvloop leaves its handlers in place when it closes: Ctrl-C would do nothing at a question that follows.
        for number, handler in before.items():
            signal.signal(number, signal.SIG_DFL if handler is None else handler)


async def _supervise(main: Main, on_abort: Callable[[], None]) -> int:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()

    def on_stop() -> None:
        if stop.is_set():
            try:
                on_abort()
            finally:
                os._exit(1)
        stop.set()

    if sys.platform != "win32":
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, on_stop)
        if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:  # nohup wants to be heard
            loop.add_signal_handler(signal.SIGHUP, on_stop)
        loop.add_signal_handler(signal.SIGUSR1, dump_stacks)
    return await main(stop)


def dump_stacks() -> None:
    """Write the stacks of all asyncio tasks and all threads to the log, as warnings so that they are seen."""
    for task in asyncio.all_tasks():
        text = io.StringIO()
        task.print_stack(file=text)
        _log_lines(f"stack of task {task.get_name()}:\n{text.getvalue()}")
    for ident, frame in sys._current_frames().items():
        _log_lines(f"stack of thread {ident}:\n{''.join(traceback.format_stack(frame))}")


def _log_lines(text: str) -> None:
    for line in text.splitlines():
        _log.warning("%s", line)


def enable_crash_reports() -> None:
    """Have a crash in native code print the Python stacks."""
    if sys.stderr is not None and not faulthandler.is_enabled():
        faulthandler.enable()
