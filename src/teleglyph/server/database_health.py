"""Whether a server's database works."""

from __future__ import annotations

import asyncio

from teleglyph.store import Database

_PROOF_SECONDS = 5.0
"""How long the health page waits for the database to prove that it works."""


async def trouble_of(database: Database | None) -> str | None:
    """Why a database does not work, as a sentence for people; None if it works or there is none."""
    if database is None:
        return None
    if (reason := database.health()) is not None:
        return reason
    proof = asyncio.wrap_future(database.probe())
    # The probe is shared with other callers, so it is not cancelled, and it may fail after this one has given up.
    proof.add_done_callback(lambda done: done.cancelled() or done.exception())
    await asyncio.wait([proof], timeout=_PROOF_SECONDS)
    if not proof.done():
        return f"the database has not finished a write for {_PROOF_SECONDS:g} s"
    return None if (error := proof.exception()) is None else str(error)
