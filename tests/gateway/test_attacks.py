"""What clients try that mean no good, byte by byte: to come in without a token, as somebody else, or too often; and to
have others pay for it.
"""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
import pytest_asyncio
from aiohttp.test_utils import TestServer
from uuid_utils.compat import uuid7

from focushub_core import Secret, Service, ServiceSettings, User, get
from focushub_core.deadline import left
from focushub_core.gateway import GatewaySettings
from focushub_core.proxy.engine import own
from focushub_core.stack import parse
from focushub_core.telemetry.context import request_id

from .raw import STACK, Rig, Shop, Upstream, Wire, request, until

Start = Callable[..., Awaitable[Rig]]


@pytest_asyncio.fixture
async def start(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Start]:
    async with AsyncExitStack() as running:

        async def start(more: str = "", **settings: object) -> Rig:
            auth, task = Upstream(), Upstream()
            await auth.start(running)
            await task.start(running)
            monkeypatch.setenv("AUTH_SERVICE_URL", auth.url)
            monkeypatch.setenv("TASK_SERVICE_URL", task.url)
            given = {"auth_jwks_url": "unused", "port": 0, "focushub_env": "production", **settings}
            gateway = Shop(GatewaySettings(**given), stack=parse(STACK + more, Path("/nowhere")))
            await gateway.listen()
            running.push_async_callback(gateway.stop, 0.0)
            return Rig(gateway, auth, task, running)

        yield start


# Nobody comes in without a token ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "target",
    [
        b"/v1/auth/../tasks", b"/v1/auth/..", b"/v1/auth/.", b"/v1/auth/%2e%2e/tasks", b"/v1/auth/.%2E/me",
        b"/v1/auth%2f..%2ftasks", b"/v1/auth/..%2ftasks", b"/v1/auth/..%5ctasks", b"/v1/auth/..\\tasks",
        b"/v1/auth/..;/tasks", b"/v1/auth/..;x=1/tasks", b"/v1/auth/%2e%2e;/tasks", b"/v1/auth/..%3b/tasks",
        b"//v1/auth", b"/v1/auth#/../tasks", b"/v1/auth%00",
    ],
)  # fmt: skip
async def test_a_path_that_could_lead_out_of_what_is_public_is_refused(start: Start, target: bytes) -> None:
    rig = await start()
    (reply,) = await rig.ask(request(target))
    assert (reply.status, reply.code) == (400, "ambiguous_path")
    assert rig.auth.heads + rig.task.heads == []


@pytest.mark.parametrize(
    ("target", "status"),
    [
        (b"/v1/tasks", 401), (b"/v1/tasks/", 401), (b"/v1/tasks/..a", 401), (b"/v1/tasks?/v1/auth", 401),
        (b"/v1/me/auth", 401), (b"/v1/%74asks", 401), (b"/%761/tasks", 401), (b"/v1/t%61sks/today", 401),
        (b"/v1/tasks;/v1/auth", 404), (b"/v1/authx", 404), (b"/v1/AUTH", 404), (b"/V1/auth", 404),
        (b"/v1//auth", 404), (b"/v1/auth./x", 404), (b"/v1/auth;/me", 404), (b"/v1/%2574asks", 404),
        (b"/internal/auth", 404), (b"/%69nternal", 404), (b"/v1/auth%20", 404), (b"/v1/%ff%fe", 404),
        (b"http://shop/v1/tasks", 401), (b"http://shop", 404), (b"http://shop?x", 404),
        (b"http://else/v1/auth", 400), (b"https://shop/v1/auth", 400), (b"shop/v1/auth", 400), (b"*", 400),
    ],
)  # fmt: skip
async def test_without_a_token_no_spelling_of_a_path_and_no_method_reaches_a_service(
    start: Start, target: bytes, status: int
) -> None:
    rig = await start()
    for method in (b"GET", b"HEAD", b"OPTIONS", b"POST", b"get", b"PROPFIND", b"AUTH"):
        (reply,) = await rig.ask(request(target, method=method))
        assert (method, reply.status) == (method, status)
    assert rig.auth.heads + rig.task.heads == []


