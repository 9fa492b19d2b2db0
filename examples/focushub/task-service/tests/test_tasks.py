"""Tasks: made, read, changed, completed and reopened by their owner, and by nobody else."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from focushub_core.testing import Person, ServiceClient

BERLIN = {"datetime": "2026-05-10T09:00:00", "timezone": "Europe/Berlin"}


async def make(person: Person, **fields: Any) -> str:
    """A new task's path."""
    made = await person.post("/v1/tasks", json={"title": "milk"} | fields)
    assert made.status == 201, made.body
    location: str = made.headers["Location"]
    return location


async def test_a_task_needs_only_a_title(service: ServiceClient) -> None:
    """The rest has its defaults; Location and ETag come with it."""
    ann = service.person()
    made = await ann.post("/v1/tasks", json={"title": "milk"})
    assert made.status == 201
    read = await ann.get(made.headers["Location"])
    assert (read.status, read.headers["ETag"], read.body) == (200, '"1"', made.body)
    assert made.body | dict.fromkeys(("id", "project_id", "created_at")) == {
        "id": None,
        "project_id": None,
        "title": "milk",
        "description": None,
        "priority": 4,
        "status": "open",
        "due": None,
        "estimate_s": None,
        "created_at": None,
        "completed_at": None,
        "version": 1,
    }


@pytest.mark.parametrize(
    "due",
    [{"date": "2026-05-10"}, {"datetime": "2026-05-10T09:00:00"}, BERLIN],
    ids=["day", "floating", "zoned"],
)
async def test_a_due_is_answered_as_it_was_said(service: ServiceClient, due: dict[str, str]) -> None:
    """T1: three kinds, none of which turns into another."""
    ann = service.person()
    path = await make(ann, due=due, priority=1, estimate_s=1800, description="two litres")
    task = (await ann.get(path)).body
    assert (task["due"], task["priority"], task["estimate_s"]) == (due, 1, 1800)
    assert task["description"] == "two litres"


async def test_a_change_sets_what_it_says_and_null_clears(service: ServiceClient) -> None:
    """A merge patch, in which due is one value."""
    ann = service.person()
    house = (await ann.post("/v1/projects", json={"name": "House"})).body["id"]
    path = await make(ann, due=BERLIN, estimate_s=60, description="two litres")
    changed = (await ann.patch(path, json={"title": "oat milk", "due": {"date": "2026-05-11"}})).body
    assert (changed["title"], changed["due"], changed["estimate_s"]) == (
        "oat milk",
        {"date": "2026-05-11"},
        60,
    )
    nulls = {"due": None, "estimate_s": None, "description": None}
    cleared = (await ann.patch(path, json=nulls | {"project_id": house, "priority": 2})).body
    assert {name: cleared[name] for name in nulls} == nulls
    assert (cleared["project_id"], cleared["priority"], cleared["version"]) == (house, 2, 3)
    assert (await ann.get(path)).body == cleared


async def test_a_change_that_says_nothing_new_is_none(service: ServiceClient) -> None:
    """The version stays, so that nobody else's If-Match fails for nothing."""
    ann = service.person()
    path = await make(ann, due=BERLIN)
    assert (await ann.patch(path, json={"title": "milk", "due": BERLIN})).headers["ETag"] == '"1"'


async def test_no_update_is_lost(service: ServiceClient) -> None:
    """T18: of two changes to the same version, at once, one is made and one is refused."""
    ann = service.person()
    path = await make(ann)
    replies = await asyncio.gather(
        *(ann.patch(path, json={"title": title}, headers={"If-Match": '"1"'}) for title in ("oats", "tea"))
    )
    assert sorted(reply.status for reply in replies) == [200, 412]
    (made,) = (reply.body for reply in replies if reply.status == 200)
    assert (await ann.get(path)).body == made


async def test_changes_to_different_fields_at_once_are_all_made(service: ServiceClient) -> None:
    """Without If-Match each change touches only what it says."""
    ann = service.person()
    path = await make(ann)
    changes: list[dict[str, Any]] = [{"title": "tea"}, {"priority": 1}, {"estimate_s": 60}, {"due": BERLIN}]
    await asyncio.gather(*(ann.patch(path, json=change) for change in changes))
    task = (await ann.get(path)).body
    assert task["version"] == 5
    for change in changes:
        assert change.items() <= task.items()


async def test_a_task_is_completed_once(service: ServiceClient) -> None:
    """Also when it is asked for many times at once; the moment is that of the first."""
    ann = service.person()
    path = await make(ann)
    replies = await asyncio.gather(*(ann.post(f"{path}/complete") for _ in range(6)))
    assert {reply.status for reply in replies} == {200}
    assert sorted(reply.body["already_completed"] for reply in replies) == [False] + 5 * [True]
    assert len({reply.body["completion"]["completed_at"] for reply in replies}) == 1
    task = (await ann.get(path)).body
    assert (task["status"], task["version"]) == ("done", 2)
    assert all(reply.body["task"] == task and reply.body["next_due"] is None for reply in replies)


async def test_a_completion_may_say_when_it_was(service: ServiceClient) -> None:
    """In the past, whatever the offset; not in the future, and not without an offset."""
    ann = service.person()
    path = await make(ann)
    future = await ann.post(f"{path}/complete", json={"completed_at": "2199-01-01T00:00:00Z"})
    assert (future.status, future.body["code"]) == (422, "in_future")
    assert (await ann.post(f"{path}/complete", json={"completed_at": "2026-01-01T00:00:00"})).status == 422
    done = await ann.post(f"{path}/complete", json={"completed_at": "2026-01-01T02:00:00+02:00"})
    assert done.body["completion"] == {"completed_at": "2026-01-01T00:00:00Z"}
    assert done.body["task"]["completed_at"] == "2026-01-01T00:00:00Z"


