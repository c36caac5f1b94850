"""What a host sees of the server's identity: the same that those who join are asked to compare."""

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
    """Log a server's fingerprints, and draw them where the log goes to a terminal that has room."""
    for identity in identities:
        key = identity.public_key
        _log.info("This server's identity is %s (%s)", fingerprint(key), format_public_key(key))
        picture = randomart(key)
        if has_text_console() and shutil.get_terminal_size().columns > len(picture.split("\n", 1)[0]):
            echo(picture, err=True)
    if identities:
        _log.info("Clients show it when somebody joins for the first time: tell people beforehand what to expect")
