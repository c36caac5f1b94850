"""A plain model of groups: permissions and visibility.  It shares no code with the relay."""

from __future__ import annotations

from dataclasses import dataclass, field

FLAGS = ("private", "hidden", "restricted", "closed")


@dataclass
class Said:
    """An accepted event."""

    id: str
    author: str
    kind: int


@dataclass
class ReferenceGroup:
    """One group, from before its creation until after its deletion."""

    exists: bool = False
    flags: set[str] = field(default_factory=set)
    roles: dict[str, set[str]] = field(default_factory=dict)
    codes: dict[str, str] = field(default_factory=dict)
    """Codes by the id of the invitation."""
    said: list[Said] = field(default_factory=list)
    removed: set[str] = field(default_factory=set)

    def is_admin(self, who: str) -> bool:
        return "admin" in self.roles.get(who, ())

    def is_moderator(self, who: str) -> bool:
        return "moderator" in self.roles.get(who, ())

    def accepts(self, who: str, kind: int, tags: dict[str, list[str]]) -> bool:
        """Whether an event is accepted."""
        if kind == 5:
            return True
        if kind == 9007:
            return not self.exists
        if not self.exists:
            return kind == 9
        if kind == 9:
            return "restricted" not in self.flags or who in self.roles
        if kind == 9021:
            is_invited = "closed" not in self.flags or not set(self.codes.values()).isdisjoint(tags.get("code", []))
            return who not in self.roles and is_invited
        if kind == 9022:
            return who in self.roles
        if self.is_admin(who):
            return True
        if not self.is_moderator(who):
            return False
        return kind == 9005 or (kind == 9001 and not any(self.roles.get(key) for key in tags["p"]))

    def take(self, event: Said, tags: dict[str, list[str]], roles: list[str]) -> None:
        """Apply an accepted event."""
        who, kind = event.author, event.kind
        if kind == 9007:
            self.exists, self.roles = True, {who: {"admin"}}
        elif kind == 9000:
            self.roles[tags["p"][0]] = set(roles)
        elif kind in (9001, 9022):
            self.roles.pop(tags["p"][0] if kind == 9001 else who, None)
        elif kind == 9002:
            self.flags = (self.flags - set(tags["opened"])) | set(tags["closed"])
        elif kind == 9009:
            self.codes[event.id] = tags["code"][0]
        elif kind == 9021:
            self.roles[who] = set()
        elif kind in (5, 9005):
            for number in tags["e"]:
                self._remove(number, who, by_author=kind == 5)
        self.said.append(event)

    def _remove(self, number: str, who: str, *, by_author: bool) -> None:
        for one in self.said:
            may_go = one.author == who and one.kind != 5 if by_author else one.kind in (5, 9, 9009, 9021)
            if one.id == number and may_go:
                self.removed.add(number)
                if one.kind == 9009:
                    self.codes.pop(number, None)

    def sees(self, reader: str | None, one: Said) -> bool:
        """Whether a reader may see an event that still exists."""
        if one.id in self.removed:
            return False
        if one.author == reader:
            return True
        if one.kind in (9009, 9021):
            return reader is not None and self.is_admin(reader)
        closed = {"private"} if one.kind in (5, 9) else {"private", "hidden"}
        return reader in self.roles or self.flags.isdisjoint(closed)
