"""The user's terminal: detect its abilities, read keys, draw frames.

Begin at :class:`teleglyph.client.terminal.interface.Interface`, which an interactive command runs in.  ``capabilities``
and ``charset`` detect, ``keyboard`` and ``key_parser`` read keys, ``screen`` and ``drawing`` draw; ``frame_writer``
writes to a pipe instead.  ``display`` holds the settings; ``status_line`` and ``text_box`` lay out text.
"""
