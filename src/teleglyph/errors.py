"""All exceptions of this project, in one tree.

The three branches name the cause: the *peer* broke the protocol or refused us (:class:`PeerError`), the *user* gave
invalid values (:class:`UserError`), or *this machine* lacks something (:class:`LocalError`).  A message says what
failed, with which value, and what to do next.  ``exit_code`` is the exit status of a command that ends with the
error; ACIP peers send the same numbers in ERROR_MESSAGE packets.
"""

from __future__ import annotations

from typing import ClassVar


class TeleglyphError(Exception):
    """Base class of all errors."""

    exit_code: ClassVar[int] = 1


# --- the peer ---------------------------------------------------------------------------------------------


class PeerError(TeleglyphError):
    """The other end of a connection broke a rule, or refused us."""

    exit_code = 40


class ProtocolError(PeerError):
    """The peer sent bytes that are not valid ACIP; the connection is closed without an explanation."""

    exit_code = 44


class BadDataError(ProtocolError):
    """A packet has values out of range; the peer gets an explanation before the connection is closed.

    ``str(error)`` is the explanation.
    """


class SessionNameError(BadDataError):
    """A request to a discovery service has no session name, or one that cannot exist."""


class ProxyHeaderError(ProtocolError):
    """A trusted proxy sent an invalid PROXY header.  ``str(error)`` is meant for the server's log."""


class CryptoError(PeerError):
    """An encrypted packet could not be decrypted, or was repeated, reflected or out of order."""

    exit_code = 60


class HandshakeError(PeerError):
    """The peer violated the order or the parameters of the handshake."""

    exit_code = 63


class AuthenticationError(PeerError):
    """A password or key was missing or wrong.

    Attributes:
        reasons: the AUTH_FAILED bits, 0 if none were sent.
        explanation: the server's explanation for people; often empty.
    """

    exit_code = 62

    def __init__(self, message: str, reasons: int = 0, explanation: str = "") -> None:
        super().__init__(message)
        self.reasons = reasons
        self.explanation = explanation


class InvitationError(AuthenticationError):
    """An invitation was refused, or is none.  The message is for the person who has it, and does not contain it."""

    exit_code = 65


class VerificationError(PeerError):
    """The server did not prove the expected identity."""

    exit_code = 64


class DowngradeError(VerificationError):
    """A server that speaks link 2 only offers an older protocol now."""


class UnknownServerError(VerificationError):
    """The server is new, and the user has not accepted it yet.

    Attributes:
        address: its numeric address and port, under which it is remembered.
        identity: its proven Ed25519 key; None if it has none.
        name: host and port as the user typed them.
        is_ascii_chat: it is an ascii-chat program, which prints fingerprints in another form.
    """

    exit_code = 60

    def __init__(
        self, message: str, address: str, identity: bytes | None, *, name: str = "", is_ascii_chat: bool = False
    ) -> None:
        super().__init__(message)
        self.address = address
        self.identity = identity
        self.name = name
        self.is_ascii_chat = is_ascii_chat


class SeatRefusedError(PeerError):
    """A player cannot get a seat in a relay room; the message is sent to the player."""

    exit_code = 47


class SeatEndedError(PeerError):
    """A player lost their seat in a relay room; the message is sent to the player."""

    exit_code = 47


class SeatGoneError(SeatEndedError):
    """The connection was restored, but the relay does not return the seat; the message is the relay's."""


class EventRefusedError(PeerError):
    """A Nostr event or subscription was refused; the message is a Nostr prefix and the reason: ``invalid: …``."""

    exit_code = 44


class InvalidMessageError(PeerError):
    """The client's message is not a valid Nostr message.  ``str(error)`` is meant for humans."""

    exit_code = 44


class NotTextError(InvalidMessageError):
    """A Nostr message is not UTF-8."""


class ClientDismissedError(PeerError):
    """The relay closed the connection of a Nostr client; the message is the reason that the client gets."""