async def test_what_looks_like_a_preflight_reaches_no_service(start: Start) -> None:
    rig = await start('[gateway.cors]\nallow = ["https://app.example"]')
    asks = (b"Origin: https://app.example", b"Access-Control-Request-Method: GET")
    for method, status in ((b"OPTIONS", 204), (b"GET", 401), (b"options", 401), (b"POST", 401)):
        (reply,) = await rig.ask(request(b"/v1/tasks", *asks, method=method))
        assert reply.status == status
    for lines in (asks[:1], asks[1:], (b"Origin:", asks[1]), (b"Origin: null", asks[1])):
        (reply,) = await rig.ask(request(b"/v1/tasks", *lines, method=b"OPTIONS"))
        assert reply.status in (401, 403)
    assert rig.task.heads == []


# Nobody is taken for somebody else --------------------------------------------------------------------------


async def test_the_same_fields_with_another_token_are_another_person(start: Start) -> None:
    """Heads are remembered across connections and requests: whose token it is goes with the token alone."""
    rig = await start()
    for _ in range(2):
        for token, person in (
            (rig.token, rig.ann),
            (rig.bobs, rig.bob),
            (b"x" + rig.token, None),
            (b"", None),
        ):
            wire = await rig.connect()
            lines = (b"X-Request-Id: 12345678", b"Authorization: Bearer %b" % token)
            first, second = await wire.ask(
                request(b"/v1/tasks/today", *lines), request(b"/v1/tasks/today", *lines)
            )
            if person is None:
                assert (first.status, second.status) == (401, 401)
            else:
                assert (first.status, second.status) == (200, 200)
                assert rig.task.sent(b"authorization") == [b"Bearer " + token]
                assert rig.task.sent(b"x-user-day") == [b"of %b" % str(person).encode()]
    (reply,) = await rig.ask(request(b"/v1/tasks/today", b"X-Request-Id: 12345678"))
    assert reply.status == 401


async def test_a_token_that_ended_between_two_requests_on_a_connection_is_refused(start: Start) -> None:
    rig = await start()
    now = 1_000_000_000.0
    rig.gateway.verifier._clock = lambda: now
    rig.token = Shop.mint.token(rig.ann, now=now).encode()
    wire = await rig.connect()
    assert (await wire.ask(request(b"/v1/tasks", rig.bearer)))[0].status == 200
    now += 86_400
    assert (await wire.ask(request(b"/v1/tasks", rig.bearer)))[0].status == 401
    assert (await rig.ask(request(b"/v1/tasks", rig.bearer)))[0].status == 401


@pytest.mark.parametrize("target", [b"/v1/tasks/today", b"/v1/both", b"/v1/auth/logout"])
async def test_two_tokens_are_none(start: Start, target: bytes) -> None:
    """Of several fields we could take one and a service another."""
    rig = await start()
    anns, bobs = rig.bearer, b"authorization: Bearer " + rig.bobs
    for lines in ((anns, bobs), (bobs, anns), (anns, anns), (b"Authorization:", anns)):
        (reply,) = await rig.ask(request(target, *lines))
        assert (reply.status, reply.code) == (401, "invalid_request")
    assert rig.auth.heads + rig.task.heads == []


@pytest.mark.parametrize(
    ("before", "behind", "status"),
    [
        (b"Bearer ", b"", 200), (b"bearer ", b"", 200), (b"Bearer   ", b" \t", 200), (b"Bearer\t", b"", 401),
        (b"Bearer \xa0", b"", 401), (b"Bearer ", b"\xa0", 401), (b"Bearer \x85", b"", 401),
        (b"Bearer \xc2\xa0", b"", 401), (b"Bearer ", b",Bearer x", 401), (b"Bearer ", b" x", 401),
        (b"Basic ", b"", 401), (b"", b"", 401), (b"Bearer,", b"", 401), (b"\xff ", b"", 401),
    ],
)  # fmt: skip
async def test_a_token_is_taken_in_one_form_only(
    start: Start, before: bytes, behind: bytes, status: int
) -> None:
    rig = await start()
    for target in (b"/v1/tasks", b"/v1/both"):
        (reply,) = await rig.ask(request(target, b"Authorization: " + before + rig.token + behind))
        assert reply.status == status


