"""Answering futures from worker threads, whatever the other side does with them."""

from __future__ import annotations

import contextlib
import logging
from concurrent.futures import Future, InvalidStateError
from dataclasses import dataclass
from typing import Any

from teleglyph.errors import StoreError

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Failure:
    """An error to be raised where the answer is awaited."""

    error: BaseException


def claim(future: Future[Any]) -> bool:
    """Keep a future from being cancelled while its work runs; False if it was cancelled or failed already."""
    try:
        return not future.done() and (future.running() or future.set_running_or_notify_cancel())
    except (InvalidStateError, RuntimeError):  # it was cancelled or failed between the checks
        return False


def resolve(future: Future[Any], answer: object) -> None:
    """Set a future's result, or its exception for a :class:`Failure` or a StoreError.

    Never raises: the future may be done already, and its callbacks may fail.
    """
    try:
        with contextlib.suppress(InvalidStateError):
            if isinstance(answer, Failure):
                # An error that ends threads must not end the thread that waits.
                is_own = isinstance(answer.error, Exception)
                name = type(answer.error).__name__
                future.set_exception(answer.error if is_own else StoreError(f"{name}: {answer.error}"))
            elif isinstance(answer, StoreError):
                future.set_exception(answer)
            else:
                future.set_result(answer)
    except BaseException:
        _log.exception("Delivering a database result failed")
