"""Streaks: a pure function of a habit's schedules, its entries by calendar day, and which day it is.

Rules that hold here:

* Nothing is counted up and stored: the same history gives the same streak, however often and from wherever it is read.
* A history is a row of periods: each due day is one, or each calendar week where the schedule says how often a week.
  A kept period adds one to the run, a missed one ends it, any other leaves it as it is.
* What still can be kept is pending and never missed: today, and this week.
* A skipped day asks for nothing and counts nothing. In a week it lowers what is asked: of ``times`` a week there are
  left ``ceil(times * eligible / 7)``, eligible being the days that are not skipped, not before the start, of the same
  version of the schedule, and on the calendar of the person's zone.
* A change of schedule judges nothing anew: every period is judged by the version of its days. A run goes on over it.
* What was done before the start date moves the start: it is no time in which something was missed.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import date as Date
from typing import Literal

import msgspec

from .days import DAY, Today
from .schedules import Daily, TimesPerWeek, Version, Weekdays, rule_on

Mark = Literal["done", "skip", "fail"]


class History(msgspec.Struct, frozen=True):
    """All that a streak follows from. ``versions`` are in the order of their days; a day without mark is unknown."""

    start_date: Date
    versions: tuple[Version, ...]
    marks: Mapping[Date, Mark]

    def start(self) -> Date:
        """The start date, or the first day on which it was done if that is earlier."""
        return min([self.start_date, *(day for day, mark in self.marks.items() if mark == "done")])

    def until(self, day: Date) -> History:
        """Without the marks after ``day``: who flew back over the date line has entered tomorrow already."""
        known = {date: mark for date, mark in self.marks.items() if date <= day}
        return msgspec.structs.replace(self, marks=known)


class Period(msgspec.Struct, frozen=True):
    """A due day or a week: on how many of its days the habit was to be done, and was."""

    first: Date
    last: Date
    required: int
    done: int
    failed: bool = False

    @property
    def kept(self) -> bool:
        """It was done as often as asked; where nothing is asked there is nothing to keep."""
        return 0 < self.required <= self.done

    def missed(self, today: Date) -> bool:
        """It was not, and cannot be any more."""
        return self.done < self.required and (self.last < today or self.failed)


class Standing(msgspec.Struct, frozen=True):
    """How a habit stands today.

    ``current`` and ``best`` count periods, ``unit`` says which; ``total`` counts days on which it was done.
    ``at_risk``: without an entry today the current streak ends. The week's two are there where the schedule counts
    by weeks.
    """

    current: int
    best: int
    unit: Literal["day", "week"]
    at_risk: bool
    total: int
    due: bool
    week_done: int | None = None
    week_required: int | None = None


def judge(history: History, today: Today) -> Standing:
    """The streak as it stands on ``today``."""
    known = history.until(today.date)
    run, best, now = 0, 0, None
    for period in periods(known, today):
        run = 0 if period.missed(today.date) else run + period.kept
        best = max(best, run)
        now = period if period.last >= today.date else None
    weekly = isinstance(rule_on(today.date, known.versions), TimesPerWeek)
    mark = known.marks.get(today.date)
    return Standing(
        run,
        best,
        "week" if weekly else "day",
        at_risk=run > 0 and now is not None and _needs_today(now, known, today),
        total=sum(mark == "done" for mark in known.marks.values()),
        due=now is not None and (not weekly or now.done - (mark == "done") < now.required),
        week_done=now.done if weekly and now else None,
        week_required=now.required if weekly and now else None,
    )


def periods(history: History, today: Today) -> Iterator[Period]:
    """The periods from the start until that of today, in their order."""
    start = history.start()
    for version, end in _spans(history.versions):
        first = start if version is history.versions[0] else max(start, version.effective_from)
        if isinstance(version.rule, TimesPerWeek):
            yield from _weeks(version.rule, first, end, history.marks, today)
        else:
            yield from _days(version.rule, first, min(end, today.date), history.marks, today)


def _spans(versions: tuple[Version, ...]) -> Iterator[tuple[Version, Date]]:
    """Each version with its last day."""
    ends = [version.effective_from - DAY for version in versions[1:]]
    return zip(versions, [*ends, Date.max], strict=True)


def _days(
    rule: Daily | Weekdays, first: Date, last: Date, marks: Mapping[Date, Mark], today: Today
) -> Iterator[Period]:
    """A period for each due day."""
    for day in _each(first, last):
        if isinstance(rule, Daily) or day.isoweekday() in rule.days:
            mark = marks.get(day)
            required = int(_eligible(day, mark, today))
            yield Period(day, day, required, int(mark == "done"), failed=mark == "fail")


def _weeks(
    rule: TimesPerWeek, first: Date, end: Date, marks: Mapping[Date, Mark], today: Today
) -> Iterator[Period]:
    """A period for each week, the first and the last being as long as the version holds in them."""
    while first <= min(end, today.date):
        last = min(end, today.week_of(first)[1])
        days: list[tuple[Date, Mark | None]] = [(day, marks.get(day)) for day in _each(first, last)]
        eligible = sum(_eligible(day, mark, today) for day, mark in days)
        required = -(-rule.times * eligible // 7)
        yield Period(first, last, required, sum(mark == "done" for _, mark in days))
        first = last + DAY


def _eligible(day: Date, mark: Mark | None, today: Today) -> bool:
    """Whether the day can be asked for."""
    return mark != "skip" and (mark is not None or today.exists(day))


def _needs_today(period: Period, history: History, today: Today) -> bool:
    """Whether what is missing takes every day that is left, today being one."""
    if today.date in history.marks or period.done >= period.required:
        return False
    left = sum(day not in history.marks and today.exists(day) for day in _each(today.date, period.last))
    return period.required - period.done >= left


def _each(first: Date, last: Date) -> Iterator[Date]:
    day = first
    while day <= last:
        yield day
        day += DAY
