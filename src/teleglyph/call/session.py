"""One connection's whole life in a call: handshake, capabilities, messages, farewell."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

from teleglyph.call.life_cycle import State
from teleglyph.call.limits import CallLimits
from teleglyph.call.participant import Participant
from teleglyph.errors import (
    AuthenticationError,
    BadDataError,
    CallRoomError,
    KeyFileError,
    PeerError,
    PeerTimeoutError,
    RateLimitError,
    ServerFullError,
)
from teleglyph.net import Connection, needs_ping, timeout_error
from teleglyph.wire.acip import (
    ErrorMessage,
    LogDirection,
    LogLevel,
    Ping,
    RemoteLog,
    encode,
    fingerprint,
)
from teleglyph.wire.acip.session import ServerRole

_log = logging.getLogger(__name__)

_PROTOCOL_CODE = 44
_NAME_SECONDS = 5.0
"""A peer that has not sent its name after this time is announced by the one that the server gave it."""
_HELLO_CHECKS, _HELLO_CHECK_SECONDS = 3, 0.085
"""A client says within 250 ms which identity it expects (docs/protocol/handshake.md#crypto_client_hello).  Its silence
is counted in checks: a clock would also count the time in which this process was stopped."""


async def run_participant(
    participant: Participant,
    session: ServerRole,
    limits: CallLimits,
    on_handshake: Callable[[], None],
    room: str = "",
) -> str:
    """Serve one peer until it leaves, breaks a rule or goes away.

    The participant is out of its room and the connection closed when this returns, whatever happens.

    Args:
        participant: with an open connection, not yet in its room.
        session: of the participant's connection.
        limits: the call's limits.
        on_handshake: called when the handshake is over, however it ended.
        room: the name of the room to join if the handshake does not carry one; empty for the lobby.

    Returns:
        the reason for the end, for logs.
    """
    connection = participant.connection
    farewell: list[bytes] = []
    ending: BaseException | None = None
    try:
        reason = await _serve(participant, session, limits, on_handshake, room)
    except PeerError as error:
        ending = error
        reason, farewell = _farewell_after(error)
        # The session keeps the error, whose frames hold the session: a cycle, with everything about this peer in it.
        error.__traceback__ = error.__cause__ = error.__context__ = None
    except KeyFileError as error:
        ending = error
        reason = str(error)
        _log.error("Cannot prove the server's identity, so nobody can join: %s", error)
    except asyncio.CancelledError as error:
        ending = error
        reason = "the server stops"
        farewell = [encode(RemoteLog(LogLevel.INFO, LogDirection.SERVER_TO_CLIENT, "The server is shutting down"))]
    except Exception as error:
        ending = error
        reason = "internal error"
        _log.exception("Participant %s failed", participant.name)
    established = participant.state is not State.CONNECTED
    await participant.leave()
    await connection.close(*(farewell if established else ()), ending=ending)
    return reason


def _farewell_after(error: PeerError) -> tuple[str, list[bytes]]:
    """The reason for logs, and the packets for a peer that can still read."""
    reason = str(error)
    if isinstance(error, BadDataError):
        return f"bad data: {reason}", violation_packets(reason)
    if isinstance(error, CallRoomError | RateLimitError | ServerFullError):
        return reason, [encode(ErrorMessage(error.exit_code, reason))]
    return reason, []


async def _serve(
    participant: Participant, session: ServerRole, limits: CallLimits, on_handshake: Callable[[], None], room: str
) -> str:
    connection = participant.connection
    hello = _HelloTimer(connection, session)
    try:
        done = await connection.handshake(limits.handshake_timeout)
    except AuthenticationError as error:
        participant.refusal = error
        raise
    finally:
        hello.stop()
        on_handshake()
    if done.client_identity is not None:
        _log.info("%s proved the key %s", participant.name, fingerprint(done.client_identity))
    participant.secure(done.room or room, done.features, may_send=not done.view_only)
    if done.encrypted:
        participant.send_log("Encryption established - secure channel ready")
    deadline = asyncio.get_running_loop().call_later(limits.capabilities_timeout, _require_capabilities, participant)
    try:
        async for message in connection:
            participant.receive(message)
            if participant.has_left:
                return "left"
    finally:
        deadline.cancel()
    return "closed the connection"


def _require_capabilities(participant: Participant) -> None:
    if participant.state is State.SECURED:
        participant.connection.fail(PeerTimeoutError(f"{participant.connection.peer} did not send its capabilities."))


def violation_packets(reason: str) -> list[bytes]:
    """Packets for a peer that is disconnected for bad data (docs/protocol/messages.md#bad-values)."""
    return [
        encode(RemoteLog(LogLevel.ERROR, LogDirection.SERVER_TO_CLIENT, f"Protocol violation: {reason}")),
        encode(ErrorMessage(_PROTOCOL_CODE, reason)),
    ]


def watch_connection(participant: Participant, limits: CallLimits, now: float) -> None:
    """Keep one connection alive, and end it when the peer is dead or has stopped reading.

    To be called a few times per second, with monotonic seconds.
    """
    connection = participant.connection
    if participant.state in (State.CONNECTED, State.LEAVING, State.GONE):
        return
    if connection.envelope is not None:
        # ascii-chat's browser client does not know PING.
        if needs_ping(connection, limits.websocket, now):
            connection.ping(now)
    elif connection.blocked_since is None and now - connection.last_sent >= limits.keepalive:
        connection.send(Ping())
    if participant.in_room and now - connection.opened_at > _NAME_SECONDS:
        participant.announce()  # it has not sent its name, and perhaps never will
    silence, since_packet = now - connection.last_received, now - connection.last_message
    if connection.envelope is not None and (error := timeout_error(connection, limits.websocket, now)) is not None:
        connection.fail(error)
    elif connection.envelope is None and silence > limits.silence_timeout:
        connection.fail(PeerTimeoutError(f"{connection.peer} sent nothing for {silence:.0f} s."))
    elif since_packet > limits.packet_timeout:
        connection.fail(PeerTimeoutError(f"{connection.peer} sent no complete packet for {since_packet:.0f} s."))
    elif connection.blocked_since is not None and now - connection.blocked_since > limits.stall_timeout:
        connection.fail(PeerTimeoutError(f"{connection.peer} has read nothing for {limits.stall_timeout:.0f} s."))


class _HelloTimer:
    """Continues with the default identity if a client does not say which one it expects."""

    def __init__(self, connection: Connection, session: ServerRole) -> None:
        self._connection = connection
        self._session = session
        self._loop = asyncio.get_running_loop()
        self._last_received = connection.last_received
        self._quiet_checks = 0
        self._timer = self._loop.call_later(_HELLO_CHECK_SECONDS, self._check)

    def stop(self) -> None:
        """Do nothing any more: the handshake is over."""
        self._timer.cancel()

    def _check(self) -> None:
        connection, last_received = self._connection, self._last_received
        self._last_received = connection.last_received
        is_quiet = self._session.waiting_for_hello and connection.last_received == last_received
        self._quiet_checks = self._quiet_checks + 1 if is_quiet else 0
        if self._quiet_checks < _HELLO_CHECKS:
            self._timer = self._loop.call_later(_HELLO_CHECK_SECONDS, self._check)
        else:
            self._session.hello_timeout()
            connection.flush_handshake()
