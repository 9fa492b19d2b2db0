"""The gateway on real sockets: routes, tokens, limits, header rules, the answer out of several."""

from contextlib import AsyncExitStack
from pathlib import Path

import pytest
import pytest_asyncio
from aiohttp import ClientSession, web
from aiohttp.test_utils import TestServer
from uuid_utils.compat import uuid7

from focushub_core import ConfigurationError, Secret, User, get
from focushub_core.balancer import Outcome
from focushub_core.gateway import Gateway, GatewaySettings, Section
from focushub_core.stack import parse
from focushub_core.testing import TokenMint

STACK = """
[stack]
name = "shop"
[services.auth]
port = 3001
prefixes = ["/v1/auth", "/v1/me"]
public = ["/v1/auth"]
[services.task]
port = 3002
prefixes = ["/v1/tasks"]
day_aware = ["/v1/tasks/today"]
[limits.user]
quota = 5
by = "user"
[limits.address]
quota = 7
by = "address"
[limits.login]
quota = 3
by = "address"
routes = ["/v1/auth/login"]
"""


class Service:
    """A service that remembers what it was asked and answers as told."""

    def __init__(self):
        self.requests = []
        self.status = 200

    async def handle(self, request):
        if request.path == "/readyz":  # the gateway looks whether it is there
            return web.Response()
        self.requests.append(request)
        return web.json_response({"path": request.path_qs}, status=self.status)

    async def start(self, running):
        app = web.Application()
        app.router.add_route("*", "/{path:.*}", self.handle)
        self.server = TestServer(app)
        await running.enter_async_context(self.server)
        self.url = str(self.server.make_url("")).rstrip("/")


class Shop(Gateway):
    mint = TokenMint()

    async def fetch_keys(self):
        return self.mint.document()

    async def person_fields(self, user, authorization):
        return {"X-User-Day": "UTC;1;0"}

    @get("/v1/both")
    async def both(self, request: web.Request, user: User) -> dict[str, object]:
        sections = [Section("me", "auth", "/v1/me"), Section("tasks", "task", "/v1/tasks")]
        return (await self.aggregate(request, sections, {})).sections()


class Rig:
    """A gateway in front of two services."""

    def __init__(self, client, auth, task, gateway):
        self.client, self.auth, self.task, self.gateway = client, auth, task, gateway
        self.token = Shop.mint.token(uuid7())

    async def ask(self, path, method="GET", token=None, **fields):
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        async with self.client.request(method, path, headers=headers | fields) as response:
            body = await response.json() if response.content_type.endswith("json") else None
            return response, body


@pytest_asyncio.fixture
async def start(monkeypatch):
    async with AsyncExitStack() as running:

        async def start(more="", **settings):
            auth, task = Service(), Service()
            for service in (auth, task):
                await service.start(running)
            monkeypatch.setenv("AUTH_SERVICE_URL", auth.url)
            monkeypatch.setenv("TASK_SERVICE_URL", task.url)
            stack = parse(STACK + more, Path("/nowhere"))
            gateway = Shop(GatewaySettings(auth_jwks_url="unused", port=0, **settings), stack=stack)
            await gateway.listen()
            running.push_async_callback(gateway.stop, 1.0)
            client = await running.enter_async_context(ClientSession(gateway.url))
            return Rig(client, auth, task, gateway)

        yield start


async def test_a_path_goes_to_its_service_with_its_query(start):
    rig = await start()
    _, body = await rig.ask("/v1/tasks/1?q=a%20b", token=rig.token)
    assert body == {"path": "/v1/tasks/1?q=a%20b"}
    assert (len(rig.auth.requests), len(rig.task.requests)) == (0, 1)


async def test_only_the_token_says_who_it_is(start):
    """G8: what a client claims reaches no service, and the service gets the token to verify it again."""
    rig = await start()
    await rig.ask(
        "/v1/tasks", token=rig.token, **{"X-User-Id": "root", "x_user_day": "x", "X-User-Day": "forged"}
    )
    sent = rig.task.requests[0].headers
    assert sent["Authorization"] == f"Bearer {rig.token}"
    assert [name for name in sent if name.lower().replace("_", "-").startswith("x-user")] == []


async def test_a_day_aware_route_gets_the_day_settings_and_no_other(start):
    rig = await start()
    for path in ("/v1/tasks/today", "/v1/tasks/todays"):
        await rig.ask(path, token=rig.token, **{"X-User-Day": "forged"})
    today, other = rig.task.requests
    assert today.headers.getall("X-User-Day") == ["UTC;1;0"]
    assert "X-User-Day" not in other.headers


