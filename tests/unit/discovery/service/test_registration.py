"""Hosts register sessions, again and again, and their names are theirs."""

from __future__ import annotations

from dataclasses import replace

import nacl.pwhash
import pytest

from discovery_house import GUEST, HOST, NAME, OTHER, OURS, House, scenario
from teleglyph.discovery.names import is_name
from teleglyph.discovery.service.limits import DAY, HOUR, ServiceLimits
from teleglyph.discovery.service.passwords import check_hash
from teleglyph.discovery.service.refusal import RefusedError
from teleglyph.discovery.service.state import ServiceSettings
from teleglyph.wire.acip import ErrorMessage
from teleglyph.wire.discovery import (
    HostDesignated,
    SessionCreate,
    SessionCreated,
    SessionEnd,
    SessionInfo,
    SessionLookup,
    StringRelease,
    StringRenew,
    StringReserve,
    StringReserved,
)

PLAIN = SessionCreate(capabilities=3, session_type=0, port=27224)


@scenario()
async def test_a_host_gets_a_name_and_can_be_found(house: House) -> None:
    created = await house.visitor().hosts(name="")
    assert is_name(created.name)
    info = await house.visitor("192.0.2.9").ask(SessionLookup(created.name), SessionInfo)
    assert (info.found, info.session_id, info.identity) == (True, created.session_id, HOST.public_key)
    assert (info.capabilities, info.participants) == (OURS, 1)
    assert info.expires_at == created.expires_at == int((house.now + DAY) * 1000)
    unknown = await house.visitor().ask(SessionLookup("no-such-name"), SessionInfo)
    assert unknown == SessionInfo()


@scenario()
async def test_a_random_name_that_is_taken_is_not_given_away(house: House) -> None:
    names = iter([NAME, NAME, "quiet-river-cloud"])
    house.service._registration._make_name = lambda: next(names)
    first = await house.visitor().hosts(name="")
    second = await house.visitor().hosts(OTHER, name="")
    assert (first.name, second.name) == (NAME, "quiet-river-cloud")


@scenario()
async def test_the_same_key_gets_its_session_back_and_another_key_does_not(house: House) -> None:
    host = house.visitor()
    created = await host.hosts()
    refusal = await house.visitor().refused(
        house.signed(SessionCreate(capabilities=OURS, session_type=1, wanted_name=NAME), OTHER)
    )
    assert (refusal.code, refusal.text) == (85, f"The name {NAME} belongs to another host. Choose another one.")
    again = await house.visitor("198.51.100.1").hosts()
    assert (again.session_id, again.participant_id) == (created.session_id, created.participant_id)
    assert host.first(ErrorMessage).text == "Your place was taken over by another connection."
    assert house.service.gauges()["sessions"] == 1
    assert house.service.state.counters.reregistered == 1


@scenario()
async def test_a_restart_keeps_sessions_and_their_hosts_are_away_until_they_return(house: House) -> None:
    created = await house.visitor().hosts()
    await house.restart()
    guest = house.visitor("192.0.2.9")
    assert (await guest.ask(SessionLookup(NAME), SessionInfo)).session_id == created.session_id
    joined = await guest.joins()
    assert (joined.success, joined.has_host, joined.host_id) == (True, False, created.participant_id)
    refused = await house.visitor().refused(
        house.signed(SessionCreate(capabilities=OURS, session_type=1, wanted_name=NAME), OTHER)
    )
    assert refused.code == 85
    again = await house.visitor().hosts()
    assert (again.session_id, again.participant_id) == (created.session_id, created.participant_id)
    assert guest.first(HostDesignated).host_id == created.participant_id


@scenario()
async def test_a_name_is_its_owners_for_thirty_days_after_the_end(house: House) -> None:
    host = house.visitor()
    created = await host.hosts()
    await host.tell(house.signed(SessionEnd(created.session_id), HOST))
    assert host.received == [], "only a failure has an answer"
    assert not (await house.visitor().ask(SessionLookup(NAME), SessionInfo)).found
    for days, is_free in ((29, False), (2, True)):
        await house.wait(days * DAY, step=DAY)
        stranger = house.visitor("192.0.2.9")
        await stranger.tell(house.signed(SessionCreate(capabilities=OURS, session_type=1, wanted_name=NAME), OTHER))
        assert isinstance(stranger.received[0], SessionCreated) is is_free


