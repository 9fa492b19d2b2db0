"""A person's day: what is due, what is overdue, how much is done. All of it by one moment and one set of settings."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import date, timedelta
from uuid import UUID

import msgspec

from focushub_core import Clock, Database
from stack_shared.calendar import DAY
from stack_shared.day import DaySettings

from .tasks import Task, task_of

MOST = 1000
"""Tasks that are looked at: those with the latest dates."""
ZONES_APART = timedelta(days=2)
"""A clock elsewhere may show a date that the person's logical day reaches only so much later."""


class Today(msgspec.Struct, frozen=True):
    """``overdue`` was due on an earlier day, ``due`` is due on this one, the earliest first; open tasks only."""

    day: date = msgspec.field(name="date")
    overdue: Sequence[Task]
    due: Sequence[Task]
    completed_count: int


class Days:
    """The days of all people."""

    def __init__(self, database: Database, now: Clock) -> None:
        self._database = database
        self._now = now

    async def of(self, user_id: UUID, person: DaySettings, asked: date | None = None) -> Today:
        """The day that was ``asked`` for, else the logical one; ``completed_count`` counts what was done within it."""
        day = asked or person.day_of(self._now())
        rows = await self._database.fetch(
            "SELECT * FROM tasks WHERE user_id = $1 AND deleted_at IS NULL AND completed_at IS NULL AND due_date <= $2"
            " ORDER BY due_date DESC, due_time DESC NULLS LAST, id DESC LIMIT $3",
            *(user_id, day + ZONES_APART, MOST),
        )
        overdue, due = sort_by_day((task_of(row) for row in reversed(rows)), day, person)
        completed = await self._database.fetchval(
            "SELECT count(*) FROM tasks"
            " WHERE user_id = $1 AND deleted_at IS NULL AND completed_at >= $2 AND completed_at < $3",
            *(user_id, person.start_of(day), person.start_of(day + DAY)),
        )
        return Today(day, overdue, due, completed)


def sort_by_day(tasks: Iterable[Task], day: date, person: DaySettings) -> tuple[list[Task], list[Task]]:
    """Those that were due before ``day`` and those that are due on it, in their order."""
    overdue: list[Task] = []
    due: list[Task] = []
    for task in tasks:
        its_day = task.due.day_for(person) if task.due else None
        if its_day is not None and its_day <= day:
            (overdue if its_day < day else due).append(task)
    return overdue, due
