"""``/v1/habits``: what somebody wants to do again and again, and how often."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date as Date
from datetime import timedelta
from typing import Annotated, Literal
from uuid import UUID

import msgspec
from uuid_utils.compat import uuid7

from focushub_core import (
    Body,
    Clock,
    Database,
    FieldError,
    Invalid,
    NotFound,
    Page,
    Paging,
    Routes,
    SoftDelete,
    User,
)
from focushub_core.database import Record

from .days import AHEAD, Today
from .schedules import Daily, Schedule, Version, rule_on

routes = Routes("/v1/habits")

Kind = Literal["boolean", "quantity"]
BACKFILL = timedelta(days=3653)
"""How far back a habit may start, and entries may reach: ten years."""

_COLUMNS = """
    SELECT id, name, description, kind, unit, target::float8 AS target, start_date,
           (SELECT jsonb_agg(jsonb_build_object('effective_from', effective_from, 'rule', rule)
                             ORDER BY effective_from)
            FROM schedules WHERE habit_id = h.id) AS versions
    FROM habits h"""
_ONE = f"{_COLUMNS} WHERE user_id = $1 AND id = $2 AND deleted_at IS NULL"
_SOME = f"""{_COLUMNS}
    WHERE user_id = $1 AND deleted_at IS NULL AND ($2::uuid IS NULL OR id > $2) ORDER BY id LIMIT $3"""
_INSERT = """
    INSERT INTO habits (id, user_id, name, description, kind, unit, target, start_date)
    VALUES ($1, $2, $3, $4, $5, $6, $7::float8::numeric, $8)"""
_INSERT_SCHEDULE = "INSERT INTO schedules (habit_id, effective_from, rule) VALUES ($1, $2, $3)"


class NewHabit(Body, frozen=True):
    """What a habit is to be; daily, from today on, where nothing else is said. A quantity is kept at its target."""

    name: Annotated[str, msgspec.Meta(min_length=1, max_length=100, pattern=r"\S")]
    description: Annotated[str, msgspec.Meta(max_length=2000)] = ""
    kind: Kind = "boolean"
    unit: Annotated[str, msgspec.Meta(min_length=1, max_length=20)] | None = None
    target: Annotated[float, msgspec.Meta(gt=0, le=1e9)] | None = None
    schedule: Schedule = Daily()
    start_date: Date | None = None

    def wrong(self, today: Date) -> Iterator[FieldError]:
        """What contradicts itself or the calendar."""
        if self.kind == "quantity" and self.target is None:
            yield FieldError("target", "missing", "A quantity needs a target.")
        for field in ("target", "unit"):
            if self.kind == "boolean" and getattr(self, field) is not None:
                yield FieldError(field, "not_allowed", f"Only a quantity has a {field}.")
        if self.start_date is not None and not today - BACKFILL <= self.start_date <= today + AHEAD:
            yield FieldError("start_date", "out_of_range", "This is too far from today.")


class Habit(msgspec.Struct, frozen=True):
    """A habit as it is stored; ``versions`` of its schedule are in the order of their days."""

    id: UUID
    name: str
    description: str
    kind: Kind
    unit: str | None
    target: float | None
    start_date: Date
    versions: tuple[Version, ...]


class HabitView(msgspec.Struct, frozen=True):
    """A habit as it is answered, with the schedule that holds today."""

    id: UUID
    name: str
    description: str
    kind: Kind
    unit: str | None
    target: float | None
    start_date: Date
    schedule: Schedule


def view(habit: Habit, today: Date) -> HabitView:
    """``habit`` as it is answered on ``today``."""
    stored = msgspec.structs.asdict(habit)
    return HabitView(schedule=rule_on(today, stored.pop("versions")), **stored)


def no_such_habit() -> NotFound:
    """The habit is not there, or another person's."""
    return NotFound("There is no such habit.")


DELETED = SoftDelete("habits", missing=no_such_habit, versioned=False)


class Habits:
    """The habits of all people. Every statement names the person: another's habit is one that is not there."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def add(self, user_id: UUID, new: NewHabit, today: Date) -> Habit:
        """A new habit, whose schedule holds from its start."""
        start = new.start_date or today
        target = None if new.target is None else float(new.target)
        versions = (Version(start, new.schedule),)
        habit = Habit(uuid7(), new.name, new.description, new.kind, new.unit, target, start, versions)
        async with self._database.transaction() as connection:
            row = (habit.id, user_id, habit.name, habit.description, habit.kind, habit.unit, target, start)
            await connection.execute(_INSERT, *row)
            await connection.execute(_INSERT_SCHEDULE, habit.id, start, new.schedule)
        return habit

    async def one(self, user_id: UUID, habit_id: UUID) -> Habit:
        """The habit with this id; `NotFound`."""
        row = await self._database.fetchrow(_ONE, user_id, habit_id)
        if row is None:
            raise no_such_habit()
        return _habit(row)

    async def page(self, user_id: UUID, page: Paging) -> Page[Habit]:
        """The person's habits, in the order in which they were made."""
        rows = await self._database.fetch(_SOME, user_id, page.after(UUID), page.fetch)
        return page.of([_habit(row) for row in rows], lambda habit: habit.id)


def _habit(row: Record) -> Habit:
    columns = dict(row)
    versions = msgspec.convert(columns.pop("versions"), tuple[Version, ...])
    return Habit(**columns, versions=versions)


@routes.post(status=201)
async def create(body: NewHabit, user: User, today: Today, habits: Habits) -> HabitView:
    """A new habit."""
    if wrong := list(body.wrong(today.date)):
        raise Invalid("The habit contradicts itself or the calendar.", errors=wrong)
    return view(await habits.add(user.id, body, today.date), today.date)


@routes.get()
async def list_habits(user: User, today: Today, habits: Habits, page: Paging) -> Page[HabitView]:
    """The person's habits."""
    found = await habits.page(user.id, page)
    return Page([view(habit, today.date) for habit in found.items], found.next_cursor)


@routes.get("/{habit_id}", raises=[NotFound])
async def read(habit_id: UUID, user: User, today: Today, habits: Habits) -> HabitView:
    """One habit."""
    return view(await habits.one(user.id, habit_id), today.date)


@routes.delete("/{habit_id}", raises=[NotFound])
async def remove(habit_id: UUID, user: User, database: Database, clock: Clock) -> None:
    """Deletes a habit with its entries; for 30 days it can be restored."""
    await DELETED.delete(database, user.id, habit_id, clock())


@routes.post("/{habit_id}/restore", raises=[NotFound])
async def restore(
    habit_id: UUID, user: User, today: Today, habits: Habits, *, database: Database, clock: Clock
) -> HabitView:
    """Brings a deleted habit back."""
    await DELETED.restore(database, user.id, habit_id, clock())
    return await read(habit_id, user, today, habits)
