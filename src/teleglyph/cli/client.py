"""``teleglyph client``: joins a call."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Callable
from dataclasses import dataclass, replace

import click
from click.core import ParameterSource

from teleglyph.cli.joining import join
from teleglyph.cli.lifecycle import run
from teleglyph.cli.logs import LogOptions
from teleglyph.cli.options import (
    Bitrate,
    DisplayOptions,
    SourceOptions,
    ask_passphrase,
    check_name,
    check_password,
    default_name,
    display_options,
    source_options,
)
from teleglyph.client.address import DEFAULT_PORT, parse_address
from teleglyph.client.call.connection import Credentials
from teleglyph.client.call.interactive import watch_call
from teleglyph.client.call.options import CallOptions
from teleglyph.client.call.pipe import pipe_call
from teleglyph.client.call.snapshot import snapshot_call
from teleglyph.client.call.sound import CallSound
from teleglyph.client.call.uplink import Codec, Uplink
from teleglyph.client.terminal.capabilities import Terminal, detect
from teleglyph.client.terminal.display import ViewPreferences
from teleglyph.client.terminal.screen import restore_all
from teleglyph.client.trust import ServerTrust
from teleglyph.client.waiting import unless_stopped
from teleglyph.console import echo, write_frame
from teleglyph.errors import (
    CameraError,
    NotSupportedError,
    SoundError,
    TeleglyphError,
)
from teleglyph.keys import KnownHosts, load_identity, parse_public_keys
from teleglyph.media.opus import Samples
from teleglyph.media.soundcard import require_devices
from teleglyph.wire.acip import derive_password_key


@click.command(context_settings={"auto_envvar_prefix": "TELEGLYPH"})
@click.argument("address", required=False)
@click.option(
    "-p",
    "--port",
    type=click.IntRange(1, 65535),
    envvar="TELEGLYPH_PORT",
    help=f"TCP port of the server.  [default: {DEFAULT_PORT}]",
)
@click.option(
    "--password",
    callback=check_password,
    envvar="TELEGLYPH_PASSWORD",
    help="Password of the call. Without it you are asked when the server wants one; the environment variable "
    "TELEGLYPH_PASSWORD keeps it out of the process list.",
)
@click.option(
    "-K",
    "--key",
    metavar="FILE",
    envvar="TELEGLYPH_KEY",
    help="Your private key (OpenSSH, Ed25519), or gpg:ID, for servers that only let known keys in. "
    "[default: ~/.config/teleglyph/id_ed25519, if the server asks for a key]",
)
@click.option(
    "--server-key",
    metavar="KEYS",
    envvar="TELEGLYPH_SERVER_KEY",
    help="Only join a server that proves this public key: the key itself, a file, github:USER or gitlab:USER.",
)
@click.option(
    "--accept-new-server",
    is_flag=True,
    envvar="TELEGLYPH_ACCEPT_NEW_SERVER",
    help="Join and remember a new server without asking.",
)
@click.option(
    "--encrypt/--no-encrypt",
    default=True,
    show_default=True,
    envvar="TELEGLYPH_ENCRYPT",
    help="--no-encrypt only works with a server that is started with it, too.",
)
@click.option(
    "--name",
    default=default_name,
    show_default="your user name",
    callback=lambda _ctx, _param, value: check_name(value),
    help="What the others call you, at most 31 bytes.",
)
@source_options
@click.option("--no-video", is_flag=True, help="Watch only: send no picture.")
@click.option(
    "--video-codec",
    type=click.Choice(["auto", "hevc", "raw"], case_sensitive=False),
    default="auto",
    show_default=True,
    help="How your picture travels; auto: HEVC where its encoder is installed.",
)
@click.option("--audio/--no-audio", default=True, show_default=True, help="Speak and listen.")
@click.option("--microphone", type=click.IntRange(0), help="Which microphone; see --list-microphones.")
@click.option("--speakers", type=click.IntRange(0), help="Which loudspeakers; see --list-speakers.")
@click.option("--push-to-talk", is_flag=True, help="Speak only while the space bar is held.")
@click.option(
    "--voice-processing/--no-voice-processing",
    default=None,
    help="Take echo and noise out of your voice and even its level.  [default: if teleglyph[voice] is installed]",
)
@click.option("--sound-test", is_flag=True, hidden=True, help="A sound card that is only a clock.")
@display_options
@click.option(
    "--max-bitrate",
    type=Bitrate(),
    default="0",
    metavar="BITS",
    help="The most that what you see may take of your connection, in bits a second, as in 500k or 2M; 0: no limit.",
)
@click.option("--no-self", is_flag=True, help="Leave your own picture out of what you see.")
@click.option("--mirror-self", is_flag=True, help="See your own picture as in a mirror.")
@click.option("--no-names", is_flag=True, help="Only pictures: no names, and no places for those without a camera.")
@click.option(
    "--reconnect-attempts",
    type=click.IntRange(-1, 99),
    default=-1,
    show_default=True,
    help="After a lost connection; -1: for ever. A snapshot never tries again.",
)
@click.pass_obj
def client(
    logs: LogOptions,
    address: str | None,
    port: int | None,
    password: str | None,
    key: str | None,
    server_key: str | None,
    accept_new_server: bool,
    encrypt: bool,
    name: str,
    source_options: SourceOptions,
    no_video: bool,
    video_codec: str,
    audio: bool,
    microphone: int | None,
    speakers: int | None,
    push_to_talk: bool,
    voice_processing: bool | None,
    sound_test: bool,
    display_options: DisplayOptions,
    max_bitrate: int,
    no_self: bool,
    mirror_self: bool,
    no_names: bool,
    reconnect_attempts: int,
) -> int:
    """Join a call.

    ADDRESS is the server: HOST, HOST:PORT, an IPv4 or IPv6 address, or [IPv6]:PORT; this machine without one.
    Keys while you are in: q quits, ? shows the others.
    """
    where = parse_address(address, port)
    if password is not None and not encrypt:
        raise click.UsageError("--password needs encryption: leave --no-encrypt out")
    if (key or server_key) and not encrypt:
        raise click.UsageError("--key and --server-key need encryption: leave --no-encrypt out")
    if no_self and mirror_self:
        raise click.UsageError("--no-self contradicts --mirror-self")
    if no_video and not source_options.is_default:
        raise click.UsageError("--no-video contradicts --file, --test-pattern, --pattern and --webcam-index")
    interactive = sys.stdout.isatty() and not display_options.snapshot
    logs.apply(console=not interactive)
    terminal = detect(os.environ, ask=interactive)
    if interactive:
        terminal.require_cursor()
    options = CallOptions(
        address=where,
        credentials=Credentials(
            name,
            derive_password_key(password) if password else None,
            load_identity(key, ask_passphrase) if key else None,
            trust_for(server_key, accept_new_server) if encrypt else None,
            encrypt,
        ),
        display=display_options.display(terminal, whole_screen=not interactive),
        fixed_size=display_options.fixed_size,
        reconnect_attempts=reconnect_attempts,
        preferences=ViewPreferences(
            names=not no_names, own_picture=not no_self, mirrored=mirror_self, max_bitrate=max_bitrate
        ),
    )
    film = _name_of(source_options.file)
    names_device = microphone is not None or speakers is not None
    if not audio and _is_typed("audio") and (_is_typed("microphone") or _is_typed("speakers")):
        raise click.UsageError("--no-audio contradicts --microphone and --speakers")
    # Into a pipe, a microphone is not opened by itself.
    wants_sound = audio and not display_options.snapshot and (interactive or sound_test or names_device or bool(film))
    sound = None
    if wants_sound:
        sound = SoundOptions(microphone, speakers, push_to_talk, voice_processing, sound_test, film)
    if audio and names_device and not sound_test:
        require_devices(microphone, speakers)
    job = _Job(options, terminal, display_options, None if no_video else source_options, video_codec, sound)

    def attempt(credentials: Credentials) -> int:
        return run(replace(job, options=replace(options, credentials=credentials)).run, restore_all)

    return join(attempt, where, options.credentials, _source_of("password"))


def _source_of(parameter: str) -> str:
    """Where a parameter's value comes from, for people; empty if it has none."""
    sources = {
        ParameterSource.COMMANDLINE: f"--{parameter}",
        ParameterSource.ENVIRONMENT: f"TELEGLYPH_{parameter.upper()}",
        ParameterSource.DEFAULT_MAP: "the configuration file",
    }
    source = click.get_current_context().get_parameter_source(parameter)
    return sources.get(source, "") if source is not None else ""


