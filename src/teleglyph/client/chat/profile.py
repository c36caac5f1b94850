"""Nostr profiles: events of kind 0, whose content is a JSON object."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any


def parse_profile(content: str) -> dict[str, Any]:
    """The members of a profile; empty if it is not a JSON object."""
    try:
        members = json.loads(content)
    except (ValueError, RecursionError):
        return {}
    return members if isinstance(members, dict) else {}


def profile_name(profile: Mapping[str, Any]) -> str:
    """The name in a profile; empty if there is none."""
    name = profile.get("name")
    return name if isinstance(name, str) else ""


def renamed(profile: Mapping[str, Any], name: str) -> str:
    """A profile's content with another name; members of other programs are kept."""
    return json.dumps({**profile, "name": name}, ensure_ascii=False)
