"""``/v1/habits/{id}/entries/{date}``: what was done on a day, was not, or did not have to be.

Rules that hold here:

* The day is the person's own, said in the path: setting it twice is setting it once, and no later change of zone
  moves it.
* A quantity's day is done when its amount reaches the target, unless its state says something else.
* Increments are one statement each, so that none is lost when many come at once.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date as Date
from typing import Annotated
from uuid import UUID

import msgspec

from focushub_core import Body, Database, FieldError, Invalid, NotFound, Routes, User
from focushub_core.database import Connection, retry_conflicts

from .days import Today
from .habits import BACKFILL, Habit, Habits
from .streaks import Mark

routes = Routes("/v1/habits/{habit_id}/entries/{date}")

_READ = """
    SELECT habit_id, local_date AS date, mark AS state, amount::float8 AS amount, note
    FROM marked_entries WHERE habit_id = $1 AND local_date = $2"""
_SET = """
    INSERT INTO entries (habit_id, local_date, state, amount, note) VALUES ($1, $2, $3, $4::float8::numeric, $5)
    ON CONFLICT (habit_id, local_date)
    DO UPDATE SET state = EXCLUDED.state, amount = EXCLUDED.amount, note = EXCLUDED.note"""
# What is counted decides again, unless the day was called done.
_INCREMENT = """
    INSERT INTO entries AS e (habit_id, local_date, amount) VALUES ($1, $2, $3::float8::numeric)
    ON CONFLICT (habit_id, local_date)
    DO UPDATE SET amount = coalesce(e.amount, 0) + EXCLUDED.amount,
                  state = CASE WHEN e.state = 'done' THEN e.state END"""
_REMOVE = "DELETE FROM entries WHERE habit_id = $1 AND local_date = $2"


class SetEntry(Body, frozen=True):
    """A whole entry: what is left out is not there any more."""

    state: Mark | None = None
    amount: Annotated[float, msgspec.Meta(ge=0, le=1e9)] | None = None
    note: Annotated[str, msgspec.Meta(max_length=2000)] = ""

    def wrong(self, habit: Habit) -> Iterator[FieldError]:
        """What does not fit the habit."""
        if habit.kind == "boolean" and self.amount is not None:
            yield FieldError("amount", "not_allowed", "Only a quantity has an amount.")
        if self.state is None and (self.amount is None or habit.kind == "boolean"):
            yield FieldError("state", "missing", "Say what became of the day: done, skip or fail.")


class Increment(Body, frozen=True):
    """How much more was done."""

    by: Annotated[float, msgspec.Meta(gt=0, le=1e9)] = 1


class Entry(msgspec.Struct, frozen=True):
    """An entry as it is answered; ``state`` is what it comes to, ``None`` while a quantity is below its target."""

    habit_id: UUID
    date: Date
    state: Mark | None
    amount: float | None
    note: str


@routes.put(raises=[NotFound, Invalid])
@retry_conflicts()
async def set_entry(
    habit_id: UUID,
    date: Date,
    body: SetEntry,
    *,
    user: User,
    today: Today,
    habits: Habits,
    database: Database,
) -> Entry:
    """Sets a day's entry, whatever it was before."""
    habit = await habits.one(user.id, habit_id)
    if wrong := [*_wrong_day(date, today), *body.wrong(habit)]:
        raise _refusal(wrong)
    async with database.transaction() as connection:
        await connection.execute(_SET, habit_id, date, body.state, body.amount, body.note)
        return await _read(connection, habit_id, date)


@routes.post("/increment", raises=[NotFound, Invalid])
@retry_conflicts()
async def increment(
    habit_id: UUID,
    date: Date,
    *,
    user: User,
    today: Today,
    habits: Habits,
    database: Database,
    body: Increment = Increment(),  # noqa: B008
) -> Entry:
    """Adds to a day's amount."""
    habit = await habits.one(user.id, habit_id)
    wrong = [*_wrong_day(date, today)]
    if habit.kind != "quantity":
        wrong.append(FieldError("by", "not_a_quantity", "Only a quantity can be counted up."))
    if wrong:
        raise _refusal(wrong)
    async with database.transaction() as connection:
        await connection.execute(_INCREMENT, habit_id, date, body.by)
        return await _read(connection, habit_id, date)


@routes.delete(raises=[NotFound])
async def remove(habit_id: UUID, date: Date, user: User, habits: Habits, database: Database) -> None:
    """The day is unknown again."""
    await habits.one(user.id, habit_id)
    await database.execute(_REMOVE, habit_id, date)


async def _read(connection: Connection, habit_id: UUID, date: Date) -> Entry:
    entry = await connection.one(Entry, _READ, habit_id, date)
    assert entry is not None  # it was written in this transaction
    return entry


def _wrong_day(date: Date, today: Today) -> Iterator[FieldError]:
    if date > today.date:
        yield FieldError("date", "date_in_future", f"This day has not begun: today is {today.date}.")
    if date < today.date - BACKFILL:
        yield FieldError("date", "date_before_limit", "This day is too long ago.")


def _refusal(wrong: list[FieldError]) -> Invalid:
    """One error gives the problem its own code."""
    detail = wrong[0].detail if len(wrong) == 1 else "The entry does not fit the habit or the calendar."
    code = wrong[0].code if len(wrong) == 1 else None
    return Invalid(detail, code=code, errors=wrong)
