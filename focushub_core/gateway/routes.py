"""Which service a path belongs to.

Rules that hold here:

* A prefix matches whole segments: ``/v1/tasks`` takes ``/v1/tasks`` and ``/v1/tasks/1``, never ``/v1/tasksheet``.
  The longest prefix wins.
* What is matched is what is sent on, byte for byte. A path that a service could read differently (dot segments,
  empty segments, an encoded slash, dot, backslash or NUL) is refused instead of being interpreted.
* ``/internal`` is never routed, whatever the table says.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

import msgspec

from focushub_core.errors import BadRequest
from focushub_core.stack import ServiceEntry

_AMBIGUOUS = re.compile(r"//|/\.{1,2}(?:/|$)|\\|%(?:2e|2f|5c|00)", re.IGNORECASE)


class Match(msgspec.Struct, frozen=True):
    """Where a request goes: the service, whether it needs a token, whether it wants the person's day settings."""

    service: ServiceEntry
    public: bool
    day_aware: bool


class RouteTable:
    """The services' prefixes, ready to be looked up."""

    def __init__(self, services: Iterable[ServiceEntry]) -> None:
        self._by_prefix = {prefix: service for service in services for prefix in service.prefixes}

    def match(self, path: str) -> Match | None:
        """The service of ``path`` (raw, without its query) or ``None``; `BadRequest` for an ambiguous one."""
        if _AMBIGUOUS.search(path):
            raise BadRequest("The path can be read in more than one way.", code="ambiguous_path")
        if under(path, ("/internal",)):
            return None
        for prefix in _ancestors(path):
            service = self._by_prefix.get(prefix)
            if service is not None:
                return Match(service, under(path, service.public), under(path, service.day_aware))
        return None


def under(path: str, prefixes: Iterable[str]) -> bool:
    """Whether ``path`` is one of ``prefixes`` or lies below one.

    >>> under("/v1/auth/login", ["/v1/auth"]), under("/v1/authors", ["/v1/auth"])
    (True, False)
    """
    return any(path == prefix or path.startswith(prefix + "/") for prefix in prefixes)


def _ancestors(path: str) -> Iterable[str]:
    """``/a/b/c``, ``/a/b``, ``/a``."""
    while path:
        yield path
        path = path.rpartition("/")[0]
