"""What a handler's signature promises, over real HTTP."""

import gzip
from io import BytesIO
from typing import Annotated
from uuid import UUID

import msgspec
import pytest
import pytest_asyncio
from aiohttp.test_utils import TestClient, TestServer

from focushub_core import (
    Answer,
    Body,
    ConfigurationError,
    Conflict,
    Header,
    Limit,
    Routes,
    Settings,
    WebPart,
    get,
    post,
)

module_routes = Routes("/v1/tags")


@module_routes.get("/{name}")
async def read_tag(name: str, registry: "Registry") -> dict[str, str]:
    return {"name": name, "owner": registry.owner}


class Registry:
    owner = "ann"


class Due(Body):
    minutes: Annotated[int, msgspec.Meta(ge=0)]


class NewThing(Body):
    title: Annotated[str, msgspec.Meta(min_length=1)]
    due: Due | None = None
    labels: list[str] = []


class Things(WebPart):
    name = "thing-service"
    routes = (module_routes,)

    def __init__(self, settings: Settings) -> None:
        super().__init__(settings)
        self.provide(Registry, Registry())

    @get("/v1/things/{thing_id}")
    async def read(self, thing_id: UUID, limit: Limit = 50, tag: list[str] = []) -> dict[str, object]:  # noqa: B006
        return {"id": thing_id, "limit": limit, "tag": tag}

    @post("/v1/things", status=201)
    async def create(
        self, body: NewThing, match: Annotated[str | None, Header("If-Match")] = None
    ) -> Answer[NewThing]:
        return Answer(body, headers={"X-Match": match or "none"})

    @get("/v1/things")
    async def between(self, from_: int, to: int = 9) -> list[int]:
        return [from_, to]

    @post("/v1/due")
    async def due(self, body: Due = Due(minutes=5)) -> Due:  # noqa: B008
        return body

    @post("/v1/nothing")
    async def nothing(self) -> None: ...

    @get("/v1/taken")
    async def taken(self) -> None:
        raise Conflict("It is taken.", code="taken", by="bob")

    @get("/v1/bug")
    async def bug(self) -> None:
        raise RuntimeError("hunter2")


@pytest_asyncio.fixture
async def client():
    async with TestClient(TestServer(Things(Settings(focushub_env="production")).application())) as client:
        yield client


ID = "0190a5c2-f7e8-7b3c-9d1e-000000000000"


async def test_path_and_query_parameters_have_their_types(client):
    async with client.get(f"/v1/things/{ID}?limit=3&tag=a&tag=b") as response:
        assert await response.json() == {"id": ID, "limit": 3, "tag": ["a", "b"]}


async def test_a_module_route_gets_what_the_service_provides(client):
    async with client.get("/v1/tags/red") as response:
        assert await response.json() == {"name": "red", "owner": "ann"}


async def test_a_created_thing_is_answered_with_its_status_and_headers(client):
    async with client.post("/v1/things", json={"title": "a"}, headers={"If-Match": "7"}) as response:
        assert (response.status, response.headers["X-Match"]) == (201, "7")
        assert await response.json() == {"title": "a", "due": None, "labels": []}


async def test_a_query_parameter_may_be_named_like_a_keyword(client):
    async with client.get("/v1/things?from=3") as response:
        assert await response.json() == [3, 9]
    async with client.get("/v1/things") as response:
        assert [wrong["field"] for wrong in (await response.json())["errors"]] == ["from"]


@pytest.mark.parametrize(("arguments", "minutes"), [({}, 5), ({"json": {"minutes": 7}}, 7)])
async def test_a_body_with_a_default_may_be_left_out(client, arguments, minutes):
    async with client.post("/v1/due", **arguments) as response:
        assert await response.json() == {"minutes": minutes}


async def test_nothing_is_204_without_a_body(client):
    async with client.post("/v1/nothing") as response:
        assert (response.status, await response.read()) == (204, b"")