@pytest.mark.parametrize("token", [None, "nonsense"])
async def test_without_a_good_token_no_service_is_asked(start, token):
    rig = await start()
    response, problem = await rig.ask("/v1/tasks", token=token)
    assert (response.status, response.content_type) == (401, "application/problem+json")
    assert "Bearer" in response.headers["WWW-Authenticate"]
    assert problem["request_id"] == response.headers["X-Request-Id"]
    assert rig.task.requests == []


async def test_a_public_route_needs_no_token_and_minds_no_stale_one(start):
    rig = await start()
    for token in (None, "stale"):
        response, _ = await rig.ask("/v1/auth/refresh", method="POST", token=token)
        assert response.status == 200


async def test_a_path_of_nobody_is_404_and_internal_is_never_routed(start):
    rig = await start()
    for path in ("/v1/nobody", "/internal/tokens", "/v1"):
        response, problem = await rig.ask(path, token=rig.token)
        assert (response.status, problem["code"]) == (404, "not_found")


async def test_the_request_id_travels_to_the_service_and_back(start):
    rig = await start()
    response, _ = await rig.ask("/v1/tasks", token=rig.token, **{"X-Request-Id": "from-the-edge"})
    assert response.headers["X-Request-Id"] == "from-the-edge"
    assert rig.task.requests[0].headers.getall("X-Request-Id") == ["from-the-edge"]


async def test_a_burst_beyond_the_limit_is_429_with_the_fields_and_reaches_nobody(start):
    rig = await start()
    answers = [await rig.ask("/v1/tasks", token=rig.token) for _ in range(6)]
    assert [response.status for response, _ in answers] == [200] * 5 + [429]
    response, problem = answers[-1]
    assert (problem["code"], problem["policy"]) == ("rate_limited", "user")
    assert int(response.headers["Retry-After"]) >= 1
    assert response.headers["RateLimit-Policy"] == '"user";q=5;w=60'
    assert response.headers["RateLimit"].startswith('"user";r=0;t=')
    assert answers[0][0].headers["RateLimit"].startswith('"user";r=4')
    assert len(rig.task.requests) == 5


async def test_another_person_has_a_bucket_of_their_own(start):
    rig = await start()
    for _ in range(6):
        await rig.ask("/v1/tasks", token=rig.token)
    response, _ = await rig.ask("/v1/tasks", token=Shop.mint.token(uuid7()))
    assert response.status == 200


async def test_bad_tokens_are_counted_against_their_address(start):
    rig = await start()
    statuses = [(await rig.ask("/v1/tasks", token=f"bad-{n}"))[0].status for n in range(8)]
    assert statuses == [401] * 7 + [429]


async def test_health_is_never_limited(start):
    rig = await start()
    assert {(await rig.ask("/health"))[0].status for _ in range(20)} == {200}


async def test_a_service_that_is_gone_is_a_503_problem(start):
    rig = await start()
    await rig.task.server.close()
    response, problem = await rig.ask("/v1/tasks", token=rig.token)
    assert (response.status, problem["code"]) == (503, "upstream_unreachable")
    assert response.headers["Retry-After"] == "1"
    assert response.headers["RateLimit"].startswith('"user";r=4')


async def test_an_answer_out_of_several_carries_the_token_and_names_what_is_missing(start):
    rig = await start()
    rig.auth.status = 500
    _, body = await rig.ask("/v1/both", token=rig.token)
    assert body["tasks"] == {"status": "ok", "data": {"path": "/v1/tasks"}}
    assert body["me"]["error"] == {"code": "upstream_error"}
    assert rig.task.requests[0].headers["Authorization"] == f"Bearer {rig.token}"


async def test_a_service_that_is_known_to_be_away_is_not_waited_for(start):
    """G6: its section answers at once; who asks for the service itself finds out that it is back."""
    rig = await start()
    health = rig.gateway.pool_of["task"].upstreams[0].health
    for _ in range(health.settings.failures):
        health.observed(Outcome.FAULTY, rig.gateway.engine.clock())
    _, body = await rig.ask("/v1/both", token=rig.token)
    assert body["tasks"]["error"] == {"code": "upstream_unavailable"}
    assert rig.task.requests == []
    response, _ = await rig.ask("/v1/tasks", token=rig.token)
    assert response.status == 200


