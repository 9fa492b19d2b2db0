"""By when the request that is being served must be answered, for everything that happens on its behalf.

Rules that hold here:

* The edge sets a deadline and each hop passes on what is left, as ``X-Request-Timeout-Ms``: milliseconds, not a
  moment, for clocks differ between machines. The way between two hops is not counted.
* A hop may shorten what it is given, by its own limit, and never lengthens it; so it need not be trusted.
* Whoever waits on behalf of a request waits for `left` at most; without a deadline, for as long as it always would.
"""

from __future__ import annotations

import re
from contextvars import ContextVar
from time import monotonic

HEADER = "X-Request-Timeout-Ms"

_ends: ContextVar[float | None] = ContextVar("deadline", default=None)
_MILLISECONDS = re.compile(r"[0-9]{1,9}")


def take_up(value: str | None, limit: float) -> float:
    """Seconds for a request that came with ``value`` in the field: at most ``limit``; nonsense counts as nothing.

    >>> take_up("250", 10), take_up("99999999", 10), take_up("soon", 10), take_up(None, 10)
    (0.25, 10, 10, 10)
    """
    if value is None or not _MILLISECONDS.fullmatch(value):
        return limit
    return min(int(value) / 1000, limit)


def start(seconds: float | None) -> None:
    """What this task does from now on must be done in ``seconds``; None: whenever it is."""
    _ends.set(None if seconds is None else monotonic() + seconds)


def left(limit: float) -> float:
    """Seconds that may be waited: ``limit``, or what is left if that is less; 0 or below: the time is over."""
    ends = _ends.get()
    if ends is None:
        return limit
    remaining = ends - monotonic()
    return remaining if remaining < limit else limit  # `min` takes as long as all else


def field(limit: float) -> dict[str, str]:
    """The field for the next hop, which is waited for ``limit`` seconds at most."""
    return {HEADER: str(max(0, int(left(limit) * 1000)))}
