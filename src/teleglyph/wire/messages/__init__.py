"""The content of every packet type of a call, as frozen dataclasses.

Each knows its packet type, writes its payload and parses it with all the checks of the protocol.  Nothing
here knows about sessions or order.  Begin at :class:`teleglyph.wire.messages.base.Message`.
"""

from teleglyph.wire.messages.audio import AudioBatch, OpusBatch
from teleglyph.wire.messages.base import Event, Message, encode
from teleglyph.wire.messages.capabilities import Capabilities
from teleglyph.wire.messages.control import (
    ClearConsole,
    ClientJoin,
    ClientLeave,
    JoinFlag,
    Ping,
    Pong,
    ServerState,
    StreamKind,
    StreamStart,
    StreamStop,
)
from teleglyph.wire.messages.handshake import (
    AuthChallenge,
    AuthFailed,
    AuthFailure,
    AuthResponse,
    ChallengeFlag,
    ClientHello,
    CryptoCapabilities,
    CryptoMode,
    CryptoParameters,
    HandshakeComplete,
    KeyExchangeInit,
    KeyExchangeResponse,
    NoEncryption,
    ProtocolVersion,
    RekeyComplete,
    RekeyRequest,
    RekeyResponse,
    ServerAuthResponse,
)
from teleglyph.wire.messages.text import ErrorMessage, LogDirection, LogLevel, RemoteLog
from teleglyph.wire.messages.video import AsciiFrame, DroppedFrame, HevcFrame, ImageFrame, encode_ascii_frame

__all__ = [
    "AsciiFrame",
    "AudioBatch",
    "AuthChallenge",
    "AuthFailed",
    "AuthFailure",
    "AuthResponse",
    "Capabilities",
    "ChallengeFlag",
    "ClearConsole",
    "ClientHello",
    "ClientJoin",
    "ClientLeave",
    "CryptoCapabilities",
    "CryptoMode",
    "CryptoParameters",
    "DroppedFrame",
    "ErrorMessage",
    "Event",
    "HandshakeComplete",
    "HevcFrame",
    "ImageFrame",
    "JoinFlag",
    "KeyExchangeInit",
    "KeyExchangeResponse",
    "LogDirection",
    "LogLevel",
    "Message",
    "NoEncryption",
    "OpusBatch",
    "Ping",
    "Pong",
    "ProtocolVersion",
    "RekeyComplete",
    "RekeyRequest",
    "RekeyResponse",
    "RemoteLog",
    "ServerAuthResponse",
    "ServerState",
    "StreamKind",
    "StreamStart",
    "StreamStop",
    "encode",
    "encode_ascii_frame",
]
