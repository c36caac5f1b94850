"""What our own viewers see of a call, on a real server."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Callable, Coroutine
from dataclasses import replace

import numpy as np
import pytest

from acip_peer import AcipPeer
from conftest import ServerProcess
from reference_renderer import average
from screen_viewer import BACKGROUND, HALF_BLOCK, Viewer
from talker import RATE, tone
from teleglyph.client.address import Address
from teleglyph.client.call.client import CallClient, CallEvents
from teleglyph.client.call.connection import Credentials
from teleglyph.client.call.sound import CallSound
from teleglyph.client.call.uplink import Uplink
from teleglyph.media.grid import direct_color
from teleglyph.media.hevc import HevcEncoder
from teleglyph.net import Connection
from teleglyph.wire.acip import (
    Capabilities,
    HevcFrame,
    ImageFrame,
    Message,
    PictureRequest,
    StreamKind,
    StreamStart,
    StreamStop,
    ViewFlag,
    ViewSettings,
    ViewState,
    encode,
)

NAMED = ViewSettings(BACKGROUND, ViewFlag.NAMES)


class Pictures(Uplink):
    """An uplink that sends what a test wants, and stores the server's requests."""

    def __init__(self) -> None:
        self.requests: list[PictureRequest] = []
        self.connection: Connection | None = None
        self.connected = asyncio.Event()
        self.asked = asyncio.Event()

    def joined(self, *, takes_requests: bool) -> None:
        assert takes_requests

    def request(self, request: PictureRequest) -> None:
        self.requests.append(request)
        self.asked.set()

    async def send(self, connection: Connection) -> None:
        self.connection = connection
        self.connected.set()
        await asyncio.Event().wait()


class Person:
    """A participant that sends what the test wants."""

    def __init__(self, server: ServerProcess, name: str, sound: CallSound | None = None) -> None:
        self.pictures = Pictures()
        self._client = CallClient(
            Address("127.0.0.1", server.port),
            Credentials(name),
            Capabilities(20, 5, desired_fps=1),
            self.pictures,
            CallEvents(),
            sound,
        )
        self._task = asyncio.create_task(self._client.run())

    async def say(self, *messages: Message) -> None:
        await self.pictures.connected.wait()
        assert self.pictures.connection is not None
        for message in messages:
            self.pictures.connection.outbox.queue_control(encode(message))

    async def show(self, picture: np.ndarray) -> None:
        height, width = picture.shape[:2]
        await self.say(ImageFrame(width, height, picture.tobytes()))

    async def request_for(self, width: int, height: int, seconds: float = 5) -> PictureRequest:
        """The server's request for pictures of that size."""
        deadline = time.monotonic() + seconds
        while not (found := [r for r in self.pictures.requests if (r.width, r.height) == (width, height)]):
            assert time.monotonic() < deadline, self.pictures.requests
            await asyncio.sleep(0.02)
        return found[-1]

    async def leave(self) -> None:
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)


def viewer(server: ServerProcess, name: str = "viewer", **options: object) -> Viewer:
    defaults: dict[str, object] = {"columns": 40, "rows": 12, "settings": NAMED, "tells_time": False}
    return Viewer(server.port, name, **{**defaults, **options})  # type: ignore[arg-type]


def plain(red: int, green: int, blue: int, width: int = 64, height: int = 36) -> np.ndarray:
    return np.full((height, width, 3), (red, green, blue), np.uint8)


def backgrounds(watching: Viewer) -> set[int]:
    """The background colours on a viewer's screen."""
    grid = watching.screen.grid
    return set() if grid is None else {background for _, background, _ in grid.characters()}


