"""Explains one request to an operator: every hop says in ``Server-Timing`` what it did, and how long that took.

Rules that hold here:

* Only who sends the stack's ``EXPLAIN_SECRET`` in ``X-Explain`` is told. The field goes from hop to hop then; with a
  wrong secret, or without one, it is dropped, and nothing is revealed.
* Each hop adds a line of its own (W3C Server Timing): itself, then its steps in their order, in milliseconds.
"""

from __future__ import annotations

import hmac
from contextvars import ContextVar
from time import perf_counter

from focushub_core.settings import Secret

HEADER = "X-Explain"
FIELD = "Server-Timing"


class Explanation:
    """What one hop, ``part``, did for a request."""

    def __init__(self, part: str) -> None:
        self.began = perf_counter()
        self._part = part
        self._steps: list[str] = []

    def add(self, step: str, seconds: float, why: str = "") -> None:
        """A step, such as ``queue``, what it took, and what there is to say of it."""
        self._steps.append(_metric(f"{self._part}.{step}", seconds, why))

    def text(self, seconds: float) -> str:
        """The field's value; ``seconds`` is what the hop took in all."""
        return ", ".join([_metric(self._part, seconds, ""), *self._steps])


current: ContextVar[Explanation | None] = ContextVar("explanation", default=None)
"""That of the request which is being served."""


def begin(part: str, given: str | None, secret: Secret) -> None:
    """The request that is being served now came with ``given`` in `HEADER`: `current` explains it, if it is wanted."""
    current.set(Explanation(part) if is_wanted(given, secret) else None)


def is_wanted(given: str | None, secret: Secret | None) -> bool:
    """Whether ``given`` is the operator's secret."""
    if given is None or secret is None:
        return False
    return hmac.compare_digest(given.encode("utf-8", "surrogateescape"), secret.reveal().encode())


def _metric(name: str, seconds: float, why: str) -> str:
    said = "".join(character for character in why if " " <= character <= "~" and character not in '"\\')
    return f"{name};dur={seconds * 1000:.2f}" + (f';desc="{said}"' if said else "")
