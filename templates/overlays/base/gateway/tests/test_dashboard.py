"""What the dashboard asks for, and what it says."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Any

import pytest

from focushub_core import Invalid, Unavailable
from focushub_core.gateway.aggregate import Aggregate, Outcome, Reply, read
from gateway_app import dashboard
from stack_shared.day import DaySettings

DAY = date(2026, 5, 10)
NOW = datetime(2026, 5, 11, 4, 30, tzinfo=UTC)
LOS_ANGELES = DaySettings.parse("America/Los_Angeles;1;0")


def test_all_sections_are_asked_for_unless_some_are_named() -> None:
    assert dashboard.included(None) == ("profile", "tasks", "focus", "habits")
    assert dashboard.included("tasks, focus,tasks") == ["tasks", "focus"]


@pytest.mark.parametrize("include", ["", "moon", "tasks,moon"])
def test_a_section_that_is_not_there_is_refused(include: str) -> None:
    with pytest.raises(Invalid) as caught:
        dashboard.included(include)
    assert caught.value.errors[0].field == "include"


def test_one_section_is_one_upstream_call() -> None:
    """G9"""
    assert [section.service for section in dashboard.sections(["tasks"], DAY)] == ["task"]


def test_every_section_is_asked_for_the_same_day() -> None:
    """G7"""
    asked = [section.path for section in dashboard.sections(["tasks", "focus", "habits"], DAY)]
    assert all(path.endswith("?date=2026-05-10") for path in asked)


def test_tasks_are_counted_and_listed_overdue_first() -> None:
    today = (
        b'{"date": "2026-05-10", "overdue": [{"id": 1}], "due": [{"id": 2}, {"id": 3}], "completed_count": 4}'
    )
    section = dashboard.sections(["tasks"], DAY)[0]
    assert read(section, Reply(200, today)).data == {
        "overdue": 1,
        "due": 2,
        "completed": 4,
        "items": [{"id": 1}, {"id": 2}, {"id": 3}],
    }


def answer(**outcomes: Outcome) -> Any:
    return dashboard.answer(Aggregate(outcomes), DAY, LOS_ANGELES, NOW)


def test_a_whole_answer_names_the_day_and_its_zone_and_is_nobody_elses() -> None:
    found = answer(tasks=Outcome({}), focus=Outcome({}))
    assert (found.body.date, found.body.timezone, found.body.partial) == (DAY, "America/Los_Angeles", False)
    assert found.headers == {"Cache-Control": "private, no-store"}


def test_a_missing_section_is_named_in_the_body_and_in_a_header() -> None:
    found = answer(tasks=Outcome({}), focus=Outcome(code="upstream_timeout"))
    assert found.body.partial
    assert found.headers["X-Partial"] == "focus"
    assert found.body.sections["focus"]["error"] == {"code": "upstream_timeout"}


def test_without_any_section_there_is_no_answer() -> None:
    """G4"""
    with pytest.raises(Unavailable):
        answer(tasks=Outcome(code="upstream_timeout"))
