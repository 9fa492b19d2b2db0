"""The header fields of a limited answer, as text.

``RateLimit-Policy`` and ``RateLimit`` follow the RateLimit header fields draft of the IETF's HTTPAPI group,
written as structured fields (RFC 9651); ``Retry-After`` is RFC 9110 section 10.2.3 with RFC 6585's 429.

Rules that hold here:

* The numbers are true. ``r`` permits may be spent now; in ``t`` seconds there is more than ``r``; a client
  that waits ``Retry-After`` seconds is admitted (unless somebody else spends the same bucket meanwhile).
* Seconds are rounded up, never down, and ``Retry-After`` is never less than ``t``.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache

from focushub_core.ratelimit.gcra import Decision
from focushub_core.ratelimit.policy import Policy


def policy_field(policies: Sequence[Policy]) -> str:
    """``"user";q=100;w=60``; a burst unlike the quota is told by a parameter of our own, ``burst``."""
    return ", ".join([_policy(policy) for policy in policies])


@lru_cache(maxsize=256)
def _policy(policy: Policy) -> str:
    burst = f";burst={policy.burst}" if policy.burst != policy.quota else ""
    return f'"{policy.name}";q={policy.quota};w={policy.window}{burst}'


def limit_field(decisions: Sequence[Decision]) -> str:
    """``"user";r=42;t=13``: what is left, and the seconds until there is more."""
    return ", ".join(f'"{d.policy.name}";r={d.remaining};t={math.ceil(d.next_s)}' for d in decisions)


def retry_after(decision: Decision) -> str:
    """The seconds after which the refused request would be admitted; at least 1."""
    return str(max(1, math.ceil(decision.retry_after_s)))


def fields(decisions: Sequence[Decision]) -> dict[str, str]:
    """All fields of an answer on which these policies decided."""
    if not decisions:
        return {}
    return {
        "RateLimit-Policy": policy_field([decision.policy for decision in decisions]),
        "RateLimit": limit_field(decisions),
    }
