"""The header fields of a limited answer, as text.

``RateLimit-Policy`` and ``RateLimit`` follow the RateLimit header fields draft of the IETF's HTTPAPI group,
written as structured fields (RFC 9651); ``Retry-After`` is RFC 9110 section 10.2.3 with RFC 6585's 429.

Rules that hold here:

* The numbers are true. ``r`` permits may be spent now; in ``t`` seconds there is more than ``r``; a client
  that waits ``Retry-After`` seconds is admitted (unless somebody else spends the same bucket meanwhile).
* Seconds are rounded up, never down, and ``Retry-After`` is never less than ``t``.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from math import ceil

import msgspec

from focushub_core.ratelimit.gcra import Decision
from focushub_core.ratelimit.policy import Policy


class Form(msgspec.Struct, frozen=True):
    """What answers say of some policies, but for the numbers, for which there is ``%d``.

    ``policies`` is the value of ``RateLimit-Policy``: ``"user";q=100;w=60`` (a burst unlike the quota is told by a
    parameter of our own, ``burst``). ``limits`` is that of ``RateLimit``: ``"user";r=42;t=13`` says what is left, and
    the seconds until there is more. ``lines`` are both, as field lines.
    """

    policies: str
    limits: str
    lines: bytes

    @classmethod
    def of(cls, policies: Iterable[Policy]) -> Form:
        """The form for one decision of each of ``policies``, in their order."""
        named = list(policies)
        told = ", ".join(policy.text for policy in named)
        limits = ", ".join(f'"{policy.name}";r=%d;t=%d' for policy in named)
        return cls(told, limits, f"RateLimit-Policy: {told}\r\nRateLimit: {limits}\r\n".encode())

    def said(self, left: tuple[int, ...]) -> str:
        """As an operator reads it."""
        return (self.limits % left).replace('"', "")


def numbers(decisions: Sequence[Decision]) -> tuple[int, ...]:
    """The numbers of a form: for each decision the permits that are left, and the seconds until there is one more."""
    return tuple(number for each in decisions for number in (each.remaining, ceil(each.next_s)))


def retry_after(decision: Decision) -> str:
    """The seconds after which the refused request would be admitted; at least 1."""
    return str(max(1, ceil(decision.retry_after_s)))
