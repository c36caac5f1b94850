"""What a check finds."""

from __future__ import annotations

import enum
from dataclasses import dataclass


class Verdict(enum.Enum):
    """How bad a finding is."""

    OK = "ok"
    NOTE = "note"
    """It works, with a restriction that you may want to know."""
    PROBLEM = "problem"
    """Something does not work."""
    SKIPPED = "skipped"
    """There was nothing to check, or no way to."""


@dataclass(frozen=True, slots=True)
class Finding:
    """The result of a check.

    Attributes:
        verdict: how bad it is.
        text: one sentence for people.
        step: what to do next; empty for nothing.
    """

    verdict: Verdict
    text: str
    step: str = ""


def ok(text: str) -> Finding:
    """Everything is as it should be."""
    return Finding(Verdict.OK, text)


def note(text: str, step: str = "") -> Finding:
    """It works, with a restriction."""
    return Finding(Verdict.NOTE, text, step)


def problem(text: str, step: str) -> Finding:
    """Something does not work; there always is a next step."""
    return Finding(Verdict.PROBLEM, text, step)


def skipped(text: str, step: str = "") -> Finding:
    """There was nothing to check."""
    return Finding(Verdict.SKIPPED, text, step)
