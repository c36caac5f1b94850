"""Messages between participants: who may send what to whom, and how much."""

from __future__ import annotations

from dataclasses import replace

import pytest

from discovery_house import OTHER, House, Visitor, scenario
from teleglyph.wire.discovery import (
    NO_ID,
    HostAnnouncement,
    HostDesignated,
    HostLost,
    LossReason,
    NatProbe,
    NatProbed,
    NetworkQuality,
    ProbeResult,
    Rendezvous,
    SessionCreate,
    SessionCreated,
    WebrtcIce,
    WebrtcSdp,
)

PLAIN = SessionCreate(capabilities=3, session_type=1)


async def call(house: House) -> tuple[Visitor, Visitor, Rendezvous]:
    """A host, a joiner, and the joiner's message to the host."""
    host, guest = house.visitor(), house.visitor("192.0.2.1")
    created = await host.hosts()
    joined = await guest.joins()
    host.received.clear()
    return host, guest, Rendezvous(created.session_id, joined.participant_id, created.participant_id, b"hello")


async def plain_call(house: House, **values: object) -> tuple[list[Visitor], bytes, list[bytes]]:
    """Three participants of a session of ascii-chat's kind; the first one created it."""
    visitors = [house.visitor(f"192.0.2.{number}") for number in range(1, 4)]
    created = await visitors[0].ask(replace(PLAIN, **values), SessionCreated)  # type: ignore[arg-type]
    ids = [(await one.joins(created.name)).participant_id for one in visitors]
    for one in visitors:
        one.received.clear()
    return visitors, created.session_id, ids


@scenario()
async def test_host_and_joiner_talk(house: House) -> None:
    host, guest, message = await call(house)
    await guest.tell(message)
    assert (guest.received, host.received) == ([], [message])
    answer = replace(message, sender_id=message.recipient_id, recipient_id=message.sender_id, body=b"x" * 16384)
    await host.tell(answer)
    assert (host.received, guest.received) == ([], [answer])
    assert house.service.state.counters.relayed == {"rendezvous": 2}


@scenario()
async def test_nobody_sends_in_the_name_of_others(house: House) -> None:
    host, guest, message = await call(house)
    third = house.visitor("192.0.2.2")
    joined = await third.joins()
    host.received.clear()
    refusals = [
        await third.refused(message),
        await guest.refused(replace(message, sender_id=message.recipient_id)),
        await guest.refused(replace(message, recipient_id=joined.participant_id)),
        await guest.refused(replace(message, recipient_id=message.sender_id)),
        await guest.refused(replace(message, recipient_id=NO_ID)),
        await house.visitor().refused(message),
    ]
    assert [one.code for one in refusals] == [86, 86, 86, 86, 86, 44]
    assert host.received == third.received[1:] == []


@scenario()
async def test_messages_stay_in_their_session(house: House) -> None:
    host, guest, message = await call(house)
    stranger = house.visitor("192.0.2.7")
    other = await stranger.hosts(OTHER, name="other-river-stone")
    host.received.clear()
    stranger.received.clear()
    assert (await guest.refused(replace(message, session_id=other.session_id))).code == 44
    assert (await guest.refused(replace(message, recipient_id=other.participant_id))).code == 86
    into = Rendezvous(other.session_id, other.participant_id, message.sender_id, b"x")
    assert (await stranger.refused(into)).code == 44
    assert host.received == []


@scenario()
async def test_a_host_that_is_away_does_not_get_messages(house: House) -> None:
    host, guest, message = await call(house)
    await host.leaves()
    refusal = await guest.refused(message)
    assert (refusal.code, refusal.text) == (44, "The host is away. Try again in a minute.")
    assert house.service.state.counters.undelivered == 1
    again = house.visitor()
    await again.hosts()
    again.received.clear()
    await guest.tell(message)
    assert again.received == [message]


@scenario()
async def test_messages_have_a_rate_and_a_size(house: House) -> None:
    host, guest, message = await call(house)
    for _ in range(125):
        await guest.tell(message)
    assert len(host.received) == 120
    assert guest.received[0].code == 46  # type: ignore[attr-defined]
    house.now += 60
    large = replace(message, body=b"x" * 16384)
    for _ in range(20):
        await guest.tell(large)
    assert len(host.received) == 120 + 15, "256 KiB a minute"


