"""Raises the limit on open files and sockets."""

from __future__ import annotations

import resource

_ENOUGH = 65_536
"""A higher limit would only hide leaks for longer."""


def raise_descriptor_limit() -> int:
    """Raise the soft limit as far as the hard one allows; returns the new limit (``getrlimit(2)``)."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY or soft >= _ENOUGH:
        return _ENOUGH if soft == resource.RLIM_INFINITY else soft
    # macOS has no hard limit, but refuses more than OPEN_MAX.
    for wanted in (_ENOUGH, 10_240):
        target = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        if target <= soft:
            break
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (target, hard))
        except (OSError, ValueError):
            continue
        return target
    return soft
