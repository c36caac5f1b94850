"""The files of the page, from the installed package, as they are served."""

from __future__ import annotations

import gzip
import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import PurePosixPath

INDEX = "index.html"
_TYPES = {
    ".css": "text/css; charset=utf-8",
    ".html": "text/html; charset=utf-8",
    ".ico": "image/x-icon",
    ".js": "text/javascript; charset=utf-8",
    ".png": "image/png",
    ".svg": "image/svg+xml",
    ".wasm": "application/wasm",
    ".webmanifest": "application/manifest+json",
}
"""Files of other types are not served; they belong to the tools of developers."""
_REFERENCE = re.compile(rb"""(?<=["'])/?web/""")
_HASH_CHARACTERS = 16


@dataclass(frozen=True, slots=True)
class PageFile:
    """One file.

    Attributes:
        type: for ``Content-Type``.
        body: its bytes.
        compressed: the same with gzip; None if that is no smaller.
    """

    type: str
    body: bytes
    compressed: bytes | None


@dataclass(frozen=True, slots=True)
class PageFiles:
    """All files of one version.

    Attributes:
        version: a digest over all of them.
        index: the page itself; it refers to the others by paths that contain the version.
        others: the other files by their path.
    """

    version: str
    index: PageFile
    others: dict[str, PageFile]


def load_page(root: Traversable | None = None, head: bytes = b"") -> PageFiles:
    """Read and compress the files, which takes a moment.

    Args:
        root: the directory; None for the one of this package.
        head: elements to add to the head of the page.
    """
    contents = dict(sorted(_walk(files("teleglyph") / "web" if root is None else root)))
    if head:
        contents[INDEX] = contents[INDEX].replace(b"</title>", b"</title>\n        " + head, 1)
    digest = hashlib.sha256()
    for name, body in contents.items():
        digest.update(b"%s\0%d\0" % (name.encode(), len(body)) + body)
    version = digest.hexdigest()[:_HASH_CHARACTERS]
    index = _REFERENCE.sub(b"/web/%s/" % version.encode(), contents.pop(INDEX))
    return PageFiles(version, _file(INDEX, index), {name: _file(name, body) for name, body in contents.items()})


def _walk(directory: Traversable, prefix: str = "") -> Iterator[tuple[str, bytes]]:
    for entry in directory.iterdir():
        name = prefix + entry.name
        if entry.is_dir():
            yield from _walk(entry, f"{name}/")
        elif PurePosixPath(name).suffix in _TYPES:
            yield name, entry.read_bytes()


def _file(name: str, body: bytes) -> PageFile:
    compressed = gzip.compress(body, mtime=0)
    return PageFile(_TYPES[PurePosixPath(name).suffix], body, compressed if len(compressed) < len(body) else None)
