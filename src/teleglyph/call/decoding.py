"""Decoding pictures in confined processes, or in a thread where the system cannot confine a process.

Each sender has at most one request under way, and requests are served in order, so senders take turns, one picture
each.  Expensive senders share a second process, so that nobody else waits for them.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import logging
import mmap
import os
import socket
import subprocess
import sys
import time
from collections.abc import Coroutine
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

import teleglyph
from teleglyph.call.decoder_memory import DecoderMemory
from teleglyph.call.limits import CallLimits
from teleglyph.errors import MediaDecodeError
from teleglyph.media.decoding_process import ANSWER, REQUEST, Operation, Outcome
from teleglyph.media.picture_codec import PictureCodec
from teleglyph.media.picture_decoder import PictureDecoder

_log = logging.getLogger(__name__)

_START_SECONDS = 20.0
"""How long a new process may take to load its libraries, on a busy machine."""
_KILLED_SECONDS = 5.0
_NICENESS = 5
"""Niceness of the first process: mixing and drawing come first."""
_SLOW_NICENESS = 15
"""Niceness of the process for expensive senders: the pictures of others come first."""
_MODULE = "teleglyph.media.decoding_process"


class Decoded(NamedTuple):
    """The result of one request.

    Attributes:
        picture: RGB, uint8, shape (height, width, 3); None if no picture came out.
        cpu: CPU seconds that it took.
    """

    picture: NDArray[np.uint8] | None
    cpu: float


class DecoderDiedError(Exception):
    """The decoding process ended or hung.

    Attributes:
        is_guilty: this very picture was being decoded; otherwise another sender's was.
    """

    def __init__(self, is_guilty: bool) -> None:
        super().__init__("The decoder died.")
        self.is_guilty = is_guilty


class DecodingError(MediaDecodeError):
    """A picture could not be decoded.

    Attributes:
        cpu: CPU seconds that the attempt took.
    """

    def __init__(self, message: str, cpu: float) -> None:
        super().__init__(message)
        self.cpu = cpu


class Decoding(Protocol):
    """Decodes the streams of all senders of a server.

    Attributes:
        memory: the budget of all decoders.
    """

    memory: DecoderMemory

    def open_stream(self, codec: PictureCodec, is_slow: bool) -> int:
        """Open a stream that begins with a keyframe, and return its number.

        Args:
            codec: of all its pictures.
            is_slow: its sender is so expensive that others should not wait for it.
        """

    def close_stream(self, stream: int) -> None:
        """Release a stream's decoder."""

    async def decode(self, stream: int, bitstream: bytes, needed: tuple[int, int] | None) -> Decoded:
        """Decode one encoder output.

        Args:
            stream: number of the stream.
            bitstream: the encoder's output, in the stream's codec.
            needed: width and height in pixels to scale the picture down to; None for no scaling.

        Returns:
            the newest picture.

        Raises:
            DecodingError: the output cannot be decoded; the stream has ended.
            DecoderDiedError: the stream has ended.
        """

    async def close(self) -> None:
        """Release everything."""


def confinement_available() -> bool:
    """Whether this system can confine a process and share memory with it."""
    return sys.platform == "linux" and hasattr(os, "memfd_create")


def open_decoding(limits: CallLimits, confined: bool = True) -> Decoding:
    """Decode in processes if they are wanted and the system can confine them, else in a thread."""
    return ConfinedDecoding(limits) if confined and confinement_available() else ThreadDecoding(limits)


class ThreadDecoding:
    """Decodes in a thread of this process."""

    def __init__(self, limits: CallLimits) -> None:
        self.memory = DecoderMemory(limits.decoder_bytes, limits.decoder_bytes_each)
        self._max_pixels = limits.max_picture_pixels
        self._executor = ThreadPoolExecutor(1, thread_name_prefix="decoder")
        self._numbers = itertools.count(1)
        self._decoders: dict[int, PictureDecoder] = {}

    def open_stream(self, codec: PictureCodec, is_slow: bool) -> int:
        """See :class:`Decoding`."""
        stream = next(self._numbers)
        self._decoders[stream] = PictureDecoder(codec, self._max_pixels)
        return stream

    def close_stream(self, stream: int) -> None:
        """See :class:`Decoding`."""
        self._decoders.pop(stream, None)

    async def decode(self, stream: int, bitstream: bytes, needed: tuple[int, int] | None) -> Decoded:
        """See :class:`Decoding`."""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._executor, _timed, self._decoders[stream], bitstream, needed)

    async def close(self) -> None:
        """See :class:`Decoding`."""
        self._executor.shutdown(wait=False, cancel_futures=True)


