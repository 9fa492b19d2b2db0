"""``/v1/habits/today`` and ``/v1/habits/{id}/stats``: how habits stand, all worked out from their entries."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date as Date
from typing import Literal
from uuid import UUID

import msgspec

from focushub_core import Database, NotFound, Paging, Routes, User
from stack_shared.day import Day

from .days import Today
from .habits import Habit, Habits, HabitView, view
from .streaks import History, Mark, Standing, judge

routes = Routes("/v1/habits")

_ENTRIES = """
    SELECT habit_id, local_date AS date, mark, amount::float8 AS amount
    FROM marked_entries WHERE habit_id = ANY($1::uuid[])"""


class WholeDay(Paging):
    """A page that usually holds all habits."""

    default_limit = 200


class Known(msgspec.Struct, frozen=True):
    """What the entries of a habit say: marks by day, and amounts by day."""

    marks: dict[Date, Mark]
    amounts: dict[Date, float]


class Stats(msgspec.Struct, frozen=True):
    """Streaks count ``unit``: due days, or weeks where the schedule counts by weeks. ``total`` counts days."""

    date: Date
    current_streak: int
    best_streak: int
    unit: Literal["day", "week"]
    at_risk: bool
    total: int


class TodaysHabit(msgspec.Struct, frozen=True):
    """How a habit stands today. ``progress`` is from 0 to 1; ``streak`` counts as in `Stats`."""

    habit: HabitView
    due: bool
    state: Mark | None
    amount: float | None
    progress: float
    streak: int
    at_risk: bool
    week_done: int | None
    week_required: int | None


class TodaysHabits(msgspec.Struct, frozen=True):
    """A page of habits, and the day that it is for the person."""

    date: Date
    items: Sequence[TodaysHabit]
    next_cursor: str | None


@routes.get("/today")
async def read_today(
    user: User,
    today: Today,
    habits: Habits,
    database: Database,
    *,
    page: WholeDay,
    date: Day | None = None,
) -> TodaysHabits:
    """How the person's habits stand today, or on ``date``, due or not."""
    today = today.on(date) if date else today
    found = await habits.page(user.id, page)
    known = await entries_of(database, [habit.id for habit in found.items])
    items = [_today(habit, known[habit.id], today) for habit in found.items]
    return TodaysHabits(today.date, items, found.next_cursor)


@routes.get("/{habit_id}/stats", raises=[NotFound])
async def read_stats(habit_id: UUID, user: User, today: Today, habits: Habits, database: Database) -> Stats:
    """A habit's streaks."""
    habit = await habits.one(user.id, habit_id)
    known = (await entries_of(database, [habit_id]))[habit_id]
    now = _standing(habit, known, today)
    return Stats(today.date, now.current, now.best, now.unit, now.at_risk, now.total)


async def entries_of(database: Database, habit_ids: Sequence[UUID]) -> dict[UUID, Known]:
    """What is known of each of these habits."""
    known = {habit_id: Known({}, {}) for habit_id in habit_ids}
    for row in await database.fetch(_ENTRIES, habit_ids):
        entry = known[row["habit_id"]]
        if row["mark"] is not None:
            entry.marks[row["date"]] = row["mark"]
        if row["amount"] is not None:
            entry.amounts[row["date"]] = row["amount"]
    return known


def _standing(habit: Habit, known: Known, today: Today) -> Standing:
    return judge(History(habit.start_date, habit.versions, known.marks), today)


def _today(habit: Habit, known: Known, today: Today) -> TodaysHabit:
    standing = _standing(habit, known, today)
    state, amount = known.marks.get(today.date), known.amounts.get(today.date)
    return TodaysHabit(
        view(habit, today.date),
        standing.due,
        state,
        amount,
        _progress(habit, state, amount),
        standing.current,
        standing.at_risk,
        standing.week_done,
        standing.week_required,
    )


def _progress(habit: Habit, state: Mark | None, amount: float | None) -> float:
    if state == "done":
        return 1.0
    return min(1.0, (amount or 0.0) / habit.target) if habit.target else 0.0
