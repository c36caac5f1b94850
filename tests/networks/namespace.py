"""Network namespaces of Linux, and programs that run in them.

A namespace here has no name: it lives as long as this process holds it open or a program runs in it. Programs die with
the thread that started them. So the kernel removes everything, even if the tests are killed.
"""

from __future__ import annotations

import contextlib
import ctypes
import fcntl
import os
import re
import shlex
import shutil
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO, Self, TextIO

from prepared_process import PreparedProcess

_CLONE_NEWNS, _CLONE_NEWNET = 0x0002_0000, 0x4000_0000
_MS_BIND, _MS_REC, _MS_PRIVATE = 0x1000, 0x4000, 0x40000
_TUNSETIFF, _IFF_TUN, _IFF_NO_PI = 0x4004_54CA, 0x0001, 0x1000
_HOSTS = Path(__file__).with_name("hosts")
# Programs in a namespace see the names of its world only: asking a name server that cannot be reached takes seconds.
_BIND = f'mount --bind {shlex.quote(str(_HOSTS))} /etc/hosts; mount --bind /dev/null /etc/resolv.conf; exec "$@"'
_UNTIL_DEATH = ("setpriv", "--pdeathsig", "KILL")
WITH_NAMES = ("unshare", "--mount", "sh", "-e", "-c", _BIND, "sh")
"""Runs the command that follows with these names."""
_PATH = f"{os.environ.get('PATH', os.defpath)}:/usr/sbin:/sbin"


def why_unavailable() -> str | None:
    """Why namespaces with address translation cannot be made here, for a skipped test; None if they can."""
    if sys.platform != "linux":
        return "network namespaces need Linux"
    for program in ("ip", "nft", "setpriv", "unshare"):
        if shutil.which(program, path=_PATH) is None:
            return f"network namespaces need the program {program}; scripts/system-packages names its package"
    try:
        with Namespace() as namespace:
            namespace.ip("link add one type veth peer name two")
            namespace.nft("table ip test { chain out { type nat hook postrouting priority srcnat\n masquerade\n }\n }")
            namespace.run(["true"])
    except PermissionError as error:
        return f"network namespaces need root: {error}"
    except OSError as error:
        return f"network namespaces do not work here: {error}"
    except subprocess.CalledProcessError as error:
        return f"network namespaces do not work here: {error}: {error.stderr}"
    return None


def enter(path: str) -> None:
    """Move this process, which has one thread, into a namespace, with the names of its world.

    Args:
        path: of the namespace, see :attr:`Namespace.path`.
    """
    descriptor = os.open(path, os.O_RDONLY)
    _call("setns", descriptor, _CLONE_NEWNET)
    os.close(descriptor)
    _call("unshare", _CLONE_NEWNS)
    _call("mount", None, b"/", None, _MS_REC | _MS_PRIVATE, None)
    for source, place in ((os.fsencode(_HOSTS), b"/etc/hosts"), (b"/dev/null", b"/etc/resolv.conf")):
        _call("mount", source, place, None, _MS_BIND, None)


