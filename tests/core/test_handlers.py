"""What a signature takes and refuses: parameters, bodies, rules, instants. Nothing a client sends is a 500."""

import asyncio
import gzip
import json
import logging
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from io import BytesIO
from typing import Annotated, Any, Literal
from zoneinfo import ZoneInfo

import msgspec
import pytest
import pytest_asyncio
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer

from focushub_core import (
    Answer,
    Body,
    ConfigurationError,
    FieldError,
    Header,
    Instant,
    NotFound,
    Settings,
    WebPart,
    get,
    post,
)
from focushub_core.http.bodies import MAX_DEPTH, is_deep
from focushub_core.http.habit import Habit
from focushub_core.http.handlers import build
from focushub_core.http.models import UNSET, Int32, Query, Unset, WallClock, encode
from focushub_core.http.routing import Routes
from focushub_core.rules import Rule, Wrong
from focushub_core.telemetry import logs


def why_no_zone(name: str) -> str | None:
    return None if "/" in name or name == "UTC" else "There is no such zone."


Zone = Annotated[str, msgspec.Meta(max_length=64), Rule("invalid_timezone", why_no_zone)]


class Stay(Body):
    arrival: date
    departure: date

    def __post_init__(self) -> None:
        if self.departure <= self.arrival:
            raise Wrong(FieldError("departure", "too_early", "It lies before the arrival."))


class Guest(Body):
    name: Annotated[str, msgspec.Meta(min_length=1)]
    age: Int32 = 0
    visits: int = 0
    zone: Zone | None = None
    stays: list[Stay] = []
    born: Instant | None = None
    alarm: WallClock | None = None
    price: Decimal | None = None
    extra: dict[str, Any] = {}


class GuestChange(Body):
    name: Annotated[str, msgspec.Meta(min_length=1)] | Unset = UNSET
    zone: Zone | Unset | None = UNSET
    born: Instant | Unset | None = UNSET


class Wanted(msgspec.Struct, frozen=True):
    since: Instant | None = None
    state: Literal["open", "done"] = "open"
    size: Annotated[int, msgspec.Meta(ge=1)] | None = None
    until_: date | None = None

    def __post_init__(self) -> None:
        if self.size == 13:
            raise Wrong(FieldError("size", "unlucky", "Not that one."))


class Inn(WebPart):
    name = "inn-service"

    @post("/guests")
    async def create(self, body: Guest, dry: bool = False) -> Guest:
        return body

    @post("/changes")
    async def change(self, body: GuestChange) -> dict[str, object]:
        given = msgspec.structs.asdict(body)
        return {name: value for name, value in given.items() if value is not UNSET}

    @get("/numbers")
    async def numbers(
        self,
        size: float = 0,
        count: int = 0,
        many: list[int] = [],  # noqa: B006
        day: date | None = None,
    ) -> dict[str, object]:
        return {"size": size, "count": count, "many": many, "day": day}

    @get("/wanted")
    async def wanted(self, wanted: Annotated[Wanted, Query()], page: int = 1) -> Wanted:
        return wanted

    @get("/texts/{text}")
    async def text(
        self,
        text: str,
        q: str = "",
        at: Instant | None = None,
        tag: Annotated[str | None, Header("X-Tag")] = None,
    ) -> dict[str, object]:
        return {"text": text, "q": q, "at": at, "tag": tag}

    @get("/anything")
    async def anything(self, request: web.Request) -> dict[str, str]:
        return dict(request.query)


@pytest_asyncio.fixture
async def client():
    async with TestClient(TestServer(Inn(Settings(focushub_env="production")).application())) as client:
        yield client


async def wrong_of(response):
    problem = await response.json()
    assert response.content_type == "application/problem+json"
    return response.status, {error["field"]: error["code"] for error in problem.get("errors", ())}


