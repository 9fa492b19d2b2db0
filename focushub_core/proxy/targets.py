"""Which request targets are passed on.

Rules that hold here:

* A target is passed on as it was written, so it must mean the same to everybody: no dot segment, spelled out or in
  percent-encoding, with or without parameters (``..;x``, which some servers leave out), no encoded slash or backslash,
  no backslash, no fragment.
* A route is a prefix of whole segments: ``/v1`` takes ``/v1`` and ``/v1/tasks``, not ``/v10``.
"""

from __future__ import annotations

import re

_AMBIGUOUS = re.compile(
    r"""
      (?:/|%2f) (?:\.|%2e){1,2} (?:/|%2f|;|%3b|\Z)   # /../ or /./ in any spelling
    | %2f | %5c | \\ | \# | %00
    | [\x00-\x20\x7f]
    """,
    re.IGNORECASE | re.VERBOSE,
)


def path_of(target: str) -> str | None:
    """The path of an origin-form target (RFC 9112 section 3.2.1), or None if it is not one to pass on."""
    path = target.partition("?")[0]
    if not path.startswith("/") or path.startswith("//") or _AMBIGUOUS.search(path):
        return None
    return path


def under(path: str, prefix: str) -> bool:
    """Whether ``path`` is ``prefix`` or below it."""
    return path == prefix or path.startswith(prefix.rstrip("/") + "/")
