"""What HTTP has habits for, each of them one line of a service: seen through a service that has them all."""

from __future__ import annotations

import asyncio
from typing import Any
from uuid import UUID

import msgspec
import pytest
import pytest_asyncio
from msgspec import UNSET, UnsetType
from uuid_utils.compat import uuid7

from focushub_core import Body, Conflict, Database, NotFound, Page, Service, User, delete, get, patch, post
from focushub_core.clock import Clock
from focushub_core.database import UniqueViolation
from focushub_core.errors import ConfigurationError
from focushub_core.http import idempotency
from focushub_core.http.conditional import EntityTags, IfMatch
from focushub_core.http.idempotency import Idempotent, fingerprint, read_key
from focushub_core.http.location import Located
from focushub_core.http.merge_patch import Patch
from focushub_core.http.pages import Paging
from focushub_core.http.soft_delete import SoftDelete
from focushub_core.testing import FakeClock, Reply, Serve, ServiceClient

SCHEMA = """
    CREATE TABLE folders (
        id uuid PRIMARY KEY, user_id uuid NOT NULL, name text NOT NULL UNIQUE, version int NOT NULL DEFAULT 1,
        deleted_at timestamptz, deleted_with uuid);
    CREATE TABLE letters (
        id uuid PRIMARY KEY, user_id uuid NOT NULL, folder_id uuid NOT NULL REFERENCES folders,
        version int NOT NULL DEFAULT 1, deleted_at timestamptz, deleted_with uuid)"""


def no_such_thing() -> NotFound:
    return NotFound("There is no such thing.")


FOLDERS = SoftDelete("folders", missing=no_such_thing, children={"letters": "folder_id"})
LETTERS = SoftDelete("letters", missing=no_such_thing, parents={"folders": "folder_id"})


class NewFolder(Body, frozen=True):
    name: str


class FolderChange(Patch, frozen=True):
    name: str | UnsetType = UNSET


class Folder(msgspec.Struct, frozen=True):
    id: UUID
    name: str
    version: int


