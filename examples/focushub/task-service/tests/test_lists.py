"""The list of tasks: its filters, its pages."""

from __future__ import annotations

from typing import Any

import pytest

from focushub_core.testing import Person, ServiceClient


async def titles(person: Person, **wanted: Any) -> list[str]:
    """What the list holds, page by page."""
    found: list[str] = []
    while True:
        reply = await person.get("/v1/tasks", params=wanted)
        assert reply.status == 200, reply.body
        found += [task["title"] for task in reply.body["items"]]
        if reply.body["next_cursor"] is None:
            return found
        wanted["cursor"] = reply.body["next_cursor"]


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        ({}, ["a", "b", "c", "d", "e"]),
        ({"status": "open"}, ["a", "b", "d", "e"]),
        ({"status": "done"}, ["c"]),
        ({"due_from": "2026-05-10"}, ["b", "c", "d"]),
        ({"due_to": "2026-05-10"}, ["a", "b", "c"]),
        ({"due_from": "2026-05-10", "due_to": "2026-05-10"}, ["b", "c"]),
        ({"due_from": "2026-05-10", "status": "open"}, ["b", "d"]),
        ({"due_from": "2026-05-12"}, []),
    ],
)
async def test_filters_narrow_the_list_together(
    service: ServiceClient, wanted: dict[str, str], expected: list[str]
) -> None:
    """Both ends of a range are in it; a task without a due is in none."""
    ann = service.person()
    dues: dict[str, dict[str, str] | None] = {
        "a": {"date": "2026-05-09"},
        "b": {"date": "2026-05-10"},
        "c": {"datetime": "2026-05-10T23:59:59", "timezone": "Asia/Tokyo"},
        "d": {"datetime": "2026-05-11T00:00:00"},
        "e": None,
    }
    for title, due in dues.items():
        made = await ann.post("/v1/tasks", json={"title": title, "due": due})
        if title == "c":
            await ann.post(made.headers["Location"] + "/complete")
    assert await titles(ann, **wanted) == expected
    assert await titles(ann, **wanted, limit=1) == expected


async def test_a_project_has_its_own_tasks(service: ServiceClient) -> None:
    """And another person's project has none for us."""
    ann, bob = service.person(), service.person()
    house = (await ann.post("/v1/projects", json={"name": "House"})).body["id"]
    await ann.post("/v1/tasks", json={"title": "paint", "project_id": house})
    await ann.post("/v1/tasks", json={"title": "milk"})
    assert await titles(ann, project_id=house) == ["paint"]
    assert await titles(bob, project_id=house) == []


async def test_pages_neither_repeat_nor_skip_while_tasks_are_made(service: ServiceClient) -> None:
    """T19: a task that is made behind a page comes later, and moves nothing."""
    ann = service.person()
    for number in range(5):
        await ann.post("/v1/tasks", json={"title": f"t{number}"})
    found: list[str] = []
    cursor: dict[str, str] = {}
    for late in ("t5", "t6", "t7", "t8"):
        page = (await ann.get("/v1/tasks", params={"limit": 2} | cursor)).body
        found += [task["title"] for task in page["items"]]
        cursor = {"cursor": page["next_cursor"]}
        await ann.post("/v1/tasks", json={"title": late})
    assert found == [f"t{number}" for number in range(8)]


@pytest.mark.parametrize(
    ("wanted", "status", "code"),
    [
        ({"cursor": "AAAA"}, 400, "invalid_cursor"),
        ({"cursor": "\u00e9"}, 400, "invalid_cursor"),
        ({"limit": "0"}, 422, "validation_failed"),
        ({"limit": "201"}, 422, "validation_failed"),
        ({"status": "late"}, 422, "validation_failed"),
        ({"due_from": "soon"}, 422, "validation_failed"),
    ],
)
async def test_a_wrong_question_is_refused(
    service: ServiceClient, wanted: dict[str, str], status: int, code: str
) -> None:
    """And not answered with another list."""
    reply = await service.person().get("/v1/tasks", params=wanted)
    assert (reply.status, reply.body["code"]) == (status, code)
