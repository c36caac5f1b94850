"""SCTP with flow control: aiortc's association, for exactly one ordered and reliable data channel.

aiortc delivers whatever arrives, and sends without regard to the receiver's window.  Here the window shrinks by what
the reader has not taken yet, data beyond it is not acknowledged, and the sender obeys the window of the other side.  So
neither side holds more than a window, whatever the other does.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from contextlib import suppress

from aiortc import RTCDtlsTransport, RTCSctpTransport
from aiortc import rtcsctptransport as aiortc_sctp
from OpenSSL import SSL

from teleglyph.wire.session_description import MAX_MESSAGE

_log = logging.getLogger(__name__)

WINDOW = 512 << 10
"""Bytes that the other side may send without being read: 2.5 MB/s over 0.2 s."""
_MAX_AHEAD = 600
"""How far a packet may be ahead of a missing one.  The acknowledgement of such gaps has to fit into one datagram."""
_MAX_GAP_SIZE = 4096
"""Packets that one acknowledgement may confirm beyond a missing one; more do not fit into a window."""
_SACK_DELAY = 0.02
"""Seconds for which the acknowledgement of a packet waits for the next one.  Each costs both sides about as much as
the data of a packet, so every second packet is acknowledged, as RFC 9260 proposes."""
_MIN_RETRANSMISSION = 0.2
_FIRST_RETRANSMISSION = 1.0
"""Seconds, as for TCP; the library waits for at least 1 s and 3 s, which a viewer would see as a frozen picture."""


class Association(RTCSctpTransport):
    """An SCTP association.

    Args:
        transport: a DTLS transport.
        unread: how many received bytes the reader has not taken yet.
    """

    def __init__(self, transport: RTCDtlsTransport, unread: Callable[[], int]) -> None:
        self._unread = unread
        self._unused = 0
        super().__init__(transport)
        self._advertised_rwnd = WINDOW
        self._local_partial_reliability = False
        self._inbound_streams_max = 2
        self._peer_window = MAX_MESSAGE
        self._rto = _FIRST_RETRANSMISSION
        self._unacknowledged = 0
        self._sack_timer: asyncio.TimerHandle | None = None

    @property
    def _advertised_rwnd(self) -> int:
        """The window: what is neither waiting for missing packets nor for the reader; negative if it was exceeded."""
        return self._unused - self._unread()

    @_advertised_rwnd.setter
    def _advertised_rwnd(self, value: int) -> None:
        self._unused = value + self._unread()

    async def announce_window(self) -> None:
        """Tell the other side that the reader has taken what was waiting."""
        if self._association_state == self.State.ESTABLISHED:
            await self._acknowledge()

    # --- receiving ------------------------------------------------------------------------------------

    async def _handle_data(self, data: bytes) -> None:
        try:
            await super()._handle_data(data)
        except ConnectionError:
            raise
        except Exception as error:  # the library has assertions about what a peer sends
            _log.debug("Data channel ended: the peer broke a rule of SCTP: %r", error)
            raise ConnectionError("The peer broke a rule of SCTP.") from None

    async def _receive_chunk(self, chunk: aiortc_sctp.Chunk) -> None:
        if isinstance(chunk, aiortc_sctp.SackChunk):
            if sum(last - first + 1 for first, last in chunk.gaps if last >= first) > _MAX_GAP_SIZE:
                return  # the library would note each of these numbers
            self._peer_window = chunk.advertised_rwnd
        elif isinstance(chunk, aiortc_sctp.ForwardTsnChunk):
            raise ConnectionError("The peer skips data of a reliable channel.")
        await super()._receive_chunk(chunk)

    async def _receive_data_chunk(self, chunk: aiortc_sctp.DataChunk) -> None:
        if chunk.stream_id > 1:
            raise ConnectionError("The peer opened another data channel.")
        if self._has_room(chunk):
            await super()._receive_data_chunk(chunk)
        else:
            self._sack_needed = True  # says how much room there is; the peer sends the chunk again

    async def _send_sack(self) -> None:
        """Acknowledge what was received: at once if something is missing or the window closes, else with the next."""
        self._unacknowledged += 1
        is_plain = not self._sack_misordered and not self._sack_duplicates and self._advertised_rwnd > WINDOW // 2
        if self._unacknowledged > 1 or not is_plain:
            await self._acknowledge()
            return
        self._sack_needed = False
        if self._sack_timer is None:
            self._sack_timer = asyncio.get_running_loop().call_later(_SACK_DELAY, self._acknowledge_late)

    async def _acknowledge(self) -> None:
        self._unacknowledged = 0
        await super()._send_sack()

    def _acknowledge_late(self) -> None:
        self._sack_timer = None
        if self._unacknowledged and self._association_state == self.State.ESTABLISHED:
            self._late = asyncio.ensure_future(self._acknowledge())

    def _has_room(self, chunk: aiortc_sctp.DataChunk) -> bool:
        if self._last_received_tsn is None:
            return False  # the association is not established
        ahead: int = (chunk.tsn - self._last_received_tsn) % aiortc_sctp.SCTP_TSN_MODULO
        if ahead > _MAX_AHEAD:
            return ahead > aiortc_sctp.SCTP_TSN_MODULO // 2  # it was received before, and is acknowledged again
        # The next chunk may be the one that completes a message, for which all others are waiting.
        reserve = MAX_MESSAGE if ahead == 1 else 0
        return len(chunk.user_data) <= self._advertised_rwnd + reserve

    async def _data_channel_receive(self, stream_id: int, pp_id: int, data: bytes) -> None:
        if pp_id == aiortc_sctp.WEBRTC_DCEP and data[:1] == bytes([aiortc_sctp.DATA_CHANNEL_OPEN]):
            if self._data_channels:
                raise ConnectionError("The peer opened another data channel.")
            if data[1:2] != bytes([aiortc_sctp.DATA_CHANNEL_RELIABLE]):
                raise ConnectionError("The peer opened a data channel that is not ordered and reliable.")
        await super()._data_channel_receive(stream_id, pp_id, data)

    # --- sending --------------------------------------------------------------------------------------

    async def _transmit(self) -> None:
        congestion, self._cwnd = self._cwnd, max(1, min(self._cwnd, self._peer_window))
        try:
            await super()._transmit()
        finally:
            self._cwnd = congestion

    def _update_rto(self, R: float) -> None:
        super()._update_rto(R)
        if self._srtt is not None and self._rttvar is not None:
            self._rto = max(_MIN_RETRANSMISSION, min(self._srtt + 4 * self._rttvar, aiortc_sctp.SCTP_RTO_MAX))

    async def _send_chunk(self, chunk: aiortc_sctp.Chunk) -> None:
        with suppress(ConnectionError, SSL.Error):  # the owner watches the state of the DTLS transport
            await super()._send_chunk(chunk)
