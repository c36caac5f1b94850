"""Draws a server's identity for its host, in the form in which new participants see it."""

from __future__ import annotations

import logging
import shutil
from collections.abc import Sequence

from teleglyph.cli.logs import has_text_console
from teleglyph.console import echo
from teleglyph.keys import format_public_key, randomart
from teleglyph.wire.acip import Identity

_log = logging.getLogger(__name__)


def draw_identities(identities: Sequence[Identity]) -> None:
    """Draw a server's fingerprints if the log goes to a terminal with enough room; log the keys at level debug."""
    for identity in identities:
        key = identity.public_key
        _log.debug("Public key: %s", format_public_key(key))
        picture = randomart(key)
        if has_text_console() and shutil.get_terminal_size().columns > len(picture.split("\n", 1)[0]):
            echo(picture, err=True)
