"""The numbers of all ACIP packet types (docs/protocol/messages.md#packet-types)."""

from __future__ import annotations

import enum


class PacketType(enum.IntEnum):
    """Packet types of ACIP version 1; those from 6000 on belong to session discovery.

    3003, 3100, 3101 and 5100 to 5103 are Teleglyph's own and need a :class:`Feature` on both sides.  1300 to 1303 are
    the handshake of link 2, 1310 and 1311 that of the page.  6110 to 6116 are Teleglyph's own part of discovery.
    """

    PROTOCOL_VERSION = 1
    CRYPTO_CLIENT_HELLO = 1000
    CRYPTO_CAPABILITIES = 1100
    CRYPTO_PARAMETERS = 1101
    CRYPTO_KEY_EXCHANGE_INIT = 1102
    CRYPTO_KEY_EXCHANGE_RESP = 1103
    CRYPTO_AUTH_CHALLENGE = 1104
    CRYPTO_AUTH_RESPONSE = 1105
    CRYPTO_AUTH_FAILED = 1106
    CRYPTO_SERVER_AUTH_RESP = 1107
    CRYPTO_HANDSHAKE_COMPLETE = 1108
    CRYPTO_NO_ENCRYPTION = 1109
    ENCRYPTED = 1200
    CRYPTO_REKEY_REQUEST = 1201
    CRYPTO_REKEY_RESPONSE = 1202
    CRYPTO_REKEY_COMPLETE = 1203
    LINK_HELLO = 1300
    LINK_CHALLENGE = 1301
    LINK_PROOF = 1302
    LINK_WELCOME = 1303
    PAGE_HELLO = 1310
    PAGE_WELCOME = 1311
    SIZE_MESSAGE = 2000
    AUDIO_MESSAGE = 2001
    TEXT_MESSAGE = 2002
    ERROR_MESSAGE = 2003
    REMOTE_LOG = 2004
    ASCII_FRAME = 3000
    IMAGE_FRAME = 3001
    IMAGE_FRAME_H265 = 3002
    CODED_PICTURE = 3003
    SCREEN_UPDATE = 3100
    SCREEN_ACK = 3101
    AUDIO_BATCH = 4000
    AUDIO_OPUS_BATCH = 4001
    CLIENT_CAPABILITIES = 5000
    PING = 5001
    PONG = 5002
    CLIENT_JOIN = 5003
    CLIENT_LEAVE = 5004
    STREAM_START = 5005
    STREAM_STOP = 5006
    CLEAR_CONSOLE = 5007
    SERVER_STATE = 5008
    VIEW_SETTINGS = 5100
    PICTURE_REQUEST = 5101
    VIEW_STATE = 5102
    ROSTER = 5103
    SESSION_CREATE = 6000
    SESSION_CREATED = 6001
    SESSION_LOOKUP = 6002
    SESSION_INFO = 6003
    SESSION_JOIN = 6004
    SESSION_JOINED = 6005
    SESSION_LEAVE = 6006
    SESSION_END = 6007
    SESSION_RECONNECT = 6008
    WEBRTC_SDP = 6009
    WEBRTC_ICE = 6010
    STRING_RESERVE = 6020
    STRING_RESERVED = 6021
    STRING_RENEW = 6022
    STRING_RELEASE = 6023
    PARTICIPANT_LIST = 6050
    RING_COLLECT = 6051
    NETWORK_QUALITY = 6060
    HOST_ANNOUNCEMENT = 6061
    HOST_DESIGNATED = 6062
    SETTINGS_SYNC = 6063
    SETTINGS_ACK = 6064
    HOST_LOST = 6065
    FUTURE_HOST_ELECTED = 6066
    PARTICIPANT_JOINED = 6067
    PARTICIPANT_LEFT = 6068
    BANDWIDTH_TEST = 6070
    BANDWIDTH_RESULT = 6071
    BROADCAST_ACK = 6075
    RING_MEMBERS = 6100
    STATS_COLLECTION_START = 6101
    STATS_UPDATE = 6102
    RING_ELECTION_RESULT = 6103
    STATS_ACK = 6104
    RENDEZVOUS = 6110
    ICE_SERVERS = 6111
    WAYS = 6112
    WAYS_OFFER = 6113
    WAYS_ANSWER = 6114
    NAT_PROBE = 6115
    NAT_PROBED = 6116
    DISCOVERY_PING = 6190
    ACIP_ERROR = 6199


REKEY_TYPES = frozenset(
    {
        PacketType.CRYPTO_REKEY_REQUEST,
        PacketType.CRYPTO_REKEY_RESPONSE,
        PacketType.CRYPTO_REKEY_COMPLETE,
    }
)
"""A new key within a session.  No ascii-chat program completes it (docs/protocol/handshake.md#rekeying)."""

HANDSHAKE_TYPES = (
    frozenset(kind for kind in PacketType if PacketType.CRYPTO_CAPABILITIES <= kind <= PacketType.CRYPTO_NO_ENCRYPTION)
    | {PacketType.CRYPTO_CLIENT_HELLO}
    | {kind for kind in PacketType if PacketType.LINK_HELLO <= kind <= PacketType.PAGE_WELCOME}
    | REKEY_TYPES
)
"""Types that are never encrypted (docs/protocol/messages.md#never-encrypted)."""


def name_of(number: int) -> str:
    """A packet type for messages: ``PING (5001)``, or ``type 7`` if the number has no name."""
    try:
        return f"{PacketType(number).name} ({number})"
    except ValueError:
        return f"type {number}"
