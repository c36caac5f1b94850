"""Shows a server's identity to its host, in the form in which new participants see it."""

from __future__ import annotations

import logging
import shutil
from collections.abc import Sequence

from teleglyph.cli.logs import has_text_console
from teleglyph.console import echo
from teleglyph.keys import fingerprint, format_public_key, randomart
from teleglyph.wire.acip import Identity

_log = logging.getLogger(__name__)


def announce_identities(identities: Sequence[Identity]) -> None:
    """Log a server's fingerprints, and draw them if the log goes to a terminal with enough room."""
    for identity in identities:
        key = identity.public_key
        _log.info("This server's identity is %s (%s)", fingerprint(key), format_public_key(key))
        picture = randomart(key)
        if has_text_console() and shutil.get_terminal_size().columns > len(picture.split("\n", 1)[0]):
            echo(picture, err=True)
    if identities:
        _log.info("New participants are shown this identity. Send it to them beforehand, so that they can compare it")
