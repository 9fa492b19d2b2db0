"""What `focushub verify` finds out of an API document, and how fast it may go."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from focushub_core import stack as stacks
from focushub_core.stack import LimitTable
from focushub_generator.local.verify.bodies import Schemas
from focushub_generator.local.verify.pace import FASTEST, SHARE, pace
from focushub_generator.local.verify.survey import owners, survey
from focushub_generator.openapi import of_stack

EXAMPLE = Path(__file__).parents[2] / "examples" / "focushub"
MARK = "verify-0a1b2c-8-1234"


def least(schema: dict[str, Any], **named: dict[str, Any]) -> dict[str, Any] | None:
    """The first body that is tried, if there is one."""
    templates = Schemas({"components": {"schemas": named}}).templates(schema)
    return templates[0].with_mark(MARK) if templates else None


def thing(required: list[str], **properties: dict[str, Any]) -> dict[str, Any]:
    return {"type": "object", "required": required, "properties": properties}


TEXT = {"type": "string", "maxLength": 200, "minLength": 1, "pattern": r"\S"}


def test_a_body_is_what_is_required_with_the_mark_in_the_first_free_text() -> None:
    schema = thing(
        ["name", "kind", "size"], name=TEXT, kind={"enum": ["a", "b"]}, size={"type": "integer"}, more=TEXT
    )
    assert least(schema) == {"name": MARK, "kind": "a", "size": 1}


def test_a_text_that_is_not_required_takes_the_mark_where_no_other_does() -> None:
    schema = thing(
        ["day"], day={"type": "string", "format": "date"}, note={"anyOf": [TEXT, {"type": "null"}]}
    )
    assert least(schema) == {"day": "2026-01-05", "note": MARK}


def test_references_are_followed_and_an_object_within_is_made_of_what_it_requires() -> None:
    schedule = {"anyOf": [{"$ref": "#/components/schemas/Daily"}, {"$ref": "#/components/schemas/Weekly"}]}
    schema = thing(["name", "schedule"], name=TEXT, schedule=schedule)
    daily = thing(["kind"], kind={"const": "daily"}, from_={"type": "string"})
    assert least({"$ref": "#/components/schemas/New"}, New=schema, Daily=daily) == {
        "name": MARK,
        "schedule": {"kind": "daily"},
    }


@pytest.mark.parametrize(
    "schema",
    [
        thing(["title"], title={"type": "string", "maxLength": 10}),
        thing(["id"], id={"type": "string", "format": "uuid"}),
        thing(["colour"], colour={"type": "string", "pattern": "^#[0-9a-f]{6}$"}),
        {"type": "array"},
        {},
    ],
)
def test_a_schema_without_room_for_a_mark_is_not_written_to(schema: dict[str, Any]) -> None:
    assert least(schema) is None


def test_what_cannot_be_made_up_is_taken_from_the_documents_example() -> None:
    schema = thing(["name", "owner"], name=TEXT, owner={"type": "string", "format": "uuid"})
    [template] = Schemas({}).templates(schema, {"name": "n", "owner": "0190a5c2-f7e8-7b3c-9d1e-2f6a4b8c0d1e"})
    assert template.with_mark(MARK) == {"name": MARK, "owner": "0190a5c2-f7e8-7b3c-9d1e-2f6a4b8c0d1e"}


@pytest.fixture(scope="module")
def document() -> dict[str, Any]:
    """The bundled platform's."""
    return dict(json.loads(of_stack(EXAMPLE)))


def test_of_the_bundled_platform_each_service_can_be_read_and_most_can_be_written(
    document: dict[str, Any],
) -> None:
    found = survey(document, stacks.load(EXAMPLE).services.values())
    read = {path.path: path.service for path in found.reads}
    assert read["/v1/me"] == "auth-service"
    assert read["/v1/focus/summary"] == "focus-service"
    assert read["/v1/dashboard/today"] is None
    assert not [path for path in read if "{" in path or path.startswith("/.well-known")]
    written = {collection.path: collection for collection in found.collections}
    assert {"/v1/projects", "/v1/tasks", "/v1/habits"} <= set(written)
    tasks = written["/v1/tasks"]
    assert (tasks.service, tasks.item) == ("task-service", "/v1/tasks/{task_id}")
    assert (tasks.takes_key, tasks.keeps_keys, tasks.pages) == (True, True, True)
    assert tasks.templates[0].with_mark(MARK) == {"title": MARK}


def test_a_path_belongs_to_the_longest_prefix_of_whole_segments() -> None:
    services = [
        stacks.ServiceEntry("a", 1, ("/v1/a",)),
        stacks.ServiceEntry("b", 2, ("/v1/a/b",)),
    ]
    owner = owners(services)
    paths = ("/v1/a", "/v1/a/x", "/v1/a/b/c", "/v1/ab", "/v1")
    assert [owner(path) for path in paths] == ["a-service", "a-service", "b-service", None, None]


@pytest.mark.parametrize(
    ("limits", "seconds", "expected"),
    [
        ([], 60.0, FASTEST),
        ([LimitTable(quota=600, by="user")], 60.0, SHARE * 20),
        ([LimitTable(quota=600, by="user"), LimitTable(quota=60, by=("user", "route"))], 60.0, SHARE * 2),
        ([LimitTable(quota=600, by="user", burst=60)], 60.0, SHARE * 11),
        (
            [LimitTable(quota=1, by="address"), LimitTable(quota=1, by="user", routes=("/v1/x",))],
            60.0,
            FASTEST,
        ),
    ],
)
def test_clients_stay_under_the_limits_that_count_people(
    limits: list[LimitTable], seconds: float, expected: float
) -> None:
    assert pace(limits, seconds) == pytest.approx(expected)
