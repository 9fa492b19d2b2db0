"""What a limiter has decided, in numbers."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, generate_latest

from focushub_core.ratelimit import Decision, Limiter, Policy, metrics
from focushub_core.ratelimit.tally import MOST_NAMES, OTHER, Tallies
from focushub_core.telemetry.families import register, render


def decision(name: str, allowed: bool) -> Decision:
    return Decision(Policy(name, 5), allowed, 0, 0, 0 if allowed else 1)


def test_a_refusal_counts_for_who_refused_and_an_admission_for_all() -> None:
    tallies = Tallies()
    tallies.count([decision("a", True), decision("b", True)], leased=True, degraded=False)
    tallies.count([decision("a", True), decision("b", False)], leased=False, degraded=True)
    numbers = {name: tally.numbers() for name, tally in tallies}

    assert numbers == {
        "a": {"admitted": 1, "refused": 0, "leased": 1, "degraded": 1},
        "b": {"admitted": 1, "refused": 1, "leased": 1, "degraded": 1},
    }


def test_names_of_policies_do_not_grow_without_end() -> None:
    tallies = Tallies()
    for number in range(10 * MOST_NAMES):
        tallies.count([decision(f"p{number}", True)], leased=False, degraded=False)
    numbers = {name: tally.admitted for name, tally in tallies}

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
