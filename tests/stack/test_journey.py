"""The whole way, on running processes, in a stack that was generated under another name outside the checkout.

The tests are the life of one stack, in order: what people do with it, what it survives, how it ends.
"""

from __future__ import annotations

import os
import signal
import time
import urllib.request
from typing import TYPE_CHECKING

import psutil
import pytest

if TYPE_CHECKING:
    from conftest import Stack

pytestmark = pytest.mark.stack


def test_every_part_answers_as_in_the_contract(shop: Stack) -> None:
    databases = {"auth-service", "task-service", "focus-service", "habit-service"}
    for name, part in shop.parts().items():
        assert part["status"] == "healthy", name
        if part["kind"] in ("postgres", "redis"):
            continue
        status, health = shop.get(part["url"] + "/health")
        assert (status, health["status"]) == (200, "healthy")
        assert health.get("database") == ("connected" if name in databases else None)
        assert health["timestamp"].endswith("Z")
        assert shop.get(part["url"] + "/livez")[0] == shop.get(part["url"] + "/readyz")[0] == 200


def test_people_find_everything_as_promised_while_a_gateway_is_killed(shop: Stack) -> None:
    done = shop.run("tests/journey.py", "--url", shop.url, "--kill-gateway")
    print(done.stdout, done.stderr)
    assert done.returncode == 0
    assert "none failed" in done.stdout
    assert done.stdout.endswith("all promises kept\n")


def test_a_request_can_be_followed_through_every_part(shop: Stack) -> None:
    request_id = "a-request-to-follow"
    ask = urllib.request.Request(shop.url + "/.well-known/jwks.json", headers={"X-Request-Id": request_id})
    with urllib.request.urlopen(ask, timeout=5) as response:
        assert response.headers["X-Request-Id"] == request_id
    logged = shop.run("-m", "focushub_generator", "logs", str(shop.root), "--request", request_id).stdout
    for part in ("load-balancer", "gateway-", "auth-service"):
        assert part in logged


def test_internal_paths_are_not_reachable_from_outside(shop: Stack) -> None:
    for path in ("/internal/tokens", "/nothing", "/"):
        status, problem = shop.get(shop.url + path)
        assert (status, problem["code"]) == (404, "not_found")


def test_a_frozen_postgres_is_503_within_two_seconds_and_recovers_by_itself(shop: Stack) -> None:
    parts = shop.parts()
    family = [psutil.Process(parts["postgres"]["pid"])]
    family += family[0].children(recursive=True)
    url = parts["task-service"]["url"] + "/health"
    for process in family:
        process.suspend()
    try:
        started = time.monotonic()
        status, health = shop.get(url)
        assert (status, health["database"]) == (503, "disconnected")
        assert time.monotonic() - started < 2
    finally:
        for process in family:
            process.resume()
    shop.wait_for(lambda: shop.get(url)[0] == 200, 10)


def test_a_killed_postgres_comes_back_and_so_do_the_services(shop: Stack) -> None:
    before = shop.parts()["postgres"]["pid"]
    os.kill(before, signal.SIGKILL)
    shop.wait_for(lambda: shop.parts()["postgres"]["pid"] != before, 20)
    shop.wait_for(lambda: {part["status"] for part in shop.parts().values()} == {"healthy"}, 20)


def test_a_service_cannot_log_in_to_anothers_database(shop: Stack) -> None:
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
    done = shop.run("-c", code)
    assert (done.returncode, done.stdout) == (0, "4\n"), done.stderr


def test_it_ends_without_leaving_a_process(shop: Stack) -> None:
    family = psutil.Process(shop.process.pid).children(recursive=True)
    assert len(family) > 9
    assert shop.stop() == 0
    _, alive = psutil.wait_procs(family, timeout=2)
    assert alive == []