async def test_a_service_takes_a_token_in_the_same_form(start: Start) -> None:
    class Tasks(Service):
        name = "task-service"

        async def fetch_keys(self) -> bytes:
            return Shop.mint.document()

        @get("/v1/tasks")
        async def all(self, user: User) -> dict[str, str]:
            return {"user": str(user.id)}

    rig = await start()
    async with TestServer(Tasks(ServiceSettings()).application()) as server:
        for behind, status in ((b"", 200), (b"\xa0", 401), (b"\xc2\xa0", 401), (b"\xff", 401)):
            wire = Wire(*await asyncio.open_connection("127.0.0.1", server.port))
            (reply,) = await wire.ask(request(b"/v1/tasks", rig.bearer + behind))
            await wire.close()
            assert reply.status == status


# Nobody says what is ours to say ----------------------------------------------------------------------------


FORGED = (
    b"X-User-Id: root", b"x-user-day: forged", b"X_User_Id: root", b"x-User_Day: forged", b"X-Forwarded-For: 6.6.6.6",
    b"X_Forwarded_For: 6.6.6.6", b"Forwarded: for=6.6.6.6", b"X-Real-IP: 6.6.6.6", b"X_Request_Id: forgedforged",
    b"X-Explain: secret", b"X_Explain: secret", b"X_Request_Timeout_Ms: 1", b"Proxy: 6.6.6.6",
)  # fmt: skip


async def test_what_is_ours_to_say_reaches_no_service_however_it_is_spelled(start: Start) -> None:
    rig = await start()
    names = {line.partition(b":")[0].lower().replace(b"_", b"-") for line in FORGED}
    for lines in (FORGED, FORGED[::-1], (*FORGED, b"Connection: x-request-id, x-forwarded-for, via")):
        await rig.ask(request(b"/v1/tasks", *lines, rig.bearer))
        sent = [
            (name.lower(), value)
            for name, value in rig.task.heads[-1].fields.all
            if name.lower().replace(b"_", b"-") in names
        ]
        said = dict(sent)
        assert sorted(name for name, _ in sent) == [
            b"x-forwarded-for", b"x-request-id", b"x-request-timeout-ms",
        ]  # fmt: skip
        assert said[b"x-forwarded-for"] == b"127.0.0.1"
        assert b"forged" not in said[b"x-request-id"]
        assert int(said[b"x-request-timeout-ms"]) > 1000


async def test_trailers_say_nothing_that_is_ours_to_say(start: Start) -> None:
    rig = await start()
    chunked = request(b"/v1/tasks", rig.bearer, b"Transfer-Encoding: chunked", method=b"POST")
    trailers = b"X-User-Id: root\r\nAuthorization: Bearer x\r\nX-Forwarded-For: 6.6.6.6\r\n"
    (reply,) = await rig.ask(chunked + b"2\r\nhi\r\n0\r\n" + trailers + b"\r\n")
    assert (reply.status, rig.task.bodies) == (200, [b"hi"])
    assert b"X-User-Id" not in dict(rig.task.heads[-1].fields.all)


@pytest.mark.parametrize(
    "lines",
    [
        (b"X-Request-Id: first-first", b"X-Request-Id: second-second"),
        (b"Accept: */*", b"X-Request-Id: first-first", b"x-request-id: second-second"),
        (b"Accept: */*", b"x-request-id: first-first", b"X-Request-Id: second-second"),
        (b"Accept: */*", b"X-Request-Id: a b", b"X-Request-Id: second-second", b"Accept: */*"),
        (b"X-Request-Id:12345678", b"X-Request-Id:\t12345678", b"X-Request-Id: 12345678 "),
        (b"X-Request-Id: \xff\xff\xff\xff\xff\xff\xff\xff",),
        (b"Accept: */*", b"X-Request-Id: short"),
    ],
)
async def test_a_request_has_one_id_at_every_hop_and_in_its_answer(
    start: Start, lines: Sequence[bytes]
) -> None:
    rig = await start()
    (reply,) = await rig.ask(request(b"/v1/tasks", *lines, rig.bearer))
    assert [value for name, value in reply.lines if name == b"x-request-id"] == rig.task.sent(b"x-request-id")
    (own,) = await rig.ask(request(b"/heard", *lines))
    heard = [value for name, value in json.loads(own.body)["fields"] if name == "x-request-id"]
    assert heard == [own.fields[b"x-request-id"].decode()]


