"""A confined process that only decodes strangers' pictures: ``python -m teleglyph.media.decoding_process``.

Its standard input is a socket to the server for requests and answers.  Its only other open descriptors are the null
device and the shared memory for pictures.  A request is :data:`REQUEST` and the bytes to decode; :data:`ANSWER` replies
to each :attr:`Operation.DECODE`.  The server sends one request at a time.
"""

from __future__ import annotations

import contextlib
import ctypes
import enum
import mmap
import os
import platform
import signal
import struct
import sys
import time

REQUEST = struct.Struct("<BBQIII")
"""Operation, codec, number of the stream, needed width and height (0: full size), and the length of the following
bytes."""
ANSWER = struct.Struct("<BIId")
"""Outcome, width and height of the picture in the shared memory, and CPU seconds used."""

_SOCKET = 0
_PR_SET_PDEATHSIG, _PR_SET_DUMPABLE, _PR_SET_SECCOMP, _PR_SET_NO_NEW_PRIVS = 1, 4, 22, 38
_SECCOMP_MODE_FILTER = 2
_HEADROOM = 192 << 20
"""Bytes of address space in addition to the decoders' pictures, for scaling and the heap."""

_LOAD, _JUMP_IF_EQUAL, _RETURN = 0x20, 0x15, 0x06
_ALLOW, _REFUSE, _KILL = 0x7FFF0000, 0x00050000 | 1, 0x80000000
"""The kernel's reaction to a system call: allow, fail with EPERM, kill the process (seccomp(2))."""
_SYSTEM_CALLS: dict[str, tuple[int, tuple[int, ...]]] = {
    "x86_64": (0xC000003E, (0, 1, 3, 9, 10, 11, 12, 13, 14, 15, 24, 25, 28, 39, 60, 186, 202, 219, 228, 230, 231, 318)),
    "aarch64": (
        0xC00000B7,
        (63, 64, 57, 222, 226, 215, 214, 134, 135, 139, 124, 216, 233, 172, 93, 178, 98, 128, 113, 115, 94, 278),
    ),
}
"""Architecture (audit.h) and the numbers of read, write, close, mmap, mprotect, munmap, brk, rt_sigaction,
rt_sigprocmask, rt_sigreturn, sched_yield, mremap, madvise, getpid, exit, gettid, futex, restart_syscall, clock_gettime,
clock_nanosleep, exit_group, getrandom: memory, time, and open descriptors."""


class Operation(enum.IntEnum):
    """The operation of a request."""

    DECODE = 1
    RELEASE = 2


class Outcome(enum.IntEnum):
    """The outcome in an answer; READY is sent once, before the first request."""

    NOTHING = 0
    PICTURE = 1
    ERROR = 2
    READY = 3


def confine(memory: int) -> bool:
    """Give up all rights except memory, time and open descriptors, permanently.

    Args:
        memory: bytes that may still be allocated.

    Returns:
        Whether the kernel filters system calls.  Otherwise only limits prevent new descriptors and processes.
    """
    import resource

    with open("/proc/self/statm", encoding="ascii") as file:
        held = int(file.read().split()[0]) * mmap.PAGESIZE
    for what, most in (
        (resource.RLIMIT_AS, held + memory + _HEADROOM),
        (resource.RLIMIT_FSIZE, 0),
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_NPROC, 0),
        (resource.RLIMIT_NOFILE, 0),
    ):
        resource.setrlimit(what, (most, most))
    _prctl(_PR_SET_DUMPABLE, 0)
    return _prctl(_PR_SET_NO_NEW_PRIVS, 1) and _filter_system_calls()


def _prctl(option: int, value: int, address: int = 0) -> bool:
    call = ctypes.CDLL(None).prctl
    call.argtypes = (ctypes.c_int, *4 * (ctypes.c_ulong,))
    return bool(call(option, value, address, 0, 0) == 0)


def _filter_system_calls() -> bool:
    """Make the kernel refuse all unlisted system calls, and kill the process for calls of another architecture."""
    if platform.machine() not in _SYSTEM_CALLS or struct.calcsize("P") != 8:
        return False
    architecture, allowed = _SYSTEM_CALLS[platform.machine()]
    # struct seccomp_data: the number at 0, the architecture at 4.
    program = [(_LOAD, 0, 0, 4), (_JUMP_IF_EQUAL, 1, 0, architecture), (_RETURN, 0, 0, _KILL), (_LOAD, 0, 0, 0)]
    for number in allowed:
        program += [(_JUMP_IF_EQUAL, 0, 1, number), (_RETURN, 0, 0, _ALLOW)]
    program.append((_RETURN, 0, 0, _REFUSE))
    code = ctypes.create_string_buffer(b"".join(struct.pack("=HBBI", *step) for step in program))
    header = ctypes.create_string_buffer(struct.pack("@HxxxxxxP", len(program), ctypes.addressof(code)))
    return _prctl(_PR_SET_SECCOMP, _SECCOMP_MODE_FILTER, ctypes.addressof(header))


def _read(count: int) -> bytes:
    """Read ``count`` bytes from the server; ends the process when the server is gone."""
    parts = []
    while count:
        part = os.read(_SOCKET, min(count, 1 << 18))
        if not part:
            os._exit(0)
        parts.append(part)
        count -= len(part)
    return b"".join(parts)


def _write(data: bytes) -> None:
    while data:
        data = data[os.write(_SOCKET, data) :]


def main() -> None:
    """Serve requests until the server is gone.

    Command-line arguments: the server's process id, the descriptor of the shared memory, its size, the largest area of
    a picture, and the bytes that all decoders together may hold.
    """
    server, descriptor, size, max_pixels, memory = map(int, sys.argv[1:])
    # First of all, because a decoder must not outlive its server.
    _prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != server:
        return
    import numpy as np

    from teleglyph.errors import MediaDecodeError
    from teleglyph.media.picture_codec import PictureCodec
    from teleglyph.media.picture_decoder import PictureDecoder, prepare_decoding

    memory_for_pictures = mmap.mmap(descriptor, size)
    shared = np.frombuffer(memory_for_pictures, np.uint8)
    os.close(descriptor)
    # Load lazy imports now, because no file can be opened later.
    prepare_decoding()
    decoders: dict[int, PictureDecoder] = {}
    _write(ANSWER.pack(Outcome.READY, int(confine(memory)), 0, 0.0))
    while True:
        operation, codec, stream, width, height, length = REQUEST.unpack(_read(REQUEST.size))
        bitstream = _read(length)
        if operation == Operation.RELEASE:
            decoders.pop(stream, None)
            if not decoders:
                # The largest picture so far may have been far larger than the next ones.
                with contextlib.suppress(OSError):  # which this kernel may not support
                    memory_for_pictures.madvise(mmap.MADV_REMOVE)
            continue
        started = time.process_time()
        if stream not in decoders:
            decoders[stream] = PictureDecoder(PictureCodec(codec), max_pixels)
        try:
            picture = decoders[stream].decode(bitstream, (width, height) if width and height else None)
        except (MediaDecodeError, MemoryError):
            del decoders[stream]
            _write(ANSWER.pack(Outcome.ERROR, 0, 0, time.process_time() - started))
            continue
        if picture is None:
            _write(ANSWER.pack(Outcome.NOTHING, 0, 0, time.process_time() - started))
            continue
        shared[: picture.size] = picture.reshape(-1)
        _write(ANSWER.pack(Outcome.PICTURE, picture.shape[1], picture.shape[0], time.process_time() - started))


if __name__ == "__main__":
    main()
