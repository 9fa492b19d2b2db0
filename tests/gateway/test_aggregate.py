"""One answer out of several services' (gateway rules G2 to G5)."""

import asyncio
import re
import weakref
from random import Random

import msgspec
import pytest

from focushub_core.balancer import Pool
from focushub_core.errors import BadGateway, Unauthorized, Unavailable
from focushub_core.gateway.aggregate import Reply, Section, gather, read
from focushub_core.gateway.upstreams import UpstreamClient
from focushub_core.proxy.engine import Engine
from focushub_core.proxy.engine.call import Call
from focushub_core.telemetry import explain

TASKS = Section("tasks", "task", "/v1/tasks/today")
FOCUS = Section("focus", "focus", "/v1/focus/summary")


def sections_of(result):
    """As they go to the client."""
    return msgspec.json.decode(msgspec.json.encode(result.sections()))


def answering(**replies):
    """A fetch that knows what each section's service says; an exception is raised, ``None`` never answers."""

    async def fetch(section):
        reply = replies[section.name]
        if reply is None:
            await asyncio.Event().wait()
        if isinstance(reply, Exception):
            raise reply
        return reply

    return fetch


async def test_all_sections_answer():
    result = await gather([TASKS, FOCUS], answering(tasks=Reply(200, b'{"due":2}'), focus=Reply(200, b"{}")))
    assert result.missing == []
    assert sections_of(result)["tasks"] == {"status": "ok", "data": {"due": 2}}


async def test_sections_are_asked_at_the_same_time():
    """G1, as an order of events: the first section answers only once the second was asked."""
    asked = asyncio.Event()

    async def fetch(section):
        if section is FOCUS:
            asked.set()
        await asked.wait()
        return Reply(200, b"{}")

    assert (await gather([TASKS, FOCUS], fetch)).missing == []


@pytest.mark.parametrize(
    ("reply", "code"),
    [
        (None, "upstream_timeout"),
        (BadGateway("secret"), "upstream_unavailable"),
        (Reply(500, b"secret"), "upstream_error"),
        (Reply(404, b"secret"), "upstream_error"),
        (Reply(200, b"{secret"), "upstream_error"),
    ],
)
async def test_a_section_that_fails_is_named_and_the_others_are_whole(reply, code):
    """G2 and G3: nothing that the service said leaks."""
    fetch = answering(tasks=Reply(200, b"{}"), focus=reply)
    result = await gather([TASKS, FOCUS], fetch, deadline=0.05)
    assert result.missing == ["focus"]
    assert sections_of(result)["focus"] == {"status": "unavailable", "error": {"code": code}, "data": None}
    assert "secret" not in str(sections_of(result))


@pytest.mark.parametrize(
    "body", [b"{}", b"[]", b"null", b'{"due": []}', b'{"due": [{"at": "x"}]}', b'{"due": ' + b"[" * 100_000]
)
async def test_data_that_is_not_as_agreed_is_an_error_of_the_section(body):
    shaped = Section("tasks", "task", "/", shape=lambda data: int(data["due"][0]["at"].strip()))
    result = await gather([shaped, FOCUS], answering(tasks=Reply(200, body), focus=Reply(200, b"{}")))
    assert result.missing == ["tasks"]


async def test_without_any_section_the_whole_is_unavailable():
    """G4"""
    result = await gather([TASKS], answering(tasks=Reply(500, b"")))
    with pytest.raises(Unavailable) as caught:
        result.sections()
    assert caught.value.headers["Retry-After"] == "1"


async def test_a_token_that_a_service_refuses_fails_the_whole():
    """G5: not partial."""
    with pytest.raises(Unauthorized):
        await gather([TASKS, FOCUS], answering(tasks=Reply(200, b"{}"), focus=Reply(401, b"")))


async def test_without_a_required_section_there_is_no_answer():
    profile = Section("profile", "auth", "/v1/me", required=True)
    result = await gather([profile, TASKS], answering(profile=Reply(500, b""), tasks=Reply(200, b"{}")))
    with pytest.raises(Unavailable, match="profile") as caught:
        result.sections()
    assert caught.value.code == "section_unavailable"


