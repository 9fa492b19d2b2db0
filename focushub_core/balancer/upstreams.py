"""The upstreams that serve one thing, and which of them may be used now.

Rules that hold here:

* Those that are up, or not yet known, are used. When some but fewer than half are, all are used (panic): that so many
  are down at once is more likely an error of the checks than the truth, and the few would drown.
* When none is, all are tried: the truth may be newer than the last check.
* A request that is sent again goes to an upstream that has not had it.
* Upstreams join and leave as the addresses of their name do. One that left gets nothing new; what runs there ends
  there. Turns begin anew then, so that they are exactly even from that moment on.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

from focushub_core.balancer.health import Health, HealthSettings, State
from focushub_core.balancer.names import is_named
from focushub_core.balancer.policies import Policy, RoundRobin
from focushub_core.errors import ConfigurationError


@dataclass(slots=True, eq=False)
class Upstream:
    """One address that serves: ``url`` is an origin such as ``http://127.0.0.1:3000``.

    ``origin`` is what the settings call it, where that is a name: ``http://gateway:3000``. It is what ``Host`` says.
    """

    url: str
    weight: int = 1
    health: Health = field(default_factory=Health)
    in_flight: int = 0
    turn: int = 0
    origin: str = ""
    pieces: int = 0
    """Heads and parts of answers that came in several."""
    left: bool = False
    """Whether its name has this address no more: its connections are kept no longer."""

    def __post_init__(self) -> None:
        self.origin = self.origin or self.url

    @property
    def signs(self) -> int:
        """Signs of life so far: a number that changes with each."""
        return self.health.answered + self.health.faulty + self.pieces

    def usable(self, now: float) -> bool:
        """Whether it gets requests in normal times: it is up, or not yet known."""
        return self.health.usable(now)

    @contextmanager
    def busy(self) -> Iterator[None]:
        """Counts a request as running here."""
        self.in_flight += 1
        try:
            yield
        finally:
            self.in_flight -= 1


@dataclass(frozen=True, slots=True)
class Change:
    """What became of a pool."""

    joined: tuple[Upstream, ...] = ()
    left: tuple[Upstream, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.joined or self.left)


class Pool:
    """Upstreams that are each other's replicas, and the policy that chooses among them.

    It has none only while none of its names has an address.
    """

    def __init__(self, name: str, upstreams: Sequence[Upstream], policy: Policy | None = None) -> None:
        if not upstreams:
            raise ConfigurationError(f"{name}: there is no upstream")
        self.name = name
        self.upstreams = tuple(upstreams)
        self.retries: Counter[str] = Counter()
        """Requests that were sent once more, by the reason."""
        self._first = {upstream.origin: upstream for upstream in upstreams}
        self._policy = policy or RoundRobin()

    @classmethod
    def of(
        cls,
        name: str,
        urls: Iterable[str],
        health: HealthSettings | None = None,
        policy: Policy | None = None,
    ) -> Pool:
        """A pool of equals at these origins."""
        settings = health or HealthSettings()
        return cls(name, [Upstream(url.rstrip("/"), health=Health(settings)) for url in urls], policy)

    @property
    def policy(self) -> str:
        """What its policy is called."""
        return self._policy.name

    @property
    def names(self) -> list[str]:
        """The origins whose host is a name. Until it is looked up, one upstream stands for all of its addresses."""
        return [origin for origin in self._first if is_named(origin)]

    def found(self, origin: str, urls: Iterable[str]) -> Change:
        """``origin``'s name has the addresses ``urls`` now: who joins and who leaves by that."""
        now = list(dict.fromkeys(urls))
        known = {upstream.url for upstream in self.upstreams if upstream.origin == origin}
        left = tuple(u for u in self.upstreams if u.origin == origin and u.url not in now)
        joined = tuple(self._another(origin, url) for url in now if url not in known)
        if joined or left:
            stay = [upstream for upstream in self.upstreams if upstream not in left]
            self.upstreams = (*stay, *joined)
            for upstream in left:
                upstream.left = True
            for upstream in self.upstreams:
                upstream.turn = 0
        return Change(joined, left)

    def candidates(self, now: float) -> list[Upstream]:
        """Those that may be used at ``now``; none only if there is none at all."""
        usable = [upstream for upstream in self.upstreams if upstream.health.usable(now)]
        return usable if len(usable) * 2 >= len(self.upstreams) else list(self.upstreams)

    def choose(self, now: float, tried: Sequence[Upstream] = ()) -> Upstream | None:
        """The next upstream that has not been ``tried``; None when all have been, or there is none."""
        upstreams = self.upstreams
        if not tried and upstreams:
            if len(upstreams) == 1:
                return upstreams[0]
            for upstream in upstreams:
                if now < upstream.health.usable_from:
                    return self._policy.choose(self.candidates(now))
            return self._policy.choose(upstreams)  # the common case
        left = [upstream for upstream in self.candidates(now) if upstream not in tried]
        left = left or [upstream for upstream in upstreams if upstream not in tried]
        return self._policy.choose(left) if left else None

    def fit(self, now: float) -> bool:
        """Whether any of them is usable at ``now``."""
        for upstream in self.upstreams:  # noqa: SIM110 - a loop is twice as fast
            if now >= upstream.health.usable_from:
                return True
        return False

    def up(self, now: float) -> list[Upstream]:
        """Those that are proved to be there."""
        return [upstream for upstream in self.upstreams if upstream.health.state(now) is State.UP]

    def _another(self, origin: str, url: str) -> Upstream:
        first = self._first[origin]
        return Upstream(url, first.weight, Health(first.health.settings), origin=origin)
