"""One synthetic participant in its own process, for the server benchmark.

It sends noise pictures, counts received frames, and measures the latency of marked pictures (in a colour that occurs
nowhere else) until a received frame shows them.  It prints one JSON line and exits.  It uses little processor time,
because it shares the machine with the server.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import random
import socket
import statistics
import sys
import threading
import time

import numpy as np

from bench.transports import Way, open_session, shake_hands
from teleglyph.client.call.received_screen import ReceivedScreen
from teleglyph.media.grid import direct_color
from teleglyph.media.opus import SAMPLE_RATE, OpusEncoder
from teleglyph.wire.acip import (
    AsciiFrame,
    Capabilities,
    Feature,
    ImageFrame,
    OpusBatch,
    Ping,
    ScreenAck,
    ScreenUpdate,
    StreamStart,
    ViewFlag,
    ViewSettings,
    derive_password_key,
    encode,
)

SIZE = (160, 90)


class LoadClient:
    """A participant that sends at a fixed rate and measures the frames it gets."""

    def __init__(
        self,
        port: int,
        index: int,
        columns: int,
        rows: int,
        send_rate: float,
        *,
        speaks: bool = False,
        has_screens: bool = False,
        way: Way = Way.ACIP,
        password: str | None = None,
    ) -> None:
        self.index = index
        self.screen = ReceivedScreen() if has_screens else None
        self.speaks = speaks
        self.sounds_in = 0
        self.columns, self.rows = columns, rows
        self.interval = 1.0 / send_rate
        self.stream, self.session = open_session(
            way,
            socket.create_connection(("127.0.0.1", port)),
            None if password is None else derive_password_key(password),
            features=Feature.SCREEN_UPDATES if has_screens else Feature.NONE,
        )
        self.marker = (255, 0, (index * 7 + 3) % 256)
        self.color = direct_color(*self.marker)
        self.pattern = b"38;2;%d;%d;%dm" % self.marker
        self.marked_at = 0.0
        self.waiting = False
        self.latencies: list[float] = []
        self.arrivals: list[float] = []
        self.bytes = 0
        self.stop = False
        self.sending = threading.Lock()

    def start(self) -> None:
        shake_hands(self.stream, self.session)
        capabilities = Capabilities(
            width=self.columns,
            height=self.rows,
            color_level=3,
            render_mode=0,
            desired_fps=60,
            wants_padding=True,
            utf8=True,
        )
        if self.screen is not None:
            self.send(encode(ViewSettings(flags=ViewFlag.NAMES)))
        self.send(encode(capabilities))
        self.send(encode(StreamStart(3 if self.speaks else 1)))
        threading.Thread(target=self.send_pictures, daemon=True).start()
        if self.speaks:
            threading.Thread(target=self.send_sound, daemon=True).start()

    def send(self, packet: bytes) -> None:
        with self.sending:
            self.stream.sendall(self.session.seal(packet))

    def send_pictures(self) -> None:
        width, height = SIZE
        noise = [encode(ImageFrame(width, height, os.urandom(3 * width * height))) for _ in range(8)]
        marked = encode(ImageFrame(width, height, bytes(self.marker) * (width * height)))
        due = time.monotonic() + self.interval * (self.index * 0.381966 % 1.0)
        number = 0
        while not self.stop:
            pause = due - time.monotonic()
            if pause > 0:
                time.sleep(pause)
            due += self.interval
            number += 1
            if number % 15 == 0:
                # Pictures and frames are in step, so without this every mark would meet the same phase of a tick.
                time.sleep(random.uniform(0, 1 / 60))
                self.marked_at, self.waiting = time.monotonic(), True
                self.send(marked)
            else:
                self.send(noise[number % 8])

    def send_sound(self) -> None:
        """A separate tone in packets of 20 ms, encoded in advance."""
        encoder = OpusEncoder()
        places = np.arange(SAMPLE_RATE) / SAMPLE_RATE
        tone = (0.1 * np.sin(2 * np.pi * (200 + 20 * self.index) * places)).astype(np.float32)
        packets = [
            encode(OpusBatch(SAMPLE_RATE, 20, (encoder.encode(tone[start : start + 960]),)))
            for start in range(0, SAMPLE_RATE, 960)
        ]
        started = time.monotonic()
        for number in itertools.count():
            time.sleep(max(0.0, started + number * 0.02 - time.monotonic()))
            if self.stop:
                return
            self.send(packets[number % len(packets)])

    def receive(self, seconds: float) -> None:
        """Count frames for some seconds."""
        deadline, last_ping = time.monotonic() + seconds, 0.0
        while (now := time.monotonic()) < deadline:
            event = self.session.next_event()
            if event is None:
                chunk = self.stream.recv(1 << 19)
                if not chunk:
                    sys.exit("The server closed the connection.")
                self.session.receive_data(chunk)
            elif isinstance(event, AsciiFrame):
                self.arrivals.append(now)
                self.bytes += len(event.text)
                if self.waiting and self.pattern in event.text:
                    self.waiting = False
                    self.latencies.append(now - self.marked_at)
            elif isinstance(event, ScreenUpdate):
                self.arrivals.append(now)
                self.bytes += len(event.body)
                self.see(event, now)
            elif isinstance(event, OpusBatch):
                self.sounds_in += 1
            if now - last_ping > 10:
                last_ping = now
                self.send(encode(Ping()))

    def see(self, update: ScreenUpdate, now: float) -> None:
        """Apply an update, acknowledge it, and look for the mark."""
        screen = self.screen
        if screen is None:
            return
        fits = screen.apply(update)
        self.send(encode(ScreenAck(screen.number, not fits)))
        if self.waiting and screen.grid is not None:
            marks = sum(foreground == self.color for foreground, _, _ in screen.grid.characters())
            if marks > 10:
                self.waiting = False
                self.latencies.append(now - self.marked_at)

    def receive_until_all_joined(self) -> None:
        """Keep reading until a line on standard input reports that all clients have joined."""
        joined = threading.Event()

        def listen() -> None:
            sys.stdin.readline()
            joined.set()

        threading.Thread(target=listen, daemon=True).start()
        while not joined.is_set():
            self.receive(0.2)

    def result(self) -> dict[str, object]:
        gaps = [b - a for a, b in zip(self.arrivals, self.arrivals[1:], strict=False)]
        span = self.arrivals[-1] - self.arrivals[0] if len(gaps) > 0 else 1.0
        return {
            "fps": len(gaps) / span,
            "gaps": [round(1e3 * gap, 3) for gap in gaps],
            "sounds": self.sounds_in,
            "latencies": [round(1e3 * latency, 3) for latency in self.latencies],
            "kilobytes_per_frame": self.bytes / max(1, len(self.arrivals)) / 1e3,
            "gap_median": 1e3 * statistics.median(gaps) if gaps else 0.0,
        }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--index", type=int, required=True)
    parser.add_argument("--columns", type=int, default=80)
    parser.add_argument("--rows", type=int, default=24)
    parser.add_argument("--rate", type=float, default=30.0)
    parser.add_argument("--seconds", type=float, default=8.0)
    parser.add_argument("--sound", action="store_true")
    parser.add_argument("--screens", action="store_true")
    parser.add_argument("--way", choices=[way.name for way in Way], default=Way.ACIP.name)
    parser.add_argument("--password")
    options = parser.parse_args()
    client = LoadClient(
        options.port,
        options.index,
        options.columns,
        options.rows,
        options.rate,
        speaks=options.sound,
        has_screens=options.screens,
        way=Way[options.way],
        password=options.password,
    )
    client.start()
    print("ready", flush=True)
    client.receive_until_all_joined()
    client.receive(1.0)
    client.arrivals.clear()
    client.latencies.clear()
    client.bytes = client.sounds_in = 0
    client.receive(options.seconds)
    client.stop = True
    print(json.dumps(client.result()), flush=True)


if __name__ == "__main__":
    main()
