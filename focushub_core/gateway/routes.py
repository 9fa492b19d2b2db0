"""Which service a path belongs to.

Rules that hold here:

* A prefix matches whole segments: ``/v1/tasks`` takes ``/v1/tasks`` and ``/v1/tasks/1``, never ``/v1/tasksheet``.
  The longest prefix wins.
* What is matched is what is sent on, byte for byte; a path that a service could read differently is refused.
* ``/internal`` is never routed, whatever the table says.
"""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from focushub_core.errors import BadRequest
from focushub_core.proxy.targets import path_of, under
from focushub_core.stack import ServiceEntry


class Match(msgspec.Struct, frozen=True):
    """Where a request goes, and by which prefix; whether it needs no token; whether it wants the day settings."""

    service: ServiceEntry
    prefix: str
    public: bool
    day_aware: bool


class RouteTable:
    """The services' prefixes, ready to be looked up."""

    def __init__(self, services: Iterable[ServiceEntry]) -> None:
        self._by_prefix = {prefix: service for service in services for prefix in service.prefixes}

    def match(self, target: str) -> Match | None:
        """The service of a request's target, as it was sent, or ``None``; `BadRequest` for an ambiguous one."""
        path = path_of(target)
        if path is None:
            raise BadRequest("The path can be read in more than one way.", code="ambiguous_path")
        if under(path, "/internal"):
            return None
        for prefix in _ancestors(path):
            service = self._by_prefix.get(prefix)
            if service is not None:
                return Match(service, prefix, _any(path, service.public), _any(path, service.day_aware))
        return None


def _any(path: str, prefixes: Iterable[str]) -> bool:
    return any(under(path, prefix) for prefix in prefixes)


def _ancestors(path: str) -> Iterable[str]:
    """``/a/b/c``, ``/a/b``, ``/a``."""
    while path:
        yield path
        path = path.rpartition("/")[0]
