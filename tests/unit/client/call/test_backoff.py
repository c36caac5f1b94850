"""The pauses between attempts to reconnect."""

import pytest

from teleglyph.client.call.backoff import FIRST_PAUSE, MAX_PAUSE, UNANSWERED_PAUSES, ReconnectBackoff
from teleglyph.errors import (
    AuthenticationError,
    CallRoomError,
    ConnectError,
    ConnectionLostError,
    HandshakeError,
    PeerError,
    VerificationError,
)


def test_pauses_double_up_to_a_limit_and_start_again_after_a_success() -> None:
    backoff = ReconnectBackoff(-1, lambda: 0.5)
    pauses = [backoff.next_pause(ConnectionLostError("gone")) for _ in range(8)]
    assert pauses == [0.5, 1, 2, 4, 8, MAX_PAUSE, MAX_PAUSE, MAX_PAUSE]
    assert backoff.number == 8
    backoff.reset()
    assert backoff.next_pause(ConnectionLostError("gone")) == FIRST_PAUSE


def test_pauses_are_spread_around_their_middle() -> None:
    shortest = ReconnectBackoff(-1, lambda: 0.0).next_pause(ConnectError("refused"))
    longest = ReconnectBackoff(-1, lambda: 1.0).next_pause(ConnectError("refused"))
    assert shortest == pytest.approx(0.8 * FIRST_PAUSE)
    assert longest == pytest.approx(1.2 * FIRST_PAUSE)


@pytest.mark.parametrize("limit", [0, 1, 3])
def test_the_limit_counts_attempts_since_the_last_success(limit: int) -> None:
    backoff = ReconnectBackoff(limit, lambda: 0.5)
    for _ in range(2):
        pauses = [backoff.next_pause(ConnectionLostError("gone")) for _ in range(limit + 1)]
        assert [pause is not None for pause in pauses] == [True] * limit + [False]
        backoff.reset()


@pytest.mark.parametrize(
    "error", [AuthenticationError("no"), CallRoomError("no"), VerificationError("no"), HandshakeError("no")]
)
def test_a_refusal_is_not_retried(error: PeerError) -> None:
    assert ReconnectBackoff(-1, lambda: 0.5).next_pause(error) is None


def test_quiet_attempts_outlast_the_two_seconds_of_a_server_that_resets_and_end_soon_after() -> None:
    assert UNANSWERED_PAUSES[0] < 0.5
    assert 3 <= sum(UNANSWERED_PAUSES) <= 5
