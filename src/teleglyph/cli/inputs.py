"""Opens what a client sends: its source of pictures and its sound devices."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

from teleglyph.cli.source_options import Source
from teleglyph.client.call.sound import CallSound
from teleglyph.client.call.uplink import Codec, Uplink
from teleglyph.errors import CameraError, NotSupportedError, SoundError
from teleglyph.media.opus import Samples


@dataclass(frozen=True, slots=True, kw_only=True)
class SoundDevices:
    """Which sound devices to use.

    Attributes:
        microphone: its number; None for the system's default.
        speakers: likewise.
        push_to_talk: the microphone is muted unless a key is held.
        process_voice: remove echo and noise; None if the optional part for it is installed.
        is_silent: use a sound card that is only a clock.
        film: the file whose sound is sent instead of the microphone's, as people call it; empty for none.
    """

    microphone: int | None = None
    speakers: int | None = None
    push_to_talk: bool = False
    process_voice: bool | None = None
    is_silent: bool = False
    film: str = ""


async def open_sound(devices: SoundDevices | None) -> tuple[CallSound | None, str]:
    """Open the sound devices.

    Returns:
        The sound, or None if there is neither a microphone nor a speaker; and a sentence about what is missing.

    Raises:
        SoundError: a chosen device cannot be opened.
        NotSupportedError: voice processing was requested but is not installed.
    """
    if devices is None:
        return None, ""
    sound = CallSound(push_to_talk=devices.push_to_talk, film=devices.film)
    if devices.process_voice is not False and not devices.film:
        has_voice = await asyncio.to_thread(sound.process_voice)
        if devices.process_voice and not has_voice:
            raise NotSupportedError(
                "--voice-processing needs an optional package. Install it with: pip install 'teleglyph[voice]'"
            )
    try:
        missing = await asyncio.to_thread(
            sound.open, microphone=devices.microphone, speakers=devices.speakers, silent=devices.is_silent
        )
    except SoundError:
        sound.close()
        raise
    return (sound if sound.can_speak or sound.can_hear else None), missing


async def open_uplink(
    source: Source | None, codec_name: str, on_sound: Callable[[Samples], None] | None = None
) -> tuple[Uplink | None, str]:
    """Open the source of pictures.

    Args:
        source: the chosen source; None sends no pictures.
        codec_name: ``auto``, ``hevc`` or ``raw``.
        on_sound: gets the sound of a file.

    Returns:
        The uplink, or None and a sentence about it if no source was chosen and there is no camera.

    Raises:
        LocalError, UserError: the chosen source cannot be opened.
    """
    if source is None:
        return None, ""
    codec = await asyncio.to_thread(_choose_codec, codec_name)
    uplink = Uplink(source.opener(codec, on_sound), codec)
    try:
        await uplink.open()
    except CameraError as error:
        uplink.close()
        if not source.is_default:
            raise
        return None, f"Others cannot see you: {str(error).removesuffix('.')}."
    return uplink, ""


def _choose_codec(name: str) -> Codec:
    if name == "raw":
        return Codec.RAW
    from teleglyph.media.hevc import hevc_available

    if hevc_available():
        return Codec.HEVC
    if name == "hevc":
        raise NotSupportedError("This installation of PyAV has no HEVC encoder. Use --video-codec raw.")
    return Codec.RAW
