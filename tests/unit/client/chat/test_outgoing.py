"""The queue of outgoing events."""

import pytest

from teleglyph.client.chat.outgoing import refusal_reason


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("blocked: you are banned", "you are banned"),
        ("error:", "error:"),
        ("http: not a prefix", "http: not a prefix"),
        ("no colon", "no colon"),
    ],
)
def test_a_reason_loses_its_machine_readable_prefix(text: str, reason: str) -> None:
    assert refusal_reason(Exception(text)) == reason
