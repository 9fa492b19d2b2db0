"""What all policies together say of a request."""

from __future__ import annotations

from typing import Any

import msgspec

from focushub_core.errors import TooManyRequests
from focushub_core.ratelimit.fields import retry_after
from focushub_core.ratelimit.gcra import Decision, all_admit

QUOTA_EXCEEDED = "https://iana.org/assignments/http-problem-types#quota-exceeded"
"""The problem type that the RateLimit header fields draft registers."""


class Verdict(msgspec.Struct, frozen=True):
    """One decision of each policy."""

    decisions: tuple[Decision, ...] = ()

    @property
    def allowed(self) -> bool:
        """Whether every policy admitted the request."""
        return all_admit(self.decisions)

    @property
    def decision(self) -> Decision | None:
        """The most restrictive: of those that refused the longest wait, else the fewest left."""
        return min(
            self.decisions, key=lambda d: (d.allowed, -d.retry_after_s, d.remaining, -d.next_s), default=None
        )

    def enforce(self) -> None:
        """Raise `TooManyRequests`, naming the policies that refused, unless all admitted."""
        if self.allowed:
            return
        worst = self.decision
        assert worst is not None
        seconds = retry_after(worst)
        violated = {"violated-policies": [d.policy.name for d in self.decisions if not d.allowed]}
        extensions: dict[str, Any] = {"type": QUOTA_EXCEEDED, "policy": worst.policy.name, **violated}
        raise TooManyRequests(
            f"the limit {worst.policy.name!r} of {worst.policy.quota} requests in {worst.policy.window} s "
            f"is used up; try again in {seconds} s",
            headers={"Retry-After": seconds},
            **extensions,
        )