@scenario()
async def test_nobody_else_ends_a_session(house: House) -> None:
    created = await house.visitor().hosts()
    refusal = await house.visitor().refused(house.signed(SessionEnd(created.session_id), OTHER))
    assert refusal.code == 64
    assert (await house.visitor().ask(SessionLookup(NAME), SessionInfo)).found


@scenario()
async def test_a_signature_counts_once(house: House) -> None:
    request = house.signed(SessionCreate(capabilities=OURS, session_type=1, wanted_name=NAME), HOST)
    await house.visitor().ask(request, SessionCreated)
    assert (await house.visitor().refused(request)).code == 64
    await house.restart()
    replayed = await house.visitor().refused(request)
    assert replayed.text == "A newer registration of this session exists. Sign it anew."


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"wanted_name": "another-river-stone"}, 64),
        ({"capabilities": OURS | 8}, 64),
        ({"port": 1}, 64),
        ({"signature": bytes(64)}, 64),
        ({"identity": OTHER.public_key}, 64),
    ],
)
def test_a_changed_registration_is_refused(change: dict[str, object], code: int, tmp_path: object) -> None:
    @scenario()
    async def check(house: House) -> None:
        request = house.signed(SessionCreate(capabilities=OURS, session_type=1, wanted_name=NAME), HOST)
        assert (await house.visitor().refused(replace(request, **change))).code == code  # type: ignore[arg-type]

    check(tmp_path)  # type: ignore[arg-type]


@scenario()
async def test_a_host_of_our_kind_needs_an_encrypted_connection_and_a_key(house: House) -> None:
    message = SessionCreate(capabilities=OURS, session_type=1)
    in_plaintext = await house.visitor(is_private=False).refused(house.signed(message, HOST))
    assert "encrypted" in in_plaintext.text
    assert (await house.visitor().refused(message)).code == 64


@scenario()
async def test_a_clock_that_is_wrong_is_named(house: House) -> None:
    request = house.signed(SessionCreate(capabilities=OURS, session_type=1), HOST)
    house.now += 400
    refusal = await house.visitor().refused(request)
    assert refusal.text == "The request is 400 s old (at most 300 s). Set the clock of the sender's machine."


@scenario()
async def test_only_the_own_address_is_registered(house: House) -> None:
    exposed = replace(PLAIN, expose_address=True)
    for address in ("198.51.100.1", "127.0.0.1", "example.org"):
        refusal = await house.visitor().refused(replace(exposed, address=address))
        assert "203.0.113.7" in refusal.text
    await house.visitor().ask(replace(exposed, address="203.0.113.7"), SessionCreated)
    created = await house.visitor("2001:db8::7").ask(exposed, SessionCreated)
    assert house.service.state.index.live[created.name].stored.address == "2001:db8::7"
    hidden = await house.visitor().ask(replace(PLAIN, address="198.51.100.1"), SessionCreated)
    assert house.service.state.index.live[hidden.name].stored.address == "", "nobody may learn it"


@scenario()
async def test_a_host_without_a_key_registers_nobody_elses(house: House) -> None:
    unsigned = replace(PLAIN, identity=HOST.public_key)
    created = await house.visitor().ask(unsigned, SessionCreated)
    info = await house.visitor().ask(SessionLookup(created.name), SessionInfo)
    assert info.identity == bytes(32)
    assert (await house.visitor().refused(replace(unsigned, signature=b"x" * 64))).code == 64
    old = house.signed(PLAIN, HOST)
    house.now += 4 * HOUR  # as ascii-chat's discovery mode, whose clock begins when the machine starts
    created = await house.visitor().ask(old, SessionCreated)
    assert (await house.visitor().ask(SessionLookup(created.name), SessionInfo)).identity == bytes(32)


@scenario(ServiceSettings(requires_server_identity=True))
async def test_a_key_can_be_required_of_hosts(house: House) -> None:
    assert (await house.visitor().refused(PLAIN)).code == 64
    created = await house.visitor().ask(house.signed(PLAIN, HOST), SessionCreated)
    info = await house.visitor().ask(SessionLookup(created.name), SessionInfo)
    assert (info.identity, info.clients_check_server) == (HOST.public_key, True)


@pytest.mark.parametrize(
    "text",
    [
        "$argon2id$v=19$m=1048576,t=2,p=1$c29tZXNhbHRzb21l$" + "a" * 43,
        "$argon2id$v=19$m=65536,t=50,p=1$c29tZXNhbHRzb21l$" + "a" * 43,
        "$argon2id$v=19$m=65536,t=2,p=9$c29tZXNhbHRzb21l$" + "a" * 43,
        "$argon2i$v=19$m=65536,t=2,p=1$c29tZXNhbHRzb21l$" + "a" * 43,
        "correct horse",
        "$argon2id$v=19$m=65536,t=2,p=1$$",
    ],
)
def test_a_costly_or_broken_hash_is_refused(text: str) -> None:
    with pytest.raises(RefusedError):
        check_hash(text)


