"""Why a server refuses a client: what it says during a handshake, as sentences that fit what the client sent."""

from __future__ import annotations

import enum
from typing import ClassVar

from teleglyph.errors import (
    AuthenticationError,
    HandshakeError,
    InvitationError,
    PeerError,
    RateLimitError,
    ServerFullError,
)
from teleglyph.wire.acip.handshake import Handshake, Transitions
from teleglyph.wire.acip.messages.handshake import AuthFailed, AuthFailure
from teleglyph.wire.acip.messages.text import ErrorMessage, RemoteLog


class CredentialState(enum.Enum):
    """How far a password or a client key got."""

    ABSENT = "we have none"
    WITHHELD = "we have one, but did not send it"
    SENT = "the server received it"


_PASSWORD_SENTENCES = {
    AuthFailure.PASSWORD_REQUIRED: {
        CredentialState.ABSENT: "The server wants a password. Ask the host for it.",
        CredentialState.WITHHELD: "The server wants a password, but refused us before it took ours. Ask the host why.",
        CredentialState.SENT: "The server wants a password, and did not accept ours. Ask the host for the right one.",
    },
    AuthFailure.PASSWORD_INCORRECT: {
        CredentialState.ABSENT: (
            "The server reports a wrong password, but we sent none. It may not be the server you mean."
        ),
        CredentialState.WITHHELD: "The server reports a wrong password, but has not seen ours. Ask the host why.",
        CredentialState.SENT: "Wrong password. Ask the host for the right one.",
    },
}
_KEY_SENTENCES = {
    AuthFailure.CLIENT_KEY_REQUIRED: {
        CredentialState.ABSENT: (
            "The server only admits known client keys, and we showed none. Ask the host to add yours."
        ),
        CredentialState.WITHHELD: (
            "The server only admits known client keys, but did not let us show ours. Ask the host why."
        ),
        CredentialState.SENT: (
            "The server only admits known client keys, and did not accept ours. Ask the host to add it."
        ),
    },
    AuthFailure.CLIENT_KEY_REJECTED: {
        CredentialState.ABSENT: (
            "The server refuses our client key, but we showed none. It may not be the server you mean."
        ),
        CredentialState.WITHHELD: "The server refuses our client key, but has not seen it. Ask the host why.",
        CredentialState.SENT: "The server does not know our client key. Ask the host to add it.",
    },
    AuthFailure.SIGNATURE_INVALID: {
        CredentialState.ABSENT: (
            "The server could not verify a signature, but we sent none. It may not be the server you mean."
        ),
        CredentialState.WITHHELD: "The server could not verify a signature, but we sent none. Ask the host why.",
        CredentialState.SENT: "The server could not verify the signature of our client key.",
    },
}
_KEYS_AS_WELL = "The server also asks for a known client key, and did not say whether it knows ours."
_MAX_EXPLANATIONS = 8


class RefusableHandshake(Handshake):
    """A client's side of a handshake, which understands AUTH_FAILED and the texts around it.

    Args:
        has_password: we have a password.
        has_key: we have a key of our own.
    """

    refused_step: ClassVar[enum.Enum]
    """The step after a refusal."""

    def __init__(self, *, has_password: bool, has_key: bool) -> None:
        super().__init__()
        self._password_state = CredentialState.WITHHELD if has_password else CredentialState.ABSENT
        self._key_state = CredentialState.WITHHELD if has_key else CredentialState.ABSENT
        self._reasons = 0
        self._error_code: int | None = None
        self._explanation: list[str] = []

    @property
    def refusal(self) -> PeerError | None:
        """Why the server refused us, with the texts it sent; None if it did not."""
        if self.step is not self.refused_step:
            return None
        text = " ".join(self._explanation)
        if self._reasons or self._error_code in (None, AuthenticationError.exit_code):
            return self._refused(self._reasons, text)
        if self._error_code == InvitationError.exit_code:
            return InvitationError(text)
        known = {kind.exit_code: kind for kind in (RateLimitError, ServerFullError)}
        return known.get(self._error_code, PeerError)(f"The server ended the connection: {text}")

    def _on_refusal(self, message: AuthFailed) -> None:
        self._reasons |= message.reasons
        self.step = self.refused_step

    def _on_error(self, message: ErrorMessage) -> None:
        self._error_code = message.code
        self._explain(message.text)
        self.step = self.refused_step

    def _on_log(self, message: RemoteLog) -> None:
        self._explain(message.text)

    def _explain(self, text: str) -> None:
        """Store a text of the server: it may explain a refusal, before or after the packet that refuses us."""
        if len(self._explanation) >= _MAX_EXPLANATIONS:
            raise HandshakeError(f"The server sent more than {_MAX_EXPLANATIONS} texts during the handshake.")
        if text.strip():
            self._explanation.append(text.strip())

    def _refused(self, reasons: int, explanation: str = "") -> AuthenticationError:
        text = describe_refusal(reasons, self._password_state, self._key_state)
        if explanation:
            text += f" The server says: {explanation}"
        return AuthenticationError(text, reasons, explanation)


def refusals(steps: type[enum.Enum], done: enum.Enum) -> Transitions:
    """The transitions of a refusal, from every step but ``done``."""
    return {
        (step, kind.type): (kind, act)
        for step in steps
        if step is not done
        for kind, act in (
            (AuthFailed, RefusableHandshake._on_refusal),
            (ErrorMessage, RefusableHandshake._on_error),
            (RemoteLog, RefusableHandshake._on_log),
        )
    }


def describe_refusal(reasons: int, password: CredentialState, key: CredentialState) -> str:
    """The reasons of AUTH_FAILED as sentences that fit what we sent.

    Args:
        reasons: bits of :class:`AuthFailure`, perhaps with unknown ones.
        password: how far ours got.
        key: how far ours got.
    """
    sentences = [by_state[password] for bit, by_state in _PASSWORD_SENTENCES.items() if reasons & bit]
    for bit, by_state in _KEY_SENTENCES.items():
        if reasons & bit:
            # If ascii-chat's server asks for keys, it adds this bit to any wrong password.
            is_remark = bit == AuthFailure.CLIENT_KEY_REQUIRED and reasons & AuthFailure.PASSWORD_INCORRECT
            sentences.append(_KEYS_AS_WELL if is_remark and key is CredentialState.SENT else by_state[key])
    return " ".join(sentences) or f"The server refused us for an unknown reason ({reasons:#04x})."


def password_not_asked() -> AuthenticationError:
    """The error for a server that does not ask for our password, which was also to prove the server."""
    return AuthenticationError(
        "The server does not ask for the password. It may not be the server you mean, or someone may be intercepting "
        "the connection. If it has no password, join without one."
    )
