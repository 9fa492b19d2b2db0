"""What was sent and what came of it. Pure: times are seconds of the load's own clock.

Rules that hold here:

* Every attempt is written down, those that were refused by a limit too: 429 is neither success nor failure.
* A write is one intention, however often it was sent; its mark is in no other.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum

TOO_MANY = 429
IN_USE = "idempotency_key_in_use"
"""The first attempt is still at work: no failure, and asked again."""


class Outcome(Enum):
    """What an attempt came to."""

    DONE = "done"
    LIMITED = "limited"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Attempt:
    """One request of one client. ``status`` 0: no answer; ``why``: the problem's code, or what the connection said.

    ``resent``: who forwards it may send it again, since it acts only once.
    """

    client: int
    method: str
    path: str
    service: str | None
    started: float
    ended: float
    status: int
    why: str = ""
    is_problem: bool = False
    resent: bool = False

    @property
    def outcome(self) -> Outcome:
        """Whether it was answered as wanted."""
        if self.status == TOO_MANY:
            return Outcome.LIMITED
        done = 200 <= self.status < 300 or (self.status == 409 and self.why == IN_USE)
        return Outcome.DONE if done else Outcome.FAILED

    @property
    def is_read(self) -> bool:
        """Whether it asks and changes nothing."""
        return self.method == "GET"

    def overlaps(self, begin: float, end: float) -> bool:
        """Whether any of it was under way between these moments."""
        return self.started <= end and self.ended >= begin

    def __str__(self) -> str:
        said = f"{self.status} {self.why}".strip() if self.status else self.why or "no answer"
        return f"{self.method} {self.path}: {said}"


@dataclass(slots=True)
class Write:
    """Something that a client wanted to be made once."""

    client: int
    collection: str
    mark: str
    key: str | None
    attempts: int = 0
    acknowledged: bool = False
    refused: bool = False
    """Never let in: all that came were refusals by a limit."""


@dataclass(slots=True)
class Ledger:
    """Everything that was sent. ``found``: how often each mark was there at the end."""

    attempts: list[Attempt] = field(default_factory=list)
    writes: list[Write] = field(default_factory=list)
    astray: list[str] = field(default_factory=list)
    """Answers, or things in them, that were another client's."""
    missing: list[str] = field(default_factory=list)
    """What could not be read whole before anybody was killed, or when all were back."""
    found: dict[str, int] = field(default_factory=dict)
    unread: dict[tuple[int, str], str] = field(default_factory=dict)
    """A client's lists that could not be read at the end, and why."""

    def count(self, outcome: Outcome) -> int:
        """How many attempts came to that."""
        return sum(attempt.outcome is outcome for attempt in self.attempts)
