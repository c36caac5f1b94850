"""An independent page: it speaks docs/protocol/page.md with the ``websockets`` package and no code of ours."""

from __future__ import annotations

import contextlib
import ssl
import struct
import time
import zlib
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import google_crc32c
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect
from websockets.typing import Origin, Subprotocol

import acip_peer as acip

HELLO, WELCOME, AUTH_FAILED, ERROR = 1310, 1311, 1106, 2003
SCREEN_UPDATE, SCREEN_ACK, VIEW_SETTINGS, ROSTER = 3100, 3101, 5100, 5103
SCREENS, DEFLATE, ROSTERS = 0x02, 0x08, 0x10
NAMES = 0x08
_HEADER = struct.Struct(">QHIII")


class Entry(NamedTuple):
    """One participant of a roster."""

    number: int
    flags: int
    place: int
    x: int
    y: int
    columns: int
    rows: int
    name: str


class Welcome(NamedTuple):
    """What the server tells an admitted page."""

    features: int
    codecs: int
    flags: int
    room: str
    group: str


class Update(NamedTuple):
    """A delta, with its decompressed body."""

    number: int
    is_whole: bool
    columns: int
    rows: int
    compression: int
    body: bytes


class PagePeer:
    """One page.

    Args:
        port: of the server.
        path: of the URL.
        origin: of the page; by default it comes from this server.
        tls: for ``wss://``; None for ``ws://``.
    """

    def __init__(
        self, port: int, path: str = "/call", *, origin: str | None = "", tls: ssl.SSLContext | None = None
    ) -> None:
        scheme, host = ("wss", "localhost") if tls else ("ws", "127.0.0.1")
        if origin == "":
            origin = f"{'https' if tls else 'http'}://{host}:{port}"
        self._stack = contextlib.ExitStack()
        self.websocket = self._stack.enter_context(
            connect(
                f"{scheme}://{host}:{port}{path}",
                subprotocols=[Subprotocol("teleglyph.page")],
                origin=None if origin is None else Origin(origin),
                compression=None,
                proxy=None,
                ssl=tls,
            )
        )
        assert self.websocket.subprotocol == "teleglyph.page"

    def close(self) -> None:
        self._stack.close()

    def send(self, kind: int, payload: bytes = b"") -> None:
        head = _HEADER.pack(0x0000000A5C11C4A1, kind, len(payload), google_crc32c.value(payload), 0)
        self.websocket.send(head + payload)

    def receive(self, seconds: float = 10.0) -> tuple[int, bytes]:
        message = self.websocket.recv(seconds)
        assert isinstance(message, bytes)
        magic, kind, size, checksum, client = _HEADER.unpack_from(message)
        payload = message[_HEADER.size :]
        assert (magic, client) == (0x0000000A5C11C4A1, 0)
        assert len(payload) == size
        assert google_crc32c.value(payload) == checksum
        return kind, payload

    def until(self, kind: int, wanted: Callable[[bytes], Any] = bool, seconds: float = 10.0) -> Any:
        """The first true value of ``wanted`` for a payload of this kind."""
        deadline = time.monotonic() + seconds
        while True:
            received, payload = self.receive(max(0.01, deadline - time.monotonic()))
            if received == kind and (value := wanted(payload)):
                return value

    def hello(
        self, room: str = "", password: str = "", invitation: str = "", features: int = SCREENS | DEFLATE | ROSTERS
    ) -> None:
        texts = b"".join(struct.pack(">H", len(text)) + text for text in map(str.encode, (room, password, invitation)))
        self.send(HELLO, struct.pack(">HI", 1, features) + texts)

    def welcome(self) -> Welcome:
        kind, payload = self.receive()
        assert kind == WELCOME, (kind, payload)
        features, codecs, flags, size = struct.unpack_from(">IIBH", payload)
        room, rest = payload[11 : 11 + size], payload[11 + size :]
        assert struct.unpack_from(">H", rest)[0] == len(rest) - 2
        return Welcome(features, codecs, flags, room.decode(), rest[2:].decode())

    def refusal(self) -> tuple[int | None, str, int]:
        """The reasons of AUTH_FAILED, the sentence of ERROR_MESSAGE, and the code of the close frame."""
        reasons, sentence = None, ""
        with contextlib.suppress(ConnectionClosed):
            while True:
                kind, payload = self.receive()
                if kind == AUTH_FAILED:
                    reasons = payload[0]
                else:
                    assert kind == ERROR
                    sentence = payload[8:].decode()
        assert self.websocket.close_code is not None
        return reasons, sentence, self.websocket.close_code

    def join(
        self, name: str = "page", *, room: str = "", password: str = "", columns: int = 80, rows: int = 24
    ) -> Welcome:
        self.hello(room, password)
        welcome = self.welcome()
        self.resize(columns, rows)
        self.send(acip.CLIENT_JOIN, struct.pack(">4x32sI", name.encode(), 2))
        self.settings()
        return welcome

    def resize(self, columns: int, rows: int) -> None:
        self.send(acip.CLIENT_CAPABILITIES, acip.capabilities(columns, rows))

    def settings(self, *, spotlight: int = 0, max_bitrate: int = 0) -> None:
        self.send(VIEW_SETTINGS, struct.pack(">BBBxI", 0xFF, NAMES, spotlight, max_bitrate))

    def update(self, wanted: Callable[[Update], bool] = lambda _: True) -> Update:
        """The first delta that is wanted."""

        def found(payload: bytes) -> Update | None:
            number, base, columns, rows, flags, _, _, size = struct.unpack_from(">IIHHBBHI", payload)
            packed = payload[20:]
            body = zlib.decompress(packed, wbits=-15) if flags & 2 else packed
            assert len(body) == size
            self.send(SCREEN_ACK, struct.pack(">IB", number, 0))
            update = Update(number, base == 0, columns, rows, flags & 3, body)
            return update if wanted(update) else None

        update = self.until(SCREEN_UPDATE, found)
        assert isinstance(update, Update)
        return update

    def roster(self, wanted: Callable[[list[Entry]], bool] = lambda _: True) -> list[Entry]:
        """The first roster that is wanted."""

        def found(payload: bytes) -> list[Entry] | None:
            entries = list(entries_of(payload))
            return entries if wanted(entries) else None

        entries = self.until(ROSTER, found)
        assert isinstance(entries, list)
        return entries


def entries_of(payload: bytes) -> Iterator[Entry]:
    """The entries of a roster's payload."""
    offset = 1
    for _ in range(payload[0]):
        number, flags, place, x, y, columns, rows, size = struct.unpack_from(">IBBHHHHB", payload, offset)
        offset += 15
        yield Entry(number, flags, place, x, y, columns, rows, payload[offset : offset + size].decode())
        offset += size
    assert offset == len(payload)
