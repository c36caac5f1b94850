"""The kinds of Nostr events that make a chat."""

from __future__ import annotations

from typing import Final

PROFILE: Final = 0
MESSAGE: Final = 9
"""NIP-C7."""
JOIN: Final = 9021
"""NIP-29."""
PRESENCE: Final = 10312
"""NIP-53."""