class Desk(Service):
    """Folders with letters in them."""

    name = "desk-service"
    database: Database = Database(migrations=(SCHEMA,), max_size=4)
    habits = (Idempotent(), EntityTags(), Located())
    soft_deletes = (FOLDERS, LETTERS)

    @post("/v1/folders", status=201)
    async def create(self, body: NewFolder, user: User, database: Database) -> Folder:
        if body.name == "refused":
            raise Conflict("Not this one.", code="refused")
        row = await database.fetchrow(
            "INSERT INTO folders (id, user_id, name) VALUES ($1, $2, $3) RETURNING id, name, version",
            *(uuid7(), user.id, body.name),
        )
        assert row is not None
        return Folder(**row)

    @post("/v1/folders/either", status=201)
    async def create_either(self, body: NewFolder, user: User, database: Database) -> Folder:
        """Tries one name, then another: a failed statement undoes only itself."""
        try:
            return await self.create(body, user, database)
        except UniqueViolation:
            both = [self.create(NewFolder(name=body.name + end), user, database) for end in ("-a", "-b")]
            return (await asyncio.gather(*both))[0]

    @get("/v1/folders")
    async def folders(self, user: User, page: Paging, database: Database) -> Page[Folder]:
        found = await database.all(
            Folder,
            "SELECT id, name, version FROM folders WHERE user_id = $1 AND deleted_at IS NULL"
            " AND ($2::uuid IS NULL OR id > $2) ORDER BY id LIMIT $3",
            *(user.id, page.after(UUID), page.fetch),
        )
        return page.of(found, lambda folder: folder.id)

    @get("/v1/folders/{folder_id}")
    async def read(self, folder_id: UUID, user: User, database: Database) -> Folder:
        sql = "SELECT id, name, version FROM folders WHERE user_id = $1 AND id = $2 AND deleted_at IS NULL"
        folder = await database.one(Folder, sql, user.id, folder_id)
        if folder is None:
            raise no_such_thing()
        return folder

    @patch("/v1/folders/{folder_id}")
    async def change(
        self, folder_id: UUID, body: FolderChange, user: User, database: Database, if_match: IfMatch
    ) -> Folder:
        async with database.transaction() as connection:
            sql = "SELECT id, name, version FROM folders WHERE user_id = $1 AND id = $2 FOR UPDATE"
            folder = await connection.one(Folder, sql, user.id, folder_id)
            if folder is None:
                raise no_such_thing()
            if_match.require(folder.version)
            wanted = body.applied_to(folder)
            sql = "UPDATE folders SET name = $2, version = version + 1 WHERE id = $1 RETURNING id, name, version"
            return await connection.one(Folder, sql, folder_id, wanted.name) or folder

    @delete("/v1/folders/{folder_id}")
    async def remove(
        self, folder_id: UUID, user: User, database: Database, clock: Clock, if_match: IfMatch
    ) -> None:
        await FOLDERS.delete(database, user.id, folder_id, clock(), if_match)

    @post("/v1/folders/{folder_id}/restore")
    async def restore(self, folder_id: UUID, user: User, database: Database, clock: Clock) -> Folder:
        await FOLDERS.restore(database, user.id, folder_id, clock())
        return await self.read(folder_id, user, database)

    @post("/v1/folders/{folder_id}/letters", status=201)
    async def write(self, folder_id: UUID, user: User, database: Database) -> dict[str, UUID]:
        letter_id = uuid7()
        sql = "INSERT INTO letters (id, user_id, folder_id) VALUES ($1, $2, $3)"
        await database.execute(sql, letter_id, user.id, folder_id)
        return {"id": letter_id}

    @get("/v1/letters")
    async def letters(self, user: User, database: Database) -> list[UUID]:
        sql = "SELECT id FROM letters WHERE user_id = $1 AND deleted_at IS NULL ORDER BY id"
        return [row[0] for row in await database.fetch(sql, user.id)]

    @delete("/v1/letters/{letter_id}")
    async def burn(self, letter_id: UUID, user: User, database: Database, clock: Clock) -> None:
        await LETTERS.delete(database, user.id, letter_id, clock())

    @post("/v1/letters/{letter_id}/restore")
    async def unburn(self, letter_id: UUID, user: User, database: Database, clock: Clock) -> None:
        await LETTERS.restore(database, user.id, letter_id, clock())


@pytest_asyncio.fixture
async def desk(serve: Serve, clock: FakeClock) -> ServiceClient:
    """The service, running, by a clock that the test sets."""
    return await serve(Desk, clock=clock)


def key(name: str) -> dict[str, str]:
    return {"Idempotency-Key": name}


async def count(desk: ServiceClient, table: str) -> int:
    assert desk.service.database is not None
    found: int = await desk.service.database.fetchval(f"SELECT count(*) FROM {table}")
    return found


# Idempotency-Key ------------------------------------------------------------------------------------------


async def test_the_same_request_again_is_answered_the_same_and_does_nothing(desk: ServiceClient) -> None:
    """Status, body and fields; however the JSON is written."""
    ann = desk.person()
    first = await ann.post("/v1/folders", json={"name": "a"}, headers=key("k"))
    headers = key('"k"') | {"Content-Type": "application/json"}
    again = await ann.post("/v1/folders", data=b'{ "name" :"\\u0061"}', headers=headers)
    assert (again.status, again.body) == (first.status, first.body) == (201, first.body)
    for field in ("ETag", "Location", "Content-Type"):
        assert again.headers[field] == first.headers[field]
    assert "Idempotency-Replayed" not in first.headers
    assert again.headers["Idempotency-Replayed"] == "true"
    assert again.headers["X-Request-Id"] != first.headers["X-Request-Id"]
    assert await count(desk, "folders") == 1


async def test_a_key_with_another_body_is_422(desk: ServiceClient) -> None:
    ann = desk.person()
    await ann.post("/v1/folders", json={"name": "a"}, headers=key("k"))
    other = await ann.post("/v1/folders", json={"name": "b"}, headers=key("k"))
    assert (other.status, other.body["code"]) == (422, "idempotency_key_reused")


