"""Deleting can be undone; what is sent twice is done once; what has not changed is not sent again."""

from __future__ import annotations

import pytest

from focushub_core.testing import Person, ServiceClient


async def made(person: Person, kind: str, **fields: str) -> str:
    """A new project's or task's path."""
    reply = await person.post(f"/v1/{kind}", json=fields)
    assert reply.status == 201, reply.body
    location: str = reply.headers["Location"]
    return location


async def titles(person: Person) -> list[str]:
    """Those of all tasks."""
    return [task["title"] for task in (await person.get("/v1/tasks")).body["items"]]


async def test_a_deleted_project_takes_its_tasks_along_and_brings_them_back(service: ServiceClient) -> None:
    """T16: but not the one that was deleted before it."""
    ann = service.person()
    house = await made(ann, "projects", name="House")
    house_id = house.rpartition("/")[2]
    paint = await made(ann, "tasks", title="paint", project_id=house_id)
    await made(ann, "tasks", title="sweep", project_id=house_id)
    await made(ann, "tasks", title="milk")
    assert (await ann.delete(paint)).status == 204
    assert (await ann.delete(house)).status == 204
    assert (await titles(ann), (await ann.get(house)).status) == (["milk"], 404)
    assert [project["name"] for project in (await ann.get("/v1/projects")).body["items"]] == ["Inbox"]
    restored = await ann.post(f"{house}/restore")
    assert (restored.status, restored.body["name"], restored.headers["ETag"]) == (200, "House", '"3"')
    assert await titles(ann) == ["sweep", "milk"]
    assert (await ann.post(f"{paint}/restore")).body["title"] == "paint"
    assert await titles(ann) == ["paint", "sweep", "milk"]


async def test_nothing_gets_into_a_deleted_project(service: ServiceClient) -> None:
    """It is as little there as one that never was; what lay in it comes back only with it."""
    ann = service.person()
    house = await made(ann, "projects", name="House")
    house_id = house.rpartition("/")[2]
    milk, paint = (
        await made(ann, "tasks", title="milk"),
        await made(ann, "tasks", title="x", project_id=house_id),
    )
    await ann.delete(house)
    for reply in (
        await ann.post("/v1/tasks", json={"title": "late", "project_id": house_id}),
        await ann.patch(milk, json={"project_id": house_id}),
    ):
        assert (reply.status, reply.body["code"]) == (404, "project_not_found")
    alone = await ann.post(f"{paint}/restore")
    assert (alone.status, alone.body["code"]) == (409, "parent_deleted")


async def test_a_deleted_task_is_in_no_list_and_takes_no_change(service: ServiceClient) -> None:
    """Nor does it count as completed today."""
    ann = service.person()
    milk = await made(ann, "tasks", title="milk")
    await ann.post(f"{milk}/complete")
    await ann.delete(milk)
    assert (await ann.get("/v1/tasks/today")).body["completed_count"] == 0
    for reply in (
        await ann.get(milk),
        await ann.patch(milk, json={"title": "tea"}),
        await ann.post(f"{milk}/complete"),
        await ann.post(f"{milk}/reopen"),
        await ann.delete(milk),
    ):
        assert (reply.status, reply.body["code"]) == (404, "task_not_found")


async def test_the_inbox_stays(service: ServiceClient) -> None:
    ann = service.person()
    (inbox,) = (await ann.get("/v1/projects")).body["items"]
    refused = await ann.delete(f"/v1/projects/{inbox['id']}")
    assert (refused.status, refused.body["code"]) == (409, "inbox_protected")


@pytest.mark.parametrize(("kind", "fields"), [("projects", {"name": "House"}), ("tasks", {"title": "milk"})])
async def test_only_its_owner_deletes_it_and_only_the_version_seen(
    service: ServiceClient, kind: str, fields: dict[str, str]
) -> None:
    ann, bob = service.person(), service.person()
    path = await made(ann, kind, **fields)
    assert (await bob.delete(path)).status == 404
    assert (await ann.delete(path, headers={"If-Match": '"7"'})).status == 412
    assert (await ann.delete(path, headers={"If-Match": '"1"'})).status == 204
    assert (await bob.post(f"{path}/restore")).status == 404


@pytest.mark.parametrize(
    ("kind", "fields", "other"),
    [("projects", {"name": "House"}, {"name": "Flat"}), ("tasks", {"title": "milk"}, {"title": "tea"})],
)
async def test_what_is_sent_again_with_its_key_is_made_once(
    service: ServiceClient, kind: str, fields: dict[str, str], other: dict[str, str]
) -> None:
    ann, key = service.person(), {"Idempotency-Key": "k"}
    first, again = [await ann.post(f"/v1/{kind}", json=fields, headers=key) for _ in range(2)]
    assert (again.status, again.body, again.headers["Idempotency-Replayed"]) == (201, first.body, "true")
    assert again.headers["Location"] == first.headers["Location"]
    assert (await ann.post(f"/v1/{kind}", json=other, headers=key)).body["code"] == "idempotency_key_reused"


@pytest.mark.parametrize("path", ["/v1/tasks", "/v1/projects", "/v1/tasks/today", "{task}"])
async def test_what_has_not_changed_is_not_sent_again(service: ServiceClient, path: str) -> None:
    ann = service.person()
    task = await made(ann, "tasks", title="milk")
    tag = {"If-None-Match": (await ann.get(path.format(task=task))).headers["ETag"]}
    assert (await ann.get(path.format(task=task), headers=tag)).status == 304