def trust_for(server_key: str | None, accept_new: bool) -> ServerTrust:
    """How to decide about servers.

    Raises:
        ConfigurationError, KeyFetchError: ``server_key`` names no key.
    """
    pinned = parse_public_keys(server_key) if server_key else []
    return ServerTrust(
        KnownHosts(), pinned, accept_new=accept_new, on_new=lambda text: echo(f"teleglyph: {text}", err=True)
    )


@dataclass(frozen=True, slots=True)
class _Job:
    """One run of the command on an event loop."""

    options: CallOptions
    terminal: Terminal
    display: DisplayOptions
    source: SourceOptions | None
    codec: str
    sound: SoundOptions | None

    async def run(self, stop: asyncio.Event) -> int:
        sound, deaf = await open_sound(self.sound)
        on_sound = sound.capture if sound is not None and self.sound is not None and self.sound.film else None
        try:
            opened = await unless_stopped(open_uplink(self.source, self.codec, on_sound), stop)
        except TeleglyphError:
            if sound is not None:
                sound.close()
            raise
        if opened is None:
            if sound is not None:
                sound.close()
            return 0
        uplink, notice = opened
        options = replace(self.options, sound=sound, no_sound=deaf or self.options.no_sound)
        notice = " ".join(filter(None, (notice, deaf)))
        try:
            if self.display.snapshot:
                frame = await snapshot_call(self.options, uplink, self.display.snapshot_delay, stop)
                if frame is not None:
                    write_frame(frame)
                return 0
            if self.terminal.interactive:
                return await watch_call(options, self.terminal, uplink, stop, notice)
            if notice:
                echo(f"teleglyph: {notice}", err=True)
            return await pipe_call(options, uplink, stop)
        finally:
            if sound is not None:
                sound.close()
            if uplink is not None:
                uplink.close()


