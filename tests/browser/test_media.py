"""The page's camera, microphone and playback, in a real browser with a simulated camera and microphone."""

from __future__ import annotations

import base64
import io
import shutil
from collections.abc import Iterator
from http.server import SimpleHTTPRequestHandler
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from av.video.codeccontext import VideoCodecContext

from served_files import served
from teleglyph.media.opus import OpusDecoder, OpusEncoder, Samples
from teleglyph.wire.acip.messages import AudioBatch

playwright_api = pytest.importorskip("playwright.sync_api")
from playwright.sync_api import Browser, Page, Playwright, sync_playwright  # noqa: E402

ROOT = Path(__file__).parents[2]
CHROMIUM = shutil.which("chromium")
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium")
PLAIN = ["--no-sandbox", "--disable-gpu"]
SIMULATED = [*PLAIN, "--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream"]
AUTOPLAY = "--autoplay-policy=no-user-gesture-required"
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' blob: data:; "
    "media-src 'self' blob:; worker-src 'self'"
)
DECODERS = {1: "vp8", 2: "vp9", 3: "libdav1d", 4: "h264"}
RATE = 48_000


class Handler(SimpleHTTPRequestHandler):
    """An empty page, the page's modules, and those of the tests."""

    def translate_path(self, path: str) -> str:
        name = path.partition("?")[0].lstrip("/")
        own = ROOT / "tests/browser" / name
        return str(own if own.is_file() else ROOT / "src/teleglyph/web" / name)

    def do_GET(self) -> None:
        if self.path != "/":
            super().do_GET()
            return
        body = b"<!doctype html><title>media</title><link rel=icon href=data:,><body><button>Join</button>"
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.send_header("Content-Security-Policy", POLICY)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    """Where the page is served."""
    with served(Handler) as port:
        yield f"http://127.0.0.1:{port}/"


@pytest.fixture(scope="module")
def playwright() -> Iterator[Playwright]:
    with sync_playwright() as playwright:
        yield playwright


@pytest.fixture(scope="module")
def browser(playwright: Playwright) -> Iterator[Browser]:
    """Chromium with a camera that shows a moving disc and a microphone that beeps."""
    browser = playwright.chromium.launch(executable_path=CHROMIUM, args=[*SIMULATED, AUTOPLAY])
    yield browser
    browser.close()


@pytest.fixture
def page(browser: Browser, address: str) -> Iterator[Page]:
    """An empty page that may use the camera and the microphone, and must not cause any error."""
    with browser.new_context() as context:
        page = context.new_page()
        errors: list[str] = []
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.on("console", lambda message: errors.append(message.text) if message.type == "error" else None)
        page.goto(address)
        yield page
        assert errors == []


def run(page: Page, body: str, argument: object = None) -> Any:
    """Run JavaScript with the functions of media_page.js as ``t`` and an argument as ``a``."""
    return page.evaluate(f"async (a) => {{ const t = await import('/media_page.js'); {body} }}", argument)


def decode(pictures: list[dict[str, Any]]) -> list[tuple[int, int]]:
    """The sizes of pictures of one stream, decoded from its first keyframe."""
    codec = pictures[0]["codec"]
    if codec == 5:
        sizes = []
        for picture in pictures:
            with av.open(io.BytesIO(base64.b64decode(picture["data"])), "r", format="mjpeg") as container:
                sizes += [(frame.width, frame.height) for frame in container.decode(video=0)]
        return sizes
    context = av.CodecContext.create(DECODERS[codec], "r")
    assert isinstance(context, VideoCodecContext)
    context.thread_count = 1
    packets = [av.Packet(base64.b64decode(picture["data"])) for picture in pictures]
    frames = [frame for packet in [*packets, None] for frame in context.decode(packet)]
    return [(frame.width, frame.height) for frame in frames]