@pytest.mark.parametrize(
    ("body", "wrong"),
    [
        ('{"name": "a", "age": 2147483648}', {"age": "too_large"}),
        ('{"name": "a", "age": -2147483649}', {"age": "too_small"}),
        ('{"name": "a", "age": 1.5}', {"age": "wrong_type"}),
        ('{"name": "a", "age": 1.0}', {"age": "wrong_type"}),
        ('{"name": "a", "age": true}', {"age": "wrong_type"}),
        ('{"name": "a", "visits": 9223372036854775808}', {"visits": "out_of_range"}),
        ('{"name": "a", "visits": ' + "9" * 4000 + "}", {"visits": "out_of_range"}),
        ('{"name": "a", "zone": "Mars"}', {"zone": "invalid_timezone"}),
        ('{"name": "a", "zone": "Mars", "age": "x", "colour": 1}',
         {"zone": "invalid_timezone", "age": "wrong_type", "colour": "unknown_field"}),
        ('{"name": "", "stays": [{"arrival": "2026-01-02", "departure": "2026-01-01"}]}',
         {"name": "too_short", "stays[0].departure": "too_early"}),
        ('{"name": "a", "stays": [{"arrival": "x", "departure": "2026-01-01"}]}',
         {"stays[0].arrival": "wrong_format"}),
        ('{"name": "a", "born": "2026-01-01T00:00:00"}', {"born": "wrong_format"}),
        ('{"name": "a", "born": "9999-12-31T23:59:59-01:00"}', {"born": "out_of_range"}),
        ('{"name": "a", "born": "0001-01-01T00:00:00+01:00"}', {"born": "out_of_range"}),
        ('{"name": "a", "born": 17}', {"born": "wrong_type"}),
        ('{"name": "a", "alarm": "2026-01-01T00:00:00Z"}', {"alarm": "wrong_format"}),
        ('{"name": "a", "price": "NaN"}', {"price": "wrong_format"}),
        ('{"name": "a\\u0000b", "extra": {"x": ["\\u0000"]}}',
         {"name": "nul_character", "extra.x[0]": "nul_character"}),
        ('{"name": "a", "extra": {"\\u0000": 1}}', {"extra": "nul_character"}),
        ("[]", {"": "wrong_type"}),
        ("null", {"": "wrong_type"}),
    ],
)  # fmt: skip
async def test_every_wrong_field_of_a_body_has_its_path_and_code(client, body, wrong):
    async with client.post("/guests", data=body, headers={"Content-Type": "application/json"}) as response:
        assert await wrong_of(response) == (422, wrong)


async def test_three_wrong_fields_are_named_at_once_one_nested_one_in_an_array_with_a_parameter(client):
    stay = {"arrival": "2026-01-01", "departure": "tomorrow"}
    body = {"name": 1, "stays": [stay], "zone": "Mars"}
    async with client.post("/guests?dry=perhaps&dri=1", json=body) as response:
        assert await wrong_of(response) == (
            422,
            {
                "dry": "wrong_type",
                "dri": "unknown_parameter",
                "name": "wrong_type",
                "stays[0].departure": "wrong_format",
                "zone": "invalid_timezone",
            },
        )


async def test_one_error_of_a_services_own_gives_the_problem_its_code(client):
    async with client.post("/guests", json={"name": "a", "zone": "Mars"}) as response:
        problem = await response.json()
        assert (problem["code"], problem["detail"]) == ("invalid_timezone", "There is no such zone.")
    async with client.post("/guests", json={"name": "", "zone": "Mars"}) as response:
        assert (await response.json())["code"] == "validation_failed"


