"""Real discovery services in processes, and a client of them that shares no code with the package."""

from __future__ import annotations

import os
import re
import signal
import struct
import tempfile
import threading
import time
from typing import Any, ClassVar

import nacl.signing

import acip_peer as acip
from conftest import fork_server
from prepared_process import PreparedProcess

CREATE, CREATED, LOOKUP, INFO, JOIN, JOINED, LEAVE = range(6000, 6007)
SDP, ICE = 6009, 6010
RESERVE, RESERVED = 6020, 6021
QUALITY, ANNOUNCEMENT, DESIGNATED, LOST, PARTICIPANT_JOINED, PARTICIPANT_LEFT = 6060, 6061, 6062, 6065, 6067, 6068
RENDEZVOUS, ICE_SERVERS, NAT_PROBE, NAT_PROBED = 6110, 6111, 6115, 6116
_CREATE = struct.Struct("<32s64sQBBBB128sBBBB64sH")
_JOIN = struct.Struct("<B48s32s64sQB128s")


class DiscoveryProcess:
    """A ``teleglyph discovery-service`` on its own port, with its log.

    Args:
        *options: of the command.
        data: its data directory, which stays; empty for one of its own.
        address: to listen on.
    """

    def __init__(self, *options: str, data: str = "", address: str = "127.0.0.1", port: int = 0) -> None:
        self._own_data = tempfile.TemporaryDirectory(prefix="teleglyph-discovery-")
        arguments = ["--log-level", "debug", "discovery-service", address, "--port", str(port)]
        arguments += ["--connection-rate", "0", "--connections-per-address", "0"]
        arguments += ["--data-dir", data or self._own_data.name, *options]
        self.process: PreparedProcess = fork_server().start(arguments, dict(os.environ))
        self.log: list[str] = []
        self.port = self.websocket_port = 0
        self._listening = threading.Event()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        assert self._listening.wait(30), self.log
        assert self.port, "".join(self.log)

    def _read(self) -> None:
        assert self.process.stderr is not None
        for line in self.process.stderr:
            self.log.append(line)
            if found := re.search(r"HTTP on port (\d+)", line):
                self.websocket_port = int(found[1])
            if found := re.search(r"listening on \S+:(\d+)", line):
                self.port = int(found[1])
            if "Fingerprint" in line:
                self._listening.set()
        self._listening.set()

    def wait_for_log(self, pattern: str, seconds: float = 10.0) -> str:
        """The first log line that matches, now or within ``seconds``."""
        for _ in range(int(seconds * 20)):
            for line in list(self.log):
                if re.search(pattern, line):
                    return line
            time.sleep(0.05)
        raise AssertionError(f"nothing in the log matches {pattern!r}:\n{''.join(self.log)}")

    def stop(self, signal_number: int = signal.SIGTERM) -> int:
        """End the process; returns its exit code."""
        if self.process.poll() is None:
            self.process.send_signal(signal_number)
        code = self.process.wait(10)
        self._reader.join(5)
        if self.process.stderr is not None:
            self.process.stderr.close()
        self._own_data.cleanup()
        return code


class DiscoveryPeer(acip.AcipPeer):
    """A client as ascii-chat's, in both of its generations; :meth:`short_handshake` is that of discovery mode."""

    opened: ClassVar[list[DiscoveryPeer]] = []

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.opened.append(self)

    @classmethod
    def close_all(cls) -> None:
        """Close all clients that were opened."""
        while cls.opened:
            cls.opened.pop().close()

    def short_handshake(self) -> bytes:
        """The handshake of discovery mode; returns the service's key.  Nothing is encrypted afterwards."""
        self.send_raw(acip.packet(acip.PROTOCOL_VERSION, struct.pack(">HHBBBH7x", 1, 0, 1, 0, 0, 0)))
        self.exchange_keys()
        self.key = None
        assert self.identity is not None
        return self.identity

    def tell(self, kind: int, payload: bytes) -> None:
        """Send a packet in plaintext, or encrypted after a whole handshake."""
        if self.key is None:
            self.send_raw(acip.packet(kind, payload))
        else:
            self.send(kind, payload)

    def hear(self) -> tuple[int, bytes]:
        """The next packet."""
        return self.receive_outer() if self.key is None else self.receive()

    def ask(self, kind: int, payload: bytes, answer: int) -> bytes:
        """Send a request, and return the answer's payload."""
        self.tell(kind, payload)
        got, content = self.hear()
        assert got == answer, (got, content)
        return content

    def refused(self, kind: int, payload: bytes) -> tuple[int, str]:
        """Send a request; returns code and text of the error."""
        content = self.ask(kind, payload, acip.ERROR_MESSAGE)
        code, length = struct.unpack_from(">II", content)
        assert length == len(content) - 8
        return code, content[8:].decode()

    def create(self, **values: object) -> tuple[str, bytes]:
        """Register a session; returns its name and id."""
        content = self.ask(CREATE, create(**values), CREATED)  # type: ignore[arg-type]
        return content[1 : 1 + content[0]].decode(), content[49:65]

    def join_session(self, name: str, password: bytes = b"") -> dict[str, object]:
        """Join a session; returns what the answer says."""
        return joined(self.ask(JOIN, join(name, password), JOINED))


def create(
    *,
    capabilities: int = 3,
    places: int = 8,
    kind: int = 0,
    password: bytes = b"",
    expose: bool = False,
    address: bytes = b"",
    port: int = 27224,
    key: nacl.signing.SigningKey | None = None,
    timestamp: int | None = None,
    name: bytes = b"",
) -> bytes:
    """The payload of SESSION_CREATE, signed as ascii-chat's programs do if there is a key."""
    when = int(time.time() * 1000) if timestamp is None else timestamp
    identity, signature = bytes(32), bytes(64)
    if key is not None:
        identity = bytes(key.verify_key)
        signature = key.sign(struct.pack(">BQBB", 0x70, when, capabilities, places)).signature
    fields = (identity, signature, when, capabilities, places, kind, bool(password), password, expose)
    return _CREATE.pack(*fields, len(name), 0, 0, address, port) + name


def join(name: str, password: bytes = b"") -> bytes:
    """The payload of SESSION_JOIN, without a key."""
    return _JOIN.pack(len(name), name.encode(), bytes(32), bytes(64), 0, bool(password), password)


def lookup(name: str) -> bytes:
    """The payload of SESSION_LOOKUP."""
    return bytes([len(name)]) + name.encode().ljust(48, b"\0")


def joined(content: bytes) -> dict[str, object]:
    """The fields of SESSION_JOINED."""
    assert len(content) == 519
    return {
        "success": content[0],
        "code": content[1],
        "text": content[2:130].partition(b"\0")[0].decode(),
        "id": content[130:146],
        "session": content[146:162],
        "has_host": content[178],
        "host": content[179:195],
        "peers": content[195],
        "address": content[197:261].partition(b"\0")[0].decode(),
        "port": int.from_bytes(content[261:263], "little"),
        "turn": content[263:519].strip(b"\0"),
    }
