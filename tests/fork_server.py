"""A process that has imported Teleglyph and forks for each program to run: ``python fork_server.py DESCRIPTOR``.

Importing takes most of the time in which a server starts.  A test that starts one in this way waits less, and what runs
is the same.  Requests come over a Unix socket, and so do the ends of the programs; see :mod:`prepared_process`.
"""

from __future__ import annotations

import atexit
import contextlib
import gc
import importlib
import json
import os
import pkgutil
import runpy
import select
import signal
import socket
import sys
from typing import NoReturn

import teleglyph
from networks.namespace import enter

_MAX_REQUEST = 1 << 18
_NOT_IMPORTED = ("teleglyph.__main__", "teleglyph.media.decoding_process")
"""Programs that run when they are imported, or confine themselves."""


def import_everything() -> None:
    """Import all modules of the package."""
    for module in pkgutil.walk_packages(teleglyph.__path__, "teleglyph."):
        if module.name not in _NOT_IMPORTED:
            with contextlib.suppress(ImportError):  # of optional libraries
                importlib.import_module(module.name)


def serve(control: socket.socket) -> None:
    """Fork for each request until the other end closes the socket; then kill all programs."""
    running: set[int] = set()
    ended, wake = os.pipe()
    os.set_blocking(wake, False)
    os.set_blocking(ended, False)
    signal.set_wakeup_fd(wake, warn_on_full_buffer=False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    while True:
        readable: list[object] = select.select([control, ended], [], [])[0]  # type: ignore[type-var]
        if ended in readable:
            with contextlib.suppress(BlockingIOError):
                os.read(ended, 4096)
            report(control, running)
        if control in readable:
            request, descriptors, _, _ = socket.recv_fds(control, _MAX_REQUEST, 3)
            if not request:
                break
            program = os.fork()
            if program == 0:
                os.close(ended)
                os.close(wake)
                control.close()
                run(json.loads(request), descriptors)
            for descriptor in descriptors:
                os.close(descriptor)
            running.add(program)
            control.send(json.dumps({"started": program}).encode())
    for program in running:
        os.kill(program, signal.SIGKILL)


def report(control: socket.socket, running: set[int]) -> None:
    """Tell which programs have ended."""
    for program in list(running):
        number, status = os.waitpid(program, os.WNOHANG)
        if number:
            running.discard(program)
            control.send(json.dumps({"ended": program, "code": os.waitstatus_to_exitcode(status)}).encode())


def run(request: dict[str, object], descriptors: list[int]) -> NoReturn:
    """Become the program ``teleglyph`` with the arguments, the environment and the network of a request.

    Args:
        request: what :meth:`prepared_process.ForkServer.start` sends.
        descriptors: for its standard error and, if there are more, its standard output and its standard input.
    """
    signal.set_wakeup_fd(-1)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    for number, descriptor in zip((2, 1, 0), descriptors, strict=False):
        os.dup2(descriptor, number)
        os.close(descriptor)
    if network := request["network"]:
        enter(str(network))
    arguments, environment = request["arguments"], request["environment"]
    assert isinstance(arguments, list)
    assert isinstance(environment, dict)
    os.environ.clear()
    os.environ.update(environment)
    sys.argv = ["teleglyph", *arguments]
    code: object = 0
    try:
        runpy.run_module("teleglyph", run_name="__main__", alter_sys=True)
    except SystemExit as ending:
        code = ending.code
    except BaseException:
        sys.excepthook(*sys.exc_info())
        code = 1
    atexit._run_exitfuncs()
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError):
            stream.flush()
    os._exit(code if isinstance(code, int) else int(code is not None))


if __name__ == "__main__":
    import_everything()
    # The programs' garbage collectors need not look at what was imported.
    gc.collect()
    gc.freeze()
    serve(socket.socket(fileno=int(sys.argv[1])))