@pytest.mark.parametrize(
    ("raw", "headers", "status", "code"),
    [
        (b'{"name": NaN}', {}, 400, "malformed_json"),
        (b'{"price": -Infinity}', {}, 400, "malformed_json"),
        (b'{"extra": {"x": 1e999}}', {}, 400, "malformed_json"),
        (b'{"name": "\\ud800"}', {}, 400, "malformed_json"),
        (b'{"extra": {"\\udc00": 1}}', {}, 400, "malformed_json"),
        (b'{"name": "\xed\xa0\x80"}', {}, 400, "malformed_json"),
        (b'{"name": "a", "visits": ' + b"9" * 5000 + b"}", {}, 400, "malformed_json"),
        (b'{"extra": ' + b"[" * 200_000, {}, 400, "too_deep"),
        (b'{"name": "a", "extra": {"x": ' + b"[" * 64 + b"]" * 64 + b"}}", {}, 400, "too_deep"),
        (b'{"nam": ' + b"[" * 64 + b"]" * 64 + b"}", {}, 400, "too_deep"),
        (b'{"name": "\\u0000", "extra": {"x": ' + b"[" * 900 + b"]" * 900 + b"}}", {}, 400, "too_deep"),
        (b"", {}, 400, "malformed_json"),
        (b"{}", {"Content-Type": "text/plain"}, 415, "unsupported_media_type"),
        (b"{}", {"Content-Type": "application/octet-stream"}, 415, "unsupported_media_type"),
        (b"{}", {"Content-Type": "image/svg+json"}, 415, "unsupported_media_type"),
        (b"{}", {"Content-Type": "application/json; charset=utf-16"}, 415, "unsupported_media_type"),
        (b"{}", {"Content-Encoding": "x-unheard-of"}, 415, "unsupported_media_type"),
        (b"no gzip", {"Content-Encoding": "gzip"}, 400, "malformed_body"),
        (gzip.compress(b'"' + b" " * 3_000_000), {"Content-Encoding": "gzip"}, 413, "payload_too_large"),
        (b" " * 1_100_000, {}, 413, "payload_too_large"),
    ],
)  # fmt: skip
async def test_a_malformed_body_is_a_4xx_problem(client, raw, headers, status, code):
    headers = {"Content-Type": "application/json"} | headers
    async with client.post("/guests", data=BytesIO(raw), headers=headers) as response:
        problem = await response.json()
        assert (response.status, problem["code"], response.content_type) == (
            status,
            code,
            "application/problem+json",
        )


async def test_after_a_broken_packing_the_connection_closes(client):
    headers = {"Content-Type": "application/json", "Content-Encoding": "gzip"}
    for _ in range(5):
        async with client.post("/guests", data=b"no gzip", headers=headers) as response:
            assert (response.status, response.headers["Connection"]) == (400, "close")


@pytest.mark.parametrize("kind", ["application/json; charset=UTF-8", "application/merge-patch+json"])
async def test_json_may_say_its_charset_or_be_a_kind_of_json(client, kind):
    async with client.post("/guests", data=b'{"name": "a"}', headers={"Content-Type": kind}) as response:
        assert response.status == 200


async def test_a_missing_content_type_is_refused(client):
    head = b"POST /guests HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}"
    assert b" 415 " in (await _raw(client, head)).partition(b"\r\n")[0]


async def test_a_list_of_many_objects_is_not_deep(client):
    stay = {"arrival": "2026-01-01", "departure": "2026-01-02"}
    body = {"name": 'a[[[[{{{{"\\', "stays": [stay] * 500, "extra": {"x": [[{"y": "]" * 9}]] * 99}}
    async with client.post("/guests", json=body) as response:
        assert (await response.json())["stays"] == [stay] * 500


@pytest.mark.parametrize("depth", [1, MAX_DEPTH - 1, MAX_DEPTH, MAX_DEPTH + 1, 200])
@pytest.mark.parametrize("inside", ["", '"[[\\"[["', "[],[],{}", '{"\\\\": [[]]}'])
def test_depth_is_measured_as_a_parser_would(depth, inside):
    text = "[" * depth + inside + "]" * depth

    def nesting(value: object) -> int:
        inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
        return 1 + max(map(nesting, inner), default=0) if isinstance(value, dict | list) else 0

    assert is_deep(text.encode()) is (nesting(json.loads(text)) > MAX_DEPTH)


async def test_what_a_patch_leaves_out_differs_from_null(client):
    async with client.post("/changes", json={"zone": None}) as response:
        assert await response.json() == {"zone": None}
    async with client.post("/changes", json={}) as response:
        assert await response.json() == {}
    async with client.post("/changes", json={"name": None, "zone": "Mars", "born": "1"}) as response:
        assert await wrong_of(response) == (
            422,
            {"name": "wrong_type", "zone": "invalid_timezone", "born": "wrong_format"},
        )


