"""``teleglyph client``: joins a call."""

from __future__ import annotations

import asyncio
import os
import sys
import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import click
from click.core import ParameterSource

from teleglyph.cli.client_options import (
    AudioOptions,
    DeviceOptions,
    JoinOptions,
    RecentOptions,
    ReconnectOptions,
    VideoOptions,
    ViewOptions,
)
from teleglyph.cli.display_options import DisplayOptions
from teleglyph.cli.inputs import SoundDevices, open_sound, open_uplink
from teleglyph.cli.joining import join
from teleglyph.cli.lifecycle import run
from teleglyph.cli.logs import LogOptions
from teleglyph.cli.option_groups import source_of, with_options
from teleglyph.cli.option_types import ask_passphrase
from teleglyph.cli.questions import ask_secret, can_ask
from teleglyph.cli.source_options import Source, SourceOptions
from teleglyph.client.address import CallAddress, WebSocketAddress
from teleglyph.client.call.connection import CallProtocol, Credentials
from teleglyph.client.call.interactive import watch_call
from teleglyph.client.call.options import CallOptions
from teleglyph.client.call.pipe import pipe_call
from teleglyph.client.call.snapshot import snapshot_call
from teleglyph.client.link import parse_call, parse_service
from teleglyph.client.recent_calls import RecentCalls, recent_calls_file
from teleglyph.client.session_address import SessionAddress
from teleglyph.client.terminal.capabilities import Terminal, detect
from teleglyph.client.terminal.screen import restore_all
from teleglyph.client.trust import ServerTrust
from teleglyph.client.waiting import unless_stopped
from teleglyph.console import echo, write_frame
from teleglyph.discovery.service_trust import ServiceTrust
from teleglyph.errors import TeleglyphError
from teleglyph.keys import KnownHosts, load_identity, parse_public_keys
from teleglyph.media.soundcard import require_devices
from teleglyph.net import authority
from teleglyph.wire.acip import derive_password_key
from teleglyph.wire.invitation import Invitation

if TYPE_CHECKING:
    from teleglyph.client.call_choice import CallChoice

_MAX_LINK = 4096
"""Bytes of a link on standard input."""


@click.command(context_settings={"auto_envvar_prefix": "TELEGLYPH"})
@click.argument("address", required=False, envvar="TELEGLYPH_INVITATION")
@with_options(
    joining=JoinOptions,
    sources=SourceOptions,
    video=VideoOptions,
    sound=AudioOptions,
    devices=DeviceOptions,
    display=DisplayOptions,
    view=ViewOptions,
    reconnecting=ReconnectOptions,
    recent=RecentOptions,
)
@click.pass_obj
def client(
    logs: LogOptions,
    address: str | None,
    joining: JoinOptions,
    sources: SourceOptions,
    video: VideoOptions,
    sound: AudioOptions,
    devices: DeviceOptions,
    display: DisplayOptions,
    view: ViewOptions,
    reconnecting: ReconnectOptions,
    recent: RecentOptions,
) -> int:
    """Join a call.

    ADDRESS is the server: HOST, HOST:PORT, an IPv4 or IPv6 address, or [IPv6]:PORT. Without it, you choose from the
    calls on your network and those that you joined recently; if there are none, or no terminal, it is this machine.
    '/ROOM' after ADDRESS names a call room; without it you join the lobby. Three words, as in brave-otter-lamp, name a
    call that is nearby, or known to the service of --discovery; NAME@SERVICE names the service, too. A ws:// or wss://
    URL joins over WebSocket, also through the proxy that http_proxy or https_proxy names. A link from 'teleglyph
    invite' is an address, too. '-' reads it from standard input, and TELEGLYPH_INVITATION may hold it, to keep it out
    of the process list. In the call, press q to quit and ? to see the other keys.
    """
    recent_calls = RecentCalls(recent_calls_file())
    if recent.forget_recent:
        return _forget(recent_calls)
    source = sources.source()
    preferences = view.preferences()
    if video.no_video and not source.is_default:
        raise click.UsageError(
            "--no-video cannot be combined with --file, --test-pattern, --pattern or --webcam-index."
        )
    interactive = sys.stdout.isatty() and not display.snapshot
    logs.apply(console=not interactive)
    service = parse_service(joining.discovery) if joining.discovery else None
    text = _read_address(address, source)
    picked: CallChoice | None = None
    if text is None and interactive:
        # Imported here, because a call with an address does not need these libraries.
        from teleglyph.cli.choosing import choose, may_choose

        if may_choose(joining):
            joining.check()
            picked = choose(recent_calls, joining)
            if picked is None:
                return 0
    if picked is None or picked.address is None:  # this machine, on the port of the options
        where, invitation = parse_call(text, joining.port, joining.room, service)
    else:
        where, invitation = parse_call(picked.address, service=service)
    joining.check(has_invitation=invitation is not None)
    is_silent_guest = invitation is not None and invitation.view_only and source.is_default
    if isinstance(where, SessionAddress) and joining.protocol == CallProtocol.ACIP.value:
        raise click.UsageError(f"--protocol acip cannot be combined with {where}: calls by name use the secure link.")
    if isinstance(where, WebSocketAddress) and joining.protocol == CallProtocol.LINK2.value:
        raise click.UsageError(f"--protocol 2 cannot be combined with {where}: the secure link has no URL. Write HOST.")
    terminal = detect(os.environ, ask=interactive)
    if interactive:
        terminal.require_cursor()
    options = CallOptions(
        address=where,
        credentials=_credentials(joining, where, invitation, None if picked is None else picked.identity),
        display=display.display(terminal, whole_screen=not interactive),
        fixed_size=display.fixed_size,
        reconnect_attempts=reconnecting.reconnect_attempts,
        preferences=preferences,
    )
    if recent.remember:
        name = "" if picked is None else picked.name
        options = replace(options, on_joined=lambda: recent_calls.add(where.as_typed, name, time.time()))
    chosen = None
    if _wants_sound(sound, devices, display, source, interactive=interactive):
        chosen = _sound_devices(sound, devices, source)
    # The camera stays off if nobody can see its picture.
    sent = None if video.no_video or is_silent_guest else source
    job = _Job(options, terminal, display, sent, video.video_codec, chosen)

    def attempt(credentials: Credentials) -> int:
        return run(replace(job, options=replace(options, credentials=credentials)).run, restore_all)

    return join(attempt, where, options.credentials, _describe_source("password"))