@pytest.mark.parametrize("codec", [1, 2, 3, 4])
def test_every_codec_gives_a_bitstream_that_decodes(page: Page, codec: int) -> None:
    pictures = run(
        page,
        """const { sent, encoder, camera } = await t.pictures({ preferred: [a] });
        encoder.request({ width: 320, height: 180, interval: 33 });
        await t.until(() => sent.length >= 8);
        encoder.request({ width: 320, height: 180, interval: 33, keyframe: true });
        await t.until(() => sent.filter((picture) => picture.keyframe).length > 1);
        const count = sent.length;
        await t.until(() => sent.length >= count + 3);
        camera.close();
        return sent;""",
        codec,
    )
    keyframes = [number for number, picture in enumerate(pictures) if picture["keyframe"]]
    assert {picture["codec"] for picture in pictures} == {codec}
    assert {(picture["width"], picture["height"]) for picture in pictures} == {(320, 180)}
    assert keyframes[0] == 0
    assert len(keyframes) == 2
    assert decode(pictures) == [(320, 180)] * len(pictures)
    later = pictures[keyframes[1] :]
    assert decode(later) == [(320, 180)] * len(later)


def test_without_an_encoder_pictures_are_jpeg(page: Page) -> None:
    page.evaluate("() => { delete window.VideoEncoder; }")
    pictures = run(
        page,
        """const codecs = [];
        const { sent, encoder } = await t.pictures({ onCodec: (codec) => codecs.push(codec) });
        encoder.request({ width: 100, height: 100, interval: 100 });
        await t.until(() => sent.length >= 3);
        return { sent, codecs };""",
    )
    assert pictures["codecs"] == [5]
    assert all(picture["keyframe"] for picture in pictures["sent"])
    assert decode(pictures["sent"]) == [(178, 100)] * len(pictures["sent"])


def test_only_codecs_of_the_server_are_used(page: Page) -> None:
    codecs = run(
        page,
        """const codecs = [];
        for (const accepted of [[4], [2, 5], []]) {
          const { encoder, camera } = await t.pictures({ accepted, onCodec: (codec) => codecs.push(codec) });
          encoder.request({ width: 100, height: 100, interval: 33 });
          const count = codecs.length;
          await t.until(() => codecs.length > count);
          camera.close();
        }
        return codecs;""",
    )
    assert codecs == [4, 2, 0]


def test_an_encoder_that_fails_is_replaced_by_the_next_codec(page: Page) -> None:
    found = run(
        page,
        """const codecs = [];
        const { sent, encoder } = await t.pictures({ onCodec: (codec) => codecs.push(codec) });
        const encode = VideoEncoder.prototype.encode;
        VideoEncoder.prototype.encode = function (...parts) {
          if (encoder.codec === 1) throw new DOMException("broken", "EncodingError");
          return encode.apply(this, parts);
        };
        encoder.request({ width: 100, height: 100, interval: 33 });
        await t.until(() => sent.length >= 3);
        return { codecs, first: sent[0], errors: encoder.counters.errors };""",
    )
    assert found["codecs"] == [1, 4]
    assert found["first"]["keyframe"]
    assert found["errors"] == 1


def test_a_request_changes_size_and_rate_and_stops(page: Page) -> None:
    found = run(
        page,
        """const { sent, encoder, feed } = t.drawings();
        await feed(500);
        const before = sent.length;
        encoder.request({ width: 320, height: 180, interval: 33 });
        await feed(1000);
        const large = sent.splice(0);
        encoder.request({ width: 160, height: 90, interval: 400 });
        await feed(4000);
        const small = sent.splice(0);
        encoder.request({ width: 0, height: 0, interval: 3000 });
        await feed(1000);
        const unseen = sent.length;
        encoder.request({ width: 160, height: 90, interval: 33 });
        await feed(200);
        return { before, large, small, unseen, again: sent };""",
    )
    assert (found["before"], found["unseen"]) == (0, 0)
    assert 27 <= len(found["large"]) <= 30
    assert 9 <= len(found["small"]) <= 11
    for name, size in {"large": (320, 180), "small": (160, 90), "again": (160, 90)}.items():
        assert [picture["keyframe"] for picture in found[name]].index(True) == 0
        assert decode(found[name]) == [size] * len(found[name])