@pytest.mark.parametrize(
    ("query", "wrong"),
    [
        ("size=nan", {"size": "wrong_format"}),
        ("size=-Infinity", {"size": "wrong_format"}),
        ("size=1e999", {"size": "out_of_range"}),
        ("count=1.5", {"count": "wrong_type"}),
        ("count=" + "9" * 5000, {"count": "out_of_range"}),
        ("count=9223372036854775808", {"count": "out_of_range"}),
        ("count=", {"count": "wrong_type"}),
        ("count=null", {"count": "wrong_type"}),
        ("count=1&count=2", {"count": "repeated"}),
        ("many=1&many=x&many=y", {"many[1]": "wrong_type", "many[2]": "wrong_type"}),
        ("day=today", {"day": "wrong_format"}),
        ("day=20260101", {"day": "wrong_format"}),
        ("cuont=1", {"cuont": "unknown_parameter"}),
        ("count=%00", {"count": "nul_character"}),
    ],
)
async def test_every_wrong_query_parameter_is_named(client, query, wrong):
    async with client.get(f"/numbers?{query}") as response:
        assert await wrong_of(response) == (422, wrong)


async def test_a_struct_of_query_parameters_is_filled_from_the_query(client):
    async with client.get("/wanted?since=2026-01-01T00:00:00%2B01:00&size=3&until=2026-02-01") as response:
        assert await response.json() == {
            "since": "2025-12-31T23:00:00Z",
            "state": "open",
            "size": 3,
            "until_": "2026-02-01",
        }


@pytest.mark.parametrize(
    ("query", "wrong"),
    [
        ("state=no&size=0&page=x&nothing=1", {"state", "size", "page", "nothing"}),
        ("size=13", {"size"}),
        ("since=2026-01-01T00:00:00", {"since"}),
        ("since=1767225600", {"since"}),
    ],
)
async def test_wrong_fields_of_a_query_struct_join_the_others(client, query, wrong):
    async with client.get(f"/wanted?{query}") as response:
        status, found = await wrong_of(response)
        assert (status, found.keys()) == (422, wrong)


