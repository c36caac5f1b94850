"""One delta for all viewers that see the same screen and should see the same."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from typing import NamedTuple

from teleglyph.call.drawing import DrawnUpdate
from teleglyph.call.shared_screen import SharedScreen
from teleglyph.media.grid import Encoding, Grid
from teleglyph.wire.acip import Compression, ScreenUpdate

_numbers = itertools.count(1)


def _next_number() -> int:
    """A number for an update, from 1 to 2**32 - 1."""
    return next(_numbers) % 0xFFFFFFFF + 1


class SentScreen:
    """The screen that one viewer, or several, see after the last delta that left for them.

    Attributes:
        grid: its characters.
        number: of the last update.
        holders: how many viewers see it.
    """

    __slots__ = ("grid", "holders", "number")

    def __init__(self, grid: Grid, number: int) -> None:
        self.grid = grid
        self.number = number
        self.holders = 0


class UpdateKey(NamedTuple):
    """Everything that makes two viewers' deltas equal.

    Attributes:
        screen: the screen that they should see.
        sent: the screen that they see; None if that is unknown, so that they need a full frame.
        tolerance: how far colours may be off (:class:`teleglyph.media.grid.Encoding`).
        refined_rows: the rows, from and up to but not including, that become exact where nothing moves.
        is_still: the whole picture has stopped moving.
    """

    screen: SharedScreen
    sent: SentScreen | None
    tolerance: int
    refined_rows: tuple[int, int]
    is_still: bool


class SharedUpdate:
    """The delta of one tick for all viewers with one key.

    Viewers join it first; then it is planned, drawn and finished, and each viewer gets its packet.

    Attributes:
        compressions: that its viewers may want.
        sent: the screen that the viewers see afterwards.
        is_empty: there is nothing to send.
        is_whole: it is a full frame.
        inexact: characters that it leaves a little off.
    """

    def __init__(self, key: UpdateKey) -> None:
        self.key = key
        self.compressions: list[Compression] = []
        self.sent = key.sent
        self.is_empty = True
        self.is_whole = False
        self.inexact = 0
        self._viewers = 0
        self._grid = key.screen.wanted
        self._number = self._base = 0
        self._body = b""
        self._packed: Mapping[Compression, bytes] = {}
        self._packets: dict[tuple[Compression, int, int], bytes] = {}

    def add_viewer(self) -> None:
        """Count one more viewer."""
        self._viewers += 1

    def allow_compression(self, compression: Compression) -> None:
        """Compress the body as well, once for all viewers, because one may want that."""
        if compression not in self.compressions:
            self.compressions.append(compression)

    def plan(self) -> Encoding:
        """The native job, once all viewers have joined and the screen is composed."""
        screen, sent = self.key.screen, self.key.sent
        wanted = screen.wanted
        self.is_whole = sent is None or (sent.grid.columns, sent.grid.rows) != (wanted.columns, wanted.rows)
        if sent is None or self.is_whole:
            self._grid = Grid(wanted.columns, wanted.rows)
        else:
            # Viewers that do not take part keep the grid that they see.
            self._grid = sent.grid if sent.holders == self._viewers else sent.grid.copy()
        previous = wanted if self.key.is_still else screen.previous
        return Encoding(
            wanted, self._grid, screen.style, self.key.tolerance, self.is_whole, previous, self.key.refined_rows
        )

    def finish(self, drawn: DrawnUpdate) -> None:
        """Store the result of the native job."""
        update, sent = drawn.update, self.key.sent
        self.inexact = update.inexact
        self.is_empty = not update.changed and not self.is_whole
        if self.is_empty:
            return
        self._body, self._packed = update.body, drawn.packed
        self._number = _next_number()
        self._base = 0 if self.is_whole or sent is None else sent.number
        if sent is not None and self._grid is sent.grid:
            sent.number = self._number
        else:
            self.sent = SentScreen(self._grid, self._number)

    @property
    def number(self) -> int:
        """The number that viewers acknowledge."""
        return self._number

    @property
    def body_bytes(self) -> int:
        """Bytes of the uncompressed body."""
        return len(self._body)

    def packet(self, level: int, rate: int, compression: Compression) -> bytes:
        """The packet for a viewer; the same object for all with equal arguments.

        Args:
            level: state of the viewer's rate control.
            rate: its frames per second.
            compression: to use, if that makes it smaller.
        """
        packed = self._packed.get(compression)
        variant = compression if packed is not None else Compression.NONE, level, rate
        packet = self._packets.get(variant)
        if packet is None:
            message = ScreenUpdate(
                self._number, self._base, self._grid.columns, self._grid.rows, self._body, level, rate, variant[0]
            )
            packet = self._packets[variant] = message.encode_packet(packed or self._body)
        return packet
