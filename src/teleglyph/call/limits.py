"""Every limit of what a participant of a call may do or cost."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class WebSocketTimeouts:
    """How long a call waits for a peer over WebSocket, in seconds; a page in the background sends nothing by itself."""

    ping_after: float = 5.0
    """Silence after which the peer is pinged; any WebSocket library answers."""
    silence_timeout: float = 20.0
    """Silence, even after pings, after which the peer counts as gone."""
    stall_timeout: float = 30.0
    """A peer that takes no bytes for this long has stopped reading."""


@dataclass(frozen=True, slots=True)
class CallLimits:
    """Limits of one server's calls; times in seconds."""

    max_participants: int = 32
    handshake_timeout: float = 5.0
    """Seconds for the whole handshake; peers of ascii-chat give each step one second."""
    challenge_timeout: float = 60.0
    """From AUTH_CHALLENGE to its answer: ascii-chat's client prompts for the password in between."""
    challenged_per_address: int = 4
    """Peers of one address that may take that long at once; ``handshake_timeout`` applies to the others."""
    challenged_total: int = 64
    """The same for all addresses together."""
    capabilities_timeout: float = 5.0
    """From the end of the handshake to the first CLIENT_CAPABILITIES."""
    silence_timeout: float = 5.0
    """Seconds without a single byte; peers have to send something every second."""
    packet_timeout: float = 20.0
    """Seconds without a complete packet: one byte per second does not hold a place."""
    stall_timeout: float = 30.0
    """A peer that takes no bytes for this long has stopped reading."""
    keepalive: float = 0.3
    """ascii-chat's client drops a connection after 1.0 s without a byte (docs/protocol/messages.md#signs-of-life)."""
    websocket: WebSocketTimeouts = WebSocketTimeouts()
    """In place of ``silence_timeout``, ``stall_timeout`` and ``keepalive`` for peers over WebSocket."""
    frames_per_second: float = 144.0
    """Pictures accepted from one sender; more are dropped unseen."""
    audio_packets_per_second: float = 200.0
    """Sound packets accepted from one participant; more are dropped unheard."""
    decode_queue_bytes: int = 2 << 20
    """Compressed pictures that may wait for one sender's decoder."""
    decode_queue_packets: int = 60
    max_picture_pixels: int = 4096 * 2160
    decoder_bytes: int = 768 << 20
    """Memory for the decoders of all senders (docs/security.md#compressed-pictures)."""
    decoder_bytes_each: int = 384 << 20
    """The same for one sender; enough for the largest picture of every codec but H.264."""
    decoder_share: float = 0.5
    """CPU seconds per second for decoding one sender's pictures; more are dropped up to a keyframe."""
    decoder_burst: float = 0.5
    """CPU seconds that decoding may take at once after a pause."""
    quick_decoder_share: float = 0.2
    """CPU seconds per second up to which a sender is decoded together with everybody.  Above, it moves to the process
    for expensive senders, which wait only for each other."""
    quick_decoder_burst: float = 0.1
    decoder_timeout: float = 2.0
    """Seconds for one picture; a decoding process that takes longer is killed."""
    decoder_deaths: int = 3
    """Deaths of a decoding process over one sender's pictures, after which the sender is disconnected."""
    max_view_cells: int = 160_000
    """Terminal cells drawn for one viewer of text.  A larger terminal gets a smaller picture, because a frame of more
    cells does not fit into one encrypted packet (1 MiB) even in 16 colours."""
    max_screen_cells: int = 120_000
    """The same for viewers of our own kind: a full frame of this many cells fits into one SCREEN_UPDATE."""