def _read_address(address: str | None, source: Source) -> str | None:
    """The address; read from standard input if it is ``-``."""
    if address != "-":
        return address
    if source.file == "-":
        raise click.UsageError("'-' reads the link from standard input, so --file - cannot read it, too.")
    text = ask_secret("Link") if can_ask() else sys.stdin.buffer.readline(_MAX_LINK).decode("ascii", "replace")
    if not text.strip():
        raise click.UsageError("There is no link on standard input. Write it there, or instead of '-'.")
    return text.strip()


def _forget(recent_calls: RecentCalls) -> int:
    if _is_typed("address"):
        raise click.UsageError("--forget-recent takes no ADDRESS: it forgets all recent calls.")
    count = recent_calls.forget()
    echo(f"Forgot {count} recent call{'' if count == 1 else 's'}.", err=True)
    return 0


def _credentials(
    joining: JoinOptions, where: CallAddress, invitation: Invitation | None, announced: bytes | None
) -> Credentials:
    # A WebSocket has no secure link, so its URL asks for ACIP.
    is_acip = joining.protocol == CallProtocol.ACIP.value or isinstance(where, WebSocketAddress)
    protocol = CallProtocol(joining.protocol)
    return Credentials(
        joining.name,
        derive_password_key(joining.password) if joining.password else None,
        load_identity(joining.key, ask_passphrase) if joining.key else None,
        _trust(joining, announced, is_acip=is_acip) if joining.encrypt else None,
        joining.encrypt,
        protocol,
        invitation,
        _service_trust(joining, where).check if isinstance(where, SessionAddress) else None,
        joining.discovery_insecure,
    )


def _service_trust(joining: JoinOptions, where: SessionAddress) -> ServiceTrust:
    name = "" if where.service is None else authority(*where.service)
    return ServiceTrust.of_user(name, joining.discovery_key, lambda text: echo(f"teleglyph: {text}", err=True))


def _trust(joining: JoinOptions, announced: bytes | None, *, is_acip: bool) -> ServerTrust:
    pinned = parse_public_keys(joining.server_key) if joining.server_key else []
    return ServerTrust(
        KnownHosts(),
        pinned,
        accept_new=joining.accept_new_server,
        allows_downgrade=is_acip,
        announced=announced,
        on_new=lambda text: echo(f"teleglyph: {text}", err=True),
    )


def _wants_sound(
    sound: AudioOptions, devices: DeviceOptions, display: DisplayOptions, source: Source, *, interactive: bool
) -> bool:
    """Whether to open sound devices.

    Raises:
        click.UsageError: the options contradict each other.
        SoundError: a chosen device is missing.
    """
    names_device = devices.microphone is not None or devices.speakers is not None
    if not sound.audio and _is_typed("audio") and (_is_typed("microphone") or _is_typed("speakers")):
        raise click.UsageError("--no-audio cannot be combined with --microphone or --speakers.")
    if sound.audio and names_device and not sound.sound_test:
        require_devices(devices.microphone, devices.speakers)
    # When writing to a pipe, the microphone stays closed unless it was requested.
    has_listener = interactive or sound.sound_test or names_device or source.file is not None
    return sound.audio and not display.snapshot and has_listener


def _sound_devices(sound: AudioOptions, devices: DeviceOptions, source: Source) -> SoundDevices:
    return SoundDevices(
        microphone=devices.microphone,
        speakers=devices.speakers,
        push_to_talk=devices.push_to_talk,
        process_voice=devices.voice_processing,
        is_silent=sound.sound_test,
        film=_title(source.file),
    )


def _title(file: str | None) -> str:
    """What people call a file; empty for none."""
    if file is None:
        return ""
    return "standard input" if file == "-" else os.path.basename(file) or file


def _describe_source(parameter: str) -> str:
    """Where a parameter's value comes from, for people; empty for the default."""
    sources = {
        ParameterSource.COMMANDLINE: f"--{parameter}",
        ParameterSource.ENVIRONMENT: f"TELEGLYPH_{parameter.upper()}",
        ParameterSource.DEFAULT_MAP: "the configuration file",
    }
    source = source_of(parameter)
    return sources.get(source, "") if source is not None else ""


def _is_typed(parameter: str) -> bool:
    return source_of(parameter) is ParameterSource.COMMANDLINE


@dataclass(frozen=True, slots=True)
class _Job:
    """One run of the command on an event loop."""

    options: CallOptions
    terminal: Terminal
    display: DisplayOptions
    source: Source | None
    codec: str
    devices: SoundDevices | None

    async def run(self, stop: asyncio.Event) -> int:
        sound, missing = await open_sound(self.devices)
        on_sound = sound.capture if sound is not None and self.devices is not None and self.devices.film else None
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
        options = replace(self.options, sound=sound, no_sound=missing or self.options.no_sound)
        notice = " ".join(filter(None, (notice, missing)))
        try:
            if self.display.snapshot:
                frame = await snapshot_call(self.options, uplink, self.display.delay, stop)
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
