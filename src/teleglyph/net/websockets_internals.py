"""The undocumented parts of the ``websockets`` package that we use.  Check this file when you update the package.

==================================  ================================================================================
attribute                           why the documented interface is not enough
==================================  ================================================================================
``Protocol.events``                 ``events_received`` returns all events; the answer to a close has to wait until the
                                    messages before it are handled, so they are taken one at a time
``Protocol.writes``                 ``data_to_send`` removes the bytes; we need to know whether there are any
``Protocol.parser_exc``             ``close_exc`` is set only once the connection has ended
``Protocol.extensions``,            shared frames are compressed here, so the agreed window size must be known
``local_max_window_bits``
``Protocol.max_message_size``       peers that were not admitted yet have to send short messages
``Frame.serialize``                 a broadcast frame is built once, without a ``Protocol``
==================================  ================================================================================
"""

from __future__ import annotations

from websockets.exceptions import PayloadTooBig
from websockets.extensions.permessage_deflate import PerMessageDeflate
from websockets.frames import DATA_OPCODES, Frame, Opcode
from websockets.http11 import Request, Response
from websockets.protocol import Protocol


def take_frame(protocol: Protocol) -> Frame | None:
    """Remove and return the next received frame; None if there is none."""
    events: list[Frame | Request | Response] = protocol.events
    while events:
        event = events.pop(0)
        if isinstance(event, Frame):
            return event
    return None


def has_data_frames(protocol: Protocol) -> bool:
    """Whether received frames with messages, or parts of messages, are waiting."""
    return any(isinstance(event, Frame) and event.opcode in DATA_OPCODES for event in protocol.events)


def has_output(protocol: Protocol) -> bool:
    """Whether ``data_to_send`` would return bytes."""
    return bool(protocol.writes)


def parse_error(protocol: Protocol) -> Exception | None:
    """The error with which the peer violated the protocol; None if it did not."""
    error = protocol.parser_exc
    return None if isinstance(error, EOFError) else error


def is_too_large(protocol: Protocol) -> bool:
    """Whether the peer sent a message above the maximum size."""
    return isinstance(protocol.parser_exc, PayloadTooBig)


def window_bits(protocol: Protocol) -> int:
    """The size of the window for compressing messages, as a power of two; 0: messages must not be compressed."""
    for extension in protocol.extensions:
        if isinstance(extension, PerMessageDeflate):
            return extension.local_max_window_bits
    return 0


def serialize(opcode: Opcode, data: bytes, *, mask: bool = False) -> bytes:
    """The bytes of a frame; a client's frames are masked."""
    return Frame(opcode, data).serialize(mask=mask)


def set_max_message(protocol: Protocol, size: int) -> None:
    """Set the maximum bytes of a message, from the next frame header on."""
    protocol.max_message_size = size
