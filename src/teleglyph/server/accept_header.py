"""The Accept header of HTTP requests."""

from __future__ import annotations

import re
from collections.abc import Iterable

_QUOTED = re.compile(r'"(?:[^"\\]|\\.)*"')
_NO_WEIGHT = re.compile(r"0(?:\.0*)?")


def accepts(lines: Iterable[str], media_type: str) -> bool:
    """Whether ``Accept`` headers name a media type, with a weight above 0 (RFC 9110, 12.5.1); wildcards do not count.

    Args:
        lines: the headers' values; together they are one list.
        media_type: in lower case, without parameters.
    """
    for element in _QUOTED.sub('""', ", ".join(lines)).split(","):
        name, *parameters = (part.strip(" \t").lower() for part in element.split(";"))
        weights = [value for part in parameters for key, _, value in [part.partition("=")] if key.strip() == "q"]
        if name == media_type and not any(_NO_WEIGHT.fullmatch(weight.strip()) for weight in weights):
            return True
    return False
