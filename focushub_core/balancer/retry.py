"""May a request be sent again?

Rules that hold here (RFC 9110 section 9.2.2, RFC 9112 section 9.3.1):

* A request of which no byte was sent may go elsewhere, whatever its method.
* One that was sent may go elsewhere only if it is replayable, idempotent or declared so, and nothing of an
  answer was passed on. So a POST is never carried out twice.
* A body that was streamed and is gone cannot be sent again.
* Other than failures to connect, retries are at most a fifth of the requests of the last 10 s, and always 10 a second:
  an upstream that breaks under load is not given more of it.
"""

from __future__ import annotations

from collections import deque
from enum import Enum

IDEMPOTENT = frozenset({"GET", "HEAD", "OPTIONS", "PUT", "DELETE"})
"""TRACE, idempotent too, is never forwarded."""


class Stage(Enum):
    """How far an attempt got when it failed."""

    CONNECT = 0
    """No connection: no byte was sent."""
    SENT = 1
    """Bytes were sent; nothing of an answer was passed on."""
    PASSED_ON = 2
    """The client has the answer's head."""


def may_resend(stage: Stage, *, replayable: bool, body_at_hand: bool = True) -> bool:
    """Whether an attempt that failed at ``stage`` may be followed by another."""
    if stage is Stage.PASSED_ON or not body_at_hand:
        return False
    return stage is Stage.CONNECT or replayable


class RetryBudget:
    """At most ``share`` of the requests of the last ``window_s`` seconds, and always ``floor`` a second."""

    def __init__(self, *, share: float = 0.2, window_s: int = 10, floor: int = 10) -> None:
        self._share = share
        self._window_s = window_s
        self._floor = floor
        self._seconds: deque[list[int]] = deque()  # [second, requests, retries], the oldest first
        self._until = float("-inf")  # as long as the last of them lasts
        self._current = [0, 0, 0]

    def request(self, now: float) -> None:
        """Count a request."""
        if now >= self._until:
            self._current = self._second(now)
            self._until = self._current[0] + 1.0
        self._current[1] += 1

    def take(self, now: float) -> bool:
        """Whether one more retry is within the budget; if so it is counted."""
        current = self._second(now)
        requests = sum(second[1] for second in self._seconds)
        retries = sum(second[2] for second in self._seconds)
        if current[2] >= self._floor and retries >= self._share * requests:
            return False
        current[2] += 1
        return True

    def _second(self, now: float) -> list[int]:
        second = int(now)
        if not self._seconds or self._seconds[-1][0] != second:
            self._seconds.append([second, 0, 0])
        while self._seconds[0][0] <= second - self._window_s:
            self._seconds.popleft()
        return self._seconds[-1]
