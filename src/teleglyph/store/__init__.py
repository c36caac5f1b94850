"""What the server keeps, in SQLite or PostgreSQL: written by one thread that commits in groups, read beside it."""

from teleglyph.store.database import Base, Database, open_database
from teleglyph.store.records import Player, Record, RecordStore

__all__ = ["Base", "Database", "Player", "Record", "RecordStore", "open_database"]
