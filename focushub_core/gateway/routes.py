"""Which service a path belongs to.

Rules that hold here:

* A prefix matches whole segments: ``/v1/tasks`` takes ``/v1/tasks`` and ``/v1/tasks/1``, never ``/v1/tasksheet``.
  The longest prefix wins.
* A path is matched without its percent-encoding, as a service reads it (RFC 3986 section 6.2.2.2), and sent on as it
  came. One that could be read in two ways does not come here: the proxy has refused it (`focushub_core.proxy.targets`).
* ``/internal`` is never routed, whatever the table says.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import msgspec

from focushub_core.stack import ServiceEntry

_INTERNAL = b"/internal"


class Match(msgspec.Struct, frozen=True):
    """Where a request goes, and by which prefix; whether it needs no token; whether it wants the day settings."""

    service: ServiceEntry
    prefix: str
    public: bool
    day_aware: bool


class RouteTable:
    """The services' prefixes, ready to be looked up."""

    def __init__(self, services: Iterable[ServiceEntry]) -> None:
        self._by_prefix = {
            prefix.encode(): _Prefix(service, prefix) for service in services for prefix in service.prefixes
        }

    def match(self, path: bytes) -> Match | None:
        """The service of ``path``, decoded and without its query, or None."""
        if path.startswith(_INTERNAL) and _under(path, _INTERNAL):
            return None
        above = path
        while above:
            found = self._by_prefix.get(above)
            if found is not None:
                return found.match(path)
            above = above[: max(above.rfind(b"/"), 0)]
        return None


class _Prefix:
    """A prefix' matches, made once: there are four at most."""

    def __init__(self, service: ServiceEntry, prefix: str) -> None:
        self._public = [each.encode() for each in service.public]
        self._day_aware = [each.encode() for each in service.day_aware]
        self._matches = {
            (public, day_aware): Match(service, prefix, public, day_aware)
            for public in (False, True)
            for day_aware in (False, True)
        }

    def match(self, path: bytes) -> Match:
        return self._matches[_any(path, self._public), _any(path, self._day_aware)]


def _any(path: bytes, prefixes: Sequence[bytes]) -> bool:
    for prefix in prefixes:  # noqa: SIM110 - a loop is twice as fast, and this is asked on every request
        if path.startswith(prefix) and _under(path, prefix):
            return True
    return False


def _under(path: bytes, prefix: bytes) -> bool:
    """Whether ``path``, which starts with ``prefix``, is it or below it."""
    return len(path) == len(prefix) or path[len(prefix)] == 47 or prefix.endswith(b"/")