async def test_an_answer_out_of_several_needs_a_token(start):
    rig = await start()
    response, _ = await rig.ask("/v1/both")
    assert response.status == 401


async def test_without_redis_limits_hold_and_readiness_says_that_they_are_kept_alone(start):
    rig = await start(redis_url=Secret("redis://127.0.0.1:1"))
    statuses = [(await rig.ask("/v1/tasks", token=rig.token))[0].status for _ in range(6)]
    assert statuses == [200] * 2 + [429] * 4  # its share of two gateways
    response, body = await rig.ask("/readyz?verbose")
    assert (response.status, body["checks"]["redis"]["status"]) == (200, "disconnected")


async def test_what_the_limits_decided_is_shown(start):
    rig = await start(redis_url=Secret("redis://127.0.0.1:1"))
    for _ in range(3):
        await rig.ask("/v1/tasks", token=rig.token)
    _, body = await rig.ask("/readyz?verbose")
    numbers = {"admitted": 2, "refused": 1, "leased": 0, "degraded": 3}
    assert body["limits"] == {
        "kept": "by shares",
        "processes": 2,
        "degraded": True,
        "policies": {"user": numbers},
    }


def test_a_limit_that_cannot_work_stops_the_gateway_from_starting():
    text = STACK.replace("quota = 7", "quota = 1\nwindow = 86400\nburst = 999")
    with pytest.raises(ConfigurationError, match=r"line 15: limit 'address': its burst takes longer"):
        Shop(GatewaySettings(auth_jwks_url="unused"), stack=parse(text, Path("/nowhere")))


def test_a_gateway_without_a_stack_says_so():
    with pytest.raises(ConfigurationError, match=r"focushub\.toml"):
        Shop(GatewaySettings(auth_jwks_url="unused"))


# Pages of other origins -------------------------------------------------------------------------------------

APP = "https://app.example"
CORS = f"""
[gateway.cors]
allow = ["{APP}"]
"""
PREFLIGHT = {"Access-Control-Request-Method": "PATCH", "Access-Control-Request-Headers": "if-match"}


async def test_a_preflight_needs_no_token_counts_for_no_limit_and_reaches_no_service(start):
    rig = await start(CORS)
    for _ in range(10):
        answer, _ = await rig.ask("/v1/tasks/1", "OPTIONS", Origin=APP, **PREFLIGHT)
        assert (answer.status, answer.headers["Access-Control-Allow-Origin"]) == (204, APP)
        assert "If-Match" in answer.headers["Access-Control-Allow-Headers"]
    assert rig.task.requests == []
    refused, body = await rig.ask("/v1/tasks/1", "OPTIONS", Origin="https://evil.example", **PREFLIGHT)
    assert (refused.status, body["code"]) == (403, "origin_not_allowed")
    assert "Access-Control-Allow-Origin" not in refused.headers


async def test_a_page_of_an_allowed_origin_may_read_answers_errors_as_well(start):
    rig = await start(CORS)
    for path, token, status in (
        ("/v1/tasks", rig.token, 200),
        ("/v1/tasks", None, 401),
        ("/nowhere", None, 404),
    ):
        answer, _ = await rig.ask(path, token=token, Origin=APP)
        assert (answer.status, answer.headers["Access-Control-Allow-Origin"]) == (status, APP)
        assert answer.headers["Vary"] == "Origin"
        other, _ = await rig.ask(path, token=token, Origin="https://evil.example")
        assert (other.status, "Access-Control-Allow-Origin" in other.headers) == (status, False)


async def test_by_default_no_page_of_another_origin_may_read_anything(start):
    rig = await start()
    answer, _ = await rig.ask("/v1/tasks", token=rig.token, Origin=APP)
    preflight, _ = await rig.ask("/v1/tasks", "OPTIONS", Origin=APP, **PREFLIGHT)
    assert (answer.status, preflight.status) == (200, 401)
    assert not [name for name in (*answer.headers, *preflight.headers) if name.startswith("Access-Control")]


async def test_the_merged_document_names_services_that_have_none(start):
    """The services of this rig answer anything but a document."""
    rig = await start()
    response, body = await rig.ask("/openapi.json")
    assert (response.status, body["info"]["title"], body["x-unavailable"]) == (200, "shop", ["auth", "task"])
    assert list(body["paths"]) == ["/v1/both"]
