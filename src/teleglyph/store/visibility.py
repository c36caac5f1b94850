"""Read permissions of events as an SQL condition, so that limits, counts and searches respect them."""

from __future__ import annotations

from collections.abc import Set

from teleglyph.store.tag_keys import tag_key
from teleglyph.wire.nostr.groups import Audience

_RULES = {
    Audience.EVERYONE: "is_private = 1",
    Audience.MANAGEMENT: "is_private + is_hidden > 0",
    Audience.DESCRIPTION: "is_hidden = 1",
}
"""SQL conditions by audience: the groups whose events only members may read."""


def visible_to(readers: Set[str]) -> tuple[str, list[object]]:
    """A condition on a row of ``events``, with its values: a client with these public keys may read it.

    :class:`teleglyph.wire.nostr.groups.Audience` has the rules.
    """
    keys = [bytes.fromhex(reader) for reader in sorted(readers)]
    marks = ", ".join("?" for _ in keys)
    values: list[object] = []

    def in_readers(column: str, *, as_tag: bool = False) -> str:
        if not keys:
            return "1 = 0"
        values.extend(tag_key(key.hex()) if as_tag else key for key in keys)
        return f"{column} IN ({marks})"

    member = "SELECT 1 FROM event_group_members AS members WHERE members.group_key = events.group_key AND "
    terms = ["(group_key IS NULL AND audience = 0)"]
    for audience, rule in _RULES.items():
        outsider = f"NOT EXISTS ({member}{in_readers('members.pubkey')})"
        closed = f"SELECT 1 FROM event_groups AS kept WHERE kept.group_key = events.group_key AND {rule} AND {outsider}"
        terms.append(f"(audience = {int(audience)} AND NOT EXISTS ({closed}))")
    if keys:
        admin = f"EXISTS ({member}members.is_admin = 1 AND {in_readers('members.pubkey')})"
        terms.append(f"(audience = {int(Audience.ADMINS)} AND {admin})")
        named = (
            "SELECT 1 FROM event_tags AS named WHERE named.name = 'p' AND named.created_at = events.created_at "
            f"AND named.seq = events.seq AND {in_readers('named.value', as_tag=True)}"
        )
        terms.append(f"(audience = {int(Audience.RECIPIENTS)} AND EXISTS ({named}))")
        terms.append(in_readers("events.pubkey"))
    return f"({' OR '.join(terms)})", values
