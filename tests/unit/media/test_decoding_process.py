"""The rights of the confined decoding process."""

import subprocess
import sys

import pytest

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="needs Linux")

_CONFINED = """
import ctypes, os, socket, struct, sys, threading, time
from teleglyph.media.decoding_process import confine
from teleglyph.media.picture_decoder import prepare_decoding
prepare_decoding()
output = os.dup(1)
{before}
filtered = confine(64 << 20)
try:
    {attempt}
except BaseException as error:
    outcome = type(error).__name__
else:
    outcome = "allowed"
os.write(output, f"{{filtered}} {{outcome}}".encode())
os._exit(0)
"""


def attempt(code: str, before: str = "") -> str:
    """The output of some code in a confined process."""
    program = _CONFINED.format(attempt=code, before=before)
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    filtered, outcome = done.stdout.split()
    assert filtered == "True"
    return outcome


@pytest.mark.parametrize(
    "code",
    [
        "open('/etc/passwd').read()",
        "open('/tmp/teleglyph-test', 'w')",
        "os.listdir('/')",
        "os.stat('/')",
        "os.unlink('/tmp/teleglyph-test')",
        "socket.socket()",
        "socket.socket(socket.AF_UNIX)",
        "socket.socketpair()",
        "os.pipe()",
        "os.fork()",
        "os.execv('/bin/true', ['true'])",
        "os.kill(os.getppid(), 0)",
        "threading.Thread(target=int).start()",
        "os.dup(1)",
        "os.memfd_create('more')",
    ],
)
def test_neither_files_nor_network_nor_other_processes_can_be_reached(code: str) -> None:
    assert attempt(code) in ("PermissionError", "OSError", "RuntimeError")


@pytest.mark.parametrize("code", ["bytearray(32 << 20)", "time.sleep(0.01)", "prepare_decoding()", "os.getpid()"])
def test_decoding_still_works_when_confined(code: str) -> None:
    assert attempt(code) == "allowed"


def test_memory_is_bounded() -> None:
    assert attempt("bytearray(400 << 20)") == "MemoryError"


def test_open_descriptors_can_be_read_but_no_limit_can_be_raised() -> None:
    assert attempt("os.read(reading, 1)", "reading, writing = os.pipe(); os.write(writing, b'x')") == "allowed"
    code = "resource.setrlimit(resource.RLIMIT_NOFILE, (100, 100))"
    assert attempt(code, "import resource") in ("PermissionError", "ValueError")


def test_the_process_ends_at_once_when_its_server_is_another() -> None:
    arguments = ["1", "0", "4096", "4096", "4096"]
    done = subprocess.run(
        [sys.executable, "-m", "teleglyph.media.decoding_process", *arguments], capture_output=True, timeout=60
    )
    assert (done.returncode, done.stdout) == (0, b"")
