"""The client's options, except those for its source of pictures and its display."""

from __future__ import annotations

from dataclasses import dataclass

import click

from teleglyph.cli.option_groups import option
from teleglyph.cli.option_types import Bitrate, check_name, check_password, default_name, discovery_key_option
from teleglyph.client.address import DEFAULT_PORT
from teleglyph.client.call.connection import CallProtocol
from teleglyph.client.terminal.display import ViewPreferences


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class JoinOptions:
    """The server to join, and the identity to use."""

    port: int | None = option(
        "-p",
        "--port",
        table="network",
        type=click.IntRange(1, 65535),
        help=f"TCP port of the server.  [default: {DEFAULT_PORT}]",
    )
    room: str | None = option("--room", help="Call room to join; HOST/ROOM means the same.  [default: the lobby]")
    password: str | None = option(
        "--password",
        table="security",
        callback=check_password,
        help="Password of the call. Without it, you are asked if the server requires one. Set TELEGLYPH_PASSWORD "
        "instead to keep it out of the process list.",
    )
    key: str | None = option(
        "-K",
        "--key",
        table="security",
        metavar="FILE",
        help="Your private key (OpenSSH, Ed25519), or gpg:ID, for servers that only admit known keys.  "
        "[default: ~/.config/teleglyph/id_ed25519, if the server requires a key]",
    )
    server_key: str | None = option(
        "--server-key",
        table="security",
        metavar="KEYS",
        help="Only join a server that proves this public key: the key itself, a file, github:USER or gitlab:USER.",
    )
    accept_new_server: bool = option(
        "--accept-new-server",
        table="security",
        is_flag=True,
        help="Join and remember a new server without asking.",
    )
    encrypt: bool = option(
        "--encrypt/--no-encrypt",
        table="security",
        default=True,
        show_default=True,
        help="--no-encrypt only works if the server uses it, too.",
    )
    protocol: str = option(
        "--protocol",
        table="network",
        type=click.Choice([protocol.value for protocol in CallProtocol], case_sensitive=False),
        default=CallProtocol.AUTO.value,
        show_default=True,
        help="How to talk to the server: 2 is Teleglyph's secure link over TLS, acip is ascii-chat's protocol. auto "
        "tries the secure link first, and never gives it up for a server that has it.",
    )
    discovery: str | None = option(
        "--discovery",
        table="network",
        metavar="HOST",
        help="Discovery service that knows calls by their three-word names; NAME@HOST means the same.",
    )
    discovery_key: str | None = discovery_key_option()
    discovery_insecure: bool = option(
        "--discovery-insecure",
        table="security",
        is_flag=True,
        help="The discovery service is one of ascii-chat's: everybody on the way reads and can change what it says.",
    )
    name: str = option(
        "--name",
        table="network",
        default=default_name,
        show_default="your user name",
        callback=lambda _ctx, _param, value: check_name(value),
        help="Your name in the call, at most 31 bytes.",
    )

    def check(self, *, has_invitation: bool = False) -> None:
        """Check that these options fit together.

        Args:
            has_invitation: the address is a link with an invitation.

        Raises:
            click.UsageError: they contradict each other.
        """
        if has_invitation and (self.protocol == CallProtocol.ACIP.value or not self.encrypt):
            option = "--protocol acip" if self.encrypt else "--no-encrypt"
            raise click.UsageError(
                f"{option} cannot be combined with an invitation: only the secure link proves the server before it "
                f"gets the invitation. Remove {option}."
            )
        if self.password is not None and not self.encrypt:
            raise click.UsageError("--password needs encryption. Remove --no-encrypt.")
        if (self.key or self.server_key) and not self.encrypt:
            raise click.UsageError("--key and --server-key need encryption. Remove --no-encrypt.")
        if self.protocol == CallProtocol.LINK2.value and not self.encrypt:
            raise click.UsageError("--protocol 2 needs encryption. Remove --no-encrypt.")


@dataclass(frozen=True, slots=True, kw_only=True)
class VideoOptions:
    """Whether and how video is sent."""

    no_video: bool = option("--no-video", table="media", is_flag=True, help="Only watch; send no video.")
    video_codec: str = option(
        "--video-codec",
        table="media",
        type=click.Choice(["auto", "hevc", "raw"], case_sensitive=False),
        default="auto",
        show_default=True,
        help="Codec for your video; auto uses HEVC if its encoder is installed.",
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class AudioOptions:
    """Whether there is sound."""

    audio: bool = option("--audio/--no-audio", table="audio", default=True, show_default=True, help="Speak and listen.")
    sound_test: bool = option("--sound-test", is_flag=True, hidden=True, help="Use a silent sound card.")


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceOptions:
    """Which sound devices are used, and how."""

    microphone: int | None = option(
        "--microphone", table="audio", type=click.IntRange(0), help="Microphone number; see --list-microphones."
    )
    speakers: int | None = option(
        "--speakers", table="audio", type=click.IntRange(0), help="Speaker number; see --list-speakers."
    )
    push_to_talk: bool = option(
        "--push-to-talk", table="audio", is_flag=True, help="Speak only while you hold the space bar."
    )
    voice_processing: bool | None = option(
        "--voice-processing/--no-voice-processing",
        table="audio",
        default=None,
        help="Remove echo and noise from your voice and even out its level.  "
        "[default: if teleglyph[voice] is installed]",
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class ViewOptions:
    """The viewer's preferences."""

    max_bitrate: int = option(
        "--max-bitrate",
        type=Bitrate(),
        default="0",
        metavar="BITS",
        help="Maximum bit rate of what you see, in bits per second, such as 500k or 2M; 0 for no limit.",
    )
    no_self: bool = option("--no-self", is_flag=True, help="Hide your own picture.")
    mirror_self: bool = option("--mirror-self", is_flag=True, help="Mirror your own picture.")
    no_names: bool = option(
        "--no-names", is_flag=True, help="Show pictures only: no names, and no tiles for people without a camera."
    )

    def preferences(self) -> ViewPreferences:
        """The preferences to send to the server.

        Raises:
            click.UsageError: the options contradict each other.
        """
        if self.no_self and self.mirror_self:
            raise click.UsageError("--no-self and --mirror-self cannot be combined. Choose one.")
        return ViewPreferences(
            names=not self.no_names,
            own_picture=not self.no_self,
            mirrored=self.mirror_self,
            max_bitrate=self.max_bitrate,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class ReconnectOptions:
    """How often a lost connection is restored."""

    reconnect_attempts: int = option(
        "--reconnect-attempts",
        table="network",
        type=click.IntRange(-1, 99),
        default=-1,
        show_default=True,
        help="Attempts to restore a lost connection; -1 for no limit. A snapshot never reconnects.",
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class RecentOptions:
    """The list of recent calls."""

    remember: bool = option(
        "--remember/--no-remember",
        table="network",
        default=True,
        show_default=True,
        help="Add the call to your recent calls, which 'teleglyph client' lists without an address.",
    )
    forget_recent: bool = option("--forget-recent", is_flag=True, help="Forget your recent calls, and exit.")