@pytest.mark.parametrize(
    ("raw", "content_type", "status", "code"),
    [
        (b"{", "application/json", 400, "malformed_json"),
        (b"", "application/json", 400, "malformed_json"),
        (b'{"title": NaN}', "application/json", 400, "malformed_json"),
        (b'{"title": 1e999}', "application/json", 400, "malformed_json"),
        (b'{"title": "\\ud800"}', "application/json", 400, "malformed_json"),
        (b'{"title": "\xff"}', "application/json", 400, "malformed_json"),
        (b'{"labels": [' + b"9" * 5000 + b"]}", "application/json", 400, "malformed_json"),
        (b"[" * 100_000, "application/json", 400, "too_deep"),
        (b'{"labels":' + b"[" * 100_000, "application/json", 400, "too_deep"),
        (b"{}", "text/plain", 415, "unsupported_media_type"),
        (b"x" * 1_100_000, "application/json", 413, "payload_too_large"),
        (b'{"title": "\\u0000"}', "application/json", 422, "validation_failed"),
        (b'{"title": "a", "colour": 1}', "application/json", 422, "validation_failed"),
    ],
)
async def test_a_bad_body_is_a_4xx_problem(client, raw, content_type, status, code):
    async with client.post(
        "/v1/things", data=BytesIO(raw), headers={"Content-Type": content_type}
    ) as response:
        assert response.content_type == "application/problem+json"
        problem = await response.json()
        assert (response.status, problem["status"], problem["code"]) == (status, status, code)


async def test_a_packed_body_counts_unpacked(client):
    raw = gzip.compress(b" " * 3_000_000)
    headers = {"Content-Type": "application/json", "Content-Encoding": "gzip"}
    async with client.post("/v1/things", data=raw, headers=headers) as response:
        assert response.status == 413


async def test_every_wrong_field_is_named_at_once(client):
    body = {"title": "", "due": {"minutes": -1}, "labels": ["a", 1], "colour": 1}
    async with client.post("/v1/things", json=body) as response:
        problem = await response.json()
        assert response.status == 422
        assert {wrong["field"] for wrong in problem["errors"]} == {
            "title",
            "due.minutes",
            "labels[1]",
            "colour",
        }
        assert problem["request_id"] == response.headers["X-Request-Id"]


async def test_wrong_path_and_query_parameters_are_named_together(client):
    async with client.get("/v1/things/7?limit=201") as response:
        fields = {wrong["field"]: wrong["code"] for wrong in (await response.json())["errors"]}
        assert (response.status, fields) == (422, {"thing_id": "wrong_format", "limit": "too_large"})


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", "/v1/nowhere", 404, "not_found"),
        ("DELETE", "/v1/things", 405, "method_not_allowed"),
        ("GET", "/v1/taken", 409, "taken"),
        ("GET", "/v1/bug", 500, "internal_error"),
    ],
)
async def test_every_error_is_a_problem_document(client, method, path, status, code):
    async with client.request(method, path) as response:
        problem = await response.json()
        assert response.content_type == "application/problem+json"
        assert (response.status, problem["code"]) == (status, code)
        assert {"type", "title", "status", "detail", "code", "request_id"} <= problem.keys()
        assert "hunter2" not in str(problem)


async def test_a_wrong_method_says_which_are_right(client):
    async with client.delete("/v1/things") as response:
        assert response.headers["Allow"] == "GET,HEAD,POST"


async def test_a_request_id_is_taken_up_or_made(client):
    async with client.get("/health", headers={"X-Request-Id": "abcdef-123"}) as response:
        assert response.headers["X-Request-Id"] == "abcdef-123"
    async with client.get("/health", headers={"X-Request-Id": "evil value"}) as response:
        assert len(response.headers["X-Request-Id"]) == 32


async def test_metrics_count_by_template_and_never_by_path(client):
    async with client.get(f"/v1/things/{ID}"), client.get("/v1/made-up"), client.get("/metrics") as response:
        text = await response.text()
    assert 'http_requests_total{method="GET",route="/v1/things/{thing_id}",status="200"} 1.0' in text
    assert 'route="unmatched",status="404"' in text
    assert "made-up" not in text


async def test_liveness_asks_nobody_and_readiness_tells_more_when_asked(client):
    async with client.get("/livez") as response:
        assert await response.json() == {"status": "alive"}
    async with client.get("/readyz?verbose") as response:
        assert await response.json() == {"status": "ready", "draining": False, "checks": {}}


def test_a_parameter_that_nothing_can_fill_is_refused_when_the_application_is_built():
    class Odd(WebPart):
        name = "odd"

        @get("/v1/odd")
        async def read(self, registry: Registry) -> None: ...

    with pytest.raises(ConfigurationError, match=r"Odd.read \(GET /v1/odd\): nothing provides a Registry"):
        Odd(Settings()).application()