class ServerFullError(PeerError):
    """The server is full."""

    exit_code = 48


class CallRoomError(PeerError):
    """The server has no such call room, or too many rooms; the message is sent to the peer."""

    exit_code = 47


class DiscoveryError(PeerError):
    """A discovery service refused a request; the message is its explanation.

    Attributes:
        number: the service's number for the reason, as in ERROR_MESSAGE.
    """

    exit_code = 47

    def __init__(self, message: str, number: int = 0) -> None:
        super().__init__(message)
        self.number = number


class NoSuchSessionError(DiscoveryError):
    """The discovery service has no session with this name."""


class SessionFullError(DiscoveryError):
    """The session has no place for another participant."""

    exit_code = 48


class SessionPasswordError(DiscoveryError):
    """The session's password, which the service checks, is missing or wrong."""

    exit_code = 62


class NameTakenError(DiscoveryError):
    """The name of a session belongs to another host."""


class HostAwayError(DiscoveryError):
    """The host of a session, or a participant, is not connected to the service at this moment."""


class RateLimitError(PeerError):
    """The server refuses connections from this address for a while, or appears to."""

    exit_code = 46


class ConnectionLostError(PeerError):
    """The connection was closed, or the peer stopped responding."""

    exit_code = 40


class ConnectError(PeerError):
    """Cannot connect: wrong address or port, refused, unreachable."""

    exit_code = 42


class GatewayError(PeerError):
    """The router refused a port mapping, or sent an invalid answer.  ``str(error)`` is a sentence for people."""


class StunError(PeerError):
    """A STUN message is invalid, or a STUN server refused a request."""


class PeerTimeoutError(PeerError):
    """The peer did not respond in time."""

    exit_code = 43


# --- the user ---------------------------------------------------------------------------------------------


class UserError(TeleglyphError):
    """A command got values that cannot work."""

    exit_code = 2


class ConfigurationError(UserError):
    """A configuration value or file is wrong."""

    exit_code = 4


class MediaFileNotFoundError(UserError):
    """A media file does not exist or cannot be read."""

    exit_code = 106


class KeyFileError(UserError):
    """A private key cannot be used: missing, readable by others, of another type, or its pass phrase is unknown."""

    exit_code = 61


class DamagedKeyError(KeyFileError):
    """A private key file is not one, or not any more."""


# --- this machine -----------------------------------------------------------------------------------------


class LocalError(TeleglyphError):
    """Something on this machine is missing or in use."""


class KeyFetchError(LocalError):
    """Published keys could not be fetched."""

    exit_code = 61


class BindError(LocalError):
    """A listening address is in use, or is not an address of this machine."""

    exit_code = 41


class StoreError(LocalError):
    """The data directory or the database cannot be used, or a query failed."""

    exit_code = 105


class CameraError(LocalError):
    """The camera is missing, broken or cannot be used."""

    exit_code = 20


class CameraBusyError(CameraError):
    """Another program is using the camera."""

    exit_code = 21


class CameraPermissionError(CameraError):
    """The system denies access to the camera."""

    exit_code = 22


class SoundError(LocalError):
    """The sound card is missing or cannot be used."""

    exit_code = 23


class OutputError(LocalError):
    """Standard output cannot be written: a full disk, a failed device."""

    exit_code = 105


class OutputClosedError(OutputError):
    """The reader of standard output is gone.  Pipes end like this, so it is not a failure and nothing is printed."""

    exit_code = 0


class TerminalError(LocalError):
    """The terminal lacks a required feature."""

    exit_code = 25


class MediaOpenError(LocalError):
    """A media file or stream could not be opened."""

    exit_code = 27


class NotSupportedError(LocalError):
    """This installation lacks a required part."""

    exit_code = 30


class MediaDecodeError(LocalError):
    """A picture could not be decoded."""

    exit_code = 28


def reason_of(error: OSError) -> str:
    """The system's reason for a failure, to follow a colon: ``no space left on device``."""
    return (error.strerror or str(error)).lower()
