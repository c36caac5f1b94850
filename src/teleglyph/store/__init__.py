"""Storage in SQLite or PostgreSQL: one thread writes and commits in groups, others read beside it.

Begin at :class:`Database`; :func:`open_database` opens one.
"""

from teleglyph.store.backend import DatabaseConnection
from teleglyph.store.database import Database
from teleglyph.store.opening import open_database
from teleglyph.store.records import Player, Record, RecordStore

__all__ = ["Database", "DatabaseConnection", "Player", "Record", "RecordStore", "open_database"]
