"""Detect whether the user's locale uses UTF-8.

Python changes the locale before our code runs: if it is ``C`` or not installed, Python sets ``LC_CTYPE`` to a UTF-8
locale for itself and its children (PEP 538).  That does not describe the terminal, so this module ignores the change.
"""

from __future__ import annotations

import contextlib
import locale
import os
import sys
from collections.abc import Mapping
from pathlib import Path

_VARIABLES = ("LC_ALL", "LC_CTYPE", "LANG")
_COERCED = ("C.UTF-8", "C.utf8", "UTF-8")
"""The values that Python sets ``LC_CTYPE`` to."""
_INITIAL_ENVIRONMENT = Path("/proc/self/environ")


def utf8_from_environment(environment: Mapping[str, str]) -> tuple[bool, str]:
    """Whether the locale's character set is UTF-8, and the deciding setting, for the user.

    The first variable of LC_ALL, LC_CTYPE and LANG that is set and not empty decides.

    Args:
        environment: ``os.environ`` is read as it was before Python changed it.
    """
    settings = {name: environment.get(name, "") for name in _VARIABLES}
    if environment is os.environ and _may_be_coerced(settings):
        settings["LC_CTYPE"] = _initial_ctype()
    for name, value in settings.items():
        if value:
            return _is_utf8(value), f"{name}={value}"
    return sys.platform == "darwin", "no locale is set"


def _may_be_coerced(settings: Mapping[str, str]) -> bool:
    return not settings["LC_ALL"] and settings["LC_CTYPE"] in _COERCED


def _initial_ctype() -> str:
    """LC_CTYPE as it was when this process started.

    Without that information, Python's UTF-8 mode decides: the locales that Python coerces switch it on (PEP 540), but a
    locale set to C.UTF-8 by the user does not.
    """
    with contextlib.suppress(OSError):
        for entry in _INITIAL_ENVIRONMENT.read_bytes().split(b"\0"):
            name, _, value = entry.partition(b"=")
            if name == b"LC_CTYPE":
                return os.fsdecode(value)
        return ""
    is_requested = os.environ.get("PYTHONUTF8") == "1" or "utf8" in sys._xoptions
    return "" if sys.flags.utf8_mode and not is_requested else os.environ.get("LC_CTYPE", "")


def _is_utf8(name: str) -> bool:
    """Whether a locale uses UTF-8, according to its name or else to the system."""
    if name in ("C", "POSIX"):
        return False
    charset = name.partition("@")[0].rpartition(".")[2]
    if "." in name or charset.upper().startswith("UTF"):
        return charset.lower().replace("-", "") == "utf8"
    return _charset_of(name).lower().replace("-", "") == "utf8"


def _charset_of(name: str) -> str:
    """The character set of an installed locale without one in its name, such as ``de_DE``; empty for other names."""
    before = locale.setlocale(locale.LC_CTYPE)
    try:
        locale.setlocale(locale.LC_CTYPE, name)
        return locale.nl_langinfo(locale.CODESET)
    except locale.Error:
        return ""
    finally:
        locale.setlocale(locale.LC_CTYPE, before)
