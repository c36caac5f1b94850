"""A participant with a name who stays until the test ends or lets them leave."""

from __future__ import annotations

import struct
import threading

from acip_peer import CLIENT_JOIN, CLIENT_LEAVE, PING, AcipPeer, PeerClosedError
from conftest import ServerProcess

SECONDS_BETWEEN_PINGS = 0.5


class Guest:
    """In the lobby; sends a picture of one color, or none."""

    def __init__(self, server: ServerProcess, name: str, color: tuple[int, int, int] | None = None) -> None:
        self._peer = AcipPeer(server.port).join(video=color is not None)
        self._peer.send(CLIENT_JOIN, struct.pack(">I32sI", 0, name.encode(), 7))
        self._color = color
        self._has_left = threading.Event()
        self._thread = threading.Thread(target=self._stay, daemon=True)
        self._thread.start()

    def leave(self) -> None:
        """Leave the call; nothing happens the second time."""
        self._has_left.set()
        self._thread.join(10)

    def _stay(self) -> None:
        try:
            while not self._has_left.is_set():
                self._peer.send(PING)
                if self._color is not None:
                    self._peer.send_color(*self._color)
                for _ in self._peer.packets(SECONDS_BETWEEN_PINGS):
                    if self._has_left.is_set():
                        break
            self._peer.send(CLIENT_LEAVE)
        except (PeerClosedError, OSError):
            pass  # The server ended first.
        self._peer.close()