def test_the_hash_of_ascii_chat_is_accepted() -> None:
    check_hash(nacl.pwhash.argon2id.str(b"correct horse", opslimit=2, memlimit=65536 << 10).decode().rstrip("\0"))


@scenario()
async def test_a_password_comes_with_its_hash_and_only_where_the_service_checks_it(house: House) -> None:
    assert (await house.visitor().refused(replace(PLAIN, has_password=True))).code == 86
    ours = SessionCreate(capabilities=OURS, session_type=1, has_password=True, password_hash="$argon2id$")
    assert (await house.visitor().refused(house.signed(ours, HOST))).code == 86


@scenario()
async def test_several_keys_come_in_order_and_nothing_between_them(house: House) -> None:
    host = house.visitor()
    first, second = (replace(PLAIN, total_keys=2, key_index=number) for number in (0, 1))
    await host.tell(first)
    assert host.received == []
    assert (await host.refused(SessionLookup(NAME))).code == 86
    await host.ask(second, SessionCreated)
    other = house.visitor()
    assert (await other.refused(second)).text == "The keys of SESSION_CREATE came out of order."


@scenario(ServiceSettings(ServiceLimits(max_sessions=2)))
async def test_a_full_service_still_takes_those_who_return(house: House) -> None:
    host = house.visitor()
    await host.hosts()
    await house.visitor().hosts(OTHER, name="")
    refusal = await house.visitor().refused(house.signed(SessionCreate(capabilities=OURS, session_type=1), GUEST))
    assert refusal.code == 48
    await host.leaves()
    await house.visitor().hosts()


@scenario(ServiceSettings(ServiceLimits(sessions_per_address=2, creates=100)))
async def test_one_address_has_few_sessions(house: House) -> None:
    for number in range(2):
        await house.visitor("2001:db8::1").hosts(OTHER if number else HOST, name="")
    refusal = await house.visitor("2001:db8::2").refused(
        house.signed(SessionCreate(capabilities=OURS, session_type=1), GUEST)
    )
    assert (refusal.code, house.refused) == (48, {"full": 1})
    await house.visitor("2001:db8:0:1::1").hosts(GUEST, name="")


@scenario()
async def test_a_flood_of_registrations_is_cut_off(house: House) -> None:
    for number in range(200):
        await house.visitor(f"2001:db8::{number:x}").tell(PLAIN)
    assert house.service.state.counters.created == 10
    assert house.refused == {"rate": 190}
    house.now += 61
    await house.visitor("2001:db8::1").ask(PLAIN, SessionCreated)


@scenario()
async def test_names_are_reserved_renewed_and_released_by_their_key_only(house: House) -> None:
    visitor = house.visitor()
    reserved = await visitor.ask(house.signed(StringReserve(NAME, days=365), HOST), StringReserved)
    assert (reserved.success, reserved.expires_at) == (True, int((house.now + 365 * DAY) * 1000))
    for request in (StringReserve(NAME, days=1), StringRenew(NAME, days=1)):
        answer = await visitor.ask(house.signed(request, OTHER), StringReserved)
        assert (answer.success, answer.error_code) == (False, 6)
    assert (await visitor.ask(house.signed(StringRelease(NAME), OTHER), StringReserved)).error_code == 1
    refused = await house.visitor().refused(
        house.signed(SessionCreate(capabilities=OURS, session_type=1, wanted_name=NAME), OTHER)
    )
    assert refused.code == 85
    forged = replace(house.signed(StringRelease(NAME), OTHER), identity=HOST.public_key)
    assert (await visitor.ask(forged, StringReserved)).error_code == 4
    assert (await visitor.ask(house.signed(StringRelease(NAME), HOST), StringReserved)).success
    await house.visitor().hosts(OTHER)


@scenario()
async def test_one_key_reserves_few_names(house: House) -> None:
    for number in range(17):
        house.now += 10
        request = house.signed(StringReserve(f"quiet-river-{chr(97 + number) * 3}", days=9), HOST)
        answer = await house.visitor(f"192.0.2.{number}").ask(request, StringReserved)
        assert answer.success is (number < 16)
