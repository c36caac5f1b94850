"""Programs that start quickly, because a process that has imported everything forks for them (:mod:`fork_server`)."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TextIO


class ForkServer:
    """One :mod:`fork_server` and its programs."""

    def __init__(self) -> None:
        self._control, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._process = subprocess.Popen(
            [sys.executable, Path(__file__).with_name("fork_server.py"), str(theirs.fileno())],
            pass_fds=[theirs.fileno()],
            stdin=subprocess.DEVNULL,
        )
        theirs.close()
        self._changed = threading.Condition()
        self._started: list[int] = []
        self._codes: dict[int, int] = {}
        self._starting = threading.Lock()
        threading.Thread(target=self._listen, daemon=True).start()

    def start(
        self,
        arguments: Sequence[str],
        environment: Mapping[str, str],
        network: str | None = None,
        capture_output: bool = False,
        given: str = "",
    ) -> PreparedProcess:
        """Start ``teleglyph`` with its standard error in a pipe.

        Args:
            arguments: of the program.
            environment: all its variables.
            network: the path of the network namespace where it runs; None for the test's own.
            capture_output: its standard output is in a pipe, too.
            given: its standard input, at most 64 KiB, together with ``capture_output``.
        """
        content = {"arguments": list(arguments), "environment": dict(environment), "network": network}
        pipes = [os.pipe() for _ in range(1 + capture_output)]
        theirs = [pipe[1] for pipe in pipes]
        if given:
            reading, writing = os.pipe()
            os.write(writing, given.encode())
            os.close(writing)
            theirs.append(reading)
        with self._starting:
            socket.send_fds(self._control, [json.dumps(content).encode()], theirs)
            for descriptor in theirs:
                os.close(descriptor)
            with self._changed:
                assert self._changed.wait_for(lambda: self._started, 60), "the fork server does not answer"
                outputs = (os.fdopen(reading, encoding="utf-8") for reading, _ in pipes)
                return PreparedProcess(self, self._started.pop(), *outputs)

    def run(
        self, arguments: Sequence[str], environment: Mapping[str, str], given: str = "", timeout: float = 60
    ) -> subprocess.CompletedProcess[str]:
        """Run ``teleglyph`` without a terminal to its end.

        Args:
            arguments: of the program.
            environment: all its variables.
            given: its standard input.
            timeout: in seconds; after them it is killed.

        Raises:
            subprocess.TimeoutExpired: it did not end in time.
        """
        program = self.start(arguments, environment, capture_output=True, given=given)
        assert program.stdout is not None
        assert program.stderr is not None
        with program.stdout, program.stderr, ThreadPoolExecutor(2) as readers:
            output, errors = readers.submit(program.stdout.read), readers.submit(program.stderr.read)
            try:
                code = program.wait(timeout)
            except subprocess.TimeoutExpired:
                program.kill()
                raise
            return subprocess.CompletedProcess(["teleglyph", *arguments], code, output.result(), errors.result())

    def code_of(self, program: int, timeout: float | None) -> int | None:
        """The exit code of a program, negative for a signal; None if it still runs after these seconds."""
        with self._changed:
            self._changed.wait_for(lambda: program in self._codes, timeout)
            return self._codes.get(program)

    def _listen(self) -> None:
        while message := self._control.recv(4096):
            content = json.loads(message)
            with self._changed:
                if "started" in content:
                    self._codes.pop(content["started"], None)  # the number may have been used before
                    self._started.append(content["started"])
                else:
                    self._codes[content["ended"]] = content["code"]
                self._changed.notify_all()


class PreparedProcess:
    """A running program, with the methods of :class:`subprocess.Popen` that tests use.

    Attributes:
        pid: its number.
        stderr: its log.
        stdout: its output, if it is captured.
    """

    def __init__(self, server: ForkServer, pid: int, stderr: TextIO, stdout: TextIO | None = None) -> None:
        self.pid = pid
        self.stderr: TextIO | None = stderr
        self.stdout = stdout
        self._server = server

    @property
    def returncode(self) -> int | None:
        """The exit code, or None while it runs."""
        return self.poll()

    def poll(self) -> int | None:
        """The exit code, or None while it runs."""
        return self._server.code_of(self.pid, 0)

    def wait(self, timeout: float | None = None) -> int:
        """Wait for the end; returns the exit code."""
        code = self._server.code_of(self.pid, timeout)
        if code is None:
            raise subprocess.TimeoutExpired("teleglyph", timeout or 0.0)
        return code

    def send_signal(self, number: int) -> None:
        """Send a signal, unless the program has ended."""
        if self.poll() is None:
            os.kill(self.pid, number)

    def terminate(self) -> None:
        """Send SIGTERM."""
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        """Send SIGKILL."""
        self.send_signal(signal.SIGKILL)
