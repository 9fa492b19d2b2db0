"""What a limiter has decided, in numbers."""

from __future__ import annotations

from collections.abc import Sequence

from prometheus_client import CollectorRegistry, generate_latest

from focushub_core.ratelimit import Charge, Decision, Leases, Limiter, Policy, metrics
from focushub_core.ratelimit.gcra import Grant, Want
from focushub_core.ratelimit.tally import MOST_NAMES, OTHER, Tallies
from focushub_core.telemetry.families import register, render


class LentStore:
    """A shared store that lends what is asked for."""

    async def reserve(self, wants: Sequence[Want], part: int) -> Grant:
        return Grant(True, (0,) * len(wants), tuple(20 * want.interval_us for want in wants))

    async def ping(self) -> int:
        return 1

    async def close(self) -> None:
        pass


def decision(name: str, allowed: bool) -> Decision:
    return Decision(Policy(name, 5), allowed, 0, 0, 0 if allowed else 1)


def test_a_refusal_counts_for_who_refused_and_an_admission_for_all() -> None:
    tallies = Tallies()
    tallies.count([decision("a", True), decision("b", True)], leased=True, degraded=False)
    tallies.count([decision("a", True), decision("b", False)], leased=False, degraded=True)
    numbers = {name: tally.numbers() for name, tally in tallies.items()}

    assert numbers == {
        "a": {"admitted": 1, "refused": 0, "leased": 1, "degraded": 1},
        "b": {"admitted": 1, "refused": 1, "leased": 1, "degraded": 1},
    }


def test_names_of_policies_do_not_grow_without_end() -> None:
    tallies = Tallies()
    for number in range(10 * MOST_NAMES):
        tallies.count([decision(f"p{number}", True)], leased=False, degraded=False)
    numbers = {name: tally.admitted for name, tally in tallies.items()}

    assert len(numbers) == MOST_NAMES + 1
    assert numbers[OTHER] == 9 * MOST_NAMES


async def test_no_key_becomes_a_label() -> None:
    registry, limiter = CollectorRegistry(), Limiter()
    register(lambda: metrics.families(limiter), registry)
    for number in range(100):
        await limiter.acquire(f"user-{number}", Policy("user", 5))
    for text in (generate_latest(registry).decode(), render(metrics.families(limiter)).decode()):
        assert 'ratelimit_leased_decisions_total{policy="user"} 0.0' in text
        assert "100.0" in next(line for line in text.splitlines() if 'outcome="admitted"' in line)
        assert "user-" not in text


async def test_what_leases_pay_for_counts_as_admitted_and_leased() -> None:
    limiter = Limiter(Leases(LentStore(), clock=lambda: 1))
    charges = [Charge(Policy("a", 100), "k"), Charge(Policy("b", 100), "k")]
    await limiter.check(charges)
    purse = limiter.purse(charges)
    assert purse is not None
    paid = sum(purse.spend() is not None for _ in range(10))
    await limiter.close()

    assert paid > 0
    assert {name: (tally.admitted, tally.leased) for name, tally in limiter.tallies.items()} == {
        "a": (1 + paid, paid),
        "b": (1 + paid, paid),
    }
