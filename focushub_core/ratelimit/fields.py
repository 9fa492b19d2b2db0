"""The header fields of a limited answer, as text.

``RateLimit-Policy`` and ``RateLimit`` follow the RateLimit header fields draft of the IETF's HTTPAPI group,
written as structured fields (RFC 9651); ``Retry-After`` is RFC 9110 section 10.2.3 with RFC 6585's 429.

Rules that hold here:

* The numbers are true. ``r`` permits may be spent now; in ``t`` seconds there is more than ``r``; a client
  that waits ``Retry-After`` seconds is admitted (unless somebody else spends the same bucket meanwhile).
* Seconds are rounded up, never down, and ``Retry-After`` is never less than ``t``.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import ceil

from focushub_core.ratelimit.gcra import Decision


def fields(decisions: Sequence[Decision]) -> tuple[str, str]:
    """The values of ``RateLimit-Policy`` and ``RateLimit``.

    ``"user";q=100;w=60`` says the policy (a burst unlike the quota is told by a parameter of our own, ``burst``),
    ``"user";r=42;t=13`` what is left of it and the seconds until there is more.
    """
    policies = limits = ""
    for decision in decisions:
        policy, comma = decision.policy, ", " if policies else ""
        policies += comma + policy.text
        limits += f'{comma}"{policy.name}";r={decision.remaining};t={ceil(decision.next_s)}'
    return policies, limits


def retry_after(decision: Decision) -> str:
    """The seconds after which the refused request would be admitted; at least 1."""
    return str(max(1, ceil(decision.retry_after_s)))