async def test_a_key_is_one_persons_on_one_route(desk: ServiceClient) -> None:
    ann, bob = desk.person(), desk.person()
    made = await ann.post("/v1/folders", json={"name": "a"}, headers=key("k"))
    assert (await bob.post("/v1/folders", json={"name": "b"}, headers=key("k"))).status == 201
    letters = f"{made.headers['Location']}/letters"
    assert (await ann.post(letters, headers=key("k"))).status == 201
    assert (await ann.post(letters, headers=key("k"))).headers["Idempotency-Replayed"] == "true"
    assert await count(desk, "letters") == 1


async def test_what_failed_is_not_kept(desk: ServiceClient) -> None:
    """It did nothing: mended, it may be sent again with its key."""
    ann = desk.person()
    for body, status in (({"name": 7}, 422), ({"name": "refused"}, 409), ({"name": "a"}, 201)):
        assert (await ann.post("/v1/folders", json=body, headers=key("k"))).status == status
    assert await count(desk, "focushub.idempotency_keys") == 1


async def test_twice_at_once_there_is_one_effect(desk: ServiceClient) -> None:
    """The others are replayed, or told that it is at work."""
    ann = desk.person()
    replies = await asyncio.gather(
        *(ann.post("/v1/folders", json={"name": "a"}, headers=key("k")) for _ in range(12))
    )
    assert await count(desk, "folders") == 1
    assert all(_one_of_them(reply) for reply in replies)
    acted = [reply for reply in replies if reply.status == 201 and not _replayed(reply)]
    assert len(acted) == 1
    assert (await ann.post("/v1/folders", json={"name": "a"}, headers=key("k"))).body == acted[0].body


def _replayed(reply: Reply) -> bool:
    return reply.headers.get("Idempotency-Replayed") == "true"


def _one_of_them(reply: Reply) -> bool:
    in_use = reply.status == 409 and reply.body["code"] == "idempotency_key_in_use"
    return reply.status == 201 or (in_use and reply.headers["Retry-After"] == "1")


