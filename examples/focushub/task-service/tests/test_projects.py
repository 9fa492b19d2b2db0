"""Projects: made, listed, read and changed by their owner, and by nobody else."""

from __future__ import annotations

import asyncio

from focushub_core.testing import ServiceClient

NOWHERE = "/v1/projects/01900000-0000-7000-8000-000000000000"


async def test_everybody_has_one_inbox(service: ServiceClient) -> None:
    """It is made at its first use, also when that happens many times at once."""
    ann = service.person()
    lists = await asyncio.gather(*(ann.get("/v1/projects") for _ in range(8)))
    assert {len(reply.body["items"]) for reply in lists} == {1}
    inbox = lists[0].body["items"][0]
    assert (inbox["name"], inbox["is_inbox"]) == ("Inbox", True)
    task = (await ann.post("/v1/tasks", json={"title": "milk"})).body
    assert task["project_id"] == inbox["id"]


async def test_a_project_is_created_where_its_location_says(service: ServiceClient) -> None:
    """201, and the same project behind the Location."""
    ann = service.person()
    made = await ann.post("/v1/projects", json={"name": "House", "color": "#00aaFF"})
    assert made.status == 201
    assert made.headers["ETag"] == '"1"'
    assert made.body | {"id": "", "created_at": ""} == {
        "id": "",
        "name": "House",
        "color": "#00aaFF",
        "is_inbox": False,
        "created_at": "",
        "version": 1,
    }
    read = await ann.get(made.headers["Location"])
    assert (read.status, read.body, read.headers["ETag"]) == (200, made.body, '"1"')


async def test_a_change_sets_what_it_says_and_null_clears(service: ServiceClient) -> None:
    """A merge patch; one that says nothing new leaves the version as it is."""
    ann = service.person()
    path = (await ann.post("/v1/projects", json={"name": "House", "color": "#00aaff"})).headers["Location"]
    renamed = await ann.patch(path, json={"name": "Home"}, headers={"If-Match": '"1"'})
    assert (renamed.body["name"], renamed.body["color"], renamed.headers["ETag"]) == (
        "Home",
        "#00aaff",
        '"2"',
    )
    cleared = await ann.patch(path, json={"color": None})
    assert (cleared.body["name"], cleared.body["color"], cleared.body["version"]) == ("Home", None, 3)
    assert (await ann.patch(path, json={})).body["version"] == 3
    late = await ann.patch(path, json={"name": "Flat"}, headers={"If-Match": '"1"'})
    assert (late.status, late.body["code"]) == (412, "precondition_failed")


async def test_the_list_comes_in_pages(service: ServiceClient) -> None:
    """Every project once, in the order they were made; a cursor of another list is refused."""
    ann = service.person()
    await ann.get("/v1/projects")
    for number in range(4):
        await ann.post("/v1/projects", json={"name": f"P{number}"})
    names, cursor = [], None
    while True:
        page = (
            await ann.get("/v1/projects", params={"limit": 2} | ({"cursor": cursor} if cursor else {}))
        ).body
        names += [project["name"] for project in page["items"]]
        if not (cursor := page["next_cursor"]):
            break
        strange = await ann.get("/v1/tasks", params={"cursor": cursor})
        assert (strange.status, strange.body["code"]) == (400, "invalid_cursor")
    assert names == ["Inbox", "P0", "P1", "P2", "P3"]


async def test_another_persons_project_is_not_there(service: ServiceClient) -> None:
    """404 as for one that never was; nothing of it can be read, changed or filled."""
    ann, bob = service.person(), service.person()
    made = await ann.post("/v1/projects", json={"name": "House"})
    path = made.headers["Location"]
    for reply in (
        await bob.get(path),
        await bob.patch(path, json={"name": "Mine"}),
        await bob.post("/v1/tasks", json={"title": "milk", "project_id": made.body["id"]}),
        await bob.get(NOWHERE),
    ):
        assert (reply.status, reply.body["code"]) == (404, "project_not_found")
    assert [project["name"] for project in (await bob.get("/v1/projects")).body["items"]] == ["Inbox"]
    assert (await ann.get(path)).body == made.body


async def test_what_is_wrong_with_a_project_is_named(service: ServiceClient) -> None:
    """All of it at once; and nothing is answered without a token."""
    reply = await service.person().post("/v1/projects", json={"name": "  ", "color": "red", "owner": "me"})
    assert reply.status == 422
    assert {wrong["field"] for wrong in reply.body["errors"]} == {"name", "color", "owner"}
    assert (await service.get("/v1/projects")).status == 401
