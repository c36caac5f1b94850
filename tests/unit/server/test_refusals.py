"""A flood of refusals becomes a few log lines."""

from __future__ import annotations

import logging

import pytest

from teleglyph.server.refusals import RefusalLog


def test_the_first_of_a_kind_is_logged_and_the_others_are_counted(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    log = RefusalLog()
    for number in range(58):
        log.log_refusal("too often", f"10.0.0.{number} was refused: too often", 100.0 + number / 100)
    log.log_refusal("full", "10.0.0.9 was refused: full", 101.0)
    log.flush(159.0)
    assert caplog.messages == ["10.0.0.0 was refused: too often", "10.0.0.9 was refused: full"]
    caplog.clear()
    log.flush(161.0)
    assert caplog.messages == ["57 more refused in the last minute: too often"]
    caplog.clear()
    log.flush(400.0)
    log.log_refusal("too often", "10.0.0.7 was refused: too often", 401.0)
    assert caplog.messages == ["10.0.0.7 was refused: too often"], "after a quiet minute the next one is logged again"
