"""Invalid Nostr key files."""

from __future__ import annotations

from pathlib import Path

import pytest

from teleglyph.errors import KeyFileError
from teleglyph.keys.nostr import load_nostr_key


@pytest.mark.parametrize("content", [b"\0", bytes(32), b"", b"nsec1", b"\xff\xfe\0n\0s", b"nsec1\n\0"])
def test_a_file_that_holds_no_key_is_refused_by_name(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "key"
    path.write_bytes(content)
    path.chmod(0o600)
    with pytest.raises(KeyFileError, match=str(path)):
        load_nostr_key(path)
