"""Opens connections over link 2 (docs/protocol/link2.md)."""

from __future__ import annotations

import socket
import ssl

from teleglyph.client.address import CallAddress
from teleglyph.errors import PeerError
from teleglyph.keys.certificate import channel_of, may_have_authority
from teleglyph.net import Connection, connect_tls
from teleglyph.net.tcp import TlsFailedError, client_context
from teleglyph.wire.acip import Feature, Identity
from teleglyph.wire.acip.client_handshake import IdentityCheck
from teleglyph.wire.invitation import Invitation
from teleglyph.wire.link2 import ALPN, Channel, LinkClientSession

TLS_SECONDS = 5.0


class NoLinkError(PeerError):
    """The server does not speak link 2.

    Attributes:
        numeric_peer: its numeric address and port.
        was_silent: it closed the connection without a byte, which says nothing about its protocols.
        timed_out: it did not respond, which says nothing about them either.
        speaks_tls: it speaks TLS, so it is not one of ascii-chat's programs.
    """

    exit_code = 44

    def __init__(
        self,
        message: str,
        numeric_peer: str,
        *,
        was_silent: bool = False,
        timed_out: bool = False,
        speaks_tls: bool = False,
    ) -> None:
        super().__init__(message)
        self.numeric_peer = numeric_peer
        self.was_silent = was_silent
        self.timed_out = timed_out
        self.speaks_tls = speaks_tls


class LinkAttempt:
    """One attempt to open a link; afterwards it knows the server's certificate.

    Args:
        address: the server.
        password_key: of the call; None for none.
        client_key: our own identity; None for none.
        expected: the identity that a server with several must show; None for any.
        verify: also require a certificate that this machine trusts, for the server's name.
        invitation: to the room; None for none.
    """

    def __init__(
        self,
        address: CallAddress,
        password_key: bytes | None,
        client_key: Identity | None,
        expected: bytes | None,
        *,
        verify: bool = False,
        invitation: Invitation | None = None,
    ) -> None:
        self.numeric_peer = ""
        """The server's numeric address and port, once it was reached."""
        self._address = address
        self._password_key = password_key
        self._client_key = client_key
        self._expected = expected
        self._verify = verify
        self._invitation = invitation
        self._certificate = b""

    @property
    def has_authority(self) -> bool:
        """Whether an authority may have issued the server's certificate."""
        return may_have_authority(self._certificate)

    async def open(
        self, check_identity: IdentityCheck, timeout: float, tunnel: socket.socket | None = None
    ) -> Connection:
        """Connect; the handshake of the session is still to come.

        Args:
            check_identity: decides about the server's identity.
            timeout: seconds for the TCP connection.
            tunnel: leads to the server; None connects to its address.

        Raises:
            ConnectError: the server cannot be reached.
            NoLinkError: it does not speak link 2, or its certificate is not trusted.
        """

        def make_session(tls: ssl.SSLObject, numeric_peer: str) -> LinkClientSession:
            self.numeric_peer = numeric_peer
            if tls.selected_alpn_protocol() != ALPN:
                raise NoLinkError(
                    f"{self._address} speaks TLS, but is not a call server. Check the address and the port. If the "
                    f"call is behind a web server, write wss://{self._address.host}.",
                    numeric_peer,
                    speaks_tls=True,
                )
            self._certificate = tls.getpeercert(binary_form=True) or b""
            return LinkClientSession(
                _channel_of(self._certificate, numeric_peer),
                password_key=self._password_key,
                client_key=self._client_key,
                check_identity=check_identity,
                expected=self._expected,
                room=self._address.room,
                features=Feature.SCREEN_UPDATES,
                invitation=self._invitation,
            )

        try:
            return await connect_tls(
                self._address.host,
                self._address.port,
                client_context([ALPN], verify=self._verify),
                make_session,
                timeout=timeout,
                tls_timeout=TLS_SECONDS,
                tunnel=tunnel,
            )
        except TlsFailedError as error:
            raise self._failure(error) from error

    def _failure(self, error: TlsFailedError) -> NoLinkError:
        reason = (error.cause.reason or "") if isinstance(error.cause, ssl.SSLError) else ""
        speaks_tls = "ALERT" in reason or isinstance(error.cause, ssl.SSLCertVerificationError)
        is_end = isinstance(error.cause, ConnectionError) or "EOF" in reason
        if speaks_tls:
            words = reason.lower().replace("_", " ")
            text = f"{self._address} refused the TLS connection ({words}). Is it a Teleglyph server?"
        else:
            text = f"{self._address} does not speak Teleglyph's secure link."
        return NoLinkError(
            text,
            error.numeric_peer,
            was_silent=is_end and not speaks_tls,
            timed_out=isinstance(error.cause, TimeoutError),
            speaks_tls=speaks_tls,
        )


def _channel_of(certificate: bytes, numeric_peer: str) -> Channel:
    try:
        return channel_of(certificate)
    except ValueError:
        raise NoLinkError(
            f"{numeric_peer} shows a certificate that cannot be read.", numeric_peer, speaks_tls=True
        ) from None
