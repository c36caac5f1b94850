"""People who use Teleglyph's own programs on hosts of the networks."""

from __future__ import annotations

import contextlib
import os
import shlex
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from conftest import fork_server
from networks.homes import Place
from networks.namespace import WITH_NAMES, Program
from prepared_process import PreparedProcess
from terminal import Terminal

TELEGLYPH = (sys.executable, "-m", "teleglyph")
COMMAND = shlex.join(TELEGLYPH)


class Person:
    """Somebody at a host, with their own home directory: keys, known servers, data.

    Args:
        place: the host.
        home: an empty directory, which is made if it does not exist.
    """

    def __init__(self, place: Place, home: Path) -> None:
        home.mkdir(exist_ok=True)
        self.place = place
        self.home = home
        self.environment = {
            "HOME": str(home),
            "XDG_CONFIG_DIRS": "",
            "XDG_CONFIG_HOME": f"{home}/.config",
            "XDG_DATA_HOME": f"{home}/.local/share",
            "XDG_STATE_HOME": f"{home}/.local/state",
            "XDG_CACHE_HOME": f"{home}/.cache",
        }

    def start(self, *words: str) -> Program:
        """Start ``teleglyph WORDS`` with nobody at the keyboard. Its log is in ``lines``, see ``wait_for_line``."""
        process = self._start(["--log-level", "debug", *words])
        return self.place.keep(Program(process, process.stderr))

    def run(self, *words: str, seconds: float = 60) -> subprocess.CompletedProcess[str]:
        """Run ``teleglyph WORDS`` to its end, whatever its exit code."""
        process = self._start(list(words), capture_output=True)
        assert process.stdout is not None
        assert process.stderr is not None
        with process.stdout, process.stderr, ThreadPoolExecutor() as readers:
            texts = [readers.submit(stream.read) for stream in (process.stdout, process.stderr)]
            try:
                code = process.wait(seconds)
            except subprocess.TimeoutExpired:
                process.kill()
                raise
            return subprocess.CompletedProcess(words, code, *(text.result() for text in texts))

    def _start(self, words: list[str], capture_output: bool = False) -> PreparedProcess:
        return fork_server().start(words, {**os.environ, **self.environment}, self.place.path, capture_output)

    def snapshot(self, address: str, *options: str) -> subprocess.CompletedProcess[str]:
        """Join a call, take one picture of it as text, and leave."""
        where = ["client", address, "--accept-new-server", "--snapshot", "--snapshot-delay", "0.5", "--no-audio"]
        return self.run(*where, "--color-mode", "none", *options)

    @contextlib.contextmanager
    def terminal(self, columns: int = 100, rows: int = 30) -> Iterator[Terminal]:
        """A terminal with a shell at this host, where ``COMMAND`` starts ``teleglyph``.

        It is a tmux of its own and outlives killed tests, unlike the programs that ``start`` and ``run`` start.
        """
        settings = [f"{name}={value}" for name, value in self.environment.items()]
        with self.place.entered():
            window = Terminal(columns, rows, shlex.join(["LC_ALL=C.UTF-8", *settings, *WITH_NAMES]))
        try:
            yield window
        finally:
            window.close()