async def test_an_answer_that_came_between_look_and_lock_is_not_stored_over(
    desk: ServiceClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The other one acted already: this one's effect is undone, and it may ask again."""

    async def sees_nothing(*_: object) -> None:
        return None

    ann = desk.person()
    first = await ann.post("/v1/folders", json={"name": "in"}, headers=key("k"))
    monkeypatch.setattr(idempotency, "_begin", sees_nothing)
    late = await ann.post("/v1/folders", json={"name": "out"}, headers=key("k"))
    assert (late.status, late.body["code"]) == (409, "idempotency_key_in_use")
    assert await count(desk, "folders") == 1
    monkeypatch.undo()
    assert (await ann.post("/v1/folders", json={"name": "in"}, headers=key("k"))).body == first.body


async def test_a_statement_that_fails_undoes_only_itself(desk: ServiceClient) -> None:
    """As without a key; and what a handler asks at once from several tasks is asked in turn."""
    ann = desk.person()
    await ann.post("/v1/folders/either", json={"name": "a"})
    made = await ann.post("/v1/folders/either", json={"name": "a"}, headers=key("k"))
    assert (made.status, made.body["name"]) == (201, "a-a")
    assert await count(desk, "folders") == 3


@pytest.mark.parametrize("wrong", ["", " ", '""', "a b", "a,b", 256 * "x", "\u00e9", '"a'])
async def test_a_key_that_is_none_is_400(desk: ServiceClient, wrong: str) -> None:
    reply = await desk.person().post("/v1/folders", json={"name": "a"}, headers=key(wrong))
    assert (reply.status, reply.body["code"]) == (400, "invalid_idempotency_key")


async def test_without_a_token_a_key_is_401(desk: ServiceClient) -> None:
    assert (await desk.post("/v1/folders", json={"name": "a"}, headers=key("k"))).status == 401


async def test_after_a_day_a_key_is_new_again(desk: ServiceClient) -> None:
    """Whether or not it has been purged meanwhile."""
    ann, database = desk.person(), desk.service.database
    assert database is not None
    for name in ("a", "b", "c"):
        assert (await ann.post("/v1/folders", json={"name": name}, headers=key("k"))).status == 201
        await database.execute(
            "UPDATE focushub.idempotency_keys SET created_at = created_at - interval '24 hours'"
        )
        if name == "b":
            await idempotency.purge(database)
            assert await count(desk, "focushub.idempotency_keys") == 0


def test_a_key_is_read_bare_or_quoted() -> None:
    assert [read_key(fields) for fields in ([], ["k-1"], [' "k-1" '])] == [None, "k-1", "k-1"]


def test_a_fingerprint_is_that_of_the_json_and_the_path() -> None:
    same = {fingerprint("/a", raw) for raw in (b'{"a":1,"b":[2]}', b' {"b": [2], "a": 1}\n')}
    others = [
        ("/b", b'{"a":1,"b":[2]}'),
        ("/a", b'{"a":1,"b":["2"]}'),
        ("/a", b""),
        ("/a", b"{"),
        ("/a", b"["),
    ]
    assert len(same | {fingerprint(*other) for other in others}) == 1 + len(others)


def test_keys_without_a_database_are_a_mistake_of_the_author() -> None:
    class Homeless(Service):
        name = "homeless-service"
        habits = (Idempotent(),)

        @post("/v1/things")
        async def make(self, user: User) -> None: ...

        async def fetch_keys(self) -> bytes:
            return b""

    with pytest.raises(ConfigurationError, match=r"POST /v1/things: idempotency keys need a database"):
        Homeless().application()


# Entity tags ----------------------------------------------------------------------------------------------


async def test_what_was_read_is_not_sent_again_until_it_changes(desk: ServiceClient) -> None:
    """A single thing by its version, a list by its content."""
    ann = desk.person()
    path = (await ann.post("/v1/folders", json={"name": "a"})).headers["Location"]
    for place in (path, "/v1/folders"):
        tag = (await ann.get(place)).headers["ETag"]
        same = await ann.get(place, headers={"If-None-Match": tag})
        assert (same.status, same.body, same.headers["ETag"]) == (304, None, tag)
        assert (same.headers["Cache-Control"], same.headers["Vary"]) == ("private, no-cache", "Authorization")
        await ann.patch(path, json={"name": place})
        changed = await ann.get(place, headers={"If-None-Match": tag})
        assert changed.status == 200
        assert changed.headers["ETag"] != tag


async def test_a_change_is_made_to_the_version_it_is_for(desk: ServiceClient) -> None:
    ann = desk.person()
    made = await ann.post("/v1/folders", json={"name": "a"})
    path, first = made.headers["Location"], {"If-Match": made.headers["ETag"]}
    assert (await ann.patch(path, json={"name": "b"}, headers=first)).headers["ETag"] == '"2"'
    assert (await ann.patch(path, json={"name": "c"}, headers=first)).status == 412
    assert (await ann.delete(path, headers=first)).status == 412
    assert (await ann.delete(path, headers={"If-Match": '"2"'})).status == 204


async def test_an_error_has_no_tag(desk: ServiceClient) -> None:
    reply = await desk.person().get(f"/v1/folders/{uuid7()}", headers={"If-None-Match": "*"})
    assert (reply.status, "ETag" in reply.headers) == (404, False)


# Pages ----------------------------------------------------------------------------------------------------


async def test_pages_hold_everything_once_in_order(desk: ServiceClient) -> None:
    ann = desk.person()
    for name in "abcde":
        await ann.post("/v1/folders", json={"name": name})
    names, asked = "", {"limit": "2"}
    while True:
        page = (await ann.get("/v1/folders", params=asked)).body
        names += "".join(folder["name"] for folder in page["items"])
        if page["next_cursor"] is None:
            break
        asked["cursor"] = page["next_cursor"]
    assert names == "abcde"


@pytest.mark.parametrize(
    ("asked", "status", "code"),
    [
        ({"limit": "0"}, 422, "validation_failed"),
        ({"limit": "201"}, 422, "validation_failed"),
        ({"limit": "many"}, 422, "validation_failed"),
        ({"cursor": "AAAA"}, 400, "invalid_cursor"),
        ({"cursor": ""}, 400, "invalid_cursor"),
    ],
)
async def test_a_page_that_is_none_is_refused(
    desk: ServiceClient, asked: dict[str, str], status: int, code: str
) -> None:
    reply = await desk.person().get("/v1/folders", params=asked)
    assert (reply.status, reply.body["code"]) == (status, code)


# Soft deletion --------------------------------------------------------------------------------------------


async def make(desk: ServiceClient) -> tuple[Any, str, list[str]]:
    """Somebody, their folder, and two letters in it."""
    ann = desk.person()
    folder = (await ann.post("/v1/folders", json={"name": "a"})).headers["Location"]
    letters = [(await ann.post(f"{folder}/letters")).body["id"] for _ in range(2)]
    return ann, folder, letters


async def test_what_is_deleted_comes_back_with_all_that_went_with_it(desk: ServiceClient) -> None:
    """And not with what was deleted alone before."""
    ann, folder, (first, second) = await make(desk)
    assert (await ann.delete(f"/v1/letters/{first}")).status == 204
    assert (await ann.delete(folder)).status == 204
    assert [(await ann.get(folder)).status, (await ann.delete(folder)).status] == [404, 404]
    assert (await ann.get("/v1/letters")).body == []
    back = await ann.post(f"{folder}/restore")
    assert (back.status, back.body, back.headers["ETag"]) == (200, (await ann.get(folder)).body, '"3"')
    assert (await ann.get("/v1/letters")).body == [second]
    assert (await ann.post(f"{folder}/restore")).headers["ETag"] == '"3"'
    assert (await ann.post(f"/v1/letters/{first}/restore")).status == 204
    assert (await ann.get("/v1/letters")).body == [first, second]


async def test_a_child_is_not_restored_into_a_deleted_parent(desk: ServiceClient) -> None:
    ann, folder, (first, _) = await make(desk)
    await ann.delete(folder)
    refused = await ann.post(f"/v1/letters/{first}/restore")
    assert (refused.status, refused.body["code"]) == (409, "parent_deleted")


async def test_another_person_neither_deletes_nor_restores(desk: ServiceClient) -> None:
    ann, folder, _ = await make(desk)
    bob = desk.person()
    assert (await bob.delete(folder)).status == 404
    await ann.delete(folder)
    assert (await bob.post(f"{folder}/restore")).status == 404


async def test_after_thirty_days_it_is_gone_and_then_purged(desk: ServiceClient, clock: FakeClock) -> None:
    """Up to then it can be restored; whether a purge came by makes no difference to its owner."""
    ann, folder, _ = await make(desk)
    await ann.delete(folder)
    clock.go(days=30, seconds=-1)
    assert [await FOLDERS.purge(_database(desk), clock()), await count(desk, "letters")] == [0, 2]
    assert (await ann.post(f"{folder}/restore")).status == 200
    await ann.delete(folder)
    clock.go(days=30)
    assert (await ann.post(f"{folder}/restore")).status == 404
    assert [await FOLDERS.purge(_database(desk), clock()), await count(desk, "letters")] == [1, 0]
    assert (await ann.post(f"{folder}/restore")).status == 404


def _database(desk: ServiceClient) -> Database:
    assert desk.service.database is not None
    return desk.service.database


async def test_a_service_purges_what_it_deletes_and_keeps(desk: ServiceClient) -> None:
    """Keys, folders, letters: three pieces of work, each of which may be done at any time."""
    work = list(desk.service.upkeep())
    assert len(work) == 3
    for one in work:
        await one()