class Namespace:
    """One network namespace, at first with nothing but a loopback interface, which is down."""

    def __init__(self) -> None:
        self._descriptor = -1
        before = _open_current()
        try:
            _call("unshare", _CLONE_NEWNET)
            self._descriptor = _open_current()
            _call("setns", before, _CLONE_NEWNET)
        finally:
            os.close(before)

    @property
    def path(self) -> str:
        """A path that ``ip`` and ``nsenter --net=PATH`` accept, for looking into a namespace while a test runs."""
        return f"/proc/{os.getpid()}/fd/{self._descriptor}"

    @contextlib.contextmanager
    def entered(self) -> Iterator[None]:
        """Move the calling thread into the namespace.

        Sockets made inside stay in the namespace, and so do threads and processes started inside.
        """
        before = _open_current()
        _call("setns", self._descriptor, _CLONE_NEWNET)
        try:
            yield
        finally:
            _call("setns", before, _CLONE_NEWNET)
            os.close(before)

    def enter_forever(self) -> None:
        """Move the calling thread, which should end with its work here."""
        _call("setns", self._descriptor, _CLONE_NEWNET)

    def run(
        self,
        command: Sequence[str | Path],
        seconds: float = 30,
        environment: Mapping[str, str] | None = None,
        check: bool = True,
    ) -> subprocess.CompletedProcess[str]:
        """Run a program to its end, with its output as text."""
        with self.entered():
            return subprocess.run(
                [*_UNTIL_DEATH, *WITH_NAMES, *command],
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                timeout=seconds,
                env=_environment(environment),
                check=check,
            )

    def start(self, command: Sequence[str | Path], environment: Mapping[str, str] | None = None) -> Program:
        """Start a program; it is killed when the calling thread ends."""
        with self.entered():
            return Program.start([*WITH_NAMES, *command], _environment(environment))

    def ip(self, *commands: str) -> None:
        """Run commands of iproute2, written without ``ip``."""
        self._feed(["ip", "-batch", "-"], "\n".join(commands))

    def nft(self, rules: str) -> None:
        """Add rules to nftables."""
        self._feed(["nft", "-f", "-"], rules)

    def set_kernel(self, name: str, value: object) -> None:
        """Set a variable of the kernel below ``net``: ``ipv4/ip_forward``."""
        with self.entered():
            Path("/proc/sys/net", name).write_text(str(value))

    def open_tun(self, interface: str) -> int:
        """Make an interface whose packets a program reads from this descriptor, and writes to it."""
        with self.entered():
            descriptor = os.open("/dev/net/tun", os.O_RDWR | os.O_CLOEXEC)
            fcntl.ioctl(descriptor, _TUNSETIFF, struct.pack("16sH22x", interface.encode(), _IFF_TUN | _IFF_NO_PI))
        return descriptor

    def _feed(self, command: list[str], text: str) -> None:
        with self.entered():
            done = subprocess.run(command, input=text + "\n", capture_output=True, text=True, env=_environment(None))
        if done.returncode != 0:
            raise OSError(f"{' '.join(command)}: {done.stderr.strip()}\n{text}")

    def close(self) -> None:
        """Let go of the namespace. It vanishes when the last program in it ends."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class Program:
    """A running program.

    Attributes:
        lines: what it has written so far, to its standard output and standard error.
    """

    def __init__(self, process: subprocess.Popen[str] | PreparedProcess, output: TextIO | IO[str] | None) -> None:
        assert output is not None
        self.lines: list[str] = []
        self._process = process
        self._output = output
        self._changed = threading.Condition()
        self._has_ended = False
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    @classmethod
    def start(
        cls, command: Sequence[str | Path], environment: Mapping[str, str], descriptors: Sequence[int] = ()
    ) -> Program:
        """Start a program in the calling thread's namespace; it is killed when this thread ends.

        Args:
            command: the program and its arguments.
            environment: all its variables.
            descriptors: that it inherits.
        """
        process = subprocess.Popen(
            [*_UNTIL_DEATH, *command],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            env=environment,
            pass_fds=descriptors,
        )
        return cls(process, process.stdout)

    def _read(self) -> None:
        for line in self._output:
            with self._changed:
                self.lines.append(line.rstrip("\n"))
                self._changed.notify_all()
        with self._changed:
            self._has_ended = True
            self._changed.notify_all()

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def text(self) -> str:
        """All that it has written so far."""
        return "\n".join(self.lines)

    def wait_for_line(self, pattern: str, seconds: float = 30) -> re.Match[str]:
        """The match in the first line that has one. Fails if the program ends without it, or after these seconds."""
        deadline = time.monotonic() + seconds
        seen = 0
        with self._changed:
            while True:
                for line in self.lines[seen:]:
                    if found := re.search(pattern, line):
                        return found
                seen = len(self.lines)
                assert not self._has_ended, f"ended without a line that matches {pattern!r}:\n{self.text}"
                remaining = deadline - time.monotonic()
                assert remaining > 0, f"no line matches {pattern!r} after {seconds} s:\n{self.text}"
                self._changed.wait(remaining)

    def wait(self, seconds: float = 30) -> int:
        """The exit code; negative for a signal."""
        code = self._process.wait(seconds)
        self._reader.join(5)
        return code

    def send_signal(self, number: int) -> None:
        self._process.send_signal(number)

    def stop(self) -> int:
        """Send SIGTERM, and SIGKILL if that does not help within 10 s. Returns the exit code."""
        self._process.terminate()
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
        code = self.wait(5)
        if not self._reader.is_alive():  # a program that it left behind may hold the pipe
            self._output.close()
        return code


def _environment(changes: Mapping[str, str] | None) -> dict[str, str]:
    return {**os.environ, "PATH": _PATH, **(changes or {})}


def _open_current() -> int:
    return os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)


def _call(name: str, *arguments: int | bytes | None) -> None:
    # os.setns and os.unshare exist since Python 3.12.
    if getattr(_libc(), name)(*arguments) != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{name}: {os.strerror(number)}")


def _libc() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)
