"""How often a habit is due: ``{"kind": "daily"}``, ``{"kind": "weekdays", "days": [1, 3, 5]}`` (Monday is 1),
``{"kind": "times_per_week", "times": 3}``.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from typing import Annotated

import msgspec

from focushub_core import Body

Weekday = Annotated[int, msgspec.Meta(ge=1, le=7)]


class Daily(Body, frozen=True, tag_field="kind", tag="daily"):
    """Every day."""


class Weekdays(Body, frozen=True, tag_field="kind", tag="weekdays"):
    """On these days of the week, Monday 1 to Sunday 7."""

    days: Annotated[list[Weekday], msgspec.Meta(min_length=1, max_length=7)]

    def __post_init__(self) -> None:
        if len(set(self.days)) < len(self.days):
            raise ValueError("A day is named twice.")


class TimesPerWeek(Body, frozen=True, tag_field="kind", tag="times_per_week"):
    """On so many days of each calendar week, whichever they are."""

    times: Annotated[int, msgspec.Meta(ge=1, le=7)]


Schedule = Daily | Weekdays | TimesPerWeek


class Version(msgspec.Struct, frozen=True):
    """A schedule from a day on; the first version of a habit also holds before its day."""

    effective_from: date
    rule: Schedule


def rule_on(day: date, versions: Sequence[Version]) -> Schedule:
    """The rule that holds on ``day``; ``versions`` are in the order of their days, and there is one at least."""
    begun = [version for version in versions if version.effective_from <= day]
    return (begun[-1] if begun else versions[0]).rule
