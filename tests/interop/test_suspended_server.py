"""A server that was suspended for a while drops nobody."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable

from acip_peer import AcipPeer
from conftest import ServerProcess

SECONDS = 6.5


def test_a_suspended_server_drops_nobody(server: ServerProcess, connect: Callable[[ServerProcess], AcipPeer]) -> None:
    peers = [connect(server).join() for _ in range(3)]
    failures: list[Exception] = []
    done = threading.Event()

    def take_part(peer: AcipPeer) -> None:
        shade = 0
        try:
            while not done.is_set():
                shade = (shade + 1) % 256
                peer.send_color(shade, 1, 2)
                peer.frame(seconds=30)
        except Exception as error:
            failures.append(error)

    threads = [threading.Thread(target=take_part, args=(peer,)) for peer in peers]
    for thread in threads:
        thread.start()
    time.sleep(0.5)
    server.process.send_signal(signal.SIGSTOP)
    time.sleep(SECONDS)
    server.process.send_signal(signal.SIGCONT)
    server.wait_for_log(r"Server was suspended or starved for [67]\.\d s")
    time.sleep(1.0)
    done.set()
    for thread in threads:
        thread.join(30)
    assert failures == []
    assert "sent nothing" not in "".join(server.log)