async def test_a_completed_task_can_be_reopened(service: ServiceClient) -> None:
    """T11, without recurrence; reopening an open task changes nothing."""
    ann = service.person()
    path = await make(ann, due=BERLIN)
    await ann.post(f"{path}/complete")
    reopened = await ann.post(f"{path}/reopen")
    assert (reopened.status, reopened.body["status"], reopened.body["completed_at"]) == (200, "open", None)
    assert (reopened.body["due"], reopened.headers["ETag"]) == (BERLIN, '"3"')
    assert (await ann.post(f"{path}/reopen")).body == reopened.body


async def test_another_persons_task_is_not_there(service: ServiceClient) -> None:
    """404 for everything that can be asked of it, as for one that never was."""
    ann, bob = service.person(), service.person()
    path = await make(ann)
    before = (await ann.get(path)).body
    for reply in (
        await bob.get(path),
        await bob.patch(path, json={"title": "mine"}),
        await bob.patch(path, json={"title": "mine"}, headers={"If-Match": '"7"'}),
        await bob.post(f"{path}/complete"),
        await bob.post(f"{path}/reopen"),
    ):
        assert (reply.status, reply.body["code"]) == (404, "task_not_found")
    assert (await bob.get("/v1/tasks")).body["items"] == []
    assert (await ann.get(path)).body == before
    assert (await service.get(path)).status == 401


async def test_a_task_does_not_move_to_another_persons_project(service: ServiceClient) -> None:
    """The project is as little there as it is for reading."""
    ann, bob = service.person(), service.person()
    strange = (await ann.post("/v1/projects", json={"name": "House"})).body["id"]
    refused = await bob.patch(await make(bob), json={"project_id": strange})
    assert (refused.status, refused.body["code"]) == (404, "project_not_found")


async def test_everything_that_is_wrong_is_named(service: ServiceClient) -> None:
    """At once, however deep it lies."""
    body = {"title": "", "priority": 5, "due": {"date": "soon", "when": 1}, "estimate_s": -1, "labels": ["a"]}
    reply = await service.person().post("/v1/tasks", json=body)
    assert (reply.status, reply.body["code"]) == (422, "validation_failed")
    assert {(wrong["field"], wrong["code"]) for wrong in reply.body["errors"]} == {
        ("title", "too_short"),
        ("priority", "too_large"),
        ("due.date", "wrong_format"),
        ("due.when", "unknown_field"),
        ("estimate_s", "too_small"),
        ("labels", "unknown_field"),
    }


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"title": 501 * "x"}, "title"),
        ({"title": " \n"}, "title"),
        ({"title": None}, "title"),
        ({"due": {}}, "due"),
        ({"due": BERLIN | {"date": "2026-05-10"}}, "due"),
        ({"due": {"datetime": "2026-05-10T09:00:00+02:00"}}, "due.datetime"),
        ({"due": {"date": "9999-12-31"}}, "due"),
        ({"project_id": "inbox"}, "project_id"),
    ],
)
async def test_a_wrong_field_is_refused(service: ServiceClient, fields: dict[str, Any], field: str) -> None:
    """When a task is made, and when it is changed."""
    ann = service.person()
    path = await make(ann)
    for reply in (
        await ann.post("/v1/tasks", json={"title": "milk"} | fields),
        await ann.patch(path, json=fields),
    ):
        assert reply.status == 422
        assert [wrong["field"] for wrong in reply.body["errors"]] == [field]


@pytest.mark.parametrize("zone", ["+02:00", "Mars/Olympus", "localtime", ""])
async def test_a_zone_is_an_iana_name(service: ServiceClient, zone: str) -> None:
    """Else 422 ``invalid_timezone``, when a task is made and when it is changed."""
    ann = service.person()
    path = await make(ann)
    due = BERLIN | {"timezone": zone}
    for reply in (
        await ann.post("/v1/tasks", json={"title": "milk", "due": due}),
        await ann.patch(path, json={"due": due}),
    ):
        assert (reply.status, reply.body["code"]) == (422, "invalid_timezone")
        assert [wrong["field"] for wrong in reply.body["errors"]] == ["due.timezone"]


async def test_a_title_holds_any_text(service: ServiceClient) -> None:
    """500 characters of any script, quotes and statements among them, come back as they were."""
    ann = service.person()
    title = ("'; DROP TABLE tasks; -- \u2028 \u0645\u0631\u062d\u0628\u0627 \U0001f9e0" + 500 * "\u4e2d")[
        :500
    ]
    assert (await ann.get(await make(ann, title=title))).body["title"] == title


async def test_a_migration_below_a_running_service_is_nobodys_error(service: ServiceClient) -> None:
    """Statements were prepared for the table as it was; what they are part of is done once more."""
    ann, database = service.person(), service.service.database
    assert database is not None
    task = await make(ann)
    assert (await ann.patch(task, json={"title": "bread"})).status == 200
    await database.execute("ALTER TABLE tasks ADD COLUMN mood text")
    for change in (ann.patch(task, json={"title": "butter"}), ann.post(f"{task}/complete"), ann.delete(task)):
        assert (await change).status < 300
