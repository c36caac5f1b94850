"""Networks of namespaces for tests, which are skipped where they cannot be made."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable, Iterator

import pytest

from networks.homes import Home, Networks
from networks.namespace import why_unavailable
from networks.routers import NatKind

_why_unavailable = functools.cache(why_unavailable)


@pytest.fixture(scope="session")
def _namespaces() -> None:
    if reason := _why_unavailable():
        pytest.skip(reason)


@pytest.fixture
def make_networks(_namespaces: None) -> Iterator[Callable[..., Networks]]:
    """Makes networks with these homes; they are removed at the end."""
    with contextlib.ExitStack() as exits:

        def make(*homes: Home | NatKind) -> Networks:
            return exits.enter_context(Networks(*homes))

        yield make


@pytest.fixture(scope="module")
def shared_networks(_namespaces: None) -> Iterator[Callable[..., Networks]]:
    """The same for all tests of a module that ask for the same homes and leave nothing behind."""
    made: dict[tuple[Home | NatKind, ...], Networks] = {}
    with contextlib.ExitStack() as exits:

        def share(*homes: Home | NatKind) -> Networks:
            if homes not in made:
                made[homes] = exits.enter_context(Networks(*homes))
            return made[homes]

        yield share