async def test_an_own_route_hears_nothing_that_only_we_say(start: Start) -> None:
    rig = await start()
    (reply,) = await rig.ask(request(b"/heard", b"X-User-Id: root", b"x_user_day: x", b"X-User-Day: forged"))
    assert [name for name, _ in json.loads(reply.body)["fields"] if name.startswith("x-user")] == []


async def test_who_does_not_know_the_secret_is_told_nothing_and_passes_none_on(start: Start) -> None:
    rig = await start(explain_secret=Secret("open-sesame-open-sesame"))
    wrong, right = b"X-Explain: wrong", b"X-Explain: open-sesame-open-sesame"
    for lines in ((wrong,), (wrong, right), (b"x_explain: open-sesame-open-sesame",)):
        (reply,) = await rig.ask(request(b"/v1/tasks", *lines, rig.bearer))
        assert reply.status == 200
        assert b"server-timing" not in reply.fields
        assert rig.task.sent(b"x-explain") == []


# Nobody gets more than their share --------------------------------------------------------------------------


@pytest.mark.parametrize(
    "spelled",
    [
        b"/v1/auth/%6cogin",
        b"/v1/auth/log%69n",
        b"/%76%31/auth/login",
        b"/v1/auth/login/",
        b"/v1/auth/login?x=1",
    ],
)
async def test_a_limit_holds_for_every_spelling_of_its_path(start: Start, spelled: bytes) -> None:
    """RFC 3986 section 6.2.2.2: services decode what need not have been encoded."""
    rig = await start()
    replies = [(await rig.ask(request(spelled, method=b"POST")))[0].status for _ in range(4)]
    assert replies == [200] * 3 + [429]
    assert rig.auth.targets == [spelled] * 3


async def test_neither_new_connections_nor_fields_nor_pipelining_are_more_permits(
    start: Start,
) -> None:
    rig = await start()
    spoofed = [
        request(b"/v1/auth/login", b"X-Forwarded-For: 6.6.6.%d" % n, b"X-Request-Id: %012d" % n)
        for n in range(5)
    ]
    replies = await rig.ask(*spoofed)
    assert [reply.status for reply in replies] == [200] * 3 + [429] * 2
    for lines in (
        (b"Forwarded: for=7.7.7.7",),
        (b"X-Real-IP: 7.7.7.7",),
        (b"Connection: x-forwarded-for",),
        (),
    ):
        (reply,) = await rig.ask(request(b"/v1/auth/login", *lines))
        assert reply.status == 429


async def test_behind_a_proxy_that_is_believed_an_address_is_what_the_proxy_says(start: Start) -> None:
    """IPv6 counts by /64, and what the client wrote itself stands left of that."""
    rig = await start(trusted_proxies="127.0.0.1")

    async def login(forwarded: bytes) -> int:
        line = b"X-Forwarded-For: " + forwarded
        return (await rig.ask(request(b"/v1/auth/login", line, method=b"POST")))[0].status

    assert [await login(b"2001:db8:0:1::%d" % n) for n in range(4)] == [200] * 3 + [429]
    for spelled in (
        b"[2001:db8:0:1::9]:80",
        b"6.6.6.6, 2001:DB8:0:1:0:0:0:9",
        b"x, 6.6.6.6,2001:db8:0:1::9",
        b"2001:db8:0:1::9,127.0.0.1",
    ):
        assert await login(spelled) == 429
    assert await login(b"2001:db8:0:2::1") == 200
    assert [await login(b"::ffff:192.0.2.1"), await login(b"192.0.2.1"), await login(b"192.0.2.1:9")] == [
        200
    ] * 3
    assert await login(b"192.0.2.1") == 429


@pytest.mark.parametrize("target", [b"/nowhere", b"/heard", b"/v1/tasks", b"/openapi.json"])
async def test_what_nobody_serves_and_what_we_serve_ourselves_counts_as_well(
    start: Start, target: bytes
) -> None:
    rig = await start()
    wire = await rig.connect()
    replies = await wire.ask(*[request(target)] * 51)
    assert replies[-1].status == 429
    assert 429 not in [reply.status for reply in replies[:-1]]


# Nobody has others pay for them -----------------------------------------------------------------------------


