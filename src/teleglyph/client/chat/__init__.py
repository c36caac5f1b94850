"""Text chat in a NIP-29 group on a Nostr relay.

Begin at :class:`teleglyph.client.chat.conversation.Chat`.  ``commands`` parses the user's lines, ``outgoing`` publishes
them, ``presence`` and ``people`` track who is here, ``profile`` reads profiles.  ``view`` is the interface to a
display: ``screen`` (with ``line_history`` and ``graphemes``) is the terminal's.  ``formatting`` turns messages into
lines.
"""
