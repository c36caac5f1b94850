"""Who is in a session, what they learn, and what happens when connections are lost."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import nacl.pwhash
import pytest

from discovery_house import GUEST, HOST, NAME, OTHER, OURS, House, Visitor, scenario
from teleglyph.discovery.service.ice import IceSettings
from teleglyph.discovery.service.limits import HOUR, ServiceLimits
from teleglyph.discovery.service.live_session import NETWORK_TAG
from teleglyph.discovery.service.state import ServiceSettings
from teleglyph.wire.acip import ErrorMessage, Ping, Pong
from teleglyph.wire.discovery import (
    HostDesignated,
    HostLost,
    IceServers,
    ParticipantJoined,
    ParticipantLeft,
    SessionCreate,
    SessionCreated,
    SessionInfo,
    SessionJoin,
    SessionJoined,
    SessionLeave,
    SessionLookup,
    SessionReconnect,
    turn_credentials,
)
from teleglyph.wire.discovery.server_session import InvalidRequest

HASH = nacl.pwhash.argon2id.str(b"correct horse", opslimit=1, memlimit=8192).decode().rstrip("\0")
PLAIN = SessionCreate(capabilities=3, session_type=0, port=27224, max_participants=3)


async def plain_session(house: House, **values: object) -> tuple[Visitor, SessionCreated]:
    """A session of ascii-chat's kind, with its creator's connection."""
    creator = house.visitor()
    return creator, await creator.ask(replace(PLAIN, **values), SessionCreated)  # type: ignore[arg-type]


# --- what a joiner learns -----------------------------------------------------------------------------------------


@scenario()
async def test_host_and_joiner_learn_each_others_ids_and_nothing_else(house: House) -> None:
    host, first, second = house.visitor(), house.visitor("192.0.2.1"), house.visitor("192.0.2.2")
    created = await host.hosts()
    joined = await first.joins()
    assert joined == SessionJoined(
        success=True,
        participant_id=joined.participant_id,
        session_id=created.session_id,
        has_host=True,
        host_id=created.participant_id,
        peers=1,
    )
    assert host.first(ParticipantJoined).participant_id == joined.participant_id
    await second.joins()
    assert not any(isinstance(message, ParticipantJoined) for message in first.received), "only the host is told"


@scenario()
async def test_ids_of_one_network_begin_alike_for_the_host_to_count(house: House) -> None:
    created = await house.visitor().hosts()
    addresses = ("192.0.2.1", "192.0.2.1", "192.0.2.2", "2001:db8::1", "2001:db8::2", "2001:db8:0:1::1")
    ids = [(await house.visitor(address).joins(created.name)).participant_id for address in addresses]
    tags = [one[:NETWORK_TAG] for one in ids]
    assert len(set(ids)) == len(ids)
    assert tags[0] == tags[1]
    assert tags[3] == tags[4]
    assert len(set(tags)) == 4
    other = await house.visitor().hosts(OTHER, "")
    again = await house.visitor("192.0.2.1").joins(other.name)
    assert again.participant_id[:NETWORK_TAG] != tags[0], "hosts could compare who visits them"


@pytest.mark.parametrize(
    ("values", "password", "address"),
    [
        ({}, "", ""),
        ({"expose_address": True}, "", "203.0.113.7"),
        ({"has_password": True, "password_hash": HASH}, "correct horse", "203.0.113.7"),
        ({"has_password": True, "password_hash": HASH, "expose_address": True}, "correct horse", "203.0.113.7"),
    ],
)
def test_the_address_is_revealed_only_if_exposed_or_for_the_password(
    values: dict[str, object], password: str, address: str, tmp_path: object
) -> None:
    @scenario()
    async def check(house: House) -> None:
        _, created = await plain_session(house, **values)
        joined = await house.visitor("192.0.2.9").joins(created.name, password)
        assert (joined.address, joined.port) == (address, 27224 if address else 0)

    check(tmp_path)  # type: ignore[arg-type]


@scenario()
async def test_a_proven_key_reveals_no_address(house: House) -> None:
    _, created = await plain_session(house)
    joined = await house.visitor("192.0.2.9").ask(house.signed(SessionJoin(created.name), GUEST), SessionJoined)
    assert (joined.success, joined.address) == (True, "")


@scenario()
async def test_a_host_that_decides_itself_is_revealed_only_if_it_wants(house: House) -> None:
    await house.visitor().hosts(expose_address=True, port=27224)
    assert (await house.visitor("192.0.2.9").joins()).address == "203.0.113.7"
    await house.visitor().hosts(OTHER, name="other-river-stone", port=27224, has_password=True)
    assert (await house.visitor("192.0.2.9").joins("other-river-stone")).address == ""


@scenario()
async def test_a_password_is_checked_and_guesses_are_limited(house: House) -> None:
    _, created = await plain_session(house, has_password=True, password_hash=HASH)
    guesser = house.visitor("192.0.2.9")
    for password in ("", "wrong"):
        joined = await guesser.joins(created.name, password)
        assert (joined.success, joined.error_code, joined.address) == (False, 3, "")
    codes = [(await guesser.joins(created.name, f"guess {number}")).error_code for number in range(6)]
    assert codes == [3, 3, 3, 3, 5, 5], "the fifth and later guesses are not checked"
    assert (await house.visitor("198.51.100.9").joins(created.name, "correct horse")).success


@scenario(ServiceSettings(requires_client_identity=True))
async def test_a_key_can_be_required_of_joiners(house: House) -> None:
    await house.visitor().hosts()
    guest = house.visitor("192.0.2.9")
    assert (await guest.joins()).error_code == 4
    assert (await guest.ask(house.signed(SessionJoin(NAME), GUEST), SessionJoined)).success


@scenario(ServiceSettings(ServiceLimits(), IceSettings(("stun:s:1",), ("turn:t:1",), secret=b"secret")))
async def test_hosts_get_turn_credentials_and_new_ones_before_they_end(house: House) -> None:
    host = house.visitor()
    await host.hosts()
    first = host.first(IceServers)
    login = turn_credentials(b"secret", NAME, int(house.now) + 86_400)
    assert [(one.url, one.username, one.credential) for one in first.servers] == [
        ("stun:s:1", "", ""),
        ("turn:t:1", *login),
    ]
    host.received.clear()
    await house.wait(17 * HOUR, step=30)
    assert host.received == []
    await house.wait(2 * HOUR, step=600)
    renewed = host.first(IceServers)
    assert renewed.expires_at > first.expires_at > house.now * 1000


@scenario(ServiceSettings(ServiceLimits(), IceSettings((), ("turn:t:1",), secret=b"secret")))
async def test_joiners_of_ascii_chat_get_turn_credentials_with_the_address_only(house: House) -> None:
    for exposes, has_login in ((True, True), (False, False)):
        _, created = await plain_session(house, session_type=1, expose_address=exposes)
        joined = await house.visitor("192.0.2.9").joins(created.name)
        assert bool(joined.turn_username and joined.turn_password) is has_login


# --- places -------------------------------------------------------------------------------------------------------


@scenario()
async def test_a_session_has_as_many_places_as_its_host_said(house: House) -> None:
    _, created = await plain_session(house)
    codes = [(await house.visitor(f"192.0.2.{number}").joins(created.name)).error_code for number in range(5)]
    assert codes == [0, 0, 0, 2, 2]


@scenario()
async def test_many_joins_at_once_do_not_exceed_the_places(house: House) -> None:
    _, created = await plain_session(house, has_password=True, password_hash=HASH)
    visitors = [house.visitor(f"192.0.2.{number}") for number in range(6)]
    answers = await asyncio.gather(*(one.joins(created.name, "correct horse") for one in visitors))
    assert sum(one.success for one in answers) == 3


@scenario()
async def test_one_address_cannot_take_all_places_at_a_host(house: House) -> None:
    await house.visitor().hosts()
    codes = [(await house.visitor("192.0.2.9").joins()).error_code for _ in range(10)]
    assert codes == [0] * 8 + [2] * 2
    assert (await house.visitor("192.0.2.10").joins()).success


@scenario()
async def test_joining_twice_with_a_key_is_joining_once(house: House) -> None:
    _, created = await plain_session(house)
    first, second = house.visitor("192.0.2.1"), house.visitor("192.0.2.2")
    await first.ask(house.signed(SessionJoin(created.name), GUEST), SessionJoined)
    joined = await second.ask(house.signed(SessionJoin(created.name), GUEST), SessionJoined)
    info = await first.ask(SessionLookup(created.name), SessionInfo)
    assert (joined.peers, info.participants) == (0, 1)


@scenario()
async def test_a_connection_is_in_one_session(house: House) -> None:
    await house.visitor().hosts()
    await house.visitor().hosts(OTHER, name="other-river-stone")
    guest = house.visitor("192.0.2.9")
    await guest.joins()
    refused = await guest.joins("other-river-stone")
    assert (refused.success, refused.error) == (False, f"You are in the session {NAME}. Leave it first.")
    assert (await guest.joins()).success, "the same one again is harmless"


# --- leaving and coming back ----------------------------------------------------------------------------------------


@scenario()
async def test_only_the_own_place_can_be_left(house: House) -> None:
    host, guest, thief = house.visitor(), house.visitor("192.0.2.1"), house.visitor("192.0.2.2")
    created = await host.hosts()
    joined = await guest.joins()
    outside = await thief.refused(SessionLeave(created.session_id, joined.participant_id))
    assert outside.code == 44
    await thief.joins()
    assert (await thief.refused(SessionLeave(created.session_id, joined.participant_id))).code == 86
    host.received.clear()
    await guest.tell(SessionLeave(created.session_id, joined.participant_id))
    assert guest.received == []
    assert host.first(ParticipantLeft).participant_id == joined.participant_id


@scenario()
async def test_a_session_ends_with_its_host_and_ascii_chats_with_the_last_participant(house: House) -> None:
    host, guest = house.visitor(), house.visitor("192.0.2.1")
    created = await host.hosts()
    await guest.joins()
    guest.received.clear()
    await host.tell(SessionLeave(created.session_id, created.participant_id))
    assert guest.first(ParticipantLeft).was_host
    assert not (await guest.ask(SessionLookup(NAME), SessionInfo)).found
    creator, plain = await plain_session(house)
    joined = await creator.joins(plain.name)
    await creator.tell(SessionLeave(plain.session_id, joined.participant_id))
    await creator.leaves()
    assert not (await guest.ask(SessionLookup(plain.name), SessionInfo)).found


@scenario()
async def test_a_host_may_be_away_for_two_minutes(house: House) -> None:
    host, guest = house.visitor(), house.visitor("192.0.2.1")
    created = await host.hosts()
    await guest.joins()
    await host.leaves()
    guest.received.clear()
    await house.wait(119, step=1)
    assert guest.received == []
    assert (await house.visitor("192.0.2.2").joins()).has_host
    await house.visitor().hosts()
    assert guest.first(HostDesignated) == HostDesignated(
        created.session_id, created.participant_id, address="", port=0, connection=0
    )
    await house.wait(300, step=1)
    assert not any(isinstance(message, HostLost) for message in guest.received)


@scenario()
async def test_a_host_that_stays_away_is_lost_and_its_session_expires(house: House) -> None:
    host, guest = house.visitor(), house.visitor("192.0.2.1")
    created = await host.hosts()
    await guest.joins()
    await host.leaves()
    await house.wait(125, step=1)
    assert guest.first(HostLost).host_id == created.participant_id
    assert house.service.state.counters.hosts_lost == 1
    info = await guest.ask(SessionLookup(NAME), SessionInfo)
    assert info.found
    await guest.leaves()
    await house.wait(3 * HOUR + 700)
    assert not (await guest.ask(SessionLookup(NAME), SessionInfo)).found
    assert house.service.gauges()["sessions"] == 0
    assert house.service.state.counters.expired == 1


@scenario()
async def test_a_connected_host_keeps_its_session_for_days(house: House) -> None:
    host = house.visitor()
    await host.hosts()
    await house.wait(72 * HOUR)
    info = await house.visitor().ask(SessionLookup(NAME), SessionInfo)
    assert info.found
    assert info.expires_at == int((house.now + 24 * HOUR) * 1000)


@scenario()
async def test_a_session_that_nobody_could_register_again_ends_with_its_connection(house: House) -> None:
    creator, created = await plain_session(house)
    await creator.leaves()
    assert not (await house.visitor().ask(SessionLookup(created.name), SessionInfo)).found


@scenario()
async def test_a_participant_with_a_key_comes_back_to_its_place(house: House) -> None:
    _, created = await plain_session(house)
    first, other = house.visitor("192.0.2.1"), house.visitor("192.0.2.2")
    joined = await first.ask(house.signed(SessionJoin(created.name), GUEST), SessionJoined)
    await other.joins(created.name)
    await first.leaves()
    request = SessionReconnect(created.session_id, joined.participant_id)
    assert (await house.visitor().refused(house.signed(request, OTHER))).code == 64
    back = await house.visitor("192.0.2.3").ask(house.signed(request, GUEST), SessionJoined)
    assert back.participant_id == joined.participant_id
    assert not any(isinstance(message, ParticipantLeft) for message in other.received)


@scenario()
async def test_lost_connections_give_up_their_places(house: House) -> None:
    _, created = await plain_session(house)
    keyed, anonymous, other = (house.visitor(f"192.0.2.{number}") for number in range(3))
    await keyed.ask(house.signed(SessionJoin(created.name), GUEST), SessionJoined)
    await anonymous.joins(created.name)
    await other.joins(created.name)
    await anonymous.leaves()
    assert other.first(ParticipantLeft).participants == 2
    await keyed.leaves()
    await house.wait(44, step=1)
    assert (await other.ask(SessionLookup(created.name), SessionInfo)).participants == 2
    await house.wait(2, step=1)
    assert (await other.ask(SessionLookup(created.name), SessionInfo)).participants == 1


@scenario()
async def test_who_is_silent_at_a_host_has_to_leave(house: House) -> None:
    host, guest = house.visitor(), house.visitor("192.0.2.1")
    await host.hosts()
    await guest.joins()
    await house.wait(310, step=10)
    assert "idle" in guest.first(ErrorMessage).text
    assert guest.peer.participant is None


# --- rates and invalid requests --------------------------------------------------------------------------------------


@scenario()
async def test_lookups_and_joins_have_rates_for_each_address(house: House) -> None:
    await house.visitor().hosts()
    guesser = house.visitor("2001:db8::1")
    for _ in range(30):
        await guesser.ask(SessionLookup(NAME), SessionInfo)
    refused = await house.visitor("2001:db8::2").refused(SessionLookup(NAME))
    assert refused.code == 46
    for _ in range(20):
        await guesser.joins("no-such-name")
    assert (await house.visitor("2001:db8::3").joins()).error_code == 5
    house.now += 61
    assert (await guesser.joins()).success


@scenario()
async def test_every_request_has_an_answer(house: House) -> None:
    guest = house.visitor()
    await guest.tell(Ping())
    assert guest.received == [Pong()]
    assert (await guest.refused(InvalidRequest(6002, "wrong", is_name=False))).code == 86
    await guest.tell(InvalidRequest(6004, "wrong", is_name=True))
    assert guest.first(SessionJoined) == SessionJoined(success=False, error_code=7, error="wrong")


@scenario()
async def test_a_broken_database_is_said_and_survived(house: House) -> None:
    await asyncio.to_thread(house.database.close)
    refusal = await house.visitor().refused(house.signed(SessionCreate(capabilities=OURS, session_type=1), HOST))
    assert (refusal.code, refusal.text) == (4, "The service cannot use its database. Try again later.")