async def test_a_client_in_a_hurry_blames_no_service(start: Start) -> None:
    """A service is ejected for what it does, not for what a client allows it."""
    rig = await start()
    rig.auth.delay_s = 0.4
    for _ in range(2):
        asked = [
            rig.ask(request(b"/v1/auth/slow", b"X-Request-Timeout-Ms: 1", b"X-Hurry: %d" % n))
            for n in range(8)
        ]
        replies = [replies[0] for replies in await asyncio.gather(*asked)]
        assert {(reply.status, reply.code) for reply in replies} == {(504, "upstream_timeout")}
    upstream = rig.gateway.pool_of["auth"].upstreams[0]
    assert (upstream.health.faulty, upstream.health.ejected) == (0, 0)


@pytest.mark.parametrize("value", [b"-5", b"1e9", b"99999999999", b"+1", b"\xff", b"", b"1, 2", b"0x1"])
async def test_a_time_that_is_none_changes_nothing(start: Start, value: bytes) -> None:
    rig = await start()
    line = b"X-Request-Timeout-Ms: " + value
    (reply,) = await rig.ask(request(b"/v1/tasks", line, rig.bearer))
    assert reply.status == 200
    assert 29_000 < int(rig.task.sent(b"x-request-timeout-ms")[0]) <= 30_000
    (own,) = await rig.ask(request(b"/heard", line))
    assert own.status == 200


async def test_what_a_handler_echoes_adds_no_field(start: Start) -> None:
    rig = await start()
    for text in (b"a%0d%0aX-Evil:%201", b"a%0aX-Evil:%201", b"a%0dX-Evil:%201", b"%00"):
        wire = await rig.connect()
        (reply,) = await wire.ask(request(b"/echo?q=" + text))
        assert (reply.status, b"x-evil" in reply.fields) == (500, False)
    (reply,) = await rig.ask(request(b"/echo?q=%E2%82%AC"))
    assert (reply.status, reply.fields[b"x-echo"]) == (200, "€".encode())


async def test_a_handler_that_gives_up_is_a_500_and_says_nothing(start: Start) -> None:
    rig = await start()
    (reply,) = await rig.ask(request(b"/gives-up"))
    assert (reply.status, reply.code) == (500, "internal_error")
    assert json.loads(reply.body)["detail"] == "Internal Server Error"


async def test_an_own_route_has_as_long_as_a_service(start: Start) -> None:
    rig = await start(answer_timeout_s=0.3)
    (reply,) = await rig.ask(request(b"/hangs"))
    assert reply.status == 504


async def test_a_decision_that_does_not_come_is_not_waited_for_for_ever(start: Start) -> None:
    rig = await start(answer_timeout_s=0.3)

    async def person_fields(user: User, authorization: str) -> dict[str, str]:
        await asyncio.Event().wait()
        return {}

    rig.gateway.person_fields = person_fields  # type: ignore[method-assign]
    asked = request(b"/v1/tasks/today", rig.bearer)
    assert [reply.status for reply in await rig.ask(asked, request(b"/heard"))] == [504, 200]
    assert rig.task.heads == []


async def test_a_body_for_an_own_route_is_not_waited_for_for_ever(start: Start) -> None:
    rig = await start(answer_timeout_s=0.3)
    wire = await rig.connect()
    wire.writer.write(request(b"/heard", b"Content-Length: 1000000", method=b"POST") + b"x")
    assert (await wire.reply()).status == 408
    assert await wire.ended()