@pytest.mark.thorough
def test_keyframes_come_every_ten_seconds_and_on_request(page: Page) -> None:
    pictures = run(
        page,
        """const { sent, encoder, feed } = t.drawings();
        const request = { width: 64, height: 36, interval: 500 };
        encoder.request(request);
        await feed(21000, 500);
        encoder.request({ ...request, keyframe: true });
        await feed(1000, 500);
        return sent;""",
    )
    times = [picture["time"] for picture in pictures if picture["keyframe"]]
    assert np.diff(times).tolist() == [10_000, 10_000, 500]


@pytest.mark.thorough
def test_a_busy_encoder_drops_pictures_and_a_stuck_one_is_replaced(page: Page) -> None:
    found = run(
        page,
        """let size = 2;
        Object.defineProperty(VideoEncoder.prototype, "encodeQueueSize", { get: () => size, configurable: true });
        const { sent, codecs, encoder, feed } = t.drawings();
        encoder.request({ width: 100, height: 100, interval: 33 });
        await feed(2000);
        const busy = [sent.length, encoder.counters.dropped > 50, [...codecs]];
        await feed(2000);
        size = 0;
        await feed(200);
        return [...busy, codecs, sent.length > 0, encoder.counters.errors];""",
    )
    assert found == [0, True, [1], [1, 4], True, 1]


@pytest.mark.thorough
def test_pictures_continue_in_the_background(page: Page) -> None:
    times = run(
        page,
        """HTMLVideoElement.prototype.requestVideoFrameCallback = () => 1;
        const { sent, encoder } = await t.pictures();
        encoder.request({ width: 100, height: 100, interval: 33 });
        await t.until(() => sent.length >= 3);
        return sent.map((picture) => picture.time);""",
    )
    assert min(np.diff(times)) > 500


def test_the_preview_fills_its_cells_with_the_camera(page: Page) -> None:
    found = run(
        page,
        """const { source, camera } = await t.pictures();
        const cells = await t.until(() => source.preview(40, 12));
        const mirrored = source.preview(40, 12, { mirrored: false });
        const track = camera.stream.getTracks()[0];
        camera.close();
        await t.until(() => !source.preview(40, 12));
        return { columns: cells.columns, rows: cells.rows, foreground: [...cells.foreground],
          background: [...cells.background], state: track.readyState, isOn: camera.isOn,
          videos: document.querySelectorAll("video").length, length: mirrored.foreground.length };""",
    )
    assert (found["columns"], found["rows"], found["state"], found["isOn"]) == (40, 12, "ended", False)
    assert len(found["foreground"]) == len(found["background"]) == found["length"] == 40 * 12 * 3
    assert np.std(found["foreground"]) > 10, "the simulated camera shows a disc"
    assert found["videos"] == 0


def test_a_camera_that_disappears_is_reported(page: Page) -> None:
    found = run(
        page,
        """const events = [];
        const camera = new t.Camera({
          onChange: (stream) => events.push(stream !== null),
          onLost: (error) => events.push(t.explain(error)),
        });
        await camera.open();
        const track = camera.stream.getTracks()[0];
        navigator.mediaDevices.enumerateDevices = async () => [];
        navigator.mediaDevices.dispatchEvent(new Event("devicechange"));
        await t.until(() => events.length === 3);
        return { events, state: track.readyState };""",
    )
    assert found["events"][:2] == [True, False]
    assert found["events"][2].startswith("Your camera was disconnected")
    assert found["state"] == "ended"


def test_a_camera_turned_off_while_it_opens_stays_off(page: Page) -> None:
    found = run(
        page,
        """const tracks = [];
        const open = navigator.mediaDevices.getUserMedia.bind(navigator.mediaDevices);
        navigator.mediaDevices.getUserMedia = async (wanted) => {
          const stream = await open(wanted);
          tracks.push(...stream.getTracks());
          return stream;
        };
        const camera = new t.Camera();
        const opened = camera.open();
        camera.close();
        return [await opened, camera.isOn, tracks.map((track) => track.readyState)];""",
    )
    assert found == [None, False, ["ended"]]


