"""Every exception this project raises on purpose, in one tree.

The three branches say who can do something about it: the *peer* broke the protocol or refused us
(:class:`PeerError`), the *user* asked for something that cannot be (:class:`UserError`), or *this machine*
lacks something (:class:`LocalError`).  A message says what happened, with which value, and what to do about it.
``exit_code`` is the process's exit status when the error ends a command; the numbers are those that ACIP peers
also put into ERROR_MESSAGE packets.
"""

from __future__ import annotations

from typing import ClassVar


class TeleglyphError(Exception):
    """Root of all errors raised on purpose."""

    exit_code: ClassVar[int] = 1


# --- the peer ---------------------------------------------------------------------------------------------


class PeerError(TeleglyphError):
    """The other end of a connection broke a rule, or refused us."""

    exit_code = 40


class ProtocolError(PeerError):
    """Bytes from the peer are not valid ACIP; the connection ends without an explanation to the peer."""

    exit_code = 44


class BadDataError(ProtocolError):
    """A well-framed packet carries values outside their range; the peer is told why before the connection ends.

    ``str(error)`` is the reason text for the peer.
    """


class CryptoError(PeerError):
    """An encrypted packet could not be opened, was repeated, reflected or out of order."""

    exit_code = 60


class HandshakeError(PeerError):
    """The peer left the order or the parameters of the handshake."""

    exit_code = 63


class AuthenticationError(PeerError):
    """A password or key was missing or wrong.

    Attributes:
        reasons: the AUTH_FAILED bits, 0 if none were sent.
        explanation: what the server said about it, for people; often empty.
    """

    exit_code = 62

    def __init__(self, message: str, reasons: int = 0, explanation: str = "") -> None:
        super().__init__(message)
        self.reasons = reasons
        self.explanation = explanation


class VerificationError(PeerError):
    """The server did not prove the identity we expect of it."""

    exit_code = 64


class UnknownServerError(VerificationError):
    """A server that is new, and nobody has said yet whether it is the right one.

    Attributes:
        address: its numeric address and port, by which it is remembered.
        identity: its proven Ed25519 key; None if it shows none.
        name: host and port as the user typed them.
        is_ascii_chat: it is one of ascii-chat's programs, which print fingerprints in another form.
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
    """A player cannot have a seat in a room; the message is the text that it gets."""

    exit_code = 47


class SeatEndedError(PeerError):
    """A player's stay in a room is over; the message is the text that it gets."""

    exit_code = 47


class SeatGoneError(SeatEndedError):
    """A lost connection was made again, but the relay does not give the seat back; the message is its text."""


class EventRefusedError(PeerError):
    """A Nostr event or subscription cannot be accepted; the message is a prefix, a colon, a blank and the reason."""

    exit_code = 44


class InvalidMessageError(PeerError):
    """A Nostr message is none; the message is for people."""

    exit_code = 44


class NotTextError(InvalidMessageError):
    """A Nostr message is no UTF-8."""


class ClientDismissedError(PeerError):
    """The relay closed the connection of a Nostr client; the message is the reason that the client gets."""


class ServerFullError(PeerError):
    """The server has no place left."""

    exit_code = 48


class RateLimitError(PeerError):
    """The server takes no more connections from this address for a while, or seems not to."""

    exit_code = 46


class ConnectionLostError(PeerError):
    """The connection ended or fell silent."""

    exit_code = 40


class ConnectError(PeerError):
    """No connection could be made: wrong address or port, refused, unreachable."""

    exit_code = 42


class PeerTimeoutError(PeerError):
    """The peer did not answer in time."""

    exit_code = 43


# --- the user ---------------------------------------------------------------------------------------------


class UserError(TeleglyphError):
    """A command was given values that cannot work."""

    exit_code = 2


class ConfigurationError(UserError):
    """A configuration value or file is wrong."""

    exit_code = 4


class MediaFileNotFoundError(UserError):
    """A named file does not exist or may not be read."""

    exit_code = 106


class KeyFileError(UserError):
    """A private key cannot be used: missing, readable by others, of another kind, or its pass phrase is not known."""

    exit_code = 61


# --- this machine -----------------------------------------------------------------------------------------


class LocalError(TeleglyphError):
    """Something on this machine is missing or in use."""


class KeyFetchError(LocalError):
    """Keys that others publish could not be fetched."""

    exit_code = 61


class BindError(LocalError):
    """A listening address is in use or not ours."""

    exit_code = 41


class StoreError(LocalError):
    """The database cannot be used, or could not do what was asked."""

    exit_code = 105


class CameraError(LocalError):
    """The camera is missing, broken or not to be used."""

    exit_code = 20


class CameraBusyError(CameraError):
    """Another program uses the camera."""

    exit_code = 21


class CameraPermissionError(CameraError):
    """The system does not let us use the camera."""

    exit_code = 22


class SoundError(LocalError):
    """The sound card is missing or cannot be used."""

    exit_code = 23


class OutputError(LocalError):
    """Standard output cannot be written: a full disk, a failed device."""

    exit_code = 105


class OutputClosedError(OutputError):
    """Nobody reads standard output any more, which is how a pipe ends: no failure, and nothing to say about it."""

    exit_code = 0


class TerminalError(LocalError):
    """The terminal cannot do what is needed."""

    exit_code = 25


class MediaOpenError(LocalError):
    """A media file or stream could not be opened."""

    exit_code = 27


class NotSupportedError(LocalError):
    """This installation lacks what is needed."""

    exit_code = 30


class MediaDecodeError(LocalError):
    """A picture could not be decoded."""

    exit_code = 28
