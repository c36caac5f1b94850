"""Four in a row, played in a relay room.

Begin at :class:`teleglyph.client.play.table.Table`, which runs one side of a game.  ``four_in_a_row`` has the rules and
``board_text`` draws the board; ``table_view`` and ``table_status`` are the rest of the window.  ``seating`` takes a
seat at the table of a ``table_address``, and ``saved_seats`` stores it.  ``host_state`` is what a host stores,
``round_reports`` and ``result_reporter`` report results, and ``relay_errors`` explains the relay's errors.
"""
