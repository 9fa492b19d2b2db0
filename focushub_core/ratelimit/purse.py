"""Paying for the same again and again out of leases: the short way of nearly all requests.

Rules that hold here:

* It says, takes and counts what `Limiter.decide` would where the latest leases pay for everything; else it does
  nothing.
* The holdings that it remembers are those of its buckets as long as none was forgotten (`Generations.turns`); while the
  store is away there are none.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from focushub_core.ratelimit.gcra import Charge
from focushub_core.ratelimit.leases import Holding, Leases
from focushub_core.ratelimit.policy import SECOND_US, Policy
from focushub_core.ratelimit.tally import Tally

if TYPE_CHECKING:
    from focushub_core.ratelimit.limiter import Limiter


Part = tuple[Holding, Policy, int, Tally]
"""Where a charge is paid from, under which policy, how much, and where it is counted."""


class Purse:
    """Pays for ``charges``, of which no two are of one bucket, out of what ``leases`` hold."""

    __slots__ = ("_charges", "_clock", "_holdings", "_limiter", "_parts", "_turns")

    def __init__(self, limiter: Limiter, leases: Leases, charges: Sequence[Charge]) -> None:
        self._limiter = limiter
        self._clock = leases.clock
        self._holdings = leases.holdings
        self._charges = tuple(charges)
        self._turns = 0
        self._parts: Sequence[Part] = ()

    def spend(self) -> tuple[int, ...] | None:
        """The numbers of `fields.Form`: for each charge the permits left, and whole seconds until there is one more.

        None where somebody has to be asked, or something else decided; then nothing is charged.
        """
        parts = self._parts
        if not parts or self._turns != self._holdings.turns:
            parts = self._parts = self._found()
            if not parts:
                return None
        now = self._clock() // 1000
        numbers: tuple[int, ...] = ()
        for holding, policy, cost, tally in parts:
            left = holding.spend(policy, cost, now)
            if left is None:
                self._give_back(len(numbers) // 2)
                return None
            tally.admitted += 1
            tally.leased += 1
            numbers += (left[0], -(-left[1] // SECOND_US))
        return numbers

    def _found(self) -> Sequence[Part]:
        """The holdings, or nothing unless all of them are known."""
        self._turns = self._holdings.turns
        if self._limiter.degraded:
            return ()
        found = [(self._holdings.get(charge.bucket), charge) for charge in self._charges]
        parts = [
            (holding, charge.policy, charge.cost, self._limiter.tallies[charge.policy.name])
            for holding, charge in found
            if holding is not None
        ]
        return parts if len(parts) == len(found) else ()

    def _give_back(self, count: int) -> None:
        """Undo what was done for the first so many charges a moment ago."""
        for holding, policy, cost, tally in self._parts[:count]:
            holding.rest += cost * policy.interval_us
            tally.admitted -= 1
            tally.leased -= 1