def _timed(decoder: PictureDecoder, bitstream: bytes, needed: tuple[int, int] | None) -> Decoded:
    started = time.thread_time()
    try:
        picture = decoder.decode(bitstream, needed)
    except MediaDecodeError as error:
        raise DecodingError(str(error), time.thread_time() - started) from error
    return Decoded(picture, time.thread_time() - started)


class ConfinedDecoding:
    """Decodes in a confined process, and in a second one for expensive senders."""

    def __init__(self, limits: CallLimits) -> None:
        self.memory = DecoderMemory(limits.decoder_bytes, limits.decoder_bytes_each)
        self._workers = (_Worker(limits, _NICENESS), _Worker(limits, _SLOW_NICENESS))
        self._numbers = itertools.count(1)
        self._where: dict[int, tuple[_Worker, PictureCodec]] = {}
        self._tasks: set[asyncio.Task[Any]] = set()

    @property
    def processes(self) -> list[int]:
        """Numbers of the running processes."""
        return [worker.process.pid for worker in self._workers if worker.process is not None]

    def open_stream(self, codec: PictureCodec, is_slow: bool) -> int:
        """See :class:`Decoding`."""
        stream = next(self._numbers)
        self._where[stream] = self._workers[is_slow], codec
        return stream

    def close_stream(self, stream: int) -> None:
        """See :class:`Decoding`."""
        if (place := self._where.pop(stream, None)) is not None:
            self._start(place[0].release(stream))

    async def decode(self, stream: int, bitstream: bytes, needed: tuple[int, int] | None) -> Decoded:
        """See :class:`Decoding`."""
        worker, codec = self._where[stream]
        # An exchange has to be finished even if its sender leaves: the next answer belongs to another sender.
        return await asyncio.shield(self._start(worker.decode(stream, codec, bitstream, needed)))

    async def close(self) -> None:
        """See :class:`Decoding`."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for worker in self._workers:
            worker.kill()

    def _start(self, work: Coroutine[Any, Any, Any]) -> asyncio.Task[Any]:
        task = asyncio.get_running_loop().create_task(work, name="decoding")
        self._tasks.add(task)
        task.add_done_callback(self._done)
        return task

    def _done(self, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        if not task.cancelled():
            task.exception()  # mark it as seen: perhaps nobody waits for it any more


class _Worker:
    """One process, started when it is first needed and again after it died.

    Attributes:
        process: the running process, if there is one.
    """

    def __init__(self, limits: CallLimits, niceness: int = 0) -> None:
        self.process: subprocess.Popen[bytes] | None = None
        self._limits = limits
        self._niceness = niceness
        self._size = limits.max_picture_pixels * 3
        self._lock = asyncio.Lock()
        self._socket: socket.socket | None = None
        self._memory: mmap.mmap | None = None
        self._streams: set[int] = set()
        """Streams that the process decodes."""
        self._lost: set[int] = set()
        """Streams that it decoded when it died."""

    async def decode(
        self, stream: int, codec: PictureCodec, bitstream: bytes, needed: tuple[int, int] | None
    ) -> Decoded:
        """See :class:`Decoding`."""
        async with self._lock:
            try:
                await self._require_process()
            except (OSError, TimeoutError) as error:
                self.kill()
                _log.error("Cannot start the decoding process: %s.", error)
                raise DecoderDiedError(is_guilty=False) from error
            if stream in self._lost:
                self._lost.discard(stream)
                raise DecoderDiedError(is_guilty=False)
            self._streams.add(stream)
            started = time.monotonic()
            try:
                width, height = needed or (0, 0)
                await self._send(
                    REQUEST.pack(Operation.DECODE, codec, stream, width, height, len(bitstream)), bitstream
                )
                outcome, width, height, cpu = await self._answer(self._limits.decoder_timeout)
            except (OSError, TimeoutError) as error:
                self._died(stream, "hung" if isinstance(error, TimeoutError) else "ended")
                raise DecoderDiedError(is_guilty=True) from error
            except asyncio.CancelledError:
                self.kill()
                raise
            # The process may have been taken over, so its answer is believed only within limits.
            taken = time.monotonic() - started
            cpu = min(cpu, taken) if cpu >= 0 else taken
            if outcome == Outcome.NOTHING:
                return Decoded(None, cpu)
            if outcome == Outcome.ERROR:
                self._streams.discard(stream)
                raise DecodingError(f"The picture is not valid {codec.label}.", cpu)
            if outcome != Outcome.PICTURE or not 0 < width * height * 3 <= self._size or self._memory is None:
                self._died(stream, "gave a wrong answer")
                raise DecoderDiedError(is_guilty=True)
            pixels = np.frombuffer(self._memory, np.uint8, width * height * 3).copy()
            return Decoded(pixels.reshape(height, width, 3), cpu)

    async def release(self, stream: int) -> None:
        """Release a stream's decoder, if the process has one."""
        async with self._lock:
            self._lost.discard(stream)
            if stream in self._streams:
                self._streams.discard(stream)
                try:
                    await self._send(REQUEST.pack(Operation.RELEASE, 0, stream, 0, 0, 0))
                except (OSError, TimeoutError):
                    self._died(stream, "ended")

    def kill(self) -> None:
        """End the process, and all its decoders with it."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None
        if self.process is not None:
            self.process.kill()
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.process.wait(_KILLED_SECONDS)
            self.process = None
        if self._memory is not None:
            self._memory.close()
            self._memory = None
        self._streams.clear()

    def _died(self, stream: int, how: str) -> None:
        self._lost |= self._streams - {stream}
        self.kill()
        _log.warning("The decoding process %s and restarts when it is needed.", how)

    async def _require_process(self) -> None:
        if self.process is not None and self.process.poll() is None:
            return
        if self.process is not None:
            # It died between two pictures, which is nobody's fault; its senders start over.
            self._died(0, "ended")
        limits = self._limits
        # Sealed, so that the process cannot shrink it while this one reads it.
        descriptor = os.memfd_create("teleglyph picture", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
        ours, theirs = socket.socketpair()
        try:
            os.ftruncate(descriptor, self._size)
            _seal(descriptor)
            self._memory = mmap.mmap(descriptor, self._size, prot=mmap.PROT_READ)
            ours.setblocking(False)
            self._socket = ours
            numbers = os.getpid(), descriptor, self._size, limits.max_picture_pixels, limits.decoder_bytes
            # In this thread, which lives as long as the server: the process ends with the thread that starts it.
            self.process = subprocess.Popen(  # noqa: ASYNC220, S603 - it takes 2 ms, and every argument is ours
                [sys.executable, "-P", "-m", _MODULE, *map(str, numbers)],
                stdin=theirs.fileno(),
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                pass_fds=[descriptor],
                env=_environment(),
                cwd="/",
                start_new_session=True,
            )
            if self._niceness:
                os.setpriority(os.PRIO_PROCESS, self.process.pid, self._niceness)
        finally:
            os.close(descriptor)
            theirs.close()
        outcome, is_filtered, _, _ = await self._answer(_START_SECONDS)
        if outcome != Outcome.READY:
            raise OSError("wrong answer")
        confinement = "a filter of system calls" if is_filtered else "limits, but no filter of system calls"
        _log.info("The decoding process started: pid=%d, confined by %s", self.process.pid, confinement)

    async def _send(self, *parts: bytes) -> None:
        if self._socket is None:
            raise OSError("no decoding process")
        async with asyncio.timeout(self._limits.decoder_timeout):
            await asyncio.get_running_loop().sock_sendall(self._socket, b"".join(parts))

    async def _answer(self, timeout: float) -> tuple[int, int, int, float]:
        if self._socket is None:
            raise OSError("no decoding process")
        data = b""
        for remaining in (1, 0):
            # Two halves: if this process itself was stopped, only the first half can pass without a look at the socket.
            try:
                async with asyncio.timeout(timeout / 2):
                    while len(data) < ANSWER.size:
                        part = await asyncio.get_running_loop().sock_recv(self._socket, ANSWER.size - len(data))
                        if not part:
                            raise OSError("the decoding process ended")
                        data += part
                    break
            except TimeoutError:
                if not remaining:
                    raise
        outcome, width, height, cpu = ANSWER.unpack(data)
        return outcome, width, height, cpu


def _environment() -> dict[str, str]:
    """The place of this package and nothing secret; no threads in NumPy, which the filter would not hold."""
    return {"PYTHONPATH": str(Path(teleglyph.__file__).parents[1]), "OPENBLAS_NUM_THREADS": "1", "LC_ALL": "C.UTF-8"}


def _seal(descriptor: int) -> None:
    import fcntl

    seals = fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_SEAL
    fcntl.fcntl(descriptor, fcntl.F_ADD_SEALS, seals)