async def test_what_is_held_of_bodies_for_own_routes_is_bounded(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(own, "MOST_HELD", 100_000)
    rig = await start()
    engine = rig.gateway.engine
    holding = [await rig.connect() for _ in range(2)]
    for wire in holding:
        wire.writer.write(request(b"/heard", b"Content-Length: 60000", method=b"POST") + b"x" * 45_000)
    await until(lambda: engine.held >= 90_000)
    (refused,) = await rig.ask(request(b"/heard", method=b"POST", body=b"x" * 20_000))
    assert (refused.status, refused.code) == (503, "overloaded")
    holding[0].reset()
    await until(lambda: engine.held < 50_000)
    holding[1].writer.write(b"x" * 15_000)
    assert (await holding[1].reply()).status == 200
    await until(lambda: engine.held == 0)


async def test_who_goes_away_while_keys_are_fetched_does_not_take_them_from_others(start: Start) -> None:
    rig = await start()
    keys, asked = asyncio.Event(), asyncio.Event()

    async def fetch_keys() -> bytes:
        asked.set()
        await keys.wait()
        return Shop.mint.document()

    rig.gateway.verifier._keys._fetch = fetch_keys
    first, second = await rig.connect(), await rig.connect()
    first.writer.write(request(b"/v1/tasks/first", rig.bearer))
    await asked.wait()
    second.writer.write(request(b"/v1/tasks/second", rig.bearer))
    first.reset()
    await until(lambda: len(rig.gateway.engine._clients) == 1)
    keys.set()
    assert (await second.reply()).status == 200
    assert rig.task.targets == [b"/v1/tasks/second"]


# Nothing is smuggled in -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "framing",
    [
        (b"Content-Length: 5", b"Transfer-Encoding: chunked"), (b"Transfer-Encoding: chunked", b"Content-Length: 0"),
        (b"Content-Length: 5", b"Content-Length: 5"), (b"Content-Length: +5",), (b"Content-Length: 5, 5",),
        (b"Transfer-Encoding: chunked, identity",), (b"Transfer-Encoding : chunked",), (b"Content-Length:",),
        (b"Transfer-Encoding: chunked", b"Transfer-Encoding: chunked"), (b"X: y\nContent-Length: 5",),
    ],
)  # fmt: skip
async def test_a_body_that_is_framed_in_two_ways_is_refused_wherever_it_goes(
    start: Start, framing: Sequence[bytes]
) -> None:
    rig = await start()
    hidden = request(b"/v1/tasks", rig.bearer)
    for target in (b"/heard", b"/v1/both", b"/v1/tasks", b"/nowhere"):
        wire = await rig.connect()
        wire.writer.write(request(target, rig.bearer, *framing, method=b"POST") + b"0\r\n\r\n" + hidden)
        assert (await wire.reply()).status == 400
        assert await wire.ended()
    assert rig.task.heads == []


async def test_a_request_in_a_body_for_an_own_route_is_a_body_and_the_one_behind_it_is_a_request(
    start: Start,
) -> None:
    rig = await start()
    hidden = request(b"/v1/tasks", rig.bearer)
    counted = request(b"/heard", method=b"POST", body=hidden)
    chunked = request(b"/heard", b"Transfer-Encoding: chunked", method=b"POST")
    chunked += b"%x\r\n%b\r\n0\r\nX-User-Id: root\r\nX-Trailer: t\r\n\r\n" % (len(hidden), hidden)
    replies = await rig.ask(counted, chunked, request(b"/heard?behind"))
    assert [reply.status for reply in replies] == [200, 200, 200]
    bodies = [json.loads(reply.body)["body"] for reply in replies]
    assert bodies == [hidden.decode(), hidden.decode(), ""]
    assert "x-user-id" not in replies[1].body.decode().lower()
    assert rig.task.heads == []


@pytest.mark.parametrize("target", [b"/heard", b"/v1/tasks", b"/v1/both", b"/nowhere"])
async def test_a_refused_or_unread_body_is_never_the_next_request(start: Start, target: bytes) -> None:
    rig = await start()
    hidden = request(b"/v1/tasks", rig.bearer)
    for expects in ((), (b"Expect: 100-continue",)):
        wire = await rig.connect()
        wire.writer.write(request(target, *expects, method=b"PUT", body=hidden) + request(b"/heard?behind"))
        first = await wire.reply()
        assert first.status in (401, 404, 405)
        if b"connection" not in first.fields:
            assert json.loads((await wire.reply()).body)["body"] == ""
        assert await wire_ends_or_idles(wire)
    assert rig.task.heads == []


async def wire_ends_or_idles(wire: Wire) -> bool:
    """Whether no further answer comes."""
    try:
        async with asyncio.timeout(0.05):
            return not await wire.reader.read(1)
    except TimeoutError:
        return True


