"""One participant's side of a call.

Begin at :class:`teleglyph.client.call.client.CallClient`: one connection.  ``reconnecting`` restores lost connections.
``interactive`` (keys and status line), ``pipe`` and ``snapshot`` are the three ways to watch a call.  ``uplink`` sends
the picture, ``sound`` sends and plays sound, ``received_screen`` applies deltas.
"""
