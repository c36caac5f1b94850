"""A man in the middle attacks every TLS record of a call over link 2: the server's and the client's own TLS settings.

There are no sockets, so that every record has its number and its turn.  Whatever he does, both sides only get messages
that the other sent, in that order, and a client believes that it has joined only if its server has admitted it.
"""

from __future__ import annotations

import os
import ssl
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import pytest

from teleglyph.client.call import link_connection
from teleglyph.errors import PeerError, VerificationError
from teleglyph.keys import FileIdentity
from teleglyph.net.tcp import client_context
from teleglyph.server.tls_certificate import load_setup
from teleglyph.wire.acip import (
    Capabilities,
    Event,
    Feature,
    HandshakeDone,
    LogDirection,
    LogLevel,
    Message,
    RemoteLog,
    encode,
)
from teleglyph.wire.link2 import ALPN, LinkClientSession, LinkServerSession

SERVER, CLIENT, ATTACKER = (FileIdentity(bytes([number]) * 32) for number in (1, 3, 5))
PASSWORD = b"p" * 32
ROOM, HOST = "den-of-lions", "calls.example.org"
SETUP = load_setup(None, SERVER)
CLIENT_CONTEXT = client_context([ALPN], verify=False)
RECORD_HEADER = 5
OTHER = {"client": "server", "server": "client"}

Change = Callable[[int, str, bytes], list[tuple[str, bytes]]]
"""Gets the number of a record, who is to get it, and the record; gives what is delivered to whom instead."""


@dataclass(frozen=True)
class Room:
    password_key: bytes | None = PASSWORD
    admits: Callable[[bytes], bool] | None = CLIENT.public_key.__eq__


def log(number: int, direction: LogDirection) -> RemoteLog:
    return RemoteLog(LogLevel.INFO, direction, f"message {number}")


SENT: dict[str, list[Message]] = {
    "client": [Capabilities(80, 24), *(log(number, LogDirection.CLIENT_TO_SERVER) for number in range(3))],
    "server": [log(number, LogDirection.SERVER_TO_CLIENT) for number in range(3)],
}
"""What each side sends after the handshake."""


@dataclass
class End:
    """One end of a connection: TLS, the session on it, and what it has seen."""

    name: str
    tls: ssl.SSLObject
    incoming: ssl.MemoryBIO
    outgoing: ssl.MemoryBIO
    make_session: Callable[[ssl.SSLObject], LinkClientSession | LinkServerSession]
    session: LinkClientSession | LinkServerSession | None = None
    done: HandshakeDone | None = None
    received: list[Event] = field(default_factory=list)
    error: str = ""

    def receive(self, data: bytes) -> None:
        """Take bytes from the network."""
        self.incoming.write(data)
        if not self.error:
            self.go_on()

    def go_on(self) -> None:
        """Do what can be done with the bytes that are there."""
        try:
            if self.session is None:
                self.tls.do_handshake()
                self.session = self.make_session(self.tls)
                self._write(self.session.data_to_send())
            while data := self.tls.read(1 << 16):
                self.session.receive_data(data)
                self._take_events(self.session)
            self.error = "the other end has closed"
        except ssl.SSLWantReadError:
            return
        except ssl.SSLError as error:
            reason = error.reason or ""
            self.error = "the other end sent an alert" if "ALERT" in reason else f"TLS: {reason}"
        except PeerError as error:
            self.error = f"{type(error).__name__}: {error}"

    def _take_events(self, session: LinkClientSession | LinkServerSession) -> None:
        try:
            while (event := session.next_event()) is not None:
                if isinstance(event, HandshakeDone):
                    self.done = event
                    self._write(session.data_to_send())
                    for message in SENT[self.name]:
                        self._write(session.seal(encode(message)))
                else:
                    self.received.append(event)
        finally:
            self._write(session.data_to_send())

    def _write(self, data: bytes) -> None:
        if data:
            self.tls.write(data)


def only_the_server(identity: bytes | None) -> None:
    if identity != SERVER.public_key:
        raise VerificationError("not the pinned identity")


def server_session(_: ssl.SSLObject) -> LinkServerSession:
    return LinkServerSession(
        SETUP.channel, lambda _: Room(), identities=(SERVER,), features=Feature.SCREEN_UPDATES, random=os.urandom
    )


def client_session(tls: ssl.SSLObject) -> LinkClientSession:
    assert (tls.version(), tls.selected_alpn_protocol()) == ("TLSv1.3", ALPN)
    return LinkClientSession(
        link_connection._channel_of(tls.getpeercert(binary_form=True) or b"", HOST),
        password_key=PASSWORD,
        client_key=CLIENT,
        check_identity=only_the_server,
        room=ROOM,
        features=Feature.SCREEN_UPDATES,
    )


