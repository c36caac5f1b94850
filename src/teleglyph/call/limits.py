"""Every number that bounds what a call's participant may do or cost, in one place."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class CallLimits:
    """Limits of one server's calls; times in seconds."""

    max_participants: int = 32
    handshake_timeout: float = 5.0
    """For the whole handshake; peers of ascii-chat give each step one second."""
    challenge_timeout: float = 60.0
    """From AUTH_CHALLENGE to its answer: ascii-chat's client asks its user for the password in between."""
    challenged_per_address: int = 4
    """Peers of one address that may take so long at once; ``handshake_timeout`` applies to the others."""
    challenged_total: int = 64
    """The same from everywhere."""
    capabilities_timeout: float = 5.0
    """From the end of the handshake to the first CLIENT_CAPABILITIES."""
    silence_timeout: float = 5.0
    """Without a single byte, while peers have to send something every second."""
    packet_timeout: float = 20.0
    """Without a complete packet: nobody gets to hold a place with one byte a second."""
    stall_timeout: float = 30.0
    """A peer that takes no bytes for so long has stopped reading."""
    keepalive: float = 0.3
    """ascii-chat's client closes a connection after 1.0 s of silence (docs/protocol/messages.md#signs-of-life)."""
    frames_per_second: float = 144.0
    """Pictures accepted from one participant; more are dropped unseen."""
    audio_packets_per_second: float = 200.0
    """Packets of sound accepted from one participant; more are dropped unheard."""
    decode_queue_bytes: int = 2 << 20
    """Compressed pictures that may wait for one participant's decoder."""
    decode_queue_packets: int = 60
    max_picture_pixels: int = 4096 * 2160
    decoder_bytes: int = 768 << 20
    """Memory that all senders' decoders may come to hold, at 17 pictures of 2.25 bytes a pixel for each."""
    decoder_bytes_each: int = 384 << 20
    """The same for one sender; enough for the largest picture."""
    decoder_share: float = 0.5
    """CPU seconds a second that decoding one sender's pictures may take; more are dropped up to a keyframe."""
    decoder_burst: float = 0.5
    """CPU seconds that it may take at once after a pause."""
    quick_decoder_share: float = 0.2
    """CPU seconds a second up to which a sender's pictures are decoded together with everybody's; beyond it, they go to
    the process for those who cost much, where only others like them wait for each other."""
    quick_decoder_burst: float = 0.1
    decoder_patience: float = 2.0
    """For one picture; a decoder's process that takes longer is killed."""
    decoder_deaths: int = 3
    """Deaths of a decoder's process over one participant's pictures, after which the participant is refused."""
    max_view_cells: int = 160_000
    """Terminal cells drawn for one viewer; a larger terminal gets a smaller picture, because a frame of more cells
    cannot be put into one encrypted packet (1 MiB) even in 16 colours."""
    max_screen_cells: int = 120_000
    """The same for viewers of our own kind: a whole screen of so many characters fits into one update."""
