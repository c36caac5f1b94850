"""What the server keeps: SQLite by default, written by one thread that commits in groups."""

from teleglyph.store.records import Record, RecordStore

__all__ = ["Record", "RecordStore"]
