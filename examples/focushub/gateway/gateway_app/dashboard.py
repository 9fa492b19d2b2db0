"""``GET /v1/dashboard/today``: which sections it has, where they come from, and what they look like."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime
from typing import Any

import msgspec

from focushub_core import Answer, FieldError, Invalid
from focushub_core.gateway import Section
from focushub_core.gateway.aggregate import Aggregate
from stack_shared.day import DaySettings

NAMES = ("profile", "tasks", "focus", "habits")


class Dashboard(msgspec.Struct, frozen=True):
    """The answer; ``partial``: some sections are missing, and say why."""

    date: date
    timezone: str
    partial: bool
    generated_at: datetime
    sections: dict[str, Any]


def included(include: str | None) -> Sequence[str]:
    """The sections of ``include=tasks,focus``, all where it is left out; `Invalid` for one that is not there."""
    if include is None:
        return NAMES
    wanted = [name.strip() for name in include.split(",")]
    unknown = [name for name in wanted if name not in NAMES]
    if unknown:
        allowed = ", ".join(NAMES)
        raise Invalid(errors=[FieldError("include", "not_allowed", f"Name sections out of: {allowed}.")])
    return list(dict.fromkeys(wanted))


def sections(names: Sequence[str], day: date) -> list[Section]:
    """Where each section comes from; every service is asked for the same ``day``."""
    known = {
        "profile": Section("profile", "auth", "/v1/me"),
        "tasks": Section("tasks", "task", f"/v1/tasks/today?date={day}", _tasks),
        "focus": Section("focus", "focus", f"/v1/focus/summary?date={day}"),
        "habits": Section("habits", "habit", f"/v1/habits/today?date={day}"),
    }
    return [known[name] for name in names]


def answer(found: Aggregate, day: date, settings: DaySettings, now: datetime) -> Answer[Dashboard]:
    """The sections as one answer; `Unavailable` where there is none."""
    headers = {"Cache-Control": "private, no-store"}
    if found.missing:
        headers["X-Partial"] = ", ".join(found.missing)
    body = Dashboard(day, settings.zone.key, bool(found.missing), now, found.sections())
    return Answer(body, headers=headers)


def _tasks(today: Any) -> dict[str, Any]:
    return {
        "overdue": len(today["overdue"]),
        "due": len(today["due"]),
        "completed": today["completed_count"],
        "items": [*today["overdue"], *today["due"]],
    }