@scenario()
async def test_signalling_of_ascii_chat_reaches_one_or_all_others(house: House) -> None:
    visitors, session, ids = await plain_call(house)
    to_all = WebrtcSdp(session, ids[0], NO_ID, False, "v=0")
    await visitors[0].tell(to_all)
    assert [one.received for one in visitors] == [[], [to_all], [to_all]]
    to_one = WebrtcIce(session, ids[1], ids[0], "candidate:1", "0")
    await visitors[1].tell(to_one)
    assert [one.received for one in visitors] == [[to_one], [], [to_all]]
    quality = NetworkQuality(session, ids[2])
    await visitors[2].tell(quality)
    assert visitors[0].received == [to_one, quality]
    for wrong in (
        replace(to_all, sender_id=ids[1]),
        replace(to_all, session_id=b"x" * 16),
        replace(to_all, recipient_id=b"x" * 16),
        replace(quality, participant_id=ids[1]),
    ):
        assert (await visitors[0].refused(wrong)).code in (44, 86)
    refused = await house.visitor().refused(to_all)
    assert refused.code == 44
    assert house.service.state.counters.relayed == {"webrtc_sdp": 2, "webrtc_ice": 1, "network_quality": 2}


@scenario()
async def test_a_host_of_our_kind_gets_no_other_signalling(house: House) -> None:
    host, guest, message = await call(house)
    session, own = message.session_id, message.sender_id
    for other in (
        WebrtcSdp(session, own, NO_ID, False, "v=0"),
        WebrtcIce(session, own, message.recipient_id, "candidate:1", "0"),
        NetworkQuality(session, own),
        HostAnnouncement(session, own, "", 27224, 0),
        HostLost(session, own, message.recipient_id, LossReason.TIMEOUT, 1),
    ):
        assert (await guest.refused(other)).code == 86
    assert host.received == []


@pytest.mark.parametrize(("exposes", "shown"), [(True, "192.0.2.1"), (False, "")])
def test_an_announced_host_is_told_to_all_and_its_address_to_those_who_may_know(
    exposes: bool, shown: str, tmp_path: object
) -> None:
    @scenario()
    async def check(house: House) -> None:
        visitors, session, ids = await plain_call(house, expose_address=exposes)
        await visitors[0].tell(HostAnnouncement(session, ids[0], "127.0.0.1", 27224, 0))
        designated = HostDesignated(session, ids[0], shown, 27224 if shown else 0, 0)
        assert [one.received for one in visitors] == [[], [designated], [designated]]
        joined = await house.visitor("192.0.2.9").joins(next(iter(house.service.state.index.live.values())).stored.name)
        assert (joined.has_host, joined.host_id, joined.address) == (True, ids[0], shown)

    check(tmp_path)  # type: ignore[arg-type]


@scenario()
async def test_nobody_announces_somebody_else(house: House) -> None:
    visitors, session, ids = await plain_call(house)
    announcement = HostAnnouncement(session, ids[0], "", 27224, 0)
    assert (await visitors[1].refused(announcement)).code == 86, "in the name of another"
    assert (await visitors[0].refused(replace(announcement, address="8.8.8.8"))).code == 86, "with another's address"
    assert (await visitors[1].refused(replace(announcement, host_id=ids[1]))).code == 86, "while the creator is there"


@scenario()
async def test_another_host_takes_over_when_the_first_is_gone(house: House) -> None:
    visitors, session, ids = await plain_call(house)
    await visitors[0].tell(HostAnnouncement(session, ids[0], "", 27224, 0))
    lost = HostLost(session, ids[1], ids[0], LossReason.TIMEOUT, 1)
    assert (await visitors[1].refused(lost)).text == "The host is still connected to this service."
    await visitors[0].leaves()
    visitors[2].received.clear()
    await visitors[1].tell(lost)
    assert visitors[2].received == [lost]
    await visitors[1].tell(HostAnnouncement(session, ids[1], "", 27224, 0))
    assert visitors[2].first(HostDesignated).host_id == ids[1]


@scenario()
async def test_a_probe_never_touches_this_machine_and_has_a_rate(house: House) -> None:
    results = [(await house.visitor("127.0.0.1").ask(NatProbe(5432), NatProbed)).result for _ in range(8)]
    assert results == [ProbeResult.NO_ANSWER] * 6 + [ProbeResult.RATE_LIMITED] * 2
    assert house.service.state.counters.probes == {"no_answer": 6, "rate_limited": 2}
