"""One answer out of several services' (gateway rules G2 to G5)."""

import asyncio

import msgspec
import pytest

from focushub_core.errors import BadGateway, Unauthorized, Unavailable
from focushub_core.gateway.aggregate import Reply, Section, gather

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
