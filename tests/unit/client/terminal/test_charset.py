"""Whether the user's locale says UTF-8, in processes whose locale Python has changed."""

import subprocess
import sys
from pathlib import Path

import pytest

from teleglyph.client.terminal import charset

CODE = (
    "import os, sys; from pathlib import Path; from teleglyph.client.terminal import charset\n"
    "if len(sys.argv) > 1: charset._INITIAL_ENVIRONMENT = Path('/nowhere')\n"
    "print(*charset.utf8_from_environment(os.environ))"
)
SOURCES = str(Path(charset.__file__).parents[3])

CASES: list[tuple[dict[str, str], bool]] = [
    ({}, sys.platform == "darwin"),
    ({"LANG": "C"}, False),
    ({"LANG": "POSIX"}, False),
    ({"LANG": ""}, sys.platform == "darwin"),
    ({"LC_ALL": "C"}, False),
    ({"LC_ALL": "POSIX", "LANG": "en_US.UTF-8"}, False),
    ({"LC_ALL": "C.UTF-8"}, True),
    ({"LC_ALL": "C.utf8", "LANG": "C"}, True),
    ({"LC_ALL": "", "LANG": "C"}, False),
    ({"LC_ALL": "", "LC_CTYPE": "", "LANG": "de_DE.UTF-8"}, True),
    ({"LC_ALL": "", "LC_CTYPE": "ca_ES.UTF-8@valencia", "LANG": "C"}, True),
    ({"LC_CTYPE": "C.UTF-8", "LANG": "C"}, True),
    ({"LC_CTYPE": "C.UTF-8"}, True),
    ({"LC_CTYPE": "UTF-8"}, True),
    ({"LANG": "en_US.UTF-8"}, True),
    ({"LANG": "en_US.utf8"}, True),
    ({"LANG": "de_DE.ISO-8859-1"}, False),
    ({"LANG": "de_DE.iso88591@euro"}, False),
    ({"LANG": "ja_JP.eucJP"}, False),
    ({"LANG": "no such locale"}, False),
    ({"LANG": "xx_XX"}, False),
    ({"LANG": "xx_XX.UTF-8"}, True),
    ({"LANG": "C", "PYTHONUTF8": "1"}, False),
    ({"LANG": "C", "PYTHONUTF8": "0"}, False),
    ({"LANG": "C", "PYTHONCOERCECLOCALE": "0"}, False),
    ({"LANG": "C", "PYTHONCOERCECLOCALE": "1"}, False),
    ({"LANG": "C.UTF-8", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}, True),
]


def answer(environment: dict[str, str], *arguments: str) -> tuple[bool, str]:
    done = subprocess.run(
        [sys.executable, "-c", CODE, *arguments],
        env={"PYTHONPATH": SOURCES, **environment},
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    word, _, source = done.stdout.strip().partition(" ")
    return word == "True", source


@pytest.mark.parametrize(("environment", "utf8"), CASES)
def test_the_locale_that_the_user_set_decides(environment: dict[str, str], utf8: bool) -> None:
    assert answer(environment)[0] is utf8


def test_the_category_comes_before_the_language() -> None:
    assert answer({"LANG": "en_US.UTF-8", "LC_CTYPE": "C"}) == (False, "LC_CTYPE=C")
    assert answer({"LANG": "C", "LC_CTYPE": "en_US.UTF-8"}) == (True, "LC_CTYPE=en_US.UTF-8")


@pytest.mark.parametrize(
    ("environment", "utf8"),
    [case for case in CASES if "PYTHONUTF8" not in case[0] and case[0].get("LC_CTYPE", "") in ("", "C.UTF-8")],
)
def test_without_a_record_of_the_first_environment_the_answer_is_the_same(
    environment: dict[str, str], utf8: bool
) -> None:
    # Requested UTF-8 mode, or an LC_CTYPE that is not installed, hides what the user set.
    assert answer(environment, "without a record")[0] is utf8


def test_a_locale_without_a_charset_is_looked_up_in_the_system() -> None:
    installed = subprocess.run(["locale", "-a"], capture_output=True, text=True, check=False).stdout.split()
    plain = [name for name in installed if "." not in name and name not in ("C", "POSIX")]
    for name in plain:
        charmap = subprocess.run(
            ["locale", "charmap"], env={"LC_ALL": name}, capture_output=True, text=True, check=True
        )
        assert answer({"LANG": name})[0] is (charmap.stdout.strip() == "UTF-8")