@dataclass(frozen=True, slots=True)
class SoundOptions:
    """Which sound devices to use; None is the system's choice."""

    microphone: int | None
    speakers: int | None
    push_to_talk: bool
    process_voice: bool | None = None
    """Echo cancellation and the like; None is yes if it is installed."""
    silent: bool = False
    film: str = ""
    """The film whose sound is sent, not a microphone's."""


def _is_typed(parameter: str) -> bool:
    """Whether an option is on the command line, and not only in the environment or the configuration file."""
    return click.get_current_context().get_parameter_source(parameter) is ParameterSource.COMMANDLINE


def _name_of(file: str | None) -> str:
    """What people call the file that is sent; empty for none."""
    if file is None:
        return ""
    return "standard input" if file == "-" else os.path.basename(file) or file


async def open_sound(options: SoundOptions | None) -> tuple[CallSound | None, str]:
    """Open the sound card; returns None if there is nothing to speak with or to hear with, and what is missing.

    Raises:
        SoundError: a device that was asked for cannot be opened.
        NotSupportedError: voice processing was asked for and is not installed.
    """
    if options is None:
        return None, ""
    sound = CallSound(push_to_talk=options.push_to_talk, film=options.film)
    if options.process_voice is not False and not options.film:
        has_voice = await asyncio.to_thread(sound.process_voice)
        if options.process_voice and not has_voice:
            raise NotSupportedError("--voice-processing needs an optional part: pip install 'teleglyph[voice]'")
    try:
        missing = await asyncio.to_thread(
            sound.open, microphone=options.microphone, speakers=options.speakers, silent=options.silent
        )
    except SoundError:
        sound.close()
        raise
    return (sound if sound.can_speak or sound.can_hear else None), missing


async def open_uplink(
    source: SourceOptions | None, codec_name: str, on_sound: Callable[[Samples], None] | None = None
) -> tuple[Uplink | None, str]:
    """Open the picture source; None, and why, if there is only no camera where none was asked for.

    Args:
        source: what the user asked for; None sends no picture.
        codec_name: ``auto``, ``hevc`` or ``raw``.
        on_sound: gets the sound of a file.

    Raises:
        LocalError, UserError: the source that was asked for cannot be opened.
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
        return None, f"You are not seen: {str(error).removesuffix('.')}."
    return uplink, ""


def _choose_codec(name: str) -> Codec:
    if name == "raw":
        return Codec.RAW
    from teleglyph.media.hevc import hevc_available

    if hevc_available():
        return Codec.HEVC
    if name == "hevc":
        raise NotSupportedError("There is no HEVC encoder in this installation of PyAV: use --video-codec raw")
    return Codec.RAW