@pytest.mark.thorough
def test_devices_are_listed_and_a_choice_is_remembered(page: Page) -> None:
    found = run(
        page,
        """const devices = new t.Devices();
        const hidden = await devices.list();
        const camera = new t.Camera();
        await camera.open({ deviceId: "not there" });
        const lists = await devices.list();
        const other = lists.camera.at(-1).id;
        devices.choose("camera", other);
        await camera.open({ deviceId: new t.Devices().chosen("camera") });
        const result = { lists, same: camera.deviceId === other, hidden };
        camera.close();
        return result;""",
    )
    assert all(found["lists"][kind] for kind in ("camera", "microphone", "speaker"))
    assert all(device["label"] for devices in found["hidden"].values() for device in devices)
    assert found["same"]


def test_what_chromium_can_do(page: Page) -> None:
    support = run(page, "return await t.mediaSupport();")
    assert set(support.values()) == {True}


@pytest.mark.thorough
def test_a_refused_permission_is_explained(playwright: Playwright, address: str) -> None:
    arguments = [*PLAIN, "--use-fake-device-for-media-stream", "--deny-permission-prompts"]
    browser = playwright.chromium.launch(executable_path=CHROMIUM, args=arguments)
    page = browser.new_page()
    page.goto(address)
    texts = run(
        page,
        """const camera = new t.Camera();
        const microphone = new t.Microphone({ onOpus() {}, onSamples() {} });
        return [await camera.open().catch((error) => t.explain(error)),
          await microphone.open().catch((error) => t.explain(error, "microphone")), camera.isOn, microphone.isOn];""",
    )
    browser.close()
    assert texts[0].startswith("The browser may not use your camera.")
    assert texts[1].startswith("The browser may not use your microphone.")
    assert texts[2:] == [False, False]


# --- sound ------------------------------------------------------------------------------------------------------


def loudest_frequency(sound: Samples, rate: int = RATE) -> float:
    """The frequency with the most energy, in Hz."""
    spectrum = np.abs(np.fft.rfft(sound * np.hanning(len(sound))))
    return float(np.argmax(spectrum[10:]) + 10) * rate / len(sound)


def opus_sound(packets: list[dict[str, Any]]) -> Samples:
    decoder = OpusDecoder()
    return np.concatenate([decoder.decode(base64.b64decode(packet["data"])) for packet in packets])


