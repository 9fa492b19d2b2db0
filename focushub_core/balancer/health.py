"""Is an upstream fit for requests? Active checks and what requests themselves show, as counters.

Rules that hold here:

* Active: ``fall`` failed checks in a row take an upstream down, ``rise`` passed ones bring it up again. The very
  first result decides at once. An upstream that answers "not ready" drains: it gets nothing new from then on.
* Passive (outlier ejection): ``failures`` failed requests in a row eject an upstream for ``ejection_s`` x n, n
  counting how often in succession, at most ``longest_ejection_s``. One that stands still is ejected at once.
* An ejection because nobody could connect, or got an answer, ends early when ``rise`` checks pass: they prove just
  what was missing. One because of bad answers does not: a check does not ask what failed.
* The clock is an argument, in seconds that never go back.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum


class Outcome(Enum):
    """What a forwarded request showed about its upstream."""

    ANSWERED = "answered"
    FAULTY = "faulty"
    """No answer, half an answer, nonsense, or 500."""
    UNREACHABLE = "unreachable"
    """No connection."""
    FROZEN = "frozen"
    """It has requests, and answers neither them nor a probe."""


# A member is looked up by a function in Python 3.11, and this is asked for every request.
_ANSWERED = Outcome.ANSWERED


class CheckResult(Enum):
    """What an active check found."""

    PASSED = "passed"
    FAILED = "failed"
    NOT_READY = "not ready"
    """It answered 503: alive, and asking for no more."""


class State(Enum):
    """Where an upstream stands; only the first two get requests in normal times."""

    UNKNOWN = "unknown"
    UP = "up"
    DRAINING = "draining"
    DOWN = "down"
    EJECTED = "ejected"


@dataclass(frozen=True, slots=True)
class HealthSettings:
    """Counts in a row, and seconds."""

    rise: int = 2
    fall: int = 3
    failures: int = 5
    ejection_s: float = 30.0
    longest_ejection_s: float = 300.0


@dataclass(frozen=True, slots=True)
class LastCheck:
    """An active check: when, what it found, and in words why."""

    at: float
    result: CheckResult
    detail: str = ""


@dataclass(slots=True)
class Health:
    """The health of one upstream. The public counters only grow; metrics show them."""

    settings: HealthSettings = field(default_factory=HealthSettings)
    answered: int = 0
    faulty: int = 0
    unreachable: int = 0
    frozen: int = 0
    ejected: int = 0
    last_check: LastCheck | None = None
    usable_from: float = float("-inf")
    """From when on it gets requests in normal times; infinity: as soon as a check says so."""
    _up: bool | None = None
    _draining: bool = False
    _passed: int = 0
    _failed: int = 0
    _failures: int = 0
    _ejections: int = 0  # in succession
    _ejected_until: float = float("-inf")
    _ejected_for: float = 0.0
    _ejected_by: Outcome = Outcome.FAULTY

    @property
    def settled(self) -> bool:
        """Whether the last check passed and it is up: nothing is about to change."""
        return bool(self._up) and not self._failed and not self._draining

    def state(self, now: float) -> State:
        """Where it stands at ``now``."""
        if self._up is False:
            return State.DOWN
        if now < self._ejected_until:
            return State.EJECTED
        if self._draining:
            return State.DRAINING
        return State.UNKNOWN if self._up is None else State.UP

    def why(self, now: float) -> str:
        """Why it stands there, in words; nothing to say of one that is up."""
        state, check = self.state(now), self.last_check
        if state is State.EJECTED:
            return f"{_CAUSES[self._ejected_by]}; for {self._ejected_until - now:.0f} s more, at most"
        if state is State.UNKNOWN:
            return "not checked yet"
        if state is State.UP or check is None:
            return ""
        return check.detail or f"the last check: {check.result.value}"

    def usable(self, now: float) -> bool:
        """Whether it gets requests in normal times: `state` is UP or UNKNOWN."""
        return now >= self.usable_from

    def checked(self, result: CheckResult, now: float, detail: str = "") -> None:
        """Count an active check."""
        self._check(result, now, detail)
        self._settle()

    def _check(self, result: CheckResult, now: float, detail: str) -> None:
        self.last_check = LastCheck(now, result, detail)
        self._draining = result is CheckResult.NOT_READY
        if result is CheckResult.FAILED:
            self._passed, self._failed = 0, self._failed + 1
            if self._up is None or self._failed >= self.settings.fall:
                self._up = False
            return
        self._passed, self._failed = self._passed + 1, 0
        if self._up is None or self._passed >= self.settings.rise:
            self._up = True
            if self._ejected_by is not Outcome.FAULTY:
                self._ejected_until = min(self._ejected_until, now)

    def observed(self, outcome: Outcome, now: float) -> None:
        """Count a request."""
        if outcome is _ANSWERED:
            self._failures = 0
            self.answered += 1
            return
        self._count(outcome)
        self._failures += 1
        enough = outcome is Outcome.FROZEN or self._failures >= self.settings.failures
        if enough and now >= self._ejected_until:
            self._eject(outcome, now)

    def _count(self, outcome: Outcome) -> None:
        if outcome is Outcome.FAULTY:
            self.faulty += 1
        elif outcome is Outcome.UNREACHABLE:
            self.unreachable += 1
        else:
            self.frozen += 1

    def _eject(self, outcome: Outcome, now: float) -> None:
        served_s = now - self._ejected_until
        self._ejections = self._ejections + 1 if served_s <= self._ejected_for else 1
        self._ejected_for = min(self.settings.ejection_s * self._ejections, self.settings.longest_ejection_s)
        self._ejected_until = now + self._ejected_for
        self._ejected_by = outcome
        self._failures = self._passed = 0
        self.ejected += 1
        self._settle()

    def _settle(self) -> None:
        kept_out = self._draining or self._up is False
        self.usable_from = float("inf") if kept_out else self._ejected_until


_CAUSES = {
    Outcome.FAULTY: "request after request failed",
    Outcome.UNREACHABLE: "nobody could connect",
    Outcome.FROZEN: "it stood still with requests waiting",
}
