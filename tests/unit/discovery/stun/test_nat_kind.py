"""Kinds of NAT: simulated ones, seen by servers with one and with two addresses, by coturn and by liars."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import cast

import pytest

from coturn import coturn
from simulated_nat import INSIDE, OUTSIDE, SimulatedNat
from teleglyph.discovery.stun import Behaviour, NatKind, NatReport, StunResponder, StunServer, examine_nat, nat_kind
from teleglyph.wire.stun import Attribute, MessageClass, StunAddress, StunMessage, decode, encode

PATIENCE = 0.8
"""Seconds to wait for an answer that a NAT may filter."""
A1, A2, A3 = "127.0.0.1", "127.0.0.2", "127.0.0.3"
KINDS = [
    (SimulatedNat("endpoint", "endpoint"), NatKind.FULL_CONE),
    (SimulatedNat("endpoint", "address"), NatKind.RESTRICTED),
    (SimulatedNat("endpoint", "port"), NatKind.PORT_RESTRICTED),
    (SimulatedNat("address", "address"), NatKind.SYMMETRIC),
    (SimulatedNat("port", "port"), NatKind.SYMMETRIC),
    (SimulatedNat("port", "endpoint"), NatKind.SYMMETRIC),
    (SimulatedNat(is_blocked=True), NatKind.BLOCKED),
]
BEHAVIOURS = {
    "endpoint": Behaviour.ENDPOINT_INDEPENDENT,
    "address": Behaviour.ADDRESS_DEPENDENT,
    "port": Behaviour.ADDRESS_AND_PORT_DEPENDENT,
}
all_kinds = pytest.mark.parametrize(
    ("nat", "kind"), KINDS, ids=[f"{nat.mapping}-{nat.filtering}-{kind.value}" for nat, kind in KINDS]
)


async def examined(nat: SimulatedNat, servers: Sequence[StunServer]) -> NatReport:
    return await examine_nat(servers, timeout=PATIENCE, open_socket=nat.open_socket)


async def examined_by_ours(
    nat: SimulatedNat, *, second_port: bool = True, second_host: bool = True, second_server: bool = False
) -> NatReport:
    first, second = StunResponder(), StunResponder()
    await first.start(A1, 0, alternate_port=0 if second_port else None, other_host=A2 if second_host else None)
    await second.start(A3, 0)
    servers = [StunServer(A1, first.port)] + [StunServer(A3, second.port)] * second_server
    try:
        return await examined(nat, servers)
    finally:
        await first.close()
        await second.close()


@all_kinds
def test_a_server_with_two_addresses_tells_every_kind(nat: SimulatedNat, kind: NatKind) -> None:
    report = asyncio.run(examined_by_ours(nat))
    assert report.kind == kind
    if kind != NatKind.BLOCKED:
        assert (report.mapping, report.filtering) == (BEHAVIOURS[nat.mapping], BEHAVIOURS[nat.filtering])
        assert report.public is not None
        assert report.public.host == OUTSIDE
        assert report.local == (A1, INSIDE[1])
        assert report.has_nat


@all_kinds
@pytest.mark.skipif(shutil.which("turnserver") is None, reason="coturn is not installed")
def test_coturn_tells_every_kind(nat: SimulatedNat, kind: NatKind, tmp_path: Path) -> None:
    with coturn(tmp_path, A1, A2) as port:
        report = asyncio.run(examined(nat, [StunServer(A1, port)]))
    assert report.kind == kind


@pytest.mark.parametrize(
    ("nat", "kind"),
    [
        (SimulatedNat("endpoint", "endpoint"), NatKind.RESTRICTED),
        (SimulatedNat("endpoint", "address"), NatKind.RESTRICTED),
        (SimulatedNat("endpoint", "port"), NatKind.PORT_RESTRICTED),
        (SimulatedNat("address", "address"), NatKind.RESTRICTED),
        (SimulatedNat("port", "port"), NatKind.SYMMETRIC),
        (SimulatedNat(is_blocked=True), NatKind.BLOCKED),
    ],
)
def test_a_server_with_two_ports_tells_what_depends_on_ports(nat: SimulatedNat, kind: NatKind) -> None:
    report = asyncio.run(examined_by_ours(nat, second_host=False))
    assert report.kind == kind
    if kind == NatKind.RESTRICTED:
        assert report.mapping == report.filtering == Behaviour.NOT_PORT_DEPENDENT


def test_a_second_server_completes_what_one_with_two_ports_tells() -> None:
    async def kind(nat: SimulatedNat) -> NatKind:
        return (await examined_by_ours(nat, second_host=False, second_server=True)).kind

    assert asyncio.run(kind(SimulatedNat("address", "address"))) == NatKind.SYMMETRIC
    assert asyncio.run(kind(SimulatedNat("endpoint", "address"))) == NatKind.RESTRICTED


@pytest.mark.parametrize(
    ("nat", "has_two_servers", "kind"),
    [
        (SimulatedNat("endpoint", "port"), False, NatKind.UNKNOWN),
        (SimulatedNat("endpoint", "port"), True, NatKind.CONE),
        (SimulatedNat("address", "port"), True, NatKind.SYMMETRIC),
        (SimulatedNat("port", "port"), True, NatKind.SYMMETRIC),
    ],
)
def test_servers_with_one_port_tell_the_mapping_together(
    nat: SimulatedNat, has_two_servers: bool, kind: NatKind
) -> None:
    report = asyncio.run(examined_by_ours(nat, second_host=False, second_port=False, second_server=has_two_servers))
    assert report.kind == kind
    assert report.filtering == Behaviour.UNKNOWN


def test_without_a_nat_everything_is_open() -> None:
    async def examine(**options: int | str) -> NatReport:
        responder = StunResponder()
        await responder.start(A1, 0, **options)  # type: ignore[arg-type]
        try:
            assert await nat_kind(StunServer(A1, responder.port), timeout=60) == NatKind.OPEN
            return await examine_nat([StunServer(A1, responder.port)], timeout=60)
        finally:
            await responder.close()

    report = asyncio.run(examine(alternate_port=0, other_host=A2))
    assert not report.has_nat
    assert report.filtering == Behaviour.ENDPOINT_INDEPENDENT
    assert asyncio.run(examine()).filtering == Behaviour.UNKNOWN


def test_the_next_server_is_asked_if_one_is_silent() -> None:
    async def kind() -> NatKind:
        responder = StunResponder()
        await responder.start(A1, 0, alternate_port=0)
        servers = [StunServer("name.invalid"), StunServer(A2, 9), StunServer(A1, responder.port)]
        try:
            return (await examine_nat(servers, timeout=PATIENCE)).kind
        finally:
            await responder.close()

    assert asyncio.run(kind()) == NatKind.OPEN


class Liar(asyncio.DatagramProtocol):
    """A server that names an address of its choice as its other one, and may ignore CHANGE-REQUEST."""

    def __init__(self, other: StunAddress | None, refuses: bool) -> None:
        self.other, self.refuses = other, refuses
        self.changes = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.DatagramTransport, transport)

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        request = decode(data)
        if request.change_address or request.change_port:
            self.changes += 1
            if self.refuses:
                unknown = (int(Attribute.CHANGE_REQUEST),)
                self.transport.sendto(
                    encode(StunMessage(MessageClass.ERROR, request.transaction_id, error_code=420, unknown=unknown)),
                    addr,
                )
                return
        address = StunAddress(*addr)
        response = StunMessage(
            MessageClass.SUCCESS, request.transaction_id, mapped_address=address, other_address=self.other
        )
        self.transport.sendto(encode(response), addr)


async def examined_by_liar(
    nat: SimulatedNat, other: StunAddress | None, refuses: bool = False
) -> tuple[NatReport, int]:
    liar = Liar(other, refuses)
    loop = asyncio.get_running_loop()
    transport, _ = await loop.create_datagram_endpoint(lambda: liar, local_addr=(A1, 0))
    try:
        report = await examined(nat, [StunServer(A1, transport.get_extra_info("sockname")[1])])
    finally:
        transport.close()
    return report, liar.changes


@pytest.mark.parametrize("refuses", [False, True])
def test_a_server_that_does_not_change_its_address_proves_nothing(refuses: bool) -> None:
    nat = SimulatedNat("endpoint", "endpoint")
    report, changes = asyncio.run(examined_by_liar(nat, StunAddress(A2, 9), refuses))
    assert changes == 1
    assert report.filtering == Behaviour.UNKNOWN
    assert report.kind == NatKind.UNKNOWN


@pytest.mark.parametrize("other", ["8.8.8.8", "224.0.0.1", "0.0.0.0", "2001:db8::1"])
def test_a_server_cannot_send_us_to_other_networks(other: str) -> None:
    nat = SimulatedNat("endpoint", "endpoint")
    report, changes = asyncio.run(examined_by_liar(nat, StunAddress(other, 53)))
    assert {host for host, _ in nat.sent} == {A1}
    assert (report.kind, changes) == (NatKind.UNKNOWN, 0)
