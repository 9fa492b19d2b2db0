"""The upstreams that serve one thing, and which of them may be used now.

Rules that hold here:

* Those that are up, or not yet known, are used. When some but fewer than half are, all are used (panic): that so many
  are down at once is more likely an error of the checks than the truth, and the few would drown.
* When none is, all are tried: the truth may be newer than the last check.
* A request that is sent again goes to an upstream that has not had it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

from focushub_core.balancer.health import Health, HealthSettings, State
from focushub_core.balancer.policies import Policy, RoundRobin
from focushub_core.errors import ConfigurationError


@dataclass(slots=True, eq=False)
class Upstream:
    """One address that serves: ``url`` is an origin such as ``http://127.0.0.1:3000``."""

    url: str
    weight: int = 1
    health: Health = field(default_factory=Health)
    in_flight: int = 0
    turn: int = 0

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


class Pool:
    """Upstreams that are each other's replicas, and the policy that chooses among them."""

    def __init__(self, name: str, upstreams: Sequence[Upstream], policy: Policy | None = None) -> None:
        if not upstreams:
            raise ConfigurationError(f"{name}: there is no upstream")
        self.name = name
        self.upstreams = tuple(upstreams)
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

    def candidates(self, now: float) -> list[Upstream]:
        """Those that may be used at ``now``; never none."""
        usable = [upstream for upstream in self.upstreams if upstream.health.usable(now)]
        return usable if len(usable) * 2 >= len(self.upstreams) else list(self.upstreams)

    def choose(self, now: float, tried: Sequence[Upstream] = ()) -> Upstream | None:
        """The next upstream that has not been ``tried``; None when all have been."""
        if not tried:  # the common case
            usable = [upstream for upstream in self.upstreams if upstream.health.usable(now)]
            return self._policy.choose(usable if len(usable) == len(self.upstreams) else self.candidates(now))
        left = [upstream for upstream in self.candidates(now) if upstream not in tried]
        left = left or [upstream for upstream in self.upstreams if upstream not in tried]
        return self._policy.choose(left) if left else None

    def up(self, now: float) -> list[Upstream]:
        """Those that are proved to be there."""
        return [upstream for upstream in self.upstreams if upstream.health.state(now) is State.UP]

    def describe(self, now: float) -> list[dict[str, object]]:
        """Every upstream with its state, for people and for ``?verbose``."""
        return [
            {"url": u.url, "state": u.health.state(now).value, "in_flight": u.in_flight}
            for u in self.upstreams
        ]