async def test_while_it_is_being_decided_nothing_that_follows_is_served_or_held(start: Start) -> None:
    rig = await start()
    keys, asked = asyncio.Event(), asyncio.Event()

    async def fetch_keys() -> bytes:
        asked.set()
        await keys.wait()
        return Shop.mint.document()

    rig.gateway.verifier._keys._fetch = fetch_keys
    wire = await rig.connect()
    wire.writer.write(request(b"/v1/tasks/first", rig.bearer))
    await asked.wait()
    flood = request(b"/v1/tasks/second", rig.bearer, method=b"POST", body=b"x" * 65000) * 200
    wire.writer.write(flood)
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.3):
            await wire.writer.drain()
    (client,) = rig.gateway.engine._clients
    assert len(client._reader.rest) < 1024 * 1024
    assert rig.task.heads == []
    keys.set()
    assert json.loads((await wire.reply()).body) == {"target": "/v1/tasks/first"}
    assert json.loads((await wire.reply()).body) == {"target": "/v1/tasks/second"}


# Nobody gets what is another's ------------------------------------------------------------------------------


async def test_answers_come_in_the_order_of_their_requests_whoever_gives_them(start: Start) -> None:
    rig = await start()
    rig.auth.delay_s = 0.05
    asked = [
        request(b"/v1/auth/1"), request(b"/heard", b"X-N: 2"), request(b"/nowhere"), request(b"/v1/auth/4"),
        request(b"/v1/tasks/5", rig.bearer), request(b"/heard", method=b"HEAD"), request(b"/v1/tasks/7"),
    ]  # fmt: skip
    replies = await rig.ask(*asked)
    assert [reply.status for reply in replies] == [200, 200, 404, 200, 200, 200, 401]
    assert replies[0].body == b'{"target":"/v1/auth/1"}'
    assert replies[4].body == b'{"target":"/v1/tasks/5"}'


async def test_what_was_said_of_a_request_says_nothing_of_the_one_behind_it(start: Start) -> None:
    rig = await start()
    seen: list[tuple[str | None, float]] = []

    async def person_fields(user: User, authorization: str) -> dict[str, str]:
        seen.append((request_id.get(), left(1000.0)))
        return {}

    rig.gateway.person_fields = person_fields  # type: ignore[method-assign]
    first = request(b"/heard", b"X-Request-Timeout-Ms: 500", b"X-Request-Id: first-first")
    replies = await rig.ask(first, request(b"/v1/tasks/today", b"X-Request-Id: second-second", rig.bearer))
    assert [reply.status for reply in replies] == [200, 200]
    ((ident, seconds),) = seen
    assert ident == "second-second"
    assert 29 < seconds <= 30


async def test_among_many_who_come_go_and_pipeline_everybody_gets_their_own_answers(start: Start) -> None:
    """Requests of all kinds, on connections of which some break in the middle, each with a person of its own."""
    rig = await start()
    rig.task.delay_s = 0.002
    dice = random.Random(20261123)

    async def client(number: int) -> None:
        person = uuid7()
        bearer = b"Authorization: Bearer " + Shop.mint.token(person).encode()
        wire = await rig.connect()
        kinds = [dice.choice(("task", "both", "heard", "none")) for _ in range(4)]
        for turn, kind in enumerate(kinds):
            tag = b"%d-%d" % (number, turn)
            target = {
                "task": b"/v1/tasks/today/",
                "both": b"/v1/both?",
                "heard": b"/heard?",
                "none": b"/no/",
            }[kind]
            lines = [bearer, b"X-Request-Id: request-" + tag]
            wire.writer.write(
                request(target + tag, *dice.sample(lines, 2), body=tag if kind == "heard" else b"")
            )
        if number % 5 == 0:
            await asyncio.sleep(dice.random() * 0.01)
            wire.reset()
            return
        for turn, kind in enumerate(kinds):
            tag = f"{number}-{turn}"
            reply = await wire.reply()
            assert reply.fields[b"x-request-id"].decode() == f"request-{tag}"
            said = json.loads(reply.body)
            if kind == "task":
                assert said == {"target": f"/v1/tasks/today/{tag}"}
            elif kind == "both":
                assert said["user"] == str(person)
            elif kind == "heard":
                assert said["body"] == tag
            else:
                assert reply.status == 404

    await asyncio.gather(*(client(number) for number in range(60)))
    for head in rig.task.heads:
        fields = {name.lower(): value for name, value in head.fields.all}
        if head.target.startswith(b"/v1/tasks/today/"):
            token = fields[b"authorization"].removeprefix(b"Bearer ").decode()
            person = (await rig.gateway.verifier.verify(token)).id
            assert fields[b"x-user-day"] == f"of {person}".encode()
