"""Passwords of sessions whose hosts do not check them, as Argon2id texts that any host may send."""

from __future__ import annotations

import asyncio
import re
import time
from concurrent.futures import ThreadPoolExecutor

import nacl.exceptions
import nacl.pwhash

from teleglyph.discovery.service.refusal import Reason, RefusedError
from teleglyph.net import GuessLimiter, network_of

_FORM = re.compile(r"\$argon2id\$v=19\$m=(\d{1,6}),t=(\d{1,2}),p=1\$[A-Za-z0-9+/]{11,64}\$[A-Za-z0-9+/]{22,86}")
_MAX_MEMORY, _MAX_PASSES, _MIN_MEMORY = 65_536, 4, 8
"""In KiB, and passes: ascii-chat's hosts use 65536 and 2.  A host must not choose what each join costs us."""
_MAX_WAITING = 8
"""Passwords to check at once; each takes up to 0.3 s and 64 MiB, one after another."""


def check_hash(text: str) -> None:
    """Check that a host's Argon2id text can be used.

    Raises:
        RefusedError: it is not one, or too costly.
    """
    found = _FORM.fullmatch(text)
    if found is None:
        raise RefusedError(Reason.PARAMETER, "The password hash is not an Argon2id text ($argon2id$v=19$...,p=1$...).")
    memory, passes = int(found[1]), int(found[2])
    if not (_MIN_MEMORY <= memory <= _MAX_MEMORY and 1 <= passes <= _MAX_PASSES):
        raise RefusedError(
            Reason.PARAMETER,
            f"The password hash needs {memory} KiB and {passes} passes (at most {_MAX_MEMORY} and {_MAX_PASSES}).",
        )


class PasswordChecker:
    """Checks passwords in a thread, and limits guesses."""

    def __init__(self) -> None:
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="passwords")
        self._waiting = 0
        self._guesses = GuessLimiter()

    async def check(self, stored: str, password: str, address: str, now: float) -> float:
        """Check a password.

        Args:
            stored: the Argon2id text.
            password: what the peer sent; empty for nothing.
            address: of the peer.
            now: on the monotonic clock.

        Returns:
            the processor time that it took, in seconds.

        Raises:
            RefusedError: it is wrong or missing, or not checked because too many were wrong.
        """
        if not password:
            raise RefusedError(Reason.PASSWORD, "This session needs a password.")
        network = network_of(address)
        pause = self._guesses.attempt(network, now)
        if pause > 0:
            raise RefusedError(
                Reason.RATE, f"Too many wrong passwords from your address. Try again in {max(1, round(pause))} s."
            )
        if self._waiting >= _MAX_WAITING:
            self._guesses.succeeded(network, now)
            raise RefusedError(Reason.RATE, "Too many passwords are being checked. Try again in a few seconds.")
        self._waiting += 1
        try:
            is_right, seconds = await asyncio.get_running_loop().run_in_executor(
                self._pool, _verify, stored.encode(), password.encode("utf-8", "surrogateescape")
            )
        finally:
            self._waiting -= 1
        if not is_right:
            self._guesses.failed(network, now)
            raise RefusedError(Reason.PASSWORD, "The password is wrong.")
        self._guesses.succeeded(network, now)
        return seconds

    def close(self) -> None:
        """Check nothing more."""
        self._pool.shutdown(wait=False, cancel_futures=True)


def _verify(stored: bytes, password: bytes) -> tuple[bool, float]:
    began = time.thread_time()
    try:
        is_right = nacl.pwhash.verify(stored, password)
    except (nacl.exceptions.CryptoError, ValueError, MemoryError):
        is_right = False
    return is_right, time.thread_time() - began
