"""The document says what the handlers take and answer, and a public validator agrees that it is OpenAPI 3.1."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from datetime import date, datetime
from typing import Annotated, Any, Literal
from uuid import UUID

import jsonschema
import msgspec
import pytest
from openapi_spec_validator import validate

from focushub_core import (
    Answer,
    Body,
    Conflict,
    Header,
    Instant,
    NotFound,
    Page,
    Query,
    Routes,
    Service,
    ServiceSettings,
    User,
    get,
)
from focushub_core.http.description import Description
from focushub_core.http.habit import Habit
from focushub_core.http.openapi import merge

routes = Routes("/v1/notes", tag="Notes")


class Note(msgspec.Struct, frozen=True):
    """A ``note``."""

    id: UUID
    text: str
    at: datetime
    seen: list[datetime]
    gone: datetime | None
    kind: Literal["plain", "secret"] = "plain"


class NewNote(Body):
    """What a note is made of."""

    text: Annotated[str, msgspec.Meta(min_length=1, max_length=500, examples=["Buy milk"])]
    size: int = 0
    rank: Annotated[int, msgspec.Meta(ge=1, le=4)] = 4
    at: Instant | None = None
    children: list[NewNote] = []


class Filter(msgspec.Struct):
    kind: Literal["plain", "secret"] | None = None
    since: date | None = None


class Tagged(Habit):
    def describe(self, description: Description, operation: object) -> None:
        description.takes_header("If-None-Match", {"type": "string"}, "A tag.")
        description.answers_header("ETag", {"type": "string"}, "The tag.")
        description.answers(304, "Nothing new.")
        description.refuses(412, "precondition_failed")


@routes.get(habits=[Tagged()])
async def list_notes(wanted: Annotated[Filter, Query()], user: User, limit: int = 50) -> Page[Note]:
    """All notes.

    Those of ``user`` only.
    """
    raise NotImplementedError


@routes.post(status=201, raises=[Conflict(code="too_many_notes")])
async def create(body: NewNote, user: User) -> Answer[Note]:
    raise NotImplementedError


@routes.patch("/{note_id}", raises=[NotFound])
async def change(
    note_id: UUID, user: User | None, body: NewNote | None = None, tag: Annotated[str, Header("X-Tag")] = "a"
) -> Note:
    raise NotImplementedError


@routes.delete("/{note_id}", public=False)
async def internal(note_id: UUID) -> None: ...


class Notes(Service):
    """Keeps notes."""

    name = "notes-service"
    routes = (routes,)

    @get("/v1/health-of/{thing}")
    async def create(self, thing: str) -> dict[str, object]:
        """A thing."""
        return {}


@pytest.fixture(scope="module")
def document() -> dict[str, Any]:
    return Notes(ServiceSettings(auth_jwks_url="http://127.0.0.1:1")).openapi()


def test_it_is_valid_openapi_3_1(document):
    validate(document)
    assert document["openapi"].startswith("3.1.")
    assert document["info"] == {"title": "notes-service", "version": "0.1.0", "description": "Keeps notes."}


def test_paths_and_parameters_are_those_of_the_signature(document):
    listing = document["paths"]["/v1/notes"]["get"]
    found = {(each["name"], each["in"]): each["schema"] for each in listing["parameters"]}
    assert found[("kind", "query")] == {"enum": ["plain", "secret"]}
    assert found[("since", "query")] == {"type": "string", "format": "date"}
    assert found[("limit", "query")]["default"] == 50
    assert ("If-None-Match", "header") in found
    changing = document["paths"]["/v1/notes/{note_id}"]["patch"]["parameters"]
    assert [(each["name"], each["in"], each["required"]) for each in changing] == [
        ("note_id", "path", True),
        ("X-Tag", "header", False),
    ]


def test_docstrings_explain(document):
    listing = document["paths"]["/v1/notes"]["get"]
    assert (listing["summary"], listing["description"]) == ("All notes", "Those of `user` only.")
    assert document["components"]["schemas"]["Note"]["description"] == "A `note`."


def test_operation_ids_are_unique_and_tags_are_the_groups(document):
    operations = [operation for item in document["paths"].values() for operation in item.values()]
    assert {operation["operationId"] for operation in operations} == {
        "list_notes",
        "notes_create",
        "change",
        "health_of_create",
    }
    assert [tag["name"] for tag in document["tags"]] == ["health-of", "Notes"]


def test_what_is_not_public_is_left_out(document):
    assert list(document["paths"]["/v1/notes/{note_id}"]) == ["patch"]


def test_a_token_is_asked_for_where_the_function_takes_a_user(document):
    assert document["paths"]["/v1/notes"]["post"]["security"] == [{"bearer": []}]
    assert document["paths"]["/v1/notes/{note_id}"]["patch"]["security"] == [{}, {"bearer": []}]
    assert "security" not in document["paths"]["/v1/health-of/{thing}"]["get"]
    assert document["components"]["securitySchemes"]["bearer"]["scheme"] == "bearer"


def test_every_problem_is_said_by_status_and_code(document):
    creating = document["paths"]["/v1/notes"]["post"]["responses"]
    assert set(creating) == {"201", "400", "401", "409", "413", "415", "422", "503", "default"}
    assert creating["409"]["description"] == "Conflict: `too_many_notes`"
    example = creating["409"]["content"]["application/problem+json"]["example"]
    jsonschema.validate(example, document["components"]["schemas"]["Problem"] | {"$defs": {}}, resolver=None)
    assert set(document["paths"]["/v1/notes/{note_id}"]["patch"]["responses"]) >= {"200", "404", "422"}


def test_habits_say_their_fields_and_statuses(document):
    answers = document["paths"]["/v1/notes"]["get"]["responses"]
    assert {"304", "412"} <= answers.keys()
    assert answers["200"]["headers"].keys() == answers["304"]["headers"].keys() == {"X-Request-Id", "ETag"}


def test_a_patch_may_come_as_a_merge_patch(document):
    body = document["paths"]["/v1/notes/{note_id}"]["patch"]["requestBody"]
    assert body["content"].keys() == {"application/json", "application/merge-patch+json"}
    assert body["required"] is False


def test_numbers_without_bounds_and_instants_are_said_as_they_are_kept(document):
    fields = document["components"]["schemas"]["NewNote"]["properties"]
    bounds = {"minimum": -(2**63), "maximum": 2**63 - 1, "format": "int64"}
    assert fields["size"] == {"type": "integer", "default": 0} | bounds
    assert "format" not in fields["rank"]
    note = document["components"]["schemas"]["Note"]["properties"]
    instant = {"type": "string", "format": "date-time"}
    assert (note["at"], note["seen"]["items"], note["gone"]["anyOf"][0]) == (instant, instant, instant)


def examples(value: Any) -> Iterator[tuple[dict[str, Any], Any]]:
    """Every example with its schema."""
    if isinstance(value, list):
        for item in value:
            yield from examples(item)
    elif isinstance(value, dict):
        if "schema" in value and "example" in value:
            yield value["schema"], value["example"]
        for item in value.values():
            yield from examples(item)


def _check_examples(document: dict[str, Any]) -> int:
    found = list(examples(document["paths"])) + list(examples(document["components"]["responses"]))
    for schema, example in found:
        whole = {**schema, "components": document["components"]}
        jsonschema.Draft202012Validator(whole, format_checker=jsonschema.FormatChecker()).validate(example)
    return len(found)


def test_every_example_fits_its_schema(document):
    assert _check_examples(document) > 10
    body = document["paths"]["/v1/notes"]["post"]["requestBody"]["content"]["application/json"]
    assert body["example"]["text"] == "Buy milk"


def test_the_generated_services_documents_are_valid_and_their_examples_fit(generated):
    document = msgspec.json.decode(generated.described())
    validate(document)
    assert _check_examples(document) > 5
    for item in document["paths"].values():
        for operation in item.values():
            assert operation["summary"] != operation["operationId"], "a docstring is missing"


async def test_a_service_answers_its_document(serve):
    client = await serve(Notes)
    for _ in range(2):
        reply = await client.get("/openapi.json")
        assert (reply.status, reply.headers["Content-Type"]) == (200, "application/json")
        assert reply.body["info"]["title"] == "notes-service"


# Merging ----------------------------------------------------------------------------------------------------


def part(name: str, path: str, **schemas: Any) -> dict[str, Any]:
    operation = {
        "operationId": "read",
        "tags": ["all"],
        "responses": {
            "200": {
                "description": "OK",
                "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Thing"}}},
            }
        },
    }
    return {
        "openapi": "3.1.1",
        "info": {"title": name, "version": "1"},
        "tags": [{"name": "all"}],
        "paths": {path: {"get": operation}},
        "components": {"schemas": schemas},
    }


THING = {"type": "object", "title": "Thing"}


def test_equal_schemas_are_one_and_others_get_their_services_name():
    documents = {
        "a": part("a", "/a", Thing=THING),
        "b": part("b", "/b", Thing=THING),
        "c-d": part("c", "/c", Thing={"type": "string"}),
    }
    merged = merge({"title": "all", "version": "1"}, documents)
    validate(merged)
    assert merged["components"]["schemas"] == {"Thing": THING, "c_d_Thing": {"type": "string"}}
    content = merged["paths"]["/c"]["get"]["responses"]["200"]["content"]["application/json"]
    assert content["schema"] == {"$ref": "#/components/schemas/c_d_Thing"}
    names = [item["get"]["operationId"] for item in merged["paths"].values()]
    assert names == ["read", "b_read", "c_d_read"]
    assert merged["tags"] == [{"name": "all"}]


def test_each_tag_is_grouped_under_the_first_service_that_has_it():
    documents = {"a": part("a", "/a", Thing=THING), "b": part("b", "/b", Thing=THING)}
    documents["b"]["tags"] += [{"name": "more"}]
    documents["b"]["paths"]["/more"] = {"get": {"operationId": "more", "tags": ["more"], "responses": {}}}
    merged = merge({"title": "all", "version": "1"}, documents)
    assert merged["tags"] == [{"name": "all"}, {"name": "more"}]
    assert merged["x-tagGroups"] == [{"name": "a", "tags": ["all"]}, {"name": "b", "tags": ["more"]}]


def test_a_service_that_did_not_answer_is_named():
    merged = merge({"title": "all", "version": "1"}, {"a": part("a", "/a", Thing=THING), "b": None})
    validate(merged)
    assert merged["x-unavailable"] == ["b"]
    assert "b" in merged["info"]["description"]
    assert list(merged["paths"]) == ["/a"]


def test_what_cannot_be_reached_is_left_out_with_its_tag():
    documents = {"a": part("a", "/internal/x", Thing=THING)}
    merged = merge({"title": "all", "version": "1"}, documents, lambda service, path: path != "/internal/x")
    assert (merged["paths"], merged["tags"]) == ({}, [])


def test_a_service_that_nobody_asks_loads_nothing_for_its_document():
    program = (
        "import sys; from focushub_core import Service; from focushub_core.service import ServiceSettings\n"
        "class Idle(Service): name = 'idle'\n"
        "Idle(ServiceSettings()).application()\n"
        "sys.exit(any(name.startswith('focushub_core.http.openapi') for name in sys.modules))"
    )
    assert subprocess.run([sys.executable, "-c", program], timeout=60).returncode == 0
