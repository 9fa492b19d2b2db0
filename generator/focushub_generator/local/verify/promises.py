"""The promises, and whether they were kept. Pure.

Rules that hold here (`DATA_PLANE`, "Kept promises"):

* No GET fails while a gateway is killed and comes back, nor at rest.
* A write that was under way at the moment when a gateway was killed may fail, with a 502, 503 or 504 problem and never
  with a cut connection. No other may, nor one with a key of a service that keeps keys: it is sent to another gateway.
* While a service restarts, requests to it may fail with a 502, 503 or 504 problem; nobody else's may. An answer that is
  made of several services' counts as its own.
* What was acknowledged is there, once. Whatever was sent is there once at most, however often it was sent with its key;
  and a write with a key is acknowledged in the end.
* No answer reaches another client.
* Before anybody is killed and when all are back, whatever can be read is there, and whole.
* Who was killed is back within `PATIENCE_S`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from focushub_generator.local.verify.ledger import Attempt, Ledger, Outcome, Write

PATIENCE_S = 20.0
SETTLING_S = 1.0
"""Between a part's first good answer and the moment when nobody feels its absence any more."""
MOMENT_S = 0.25
"""So long a killed process' connections may live on."""
EXCUSES = frozenset({502, 503, 504})


@dataclass(frozen=True)
class Kill:
    """A part that was killed at ``at``; healthy again at ``back``, or ``None``: not in time."""

    part: str
    kind: str
    pid: int
    at: float
    back: float | None

    @property
    def until(self) -> float:
        """When its absence must not be felt any more."""
        return math.inf if self.back is None else self.back + SETTLING_S


class Group(NamedTuple):
    """Attempts to which the same is promised: ``may_fail`` with a problem that says that somebody is away."""

    during: str
    sent: str
    may_fail: bool


@dataclass(frozen=True)
class Row:
    """What became of a group. ``allowed``: so many may fail at most. Times in ms, ``None`` without answers."""

    during: str
    sent: str
    requests: int
    failed: int
    allowed: int
    limited: int
    p50_ms: float | None
    p99_ms: float | None


@dataclass(frozen=True)
class Verdict:
    """The report. ``broken``: a sentence for each promise that was not kept."""

    rows: tuple[Row, ...]
    kills: tuple[Kill, ...]
    writes: int
    acknowledged: int
    repeated: int
    lost: int
    twice: int
    answers: int
    astray: int
    broken: tuple[str, ...]

    @property
    def kept(self) -> bool:
        """Whether every promise was kept."""
        return not self.broken


def judge(ledger: Ledger, kills: Sequence[Kill]) -> Verdict:
    """Compares what happened to what is promised."""
    groups: dict[Group, list[Attempt]] = {}
    for attempt in ledger.attempts:
        groups.setdefault(group_of(attempt, kills), []).append(attempt)
    ordered = sorted(groups.items(), key=lambda pair: _place(pair[0], kills))
    lost = [write for write in ledger.writes if _is_lost(write, ledger)]
    twice = [write for write in ledger.writes if ledger.found.get(write.mark, 0) > 1]
    broken = [
        *(words for group, attempts in ordered if (words := _failures(group, attempts))),
        *_said(lost, "acknowledged write", "lost"),
        *_said(twice, "write", "executed twice"),
        *_said(
            [write for write in ledger.writes if _is_owed(write)], "write with a key", "never acknowledged"
        ),
        *_astray(ledger.astray),
        *ledger.missing,
        *(f"{path} could not be read back: {why}" for (_, path), why in ledger.unread.items()),
        *(
            f"{kill.part} was not healthy again within {PATIENCE_S:g} s"
            for kill in kills
            if kill.back is None
        ),
    ]
    return Verdict(
        rows=tuple(_row(group, attempts) for group, attempts in ordered),
        kills=tuple(kills),
        writes=len(ledger.writes),
        acknowledged=sum(write.acknowledged for write in ledger.writes),
        repeated=sum(write.attempts > 1 for write in ledger.writes),
        lost=len(lost),
        twice=len(twice),
        answers=sum(attempt.status > 0 for attempt in ledger.attempts),
        astray=len(ledger.astray),
        broken=tuple(broken),
    )


def group_of(attempt: Attempt, kills: Sequence[Kill]) -> Group:
    """What is promised to an attempt: by what was away while it was under way."""
    kind = "reads" if attempt.is_read else "writes"
    for kill in kills:
        if not attempt.overlaps(kill.at, kill.until):
            continue
        during = f"{kill.part} killed"
        if kill.kind == "service":
            its = attempt.service in {kill.part, None}
            return Group(during, f"{kind} of {'it' if its else 'others'}", may_fail=its)
        caught = not attempt.resent and attempt.overlaps(kill.at, kill.at + MOMENT_S)
        return Group(during, "writes under way" if caught else kind, may_fail=caught)
    return Group("at rest", kind, may_fail=False)


def _place(group: Group, kills: Sequence[Kill]) -> tuple[int, str, bool]:
    names = ["at rest", *(f"{kill.part} killed" for kill in kills)]
    return names.index(group.during), group.sent.partition(" ")[0], group.may_fail


def _row(group: Group, attempts: Sequence[Attempt]) -> Row:
    times = sorted((one.ended - one.started) * 1000 for one in attempts if one.outcome is Outcome.DONE)
    return Row(
        group.during,
        group.sent,
        requests=len(attempts),
        failed=_count(attempts, Outcome.FAILED),
        allowed=len(attempts) if group.may_fail else 0,
        limited=_count(attempts, Outcome.LIMITED),
        p50_ms=_quantile(times, 0.50),
        p99_ms=_quantile(times, 0.99),
    )


def _count(attempts: Sequence[Attempt], outcome: Outcome) -> int:
    return sum(attempt.outcome is outcome for attempt in attempts)


def _quantile(ordered: Sequence[float], share: float) -> float | None:
    return round(ordered[math.ceil(share * len(ordered)) - 1], 1) if ordered else None


def _failures(group: Group, attempts: Sequence[Attempt]) -> str | None:
    """The sentence about failures that nothing excuses."""
    excused: Callable[[Attempt], bool] = lambda one: (  # noqa: E731
        group.may_fail and one.is_problem and one.status in EXCUSES
    )
    failed = [one for one in attempts if one.outcome is Outcome.FAILED and not excused(one)]
    if not failed:
        return None
    promised = "where only 502, 503 and 504 problems may be" if group.may_fail else "where none may"
    count = f"{len(failed)} of {len(attempts)} {group.sent}"
    return f"{group.during}: {count} failed, {promised} (the first: {failed[0]})"


def _is_lost(write: Write, ledger: Ledger) -> bool:
    unread = (write.client, write.collection) in ledger.unread
    return write.acknowledged and not unread and not ledger.found.get(write.mark)


def _is_owed(write: Write) -> bool:
    return write.key is not None and not write.acknowledged and not write.refused


def _said(writes: Sequence[Write], what: str, fate: str) -> list[str]:
    if not writes:
        return []
    which = ", ".join(f"{write.mark} in {write.collection}" for write in writes[:3])
    several = what.replace("write", "writes", 1) if len(writes) > 1 else what
    return [f"{len(writes)} {several} {'were' if len(writes) > 1 else 'was'} {fate}: {which}"]


def _astray(astray: Sequence[str]) -> list[str]:
    if not astray:
        return []
    return [f"{len(astray)} answer{'s' * (len(astray) > 1)} reached another client: {astray[0]}"]
