"""The whole way, on running stacks: one topology, whether processes or containers make it up.

The tests are the life of a stack, in order: what people do with it, what it survives, how it ends.
"""

from __future__ import annotations

import json
import subprocess
import sys
from typing import IO

import pytest

from .runtime import DEVELOPMENT, LOCAL, PRODUCTION, SERVICES, Runtime

everywhere = pytest.mark.parametrize("stack", [LOCAL, DEVELOPMENT, PRODUCTION], indirect=True)
with_two_gateways = pytest.mark.parametrize("stack", [LOCAL, PRODUCTION], indirect=True)


@everywhere
def test_every_part_answers_as_in_the_contract(stack: Runtime) -> None:
    gateways = [f"gateway-{number + 1}" for number in range(stack.gateways)]
    assert {*SERVICES, *gateways, "load-balancer", "postgres", "redis"} <= set(stack.parts())
    stack.wait_for(stack.is_well, 60)
    for name in (*SERVICES, *gateways, "load-balancer"):
        status, health, _ = stack.ask(name, "/health")
        assert (status, health["status"]) == (200, "healthy")
        assert health.get("database") == ("connected" if name in SERVICES else None)
        assert health["timestamp"].endswith("Z")
        assert stack.ask(name, "/livez").status == stack.ask(name, "/readyz").status == 200


@everywhere
def test_people_find_everything_as_promised(stack: Runtime) -> None:
    done = stack.run("tests/journey.py", "--url", stack.url)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.endswith("all promises kept\n")


@with_two_gateways
def test_nobody_notices_that_a_gateway_is_killed_and_it_comes_back(stack: Runtime) -> None:
    before = stack.parts()["gateway-1"]
    command = [sys.executable, "tests/journey.py", "--url", stack.url, "--read", "5"]
    with subprocess.Popen(command, cwd=stack.root, stdout=subprocess.PIPE, text=True) as readers:
        assert readers.stdout is not None
        said = _until("8 clients are reading", readers.stdout)
        stack.kill("gateway-1")
        said += readers.stdout.read()
    assert readers.returncode == 0, said
    assert "none failed" in said
    stack.wait_for(lambda: _is_back(stack, before.restarts), 60)
    assert stack.parts()["gateway-1"].pid != before.pid


def _until(words: str, lines: IO[str]) -> str:
    """What was said up to ``words``, or to the end."""
    said = ""
    for line in lines:
        said += line
        if words in line:
            break
    return said


def _is_back(stack: Runtime, restarts: int) -> bool:
    now = stack.parts()["gateway-1"]
    return now.status == "healthy" and now.restarts == restarts + 1


@pytest.mark.parametrize("stack", [LOCAL], indirect=True)
def test_the_journey_can_kill_a_local_gateway_by_itself(stack: Runtime) -> None:
    done = stack.run("tests/journey.py", "--url", stack.url, "--kill-gateway")
    print(done.stdout, done.stderr)
    assert done.returncode == 0
    assert "none failed" in done.stdout


@everywhere
def test_a_request_can_be_followed_through_every_part(stack: Runtime) -> None:
    request_id = "a-request-to-follow"
    _, _, fields = stack.get("/.well-known/jwks.json", {"X-Request-Id": request_id})
    assert fields["X-Request-Id"] == request_id
    stack.wait_for(lambda: _names_every_part(stack.lines_about(request_id)), 30)


def _names_every_part(logged: str) -> bool:
    """Each part writes its lines in batches of its own, so the last may come later than the first."""
    return all(part in logged for part in ("load-balancer", "gateway-", "auth-service"))


@everywhere
def test_the_merged_document_is_the_one_that_the_command_prints(stack: Runtime) -> None:
    status, document, _ = stack.get("/openapi.json")
    assert (status, document.get("x-unavailable")) == (200, None)
    printed = stack.run("-m", "focushub_generator", "openapi")
    assert json.loads(printed.stdout) == document


@everywhere
@pytest.mark.parametrize("path", ["/internal/tokens", "/nothing", "/"])
def test_internal_paths_are_not_reachable_from_outside(stack: Runtime, path: str) -> None:
    status, problem, fields = stack.get(path)
    assert (status, problem["code"]) == (404, "not_found")
    assert fields["Content-Type"] == "application/problem+json"


@everywhere
def test_a_frozen_postgres_is_503_within_two_seconds_and_recovers_by_itself(stack: Runtime) -> None:
    with stack.frozen("postgres"):
        status, health, seconds = stack.ask("task-service", "/health")
        assert (status, health["database"]) == (503, "disconnected")
        assert seconds < 2
    stack.wait_for(lambda: stack.ask("task-service", "/health").status == 200, 30)


@everywhere
def test_a_killed_postgres_comes_back_and_so_do_the_services(stack: Runtime) -> None:
    before = stack.parts()["postgres"].pid
    stack.kill("postgres")
    stack.wait_for(lambda: stack.parts()["postgres"].pid not in (None, 0, before), 60)
    stack.wait_for(stack.is_well, 60)


@everywhere
def test_a_service_cannot_log_in_to_anothers_database(stack: Runtime) -> None:
    code = """
import asyncio, asyncpg, sys
from pathlib import Path
from focushub_core.settings import read_layers
urls = {k: v for k, v in read_layers(Path.cwd()).items() if k.endswith("_DATABASE_URL")}
async def main():
    for name, url in urls.items():
        await (await asyncpg.connect(url)).close()
        for other in urls.values():
            if other != url:
                try:
                    await asyncpg.connect(url, database=other.rpartition("/")[2])
                except asyncpg.InsufficientPrivilegeError:
                    continue
                sys.exit(f"{name} reached another's database")
    print(len(urls))
asyncio.run(main())
"""
    done = stack.python(code)
    assert (done.returncode, done.stdout) == (0, "4\n"), done.stderr


@everywhere
def test_it_ends_in_time_and_cleanly(stack: Runtime) -> None:
    """Every part by itself; nothing is left running."""
    assert stack.stop() == []