def new_end(name: str, context: ssl.SSLContext, **options: ssl.SSLSession) -> End:
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    is_server = name == "server"
    tls = context.wrap_bio(
        incoming, outgoing, server_side=is_server, server_hostname=None if is_server else HOST, **options
    )
    return End(name, tls, incoming, outgoing, server_session if is_server else client_session)


class Connection:
    """A client and a server, with somebody in between.

    Args:
        client, server: contexts.
        options: for the client's TLS connection.
    """

    def __init__(
        self,
        client: ssl.SSLContext = CLIENT_CONTEXT,
        server: ssl.SSLContext = SETUP.calls,
        **options: ssl.SSLSession,
    ) -> None:
        self.ends = {"client": new_end("client", client, **options), "server": new_end("server", server)}
        self.records: list[tuple[str, bytes]] = []
        """All that were sent, with their receivers."""

    def run(self, change: Change = lambda _number, to, record: [(to, record)]) -> None:
        """Let them talk until nobody sends any more."""
        self.ends["client"].go_on()
        while on_the_way := [(to, record) for to in OTHER for record in split(self.ends[OTHER[to]].outgoing.read())]:
            for to, record in on_the_way:
                number = len(self.records)
                self.records.append((to, record))
                for receiver, data in change(number, to, record):
                    self.ends[receiver].receive(data)
        self.assert_nothing_is_lost()

    def assert_nothing_is_lost(self) -> None:
        client, server = self.ends["client"], self.ends["server"]
        for end in (client, server):
            sent = SENT[OTHER[end.name]]
            assert end.received == sent[: len(end.received)], "what was sent, in order, from the beginning"
        if server.done is not None:
            assert server.done == HandshakeDone(True, None, True, CLIENT.public_key, Feature.SCREEN_UPDATES, ROOM)
        if client.done is not None:
            assert client.done == HandshakeDone(True, SERVER.public_key, True, None, Feature.SCREEN_UPDATES)
            assert server.done is not None

    @property
    def is_complete(self) -> bool:
        return all(len(end.received) == len(SENT[OTHER[end.name]]) for end in self.ends.values())

    def verdict(self) -> str:
        """The side that refuses, and how."""
        found = [
            f"{end.name}: {end.error}"
            for end in self.ends.values()
            if end.error and end.error != "the other end sent an alert"
        ]
        return " and ".join(found) or ("nobody notices" if self.is_complete else "both wait")


def split(data: bytes) -> Iterator[bytes]:
    """The TLS records in some bytes."""
    while data:
        size = RECORD_HEADER + int.from_bytes(data[3:5])
        yield data[:size]
        data = data[size:]


def undisturbed() -> list[tuple[str, bytes]]:
    connection = Connection()
    connection.run()
    assert connection.is_complete
    assert connection.verdict() == "nobody notices"
    return connection.records


RECORDS = undisturbed()

HANDSHAKE, CHANGE_CIPHER, SEALED = 22, 20, 23
"""Types of records.  TLS 1.3 hides the type of what it has encrypted."""


def name_of(number: int) -> str:
    to, record = RECORDS[number]
    kinds = {HANDSHAKE: "hello", CHANGE_CIPHER: "change of cipher", SEALED: "sealed"}
    return f"{number} {kinds[record[0]]} to {to}"


each_record = pytest.mark.parametrize("number", range(len(RECORDS)), ids=name_of)


def attacked(number: int, way: Callable[[str, bytes], list[tuple[str, bytes]]]) -> Connection:
    """A connection in which one record is replaced by what ``way`` returns."""
    connection = Connection()
    connection.run(lambda at, to, record: way(to, record) if at == number else [(to, record)])
    return connection


def test_the_conversation_has_every_part() -> None:
    kinds = [(to, record[0]) for to, record in RECORDS]
    assert kinds[:3] == [("server", HANDSHAKE), ("client", HANDSHAKE), ("client", CHANGE_CIPHER)]
    assert kinds.count(("server", CHANGE_CIPHER)) == 1
    assert {record[0] for _, record in RECORDS[8:]} == {SEALED}
    # At least the certificate, the end of the handshake, two packets of link 2 and three messages.
    assert kinds.count(("client", SEALED)) >= 7
    assert kinds.count(("server", SEALED)) >= 7