def is_exact(watching: Viewer, picture: np.ndarray) -> bool:
    """A viewer's half blocks are the averages of a picture. 160x96 pixels fill 80 columns of the 24 rows whole."""
    grid = watching.screen.grid
    assert grid is not None
    shown = [character for character in grid.characters() if character[2] == ord("▀")]
    expected = average(picture, 80, 2 * (len(shown) // 80))
    uppers = [direct_color(*color) for row in expected[::2] for color in row]
    lowers = [direct_color(*color) for row in expected[1::2] for color in row]
    return [character[:2] for character in shown] == list(zip(uppers, lowers, strict=True))


def run(work: Coroutine[None, None, None]) -> None:
    asyncio.run(work)


MARKED = re.compile("\N{BLACK CIRCLE} [12] Ann")
RED, GREEN = direct_color(200, 0, 0), direct_color(0, 200, 0)


def test_names_are_below_pictures_and_everybody_has_a_tile(server: ServerProcess) -> None:
    async def scenario() -> None:
        ann = Person(server, "Ann")
        await ann.request_for(*(await _some_request(ann)))  # she is in the call, as the first
        watching = viewer(server, "Bob")
        await ann.show(plain(200, 0, 0))
        await watching.sees(lambda w: RED in backgrounds(w))
        await watching.sees(lambda w: "1 Ann" in w.text() and "2 Bob" in w.text())
        assert "camera off" in watching.text()
        await ann.say(StreamStop(StreamKind.VIDEO))
        await watching.sees(lambda w: RED not in backgrounds(w) and w.text().count("camera off") == 2, 2)
        await ann.say(StreamStart(StreamKind.VIDEO))
        await ann.show(plain(0, 200, 0))
        await watching.sees(lambda w: GREEN in backgrounds(w))
        await ann.leave()
        await watching.sees(lambda w: GREEN not in backgrounds(w) and "Ann" not in w.text() and "1 Bob" in w.text())
        await watching.leave()

    run(scenario())


def test_a_stalled_picture_is_marked_frozen_within_two_seconds(server: ServerProcess) -> None:
    async def scenario() -> None:
        ann, watching = Person(server, "Ann"), viewer(server)
        for shade in range(100, 110):
            await ann.show(plain(shade, 0, 0))
            await asyncio.sleep(0.05)
        assert "frozen" not in watching.text()
        await watching.sees(lambda w: "Ann (frozen)" in w.text(), 2.2)
        await ann.show(plain(0, 200, 0))
        await watching.sees(lambda w: GREEN in backgrounds(w) and "frozen" not in w.text(), 2)
        await ann.leave()
        await watching.leave()

    run(scenario())


def test_speakers_are_marked(server: ServerProcess) -> None:
    async def scenario() -> None:
        sound = CallSound()
        ann, watching = Person(server, "Ann", sound), viewer(server)
        await watching.sees(lambda w: "Ann" in w.text())
        assert "\N{BLACK CIRCLE}" not in watching.text()
        said = tone(440, 2.0)
        for start in range(0, len(said) - 479, 480):
            sound.capture(said[start : start + 480])
            await asyncio.sleep(480 / RATE)
            if MARKED.search(watching.text()):
                break
        await watching.sees(lambda w: MARKED.search(w.text()), 1)
        await watching.sees(lambda w: "\N{BLACK CIRCLE}" not in w.text(), 3)
        await ann.leave()
        await watching.leave()

    run(scenario())


def test_a_spotlight_lasts_until_the_person_leaves_or_it_is_switched_off(server: ServerProcess) -> None:
    async def scenario() -> None:
        ann, bob = Person(server, "Ann"), Person(server, "Bob")
        await ann.show(plain(200, 0, 0))
        await asyncio.sleep(0.2)
        await bob.show(plain(0, 200, 0))
        watching = viewer(server)
        await watching.sees(lambda w: {RED, GREEN} <= backgrounds(w))
        order = sorted(("Ann", "Bob"), key=watching.text().index)
        place = order.index("Bob") + 1

        def pin(number: int) -> None:
            watching.client.update(watching.capabilities, ViewSettings(BACKGROUND, ViewFlag.NAMES, number))

        pin(place)
        await watching.sees(lambda w: GREEN in backgrounds(w) and RED not in backgrounds(w))
        assert f"{place} Bob" in watching.text()
        pin(0)
        await watching.sees(lambda w: {RED, GREEN} <= backgrounds(w))
        pin(9)
        await asyncio.sleep(0.3)
        assert {RED, GREEN} <= backgrounds(watching)
        pin(place)
        await watching.sees(lambda w: RED not in backgrounds(w))
        await bob.leave()
        await watching.sees(lambda w: RED in backgrounds(w) and GREEN not in backgrounds(w))
        await ann.leave()
        await watching.leave()

    run(scenario())


@pytest.mark.parametrize(("flag", "left_is_red"), [(ViewFlag(0), True), (ViewFlag.MIRRORED_SELF, False)])
def test_a_viewers_own_picture_can_be_mirrored(server: ServerProcess, flag: ViewFlag, left_is_red: bool) -> None:
    async def scenario() -> None:
        watching = viewer(server, settings=ViewSettings(BACKGROUND, flag))
        ann = Person(server, "Ann")
        picture = np.concatenate([plain(200, 0, 0, 32), plain(0, 200, 0, 32)], 1)
        await ann.show(picture)
        await watching.sees(lambda w: {RED, GREEN} <= backgrounds(w))
        connection = watching.client._connection
        assert connection is not None
        connection.outbox.queue_control(encode(ImageFrame(64, 36, picture.tobytes())))
        await ann.leave()
        await watching.sees(lambda w: {RED, GREEN} <= backgrounds(w) and w.screen.grid.characters()[6 * 40 + 5][1] != 0)
        await watching.sees(lambda w: (w.screen.grid.characters()[6 * 40 + 10][1] == RED) is left_is_red)
        await watching.leave()

    run(scenario())


def test_a_viewer_can_hide_their_own_picture_and_then_sees_a_notice_if_alone(server: ServerProcess) -> None:
    async def scenario() -> None:
        watching = viewer(server, settings=ViewSettings(BACKGROUND, ViewFlag.NAMES | ViewFlag.WITHOUT_SELF))
        await watching.sees(lambda w: "Nobody else is here yet" in w.text())
        connection = watching.client._connection
        assert connection is not None
        connection.outbox.queue_control(encode(ImageFrame(64, 36, plain(200, 0, 0).tobytes())))
        ann = Person(server, "Ann")
        await ann.show(plain(0, 200, 0))
        await watching.sees(lambda w: GREEN in backgrounds(w))
        assert RED not in backgrounds(watching)
        assert "viewer" not in watching.text()
        await ann.leave()
        await watching.leave()

    run(scenario())


def test_a_still_picture_becomes_exact(server: ServerProcess) -> None:
    async def scenario() -> None:
        generator = np.random.default_rng(7)
        picture = generator.integers(40, 200, (96, 160, 3), np.uint8)
        watching = viewer(server, columns=80, rows=24, settings=ViewSettings(HALF_BLOCK))
        ann = Person(server, "Ann")
        for step in (0, 1, 2, 1):
            await ann.show(np.ascontiguousarray(picture + np.uint8(step)))
            await watching.sees(lambda w: len(backgrounds(w)) > 100)
            await asyncio.sleep(0.05)
        await watching.sees(lambda w: is_exact(w, picture + np.uint8(1)))
        await ann.leave()
        await watching.leave()

    run(scenario())


def test_a_lost_delta_is_noticed_and_a_full_frame_follows(server: ServerProcess) -> None:
    async def scenario() -> None:
        watching, ann = viewer(server), Person(server, "Ann")
        await ann.show(plain(200, 0, 0))
        await watching.sees(lambda w: RED in backgrounds(w))
        whole = sum(update.base == 0 for update in watching.updates)
        watching.screen.number = 12345  # as if one had been missed
        await ann.show(plain(0, 200, 0))
        await watching.sees(lambda w: GREEN in backgrounds(w) and RED not in backgrounds(w))
        assert sum(update.base == 0 for update in watching.updates) == whole + 1
        await ann.leave()
        await watching.leave()

    run(scenario())


def test_a_full_frame_follows_a_resize_or_mode_change_and_deltas_otherwise(
    server: ServerProcess,
) -> None:
    async def scenario() -> None:
        watching, ann = viewer(server), Person(server, "Ann")
        await ann.show(plain(200, 0, 0))
        await watching.sees(lambda w: RED in backgrounds(w))
        await asyncio.sleep(0.3)
        for number in range(5):
            await ann.show(plain(200, number * 20, 0))
            await asyncio.sleep(0.1)
        assert [update.base == 0 for update in watching.updates[-4:]] == [False] * 4
        count = len(watching.updates)
        watching.client.update(Capabilities(60, 20, color_level=3, render_mode=1), NAMED)
        await watching.sees(lambda w: w.screen.grid is not None and w.screen.grid.columns == 60)
        assert [update.base == 0 for update in watching.updates[count:]].count(True) == 1
        watching.client.update(Capabilities(60, 20, color_level=3), ViewSettings(4, ViewFlag.NAMES))
        await watching.sees(lambda w: any(update.base == 0 for update in w.updates[count + 1 :]))
        await ann.leave()
        await watching.leave()

    run(scenario())


def test_the_server_requests_only_what_viewers_see(server: ServerProcess) -> None:
    async def scenario() -> None:
        ann = Person(server, "Ann")
        await ann.show(plain(200, 0, 0, 640, 360))
        # Her own small window of 20x5 characters: four rows for the picture, one for the name.
        first = await ann.request_for(*(await _some_request(ann)))
        assert first.width <= 20
        assert first.interval >= 900
        watching = viewer(server, columns=160, rows=48, settings=ViewSettings(4))
        large = await ann.request_for(320, 135)
        assert large.interval <= 17
        await watching.leave()
        deadline = time.monotonic() + 5
        while ann.pictures.requests[-1] != first:
            assert time.monotonic() < deadline, ann.pictures.requests
            await asyncio.sleep(0.05)
        await ann.leave()

    run(scenario())


async def _some_request(person: Person) -> tuple[int, int]:
    await person.pictures.asked.wait()
    await asyncio.sleep(0.3)
    return person.pictures.requests[-1].width, person.pictures.requests[-1].height


def test_a_keyframe_is_requested_after_dropped_pictures(server: ServerProcess) -> None:
    async def scenario() -> None:
        ann, watching = Person(server, "Ann"), viewer(server)
        encoder = HevcEncoder(64, 36, 30, keyframe_seconds=100)
        pictures = [encoder.encode(np.full((36, 64, 3), shade, np.uint8))[0].data for shade in range(120)]
        await ann.say(HevcFrame(64, 36, pictures[0]))
        await asyncio.sleep(0.5)
        assert not any(request.keyframe for request in ann.pictures.requests)
        # More at once than a sender may send.  A busy server may read them too slowly to drop any: then try again.
        for turn in range(250):
            if any(request.keyframe for request in ann.pictures.requests):
                break
            if turn % 50 == 0:
                for picture in pictures[1:]:
                    await ann.say(HevcFrame(64, 36, picture))
            await asyncio.sleep(0.02)
        assert any(request.keyframe for request in ann.pictures.requests), ann.pictures.requests
        await ann.leave()
        await watching.leave()

    run(scenario())


def test_a_keyframe_is_requested_for_an_undecodable_stream(server: ServerProcess) -> None:
    async def scenario() -> None:
        ann, watching = Person(server, "Ann"), viewer(server)
        # Slices of pictures that refer to others, which were never sent.
        lost = HevcFrame(64, 36, b"\0\0\0\1\x02\x01" + bytes(40))
        await ann.say(lost)
        deadline = time.monotonic() + 5
        while not any(request.keyframe for request in ann.pictures.requests):
            assert time.monotonic() < deadline, ann.pictures.requests
            await asyncio.sleep(0.02)
        # Pictures that were already on their way must not cause a series of requests.
        for _ in range(20):
            await ann.say(lost)
            await asyncio.sleep(0.03)
        assert sum(request.keyframe for request in ann.pictures.requests) <= 2
        await ann.leave()
        await watching.leave()

    run(scenario())


def test_ascii_chat_clients_get_text_frames_with_pictures_only(
    server: ServerProcess, connect: Callable[[ServerProcess], AcipPeer]
) -> None:
    peer = connect(server).join(video=False)

    async def scenario() -> None:
        ann, watching = Person(server, "Ann"), viewer(server)
        await ann.show(plain(200, 0, 0))
        await watching.sees(lambda w: RED in backgrounds(w))
        text = await asyncio.to_thread(peer.frame, lambda text: "Nobody" not in text)
        assert "Ann" not in text
        assert "camera" not in text
        await ann.leave()
        await watching.leave()

    run(scenario())


def test_viewers_learn_whom_they_see_and_can_spotlight_more_than_nine(server: ServerProcess) -> None:
    async def scenario() -> None:
        watching = viewer(server, columns=80, rows=24)
        people = []
        for number in range(2, 13):
            person = Person(server, f"guest{number}")
            people.append(person)
            await until(lambda: watching.client.view == ViewState(0, len(people) + 1))
        await watching.sees(lambda w: all(f"guest{number}" in w.text() for number in range(2, 13)))

        spotlight(watching, 12)
        await until(lambda: watching.client.view == ViewState(12, 12, "guest12"))
        await watching.sees(lambda w: "camera off" in w.text() and "guest11" not in w.text())

        await people[0].leave()
        await until(lambda: watching.client.view == ViewState(11, 11, "guest12"))
        spotlight(watching, 12)
        await until(lambda: watching.client.view == ViewState(0, 11))
        spotlight(watching, 11)
        await until(lambda: watching.client.view == ViewState(11, 11, "guest12"))
        await people[-1].leave()
        await until(lambda: watching.client.view == ViewState(0, 10))
        await watching.sees(lambda w: "guest11" in w.text())

        for person in people[1:-1]:
            await person.leave()
        await watching.leave()

    run(scenario())


def spotlight(watching: Viewer, place: int) -> None:
    """Request a spotlight, as a key of the client does."""
    watching.client.update(watching.capabilities, replace(NAMED, spotlight=place))


async def until(is_so: Callable[[], bool], seconds: float = 10) -> None:
    deadline = time.monotonic() + seconds
    while not is_so():
        assert time.monotonic() < deadline
        await asyncio.sleep(0.02)


def test_viewers_that_did_not_ask_do_not_learn_whom_they_see(server: ServerProcess) -> None:
    async def scenario() -> None:
        watching = viewer(server)
        await until(lambda: watching.client.view is not None)
        connection = watching.client._connection
        assert connection is not None
        connection.outbox.queue_control(encode(NAMED))
        seen = watching.client.view
        ann = Person(server, "Ann")
        await watching.sees(lambda w: "2 Ann" in w.text())
        assert watching.client.view == seen
        await ann.leave()
        await watching.leave()

    run(scenario())
