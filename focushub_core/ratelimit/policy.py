"""What a limit is: a quota in a window, a burst, whose it is, and where it holds.

Rules that hold here:

* Time is whole microseconds. The interval between two permits is rounded up, so that rounding never admits
  more than the quota.
* A policy that cannot work is refused when it is made (`ConfigurationError`), never at a request.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from typing import Literal, get_args

from focushub_core.errors import ConfigurationError

By = Literal["user", "address"]
OnOutage = Literal["share", "admit", "refuse"]

SECOND_US = 1_000_000
LONGEST_US = 366 * 24 * 3600 * SECOND_US
"""The longest time until a bucket is full again; it keeps all sums exact in Lua's numbers (2**53)."""

_NAME = re.compile(r"[a-z][a-z0-9_-]{0,31}")
_RATE = re.compile(r"\s*(\d{1,9})\s*/\s*(second|minute|hour|day)\s*")
_UNITS = {"second": 1, "minute": 60, "hour": 3600, "day": 86400}


@dataclass(frozen=True, slots=True)
class Policy:
    """``quota`` requests in ``window`` seconds, at most ``burst`` of them at once (left out: the quota).

    ``by`` says whose bucket it is. ``routes`` are path prefixes; without any, a policy by user holds
    everywhere, and one by address for requests of nobody known. ``on_outage`` says what happens while the
    store is away: admit this process' share, admit all, or refuse.
    """

    name: str
    quota: int
    window: int = 60
    burst: int = 0
    by: By = "user"
    routes: tuple[str, ...] = ()
    on_outage: OnOutage = "share"
    interval_us: int = field(init=False, repr=False, compare=False)
    tolerance_us: int = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        set_ = object.__setattr__  # the class is frozen; these are its derived values
        set_(self, "burst", self.burst or self.quota)
        _check(self)
        set_(self, "interval_us", -(-self.window * SECOND_US // self.quota))
        set_(self, "tolerance_us", self.interval_us * self.burst)
        if self.tolerance_us > LONGEST_US:
            raise ConfigurationError(f"limit {self.name!r}: its burst takes longer than a year to come back")

    @classmethod
    def parse(cls, rate: str, *, name: str = "default", by: By = "user", burst: int = 0) -> Policy:
        """A policy from ``"20/minute"`` (second, minute, hour or day)."""
        match = _RATE.fullmatch(rate)
        if match is None:
            raise ConfigurationError(f"limit {name!r}: {rate!r} is not a rate such as '20/minute'")
        return cls(name, quota=int(match[1]), window=_UNITS[match[2]], by=by, burst=burst)

    def share(self, replicas: int) -> Policy:
        """What one of ``replicas`` processes may admit alone, so that all of them keep to this policy."""
        if replicas == 1:
            return self
        return replace(self, window=self.window * replicas, burst=max(1, self.burst // replicas))

    def holds(self, path: str, *, known: bool) -> bool:
        """Whether a request for ``path`` counts, ``known`` saying that its user is known."""
        if self.routes and not any(_under(path, prefix) for prefix in self.routes):
            return False
        return known if self.by == "user" else (bool(self.routes) or not known)


def _under(path: str, prefix: str) -> bool:
    return path == prefix or path.startswith(prefix.rstrip("/") + "/")


def _check(policy: Policy) -> None:
    problems = {
        "its name is not of the form [a-z][a-z0-9_-]*, 32 at most": not _NAME.fullmatch(policy.name),
        "quota must be at least 1": policy.quota < 1,
        "window must be at least 1 second": policy.window < 1,
        "burst must be at least 1": policy.burst < 1,
        "quota is over a million a second": policy.quota > policy.window * SECOND_US,
        f"by must be one of {', '.join(get_args(By))}": policy.by not in get_args(By),
        f"on_outage must be one of {', '.join(get_args(OnOutage))}": policy.on_outage
        not in get_args(OnOutage),
        "every route must start with /": not all(route.startswith("/") for route in policy.routes),
    }
    for problem, there in problems.items():
        if there:
            raise ConfigurationError(f"limit {policy.name!r}: {problem}")