async def test_each_section_has_its_own_share_of_the_deadline():
    hasty = Section("focus", "focus", "/v1/focus/summary", seconds=0.01)
    ready = asyncio.Event()

    async def fetch(section):
        if section is hasty:
            try:
                await asyncio.Event().wait()
            finally:
                ready.set()  # it was given up while the other one was still waited for
        await ready.wait()
        return Reply(200, b"{}")

    result = await gather([TASKS, hasty], fetch)
    assert (result.missing, result.outcomes["focus"].code) == (["focus"], "upstream_timeout")


JSON = '{"a": [1, -2.5e3, "x\\n\\u00e9y", null, true], "b": {"c": "é"}}'.encode()
PIECES = (
    b'"', b"\\", b"\\u", b"d800", b"\xff", b"\xc3", b"{", b"}", b"[", b"]", b",", b":", b"-", b"01", b".", b"e", b"nul",
    b"null", b" ", b"\n", b"\x00", b"\x1f", b"tru", b"12345678901234567890123",
)  # fmt: skip


def test_what_is_no_json_is_an_error_of_the_section_though_it_is_not_taken_apart():
    random, taken = Random(1), 0
    whole = Section("tasks", "task", "/", shape=lambda data: data)
    for _ in range(20_000):
        body = bytearray(JSON)
        for _ in range(random.randint(1, 3)):
            at, piece = random.randrange(len(body)), random.choice(PIECES)
            body[at : at + random.choice((0, 0, len(piece)))] = random.choice((piece, b""))
        reply = Reply(200, bytes(body))
        taken_apart, looked_at = read(whole, reply), read(TASKS, reply)
        if re.search(rb"e[0-9]{3}", body):
            continue  # JSON, but perhaps more than a number can hold here
        assert looked_at.code == taken_apart.code, body
        if looked_at.code is None:
            assert msgspec.json.decode(msgspec.json.encode(looked_at.data)) == taken_apart.data
            taken += 1
    assert taken > 1000


class Silent:
    """Upstreams behind an engine: one that is asked and never answers, and one that is known to be down."""

    def __init__(self) -> None:
        self.engine = Engine("gateway", lambda head, side: None)
        self.silent = Pool.of("silent", ["http://127.0.0.1:1"])
        self.down = Pool.of("down", ["http://127.0.0.1:2"])
        self.down.upstreams[0].health.usable_from = float("inf")

    async def gather(self, sections, seconds):
        """All of ``sections`` from the pool that is called as their service is."""
        client = UpstreamClient(self.engine)
        pools = {"task": self.silent, "focus": self.down}
        return await gather(sections, lambda s: client.begin(pools[s.service], s.path, b""), deadline=seconds)


@pytest.fixture
async def silent(monkeypatch):
    monkeypatch.setattr(Engine, "connect", lambda self, upstream, call: None)
    both = Silent()
    await both.engine.start()
    yield both
    await both.engine.stop(0)


async def test_a_call_that_is_late_is_given_up_and_one_that_is_not_made_is_known_at_once(silent):
    explanation = explain.Explanation("gateway")
    explain.current.set(explanation)
    result = await silent.gather([TASKS, FOCUS], 0.01)
    codes = {name: outcome.code for name, outcome in result.outcomes.items()}
    assert codes == {"tasks": "upstream_timeout", "focus": "upstream_unavailable"}
    assert silent.silent.upstreams[0].in_flight == 0
    said = explanation.text(0)
    assert "section-tasks;dur" in said
    assert 'desc="late"' in said
    assert 'desc="failed"' in said


async def test_nothing_is_left_of_an_answer_that_nobody_waits_for(silent):
    waiting = asyncio.ensure_future(silent.gather([TASKS], 5))
    await asyncio.sleep(0)
    assert silent.silent.upstreams[0].in_flight == 1
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert silent.silent.upstreams[0].in_flight == 0


@pytest.mark.parametrize(
    ("end", "missing"), [((Reply(200, b"{}"),), []), ((None, BadGateway("it broke off")), ["tasks"])]
)
async def test_what_was_asked_is_gone_with_its_answer(silent, end, missing):
    """Without a collection: a gateway's are rare, for a request leaves no cycles."""
    asked = [Call(silent.engine, silent.silent, b"/", b"")]
    asyncio.get_running_loop().call_soon(asked[0].end, *end)
    gone = weakref.ref(asked[0])
    assert (await gather([TASKS], lambda _: asked.pop())).missing == missing
    assert gone() is None


async def test_no_sections_are_an_answer_of_none():
    assert (await gather([], answering())).missing == []
