"""When a part that died is started again: pure, the clock is an argument.

Rules that hold here:

* The first death waits 0.2 s, each further one twice as long, at most 5 s.
* A part that lived for the whole window (30 s) has shown that it can: its next death waits 0.2 s again.
* Five deaths within the window: given up.
"""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True)
class Policy:
    """Delays in seconds; ``deaths`` within ``window`` seconds end the attempts."""

    first: float = 0.2
    ceiling: float = 5.0
    window: float = 30.0
    deaths: int = 5


@dataclass(frozen=True)
class History:
    """What is remembered of a part's deaths: their times within the window, and how many came in a row."""

    recent: tuple[float, ...] = ()
    streak: int = 0


@dataclass(frozen=True)
class Verdict:
    """What follows a death: ``delay`` in seconds until the next start, or ``None`` when it is given up."""

    history: History = field(repr=False)
    delay: float | None


def after_death(history: History, *, now: float, lived: float, policy: Policy = Policy()) -> Verdict:
    """Judges a death at ``now`` (any monotonic clock, seconds) of a part that had lived for ``lived`` seconds."""
    recent = (*(moment for moment in history.recent if now - moment < policy.window), now)
    streak = 1 if lived >= policy.window else history.streak + 1
    following = History(recent, streak)
    if len(recent) >= policy.deaths:
        return Verdict(following, None)
    return Verdict(following, delay_of(streak, policy))


def delay_of(streak: int, policy: Policy) -> float:
    """The wait before the start that follows the ``streak``-th death in a row."""
    doublings = min(streak - 1, 60)  # 2**60 is beyond every ceiling, and no overflow
    return min(policy.ceiling, policy.first * float(2**doublings))