@pytest.mark.parametrize(
    ("target", "status", "code"),
    [
        (b"/texts/caf%C3%A9?q=%F0%9F%98%80", 200, None),
        (b"/texts/%00", 422, "validation_failed"),
        (b"/texts/a?q=%00", 422, "validation_failed"),
        (b"/texts/%ED%A0%80", 400, "malformed_target"),
        (b"/texts/a?q=%ED%A0%80", 400, "malformed_target"),
        (b"/texts/a?q=%FF", 400, "malformed_target"),
        (b"/texts/a?%ED%A0%80=1", 400, "malformed_target"),
        (b"/texts/100%25", 200, None),
    ],
)
async def test_a_target_is_text_or_malformed(client, target, status, code):
    answer = await _raw(client, b"GET " + target + b" HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
    head, _, body = answer.partition(b"\r\n\r\n")
    assert (int(head.split()[1]), msgspec.json.decode(body).get("code")) == (status, code)


async def test_a_header_that_is_no_text_is_refused(client):
    answer = await _raw(
        client, b"GET /texts/a HTTP/1.1\r\nHost: x\r\nX-Tag: \xff\r\nConnection: close\r\n\r\n"
    )
    assert b" 422 " in answer.partition(b"\r\n")[0]


async def test_who_reads_the_request_itself_knows_its_query(client):
    async with client.get("/anything?a=1") as response:
        assert await response.json() == {"a": "1"}


async def _raw(client, request: bytes) -> bytes:
    reader, writer = await asyncio.open_connection(client.server.host, client.server.port)
    writer.write(request)
    answer = await asyncio.wait_for(reader.read(), 5)
    writer.close()
    await writer.wait_closed()
    return answer


# Instants ---------------------------------------------------------------------------------------------------

NOON = datetime(2026, 5, 10, 12, tzinfo=UTC)
ZONES = [
    UTC,
    timezone(timedelta(hours=-5)),
    ZoneInfo("Europe/Berlin"),
    ZoneInfo("UTC"),
    ZoneInfo("Asia/Kathmandu"),
]


class Moment(msgspec.Struct, frozen=True):
    at: datetime


class Event(msgspec.Struct, frozen=True, rename="camel"):
    name: str
    moments: list[Moment]
    by_name: dict[str, Moment | None]
    ends_at: datetime | None = None
    local: WallClock | None = None


@pytest.mark.parametrize("zone", ZONES, ids=str)
def test_an_instant_is_answered_in_utc_whatever_its_offset(zone):
    at = NOON.astimezone(zone)
    event = Event("a", [Moment(at)], {"x": Moment(at), "y": None}, at, datetime(2026, 5, 10, 12))
    utc = "2026-05-10T12:00:00Z"
    assert msgspec.json.decode(encode(event)) == {
        "name": "a",
        "moments": [{"at": utc}],
        "byName": {"x": {"at": utc}, "y": None},
        "endsAt": utc,
        "local": "2026-05-10T12:00:00",
    }


@pytest.mark.parametrize(
    "wrap", [lambda at: at, lambda at: [at], lambda at: {"at": at}, lambda at: (1, {"a": [at]})]
)
def test_an_instant_in_untyped_results_is_answered_in_utc(wrap):
    assert b'"2026-05-10T12:00:00Z"' in encode(wrap(NOON.astimezone(ZONES[1])))


# Building ---------------------------------------------------------------------------------------------------


def _build(function: Any, path: str = "/x") -> Any:
    routes = Routes()
    routes.post(path)(function)
    return build(next(iter(routes)), {web.Request: lambda request: request})[0]


class Plain(Body):
    moments: list[datetime | None]


async def _plain_parameter(at: datetime | None = None) -> None: ...
async def _plain_body(body: Plain) -> None: ...
async def _no_annotation(text) -> None: ...  # type: ignore[no-untyped-def]


@pytest.mark.parametrize(
    ("function", "message"),
    [
        (_plain_parameter, "a plain datetime in 'at'"),
        (_plain_body, "a plain datetime in 'body'"),
        (_no_annotation, "'text' has no annotation"),
    ],
)
def test_a_signature_that_leaves_a_question_open_is_refused_when_it_is_built(function, message):
    with pytest.raises(ConfigurationError, match=message):
        _build(function)


class Wrapping(Habit):
    def __init__(self, name: str, fits: bool = True) -> None:
        self.name = name
        self._fits = fits

    def fits(self, operation: object) -> bool:
        return self._fits

    def wrap(self, call: Any, operation: Any) -> Any:
        async def wrapped(request: web.Request) -> Any:
            result = await call(request)
            return Answer([*result.body, self.name], headers={"X-Last": self.name})

        return wrapped


async def test_habits_wrap_a_call_the_services_outermost_and_only_where_they_fit():
    group = Routes("/v1", habits=[Wrapping("group"), Wrapping("never", fits=False)])

    @group.get("/x", habits=[Wrapping("route")])
    async def read() -> Answer[list[str]]:
        return Answer(["function"])

    class Wrapped(WebPart):
        name = "wrapped"
        routes = (group,)
        habits = (Wrapping("part"),)

    async with (
        TestClient(TestServer(Wrapped(Settings()).application())) as client,
        client.get("/v1/x") as response,
    ):
        assert await response.json() == ["function", "route", "group", "part"]
        assert response.headers["X-Last"] == "part"


Rank = Annotated[int, msgspec.Meta(ge=1, le=4, description="1 is the most urgent")]


async def test_a_described_number_is_read_from_a_query_like_a_plain_one():
    class Ranked(WebPart):
        name = "ranked"

        @get("/x")
        async def read(self, rank: Rank = 1, ranks: list[Rank] | None = None) -> list[object]:
            return [rank, ranks]

    async with TestClient(TestServer(Ranked(Settings()).application())) as client:
        async with client.get("/x?rank=3&ranks=1&ranks=2") as response:
            assert await response.json() == [3, [1, 2]]
        async with client.get("/x?rank=5&ranks=0") as response:
            assert await wrong_of(response) == (422, {"rank": "too_large", "ranks[0]": "too_small"})


class Today(WebPart):
    name = "today"

    @get("/v1/tasks/today")
    async def today(self) -> str:
        return "today"

    @get("/v1/tasks/{task_id}")
    async def read(self, task_id: str) -> str:
        return task_id

    @post("/v1/tasks/{task_id}")
    async def change(self, task_id: str, body: dict[str, int] | None = None) -> dict[str, int] | None:
        return body


async def test_a_path_that_is_written_out_is_never_taken_for_a_parameter():
    async with TestClient(TestServer(Today(Settings()).application())) as client:
        async with client.post("/v1/tasks/today") as response:
            problem = await response.json()
            assert (response.status, problem["code"]) == (405, "method_not_allowed")
            assert response.headers["Allow"] == "GET,HEAD"
        async with client.get("/v1/tasks/today") as response:
            assert await response.json() == "today"
        async with client.post("/v1/tasks/other", json={"a": 1}) as response:
            assert await response.json() == {"a": 1}


class Reading(Habit):
    """Reads the body before the handler does."""

    def wrap(self, call: Any, operation: Any) -> Any:
        async def read(request: web.Request) -> Any:
            await request.read()
            return await call(request)

        return read


@pytest.mark.parametrize(
    ("arguments", "status"),
    [({}, 204), ({"data": b""}, 204), ({"json": {"a": 1}}, 200), ({"json": {"a": "x"}}, 422)],
)
async def test_a_body_that_may_be_left_out_is_still_read_behind_a_habit_that_read_it(arguments, status):
    class Read(Today):
        habits = (Reading(),)

    async with (
        TestClient(TestServer(Read(Settings()).application())) as client,
        client.post("/v1/tasks/x", **arguments) as response,
    ):
        assert response.status == status


@pytest.mark.parametrize("with_middleware", [False, True])
async def test_the_edge_is_the_same_with_and_without_other_middlewares(with_middleware):
    """Without any it lies around the handlers: what no route matches is a problem, counted, and named, too."""

    @web.middleware
    async def nothing(request: web.Request, handler: Any) -> web.StreamResponse:
        return await handler(request)

    class Edged(Today):
        def middlewares(self) -> list[Any]:
            return [nothing] if with_middleware else []

        def add_routes(self, app: web.Application) -> None:
            super().add_routes(app)
            app.router.add_get("/raw", self.raw)

        async def raw(self, request: web.Request) -> web.StreamResponse:
            raise NotFound(code="raw_problem")

    async with TestClient(TestServer(Edged(Settings()).application())) as client:
        for method, path, status, code in (
            ("GET", "/nowhere", 404, "not_found"),
            ("PUT", "/v1/tasks/1", 405, "method_not_allowed"),
            ("POST", "/livez", 405, "method_not_allowed"),
            ("GET", "/raw", 404, "raw_problem"),
        ):
            async with client.request(method, path, headers={"X-Request-Id": "given-0123"}) as response:
                problem = await response.json()
                assert (response.status, problem["code"]) == (status, code)
                assert response.headers["X-Request-Id"] == problem["request_id"] == "given-0123"
        async with client.put("/v1/tasks/1") as response:
            assert response.headers["Allow"] == "GET,HEAD,POST"
        async with client.get("/metrics") as response:
            text = await response.text()
    assert 'http_requests_total{method="GET",route="unmatched",status="404"} 1.0' in text
    assert 'http_requests_total{method="GET",route="/raw",status="404"} 1.0' in text


async def test_access_lines_are_batched_and_all_written_when_the_part_stops(tmp_path):
    log = tmp_path / "log"
    root = logging.getLogger()
    before = (list(root.handlers), root.level)
    with log.open("w") as stream:
        logs.configure("today", as_json=True, stream=stream)
        try:
            async with TestClient(TestServer(Today(Settings()).application())) as client:
                for number in range(20):
                    async with client.get(f"/v1/tasks/{number}"):
                        pass
        finally:
            logging.captureWarnings(False)
            root.handlers, root.level = before
    lines = [msgspec.json.decode(line) for line in log.read_text().splitlines()]
    lines = [line for line in lines if line["logger"] == "focushub.access"]
    assert [line["message"] for line in lines] == [f"GET /v1/tasks/{number} 200" for number in range(20)]
    assert all(line["route"] == "/v1/tasks/{task_id}" and line["request_id"] for line in lines)
