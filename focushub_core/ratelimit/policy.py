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

import msgspec

from focushub_core.errors import ConfigurationError
from focushub_core.ratelimit.address import UNKNOWN, Address, Network, is_trusted, parse_networks

By = Literal["user", "address", "route"]
OnOutage = Literal["share", "admit", "refuse"]

SECOND_US = 1_000_000
LONGEST_US = 366 * 24 * 3600 * SECOND_US
"""The longest time until a bucket is full again; it keeps all sums exact in Lua's numbers (2**53)."""

_NAME = re.compile(r"[a-z][a-z0-9_-]{0,31}")
_RATE = re.compile(r"\s*(\d{1,9})\s*/\s*(second|minute|hour|day)\s*")
_UNITS = {"second": 1, "minute": 60, "hour": 3600, "day": 86400}


class Caller(msgspec.Struct, frozen=True, gc=False):
    """Who asks for what, as far as limits are concerned.

    ``route`` is a template or a prefix (``/v1/tasks``), never the path that a client made up; ``user`` is known by
    a verified token.
    """

    path: str
    method: str = "GET"
    route: str = ""
    user: str | None = None
    address: Address | None = None
    house: str = UNKNOWN
    """The address' bucket (`bucket_key`)."""


@dataclass(frozen=True, slots=True)
class Policy:
    """``quota`` requests in ``window`` seconds, at most ``burst`` of them at once (left out: the quota).

    ``by`` says what has a bucket of its own: a user, an address, a route, or a combination of them. ``routes`` are
    path prefixes, ``methods`` methods; left out: all of them. A policy by user holds for requests whose user is
    known; one by address alone, without ``routes``, for those whose user is not. What ``exempt_routes``,
    ``exempt_addresses`` (networks) or ``exempt_users`` name is not counted. ``on_outage`` says what happens while
    the store is away: admit this process' share, admit all, or refuse.
    """

    name: str
    quota: int
    window: int = 60
    burst: int = 0
    by: By | tuple[By, ...] = "user"
    routes: tuple[str, ...] = ()
    on_outage: OnOutage = "share"
    methods: tuple[str, ...] = ()
    exempt_routes: tuple[str, ...] = ()
    exempt_addresses: tuple[str, ...] = ()
    exempt_users: tuple[str, ...] = ()
    kinds: tuple[By, ...] = field(init=False, repr=False, compare=False)
    narrowed: bool = field(init=False, repr=False, compare=False)
    text: str = field(init=False, repr=False, compare=False)
    """As it stands in ``RateLimit-Policy``; a burst unlike the quota is told by a parameter of our own."""
    exempt_networks: tuple[Network, ...] = field(init=False, repr=False, compare=False)
    interval_us: int = field(init=False, repr=False, compare=False)
    tolerance_us: int = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        set_ = object.__setattr__  # the class is frozen; these are its derived values
        set_(self, "burst", self.burst or self.quota)
        set_(self, "kinds", (self.by,) if isinstance(self.by, str) else tuple(self.by))
        _check(self)
        set_(self, "exempt_networks", _networks(self))
        exempt = (self.exempt_routes, self.exempt_addresses, self.exempt_users)
        set_(self, "narrowed", any((self.routes, self.methods, *exempt)))
        burst = f";burst={self.burst}" if self.burst != self.quota else ""
        set_(self, "text", f'"{self.name}";q={self.quota};w={self.window}{burst}')
        set_(self, "interval_us", -(-self.window * SECOND_US // self.quota))
        set_(self, "tolerance_us", self.interval_us * self.burst)
        if self.tolerance_us > LONGEST_US:
            raise ConfigurationError(f"limit {self.name!r}: its burst takes longer than a year to come back")

    @classmethod
    def parse(
        cls,
        rate: str,
        *,
        name: str = "default",
        by: By | tuple[By, ...] = "user",
        burst: int = 0,
        on_outage: OnOutage = "share",
    ) -> Policy:
        """A policy from ``"20/minute"`` (second, minute, hour or day)."""
        match = _RATE.fullmatch(rate)
        if match is None:
            raise ConfigurationError(f"limit {name!r}: {rate!r} is not a rate such as '20/minute'")
        return cls(
            name, quota=int(match[1]), window=_UNITS[match[2]], burst=burst, by=by, on_outage=on_outage
        )

    def share(self, replicas: int) -> Policy:
        """What one of ``replicas`` processes may admit alone, so that all of them keep to this policy."""
        if replicas == 1:
            return self
        return replace(self, window=self.window * replicas, burst=max(1, self.burst // replicas))

    def holds(self, caller: Caller) -> bool:
        """Whether this request counts."""
        if self.narrowed and not self._reaches(caller):
            return False
        if "user" in self.kinds:
            return caller.user is not None
        return caller.user is None or bool(self.routes) or self.kinds != ("address",)

    def key(self, caller: Caller) -> str:
        """Whose bucket it counts in."""
        if len(self.kinds) == 1:
            return _part(self.kinds[0], caller)
        # what joins the parts stands in none of them, or two callers could share a bucket
        parts = (_part(kind, caller).replace("%", "%25").replace("|", "%7C") for kind in self.kinds)
        return "|".join(parts)

    def _reaches(self, caller: Caller) -> bool:
        if self.routes and not _under_any(caller.path, self.routes):
            return False
        if self.methods and _counted_as(caller.method) not in self.methods:
            return False
        return not self._exempts(caller)

    def _exempts(self, caller: Caller) -> bool:
        if self.exempt_routes and _under_any(caller.path, self.exempt_routes):
            return True
        if caller.user in self.exempt_users:
            return True
        networks = self.exempt_networks
        return bool(networks) and caller.address is not None and is_trusted(caller.address, networks)


def _part(kind: By, caller: Caller) -> str:
    if kind == "user":
        return caller.user or ""
    return caller.house if kind == "address" else caller.route


def _counted_as(method: str) -> str:
    return "GET" if method == "HEAD" else method


def lies_under(path: str, prefix: str) -> bool:
    """Whether ``path`` is ``prefix`` or below it: ``/v1/tasks`` has ``/v1/tasks/1``, not ``/v1/tasksheet``."""
    return path == prefix or path.startswith(prefix.rstrip("/") + "/")


def _under_any(path: str, prefixes: tuple[str, ...]) -> bool:
    return any(lies_under(path, prefix) for prefix in prefixes)


def _networks(policy: Policy) -> tuple[Network, ...]:
    try:
        return parse_networks(",".join(policy.exempt_addresses))
    except ConfigurationError as error:
        reason = str(error).partition(": ")[2]
        raise ConfigurationError(f"limit {policy.name!r}: exempt_addresses: {reason}") from None


def _check(policy: Policy) -> None:
    routes = (*policy.routes, *policy.exempt_routes)
    problems = {
        "its name is not of the form [a-z][a-z0-9_-]*, 32 at most": not _NAME.fullmatch(policy.name),
        "quota must be at least 1": policy.quota < 1,
        "window must be at least 1 second": policy.window < 1,
        "burst must be at least 1": policy.burst < 1,
        "quota is over a million a second": policy.quota > policy.window * SECOND_US,
        f"by must be made of {', '.join(get_args(By))}": not set(policy.kinds) <= set(get_args(By)),
        "by must name each once, and one at least": not len(policy.kinds) == len(set(policy.kinds)) > 0,
        f"on_outage must be one of {', '.join(get_args(OnOutage))}": policy.on_outage
        not in get_args(OnOutage),
        "every route must start with /": not all(route.startswith("/") for route in routes),
        "methods are written in capitals": not all(m.isascii() and m.isupper() for m in policy.methods),
    }
    for problem, there in problems.items():
        if there:
            raise ConfigurationError(f"limit {policy.name!r}: {problem}")