@each_record
def test_a_changed_byte_is_refused_by_its_receiver(number: int) -> None:
    to, record = RECORDS[number]
    for place in (0, 1, 2, 3, 4, RECORD_HEADER, len(record) // 2, len(record) - 1):

        def change(to: str, record: bytes, place: int = place) -> list[tuple[str, bytes]]:
            changed = bytearray(record)
            changed[place] ^= 1
            return [(to, bytes(changed))]

        connection = attacked(number, change)
        verdict = connection.verdict()
        if place in (3, 4) and verdict == "both wait":
            continue  # for the rest of a record that is longer now
        if record[0] == SEALED:
            assert verdict.startswith(f"{to}: TLS"), place
        elif record[0] == HANDSHAKE:
            # Nobody reads the old version in the header of a hello, and the two keep nothing of it.
            assert (verdict == "nobody notices") == (place == 2), place
        else:
            # The change of cipher means nothing in TLS 1.3; its bytes are only compared.
            assert verdict == "both wait" or verdict.startswith(f"{to}: TLS"), place


@each_record
def test_a_truncated_dropped_or_delayed_record_is_noticed(number: int) -> None:
    to, record = RECORDS[number]
    held: list[tuple[str, bytes]] = []

    def delay(at: int, to: str, record: bytes) -> list[tuple[str, bytes]]:
        if at == number:
            held.append((to, record))
            return []
        return [(to, record), *held] if at == number + 1 else [(to, record)]

    late = Connection()
    late.run(delay)
    shorter = record[:3] + (len(record) - RECORD_HEADER - 1).to_bytes(2)
    for connection in (
        attacked(number, lambda to, record: [(to, record[:-1])]),
        attacked(number, lambda to, record: [(to, shorter + record[RECORD_HEADER:-1])]),
        attacked(number, lambda _to, _record: []),
        late,
    ):
        if connection is late and number + 1 < len(RECORDS) and RECORDS[number + 1][0] != to:
            continue  # nothing has changed its place for anybody
        if record[0] == CHANGE_CIPHER and connection.is_complete:
            continue  # it means nothing, and may be missing or come elsewhere
        assert connection.verdict() == "both wait" or f"{to}: TLS" in connection.verdict()


@each_record
def test_a_repeated_or_reflected_record_is_refused(number: int) -> None:
    to, record = RECORDS[number]
    for receiver in (to, OTHER[to]):
        connection = attacked(number, lambda to, record, also=receiver: [(to, record), (also, record)])  # type: ignore[misc]
        if record[0] != CHANGE_CIPHER:
            assert f"{receiver}: TLS" in connection.verdict()


@each_record
def test_a_record_of_another_connection_is_refused(number: int) -> None:
    to, record = RECORDS[number]
    connection = attacked(number, lambda to, _: [(to, record)])
    if record[0] == SEALED:
        assert connection.verdict().startswith(f"{to}: TLS")
    elif record[0] == HANDSHAKE:
        assert connection.verdict().startswith("client: TLS"), "the hellos do not belong together"


def test_a_whole_recorded_client_gets_nowhere() -> None:
    server = new_end("server", SETUP.calls)
    for to, record in RECORDS:
        if to == "server":
            server.receive(record)
    assert server.error.startswith("TLS")
    assert (server.done, server.received) == (None, [])


# --- certificates -----------------------------------------------------------------------------------------------------


def test_a_fake_certificate_is_refused_by_the_client_before_it_shows_anything() -> None:
    """The attacker terminates TLS with a certificate of his own, and the real server's session runs behind it."""
    connection = Connection(server=load_setup(None, ATTACKER).calls)
    connection.run()
    assert connection.verdict().startswith("client: VerificationError")
    assert connection.ends["server"].done is None


def test_a_client_that_tries_to_resume_gets_a_whole_handshake() -> None:
    """Otherwise its connection would go without the certificate to which the proofs are bound."""
    first = Connection()
    first.run()
    session = first.ends["client"].tls.session
    assert session is not None
    assert not session.has_ticket
    second = Connection(session=session)
    second.run()
    tls = second.ends["client"].tls
    assert second.is_complete
    assert not tls.session_reused
    assert not second.ends["server"].tls.session_reused
    assert tls.getpeercert(binary_form=True)


# --- listening --------------------------------------------------------------------------------------------------------


def test_a_listener_sees_the_host_and_the_protocol_and_nothing_else() -> None:
    connection = Connection()
    connection.run()
    client, server = (connection.ends[name] for name in ("client", "server"))
    certificate = client.tls.getpeercert(binary_form=True)
    assert certificate is not None
    seen = b"".join(record for _, record in connection.records)
    assert HOST.encode() in seen
    assert ALPN.encode() in seen
    assert client.done is not None
    assert server.done is not None
    for secret in (
        PASSWORD,
        ROOM.encode(),
        SERVER.public_key,
        CLIENT.public_key,
        certificate,
        b"message",
        b"teleglyph/2 ",
    ):
        assert secret not in seen


def test_the_same_call_twice_looks_different() -> None:
    """No two sealed records are equal, so a listener cannot recognize a password or a key by them."""
    again = undisturbed()
    sealed = [record for _, record in (*RECORDS, *again) if record[0] == SEALED]
    assert len(sealed) == len(set(sealed))
