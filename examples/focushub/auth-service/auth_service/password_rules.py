"""Which passwords are too weak (ASVS 6.2, NIST SP 800-63B): short ones and common ones, and nothing else. Pure.

Rules that hold here:

* Any characters in any composition, 8 to 128 of them; a password is never cut, trimmed or normalised.
* A password is common when it is in `COMMON`, or its letters alone are one of the stack's own words
  (``Focus-Hub 2026!``); upper and lower case don't matter for this.
"""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path
from typing import Final

MIN_LENGTH = 8
MAX_LENGTH = 128

COMMON: Final = Path(__file__).with_name("common_passwords.txt")
"""One a line, lower case, none shorter than `MIN_LENGTH`."""

_OWN_WORDS = frozenset({"focushub", "focushubpassword", "focushubadmin", "focushubuser", "myfocushub"})
_NO_LETTERS = re.compile(r"[\W\d_]+")


@cache
def _common() -> frozenset[str]:
    return frozenset(COMMON.read_text("utf-8").split())


def weakness(password: str) -> str | None:
    """Why a password is too weak, as a sentence for its owner; ``None`` where it is good."""
    if len(password) < MIN_LENGTH:
        return f"A password has at least {MIN_LENGTH} characters."
    folded = password.casefold()
    if folded in _common() or _NO_LETTERS.sub("", folded) in _OWN_WORDS:
        return "This password is among the first that are guessed."
    return None