def beeps(sound: Samples) -> tuple[float, float]:
    """The share of time that is loud, and the pitch of the loud part, in Hz."""
    blocks = sound[: len(sound) // 960 * 960].reshape(-1, 960)
    loud = np.sqrt(np.mean(blocks**2, axis=1)) > 0.02
    return float(np.mean(loud)), loudest_frequency(blocks[loud].reshape(-1))


@pytest.mark.parametrize("duration", [pytest.param(10, marks=pytest.mark.thorough), 20])
def test_the_microphone_sends_opus_that_beeps(page: Page, duration: int) -> None:
    found = run(
        page,
        """const { packets, levels, microphone } = await t.voice({ duration: a });
        await t.until(() => packets.length * a >= 2500);
        const sendsOpus = microphone.sendsOpus;
        microphone.close();
        return { packets, levels, sendsOpus };""",
        duration,
    )
    assert found["sendsOpus"]
    assert {packet["duration"] for packet in found["packets"]} == {duration}
    sound = opus_sound(found["packets"])
    share, pitch = beeps(sound)
    assert 0.01 < share < 0.9, "the simulated microphone beeps"
    assert 100 < pitch < 2000
    assert len(sound) == len(found["packets"]) * duration * 48
    bitrate = sum(len(packet["data"]) * 6 for packet in found["packets"]) / (len(sound) / RATE)
    assert bitrate < 45_000
    assert max(level["peak"] for level in found["levels"]) > 0.05


def test_without_an_encoder_the_microphone_sends_samples(page: Page) -> None:
    page.evaluate("() => { delete window.AudioEncoder; }")
    found = run(
        page,
        """const { samples, packets, microphone } = await t.voice();
        await t.until(() => samples.length > 96000);
        microphone.close();
        return { payload: t.base64(t.encodeAudioBatch(Float32Array.from(samples))), packets };""",
    )
    assert found["packets"] == []
    batch = AudioBatch.decode_payload(base64.b64decode(found["payload"]))
    assert (batch.sample_rate, batch.channels) == (RATE, 1)
    share, pitch = beeps((np.frombuffer(batch.samples, ">i4") / 2**31).astype(np.float32))
    assert 0.01 < share < 0.9
    assert 100 < pitch < 2000


@pytest.mark.thorough
def test_a_browser_that_refuses_other_rates_records_at_its_own(page: Page) -> None:
    found = run(
        page,
        """const create = AudioContext.prototype.createMediaStreamSource;
        let refused = 0;
        AudioContext.prototype.createMediaStreamSource = function (stream) {
          if (refused++ === 0) throw new DOMException("different rates", "NotSupportedError");
          return create.call(this, stream);
        };
        const { packets, microphone } = await t.voice();
        await t.until(() => packets.length >= 100);
        const rate = microphone._context.sampleRate;
        microphone.close();
        return { packets, rate, own: new AudioContext().sampleRate };""",
    )
    assert found["rate"] == found["own"]
    share, pitch = beeps(opus_sound(found["packets"]))
    assert 0.01 < share < 0.9
    assert 100 < pitch < 2000


@pytest.mark.thorough
def test_opening_twice_leaves_one_microphone(page: Page) -> None:
    found = run(
        page,
        """let open = 0;
        const close = AudioContext.prototype.close;
        AudioContext.prototype.close = function () { open--; return close.call(this); };
        const create = AudioContext.prototype.createMediaStreamSource;
        AudioContext.prototype.createMediaStreamSource = function (stream) {
          open++;
          return create.call(this, stream);
        };
        const packets = [];
        const microphone = new t.Microphone({ onOpus: (packet) => packets.push(packet), onSamples() {} });
        const opened = await Promise.all([microphone.open(), microphone.open(), microphone.open()]);
        await t.until(() => packets.length > 5);
        const during = open;
        microphone.close();
        return [opened.map((stream) => stream !== null), during, open];""",
    )
    assert found == [[False, False, True], 1, 0]


def test_mute_and_push_to_talk_send_nothing(page: Page) -> None:
    found = run(
        page,
        """const { packets, sending, microphone } = await t.voice();
        const track = microphone.stream.getTracks()[0];
        await t.until(() => packets.length >= 10);
        const counts = [];
        const settle = async () => {
          await t.sleep(300);
          const count = packets.length;
          await t.sleep(600);
          counts.push(packets.length - count);
        };
        microphone.setMuted(true);
        await settle();
        const last = packets.at(-1);
        const enabled = track.enabled;
        microphone.setMuted(false);
        const unmuted = packets.length;
        await t.until(() => packets.length > unmuted + 5);
        microphone.setPushToTalk(true);
        await settle();
        microphone.setTalking(true);
        const quiet = packets.length;
        await t.until(() => packets.length > quiet + 5);
        microphone.setTalking(false);
        await settle();
        microphone.close();
        return { counts, last, enabled, state: track.readyState, sending, isOn: microphone.isOn };""",
    )
    assert found["counts"] == [0, 0, 0]
    assert len(base64.b64decode(found["last"]["data"])) == 1, "a pause ends with an empty packet"
    assert found["last"]["duration"] == 20
    assert (found["enabled"], found["state"], found["isOn"]) == (False, "ended", False)
    assert found["sending"] == [True, False, True, False, True, False]


def tone_packets(seconds: float) -> list[str]:
    encoder = OpusEncoder()
    times = np.arange(int(seconds * RATE)) / RATE
    sound = (0.5 * np.sin(2 * np.pi * 440 * times)).astype(np.float32)
    packets = [encoder.encode(sound[start : start + 480]) for start in range(0, len(sound) - 479, 480)]
    return [base64.b64encode(packet).decode() for packet in packets]


def tone_samples(seconds: float) -> list[str]:
    times = np.arange(int(seconds * RATE)) / RATE
    sound = (0.5 * np.sin(2 * np.pi * 440 * times)).astype("<f4")
    return [base64.b64encode(part.tobytes()).decode() for part in sound.reshape(-1, 480)]


@pytest.mark.parametrize("is_opus", [True, pytest.param(False, marks=pytest.mark.thorough)], ids=["opus", "samples"])
def test_a_tone_with_jitter_is_heard_without_gaps(page: Page, is_opus: bool) -> None:
    delays = np.repeat(np.random.default_rng(1).uniform(0, 60, 50), 8).tolist()
    packets = tone_packets(10) if is_opus else tone_samples(10)
    found = run(
        page,
        "return await t.listen({ ...a, windows: 6 });",
        {"packets": packets, "delays": delays, "asSamples": not is_opus},
    )
    heard = [np.frombuffer(base64.b64decode(window), np.float32) for window in found["heard"]]
    assert found["statistics"]["errors"] == 0
    for sound in heard:
        assert abs(loudest_frequency(sound, found["rate"]) - 440) < 15
    # Other programs may delay the browser by any time, so only one of the windows has to be whole.
    levels = [np.sqrt(np.mean(sound[: 68 * 480].reshape(-1, 480) ** 2, axis=1)) for sound in heard]
    assert max(level.min() for level in levels) > 0.3
    steps = [np.abs(np.diff(sound)).max() for sound in heard]
    assert min(steps) < 0.04
    assert 20 <= found["statistics"]["targetMs"] <= 200
    assert found["statistics"]["bufferedMs"] < 500


@pytest.mark.thorough
def test_broken_packets_do_not_end_the_sound(page: Page) -> None:
    packets = tone_packets(8)
    packets[20:24] = [base64.b64encode(bytes([0xFF] * 40)).decode()] * 4
    found = run(page, "return await t.listen({ packets: a, delays: [0], windows: 2 });", packets)
    sound = np.frombuffer(base64.b64decode(found["heard"][-1]), np.float32)
    assert abs(loudest_frequency(sound, found["rate"]) - 440) < 15


@pytest.mark.thorough
def test_sound_waits_for_a_gesture(playwright: Playwright, address: str) -> None:
    arguments = [*SIMULATED, "--autoplay-policy=document-user-activation-required"]
    browser = playwright.chromium.launch(executable_path=CHROMIUM, args=arguments)
    page = browser.new_page()
    # Whatever playwright evaluates counts as a gesture. A script of the page does not.
    page.add_init_script(
        """addEventListener("DOMContentLoaded", async () => {
          const t = await import("/media_page.js");
          window.playback = new t.Playback({ onNeedsGesture: (needed) => console.log(`needs gesture: ${needed}`) });
          await playback.start();
          playback.pushSamples(new Float32Array(480));
          console.log(`started: ${playback.needsGesture}`);
        });"""
    )
    lines: list[str] = []
    page.on("console", lambda message: lines.append(message.text))
    with page.expect_console_message(lambda message: message.text.startswith("started")):
        page.goto(address)
    page.click("button")
    run(page, "await t.until(() => playback.statistics !== null);")
    page.evaluate("playback.close()")
    browser.close()
    assert [line for line in lines if "gesture:" in line or "started:" in line] == [
        "needs gesture: true",
        "started: true",
        "needs gesture: false",
    ]


def test_another_speaker_can_be_chosen(page: Page) -> None:
    found = run(
        page,
        """const microphone = (await t.voice()).microphone;
        const speakers = (await new t.Devices().list()).speaker;
        const playback = new t.Playback();
        playback.volume = 0.5;
        await playback.setOutput(speakers.at(-1).id);
        await playback.start();
        const sink = playback.context.sinkId;
        const failed = await playback.setOutput("not there").then(() => "", (error) => error.name);
        const result = { sink, wanted: speakers.at(-1).id, failed, can: t.Playback.canChooseOutput };
        playback.close();
        microphone.close();
        return result;""",
    )
    assert found["sink"] == found["wanted"]
    assert found["can"]
    assert found["failed"] == "NotFoundError"
