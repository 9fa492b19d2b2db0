"""Conditional requests (RFC 9110, 13): a change that is made only to the version its author has seen.

A representation's version is a whole number that grows with each change; its entity tag is that number in quotes.
"""

from __future__ import annotations

import re

from focushub_core.errors import PreconditionFailed

_LIST = re.compile(r'[ \t]*(?:W/)?"[^"]*"[ \t]*(?:,[ \t]*(?:W/)?"[^"]*"[ \t]*)*')
_TAG = re.compile(r'(W/)?("[^"]*")')


def etag(version: int) -> str:
    """The ``ETag`` of a version."""
    return f'"{version}"'


def require_match(if_match: str | None, version: int) -> None:
    """Raises `PreconditionFailed` unless ``If-Match`` is absent, ``*``, or names ``version``.

    The comparison is the strong one (RFC 9110, 13.1.1): a weak tag matches nothing, nor does an unreadable field.
    """
    if if_match is None or if_match.strip() == "*":
        return
    tags = _TAG.findall(if_match) if _LIST.fullmatch(if_match) else []
    if ("", etag(version)) not in tags:
        raise PreconditionFailed("This was changed since you read it; read it again.")
