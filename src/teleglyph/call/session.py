"""One connection's whole life in a call: handshake, capabilities, messages, farewell."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

from teleglyph.call.limits import CallLimits
from teleglyph.call.participant import Participant, State
from teleglyph.errors import (
    AuthenticationError,
    BadDataError,
    PeerError,
    PeerTimeoutError,
    RateLimitError,
    ServerFullError,
)
from teleglyph.net import Connection
from teleglyph.wire.acip import ErrorMessage, Feature, RemoteLog, ServerSession, encode, fingerprint

_log = logging.getLogger(__name__)

_LOG_ERROR, _LOG_INFO, _TO_CLIENT = 4, 2, 1
_PROTOCOL_CODE = 44
_NAME_SECONDS = 5.0
"""How long a peer may be in a call before it is announced by the name that it was given."""
_HELLO_SECONDS = 0.25
"""How long a client may take to say which identity it expects (docs/protocol/handshake.md#crypto_client_hello)."""


async def run_participant(
    participant: Participant, limits: CallLimits, on_handshake: Callable[[], None] = lambda: None
) -> str:
    """Serve one peer until it leaves, breaks a rule or goes away; returns the reason for logs.

    ``on_handshake`` is called when the handshake is over, however it ended.

    Whatever happens ends here: the participant is out of its room and the connection closed when this returns.
    """
    connection = participant.connection
    farewell: list[bytes] = []
    try:
        reason = await _serve(participant, limits, on_handshake)
    except BadDataError as error:
        reason = f"bad data: {error}"
        farewell = violation_packets(str(error))
    except (RateLimitError, ServerFullError) as error:
        reason = str(error)
        farewell = [encode(ErrorMessage(error.exit_code, reason))]
    except PeerError as error:
        reason = str(error)
    except asyncio.CancelledError:
        reason = "the server stops"
        farewell = [encode(RemoteLog(_LOG_INFO, _TO_CLIENT, "The server is shutting down"))]
    except Exception:
        reason = "internal error"
        _log.exception("participant %s failed", participant.name)
    established = participant.state is not State.CONNECTED
    await participant.leave()
    await connection.close(*(farewell if established else ()))
    return reason


async def _serve(participant: Participant, limits: CallLimits, on_handshake: Callable[[], None]) -> str:
    connection = participant.connection
    try:
        done = await connection.handshake(limits.handshake_timeout)
    except AuthenticationError as error:
        participant.refusal = error
        raise
    finally:
        on_handshake()
    if Feature.SCREEN_UPDATES in done.features:
        participant.enable_screens()
    if done.client_identity is not None:
        _log.info("%s proved the key %s", participant.name, fingerprint(done.client_identity))
    participant.advance(State.SECURED)
    if done.encrypted:
        participant.tell("Encryption established - secure channel ready")
    deadline = asyncio.get_running_loop().call_later(limits.capabilities_timeout, _require_capabilities, participant)
    try:
        async for message in connection:
            participant.receive(message)
            if participant.left:
                return "left"
    finally:
        deadline.cancel()
    return "closed the connection"


def _require_capabilities(participant: Participant) -> None:
    if participant.state is State.SECURED:
        participant.connection.fail(
            PeerTimeoutError(f"{participant.connection.peer} did not say what its terminal can do")
        )


def violation_packets(reason: str) -> list[bytes]:
    """What a peer is told before it is disconnected for bad data (docs/protocol/messages.md#bad-values)."""
    return [
        encode(RemoteLog(_LOG_ERROR, _TO_CLIENT, f"Protocol violation: {reason}")),
        encode(ErrorMessage(_PROTOCOL_CODE, reason)),
    ]


def watch_connection(connection: Connection, participant: Participant, limits: CallLimits, now: float) -> None:
    """Look after one connection from outside: keep it alive, and end it when the peer is dead or stopped reading.

    To be called a few times a second.
    """
    if participant.state is State.CONNECTED:
        _choose_identity(connection, now)
    if participant.state in (State.CONNECTED, State.LEAVING, State.GONE):
        return
    if connection.blocked_since is None and now - connection.last_sent >= limits.keepalive:
        participant.ping()
    if participant.in_room and now - connection.opened_at > _NAME_SECONDS:
        participant.announce()  # it has not said its name, and perhaps never will
    silence, since_packet = now - connection.last_received, now - connection.last_message
    if silence > limits.silence_timeout:
        connection.fail(PeerTimeoutError(f"{connection.peer} sent nothing for {silence:.0f} s"))
    elif since_packet > limits.packet_timeout:
        connection.fail(PeerTimeoutError(f"{connection.peer} sent no complete packet for {since_packet:.0f} s"))
    elif connection.blocked_since is not None and now - connection.blocked_since > limits.stall_timeout:
        connection.fail(PeerTimeoutError(f"{connection.peer} has read nothing for {limits.stall_timeout:.0f} s"))


def _choose_identity(connection: Connection, now: float) -> None:
    """Go on with the default identity for a client that does not say which it expects."""
    session = connection.session
    if not isinstance(session, ServerSession) or not session.waiting_for_hello:
        return
    if now - connection.last_received > _HELLO_SECONDS:
        session.hello_timeout()
        connection.flush_handshake()
