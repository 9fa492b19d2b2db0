"""An upstream process that is killed under load: no read fails, no write is carried out twice."""

from __future__ import annotations

import asyncio
import sys
from collections import Counter
from pathlib import Path

import pytest
from aiohttp import ClientError

from .conftest import Bench, Front, until

pytestmark = pytest.mark.slow


SERVER = """
import sys, asyncio
from aiohttp import web
ledger = open(sys.argv[1], "a", buffering=1)
async def handle(request):
    if request.method == "POST":
        ledger.write((await request.text()) + "\\n")
    await asyncio.sleep(0.002)
    return web.Response(text="x" * 20_000)
async def main():
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", handle)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    print(site._server.sockets[0].getsockname()[1], flush=True)
    await asyncio.Event().wait()
asyncio.run(main())
"""


async def start(ledger: Path) -> tuple[asyncio.subprocess.Process, str]:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", SERVER, str(ledger), stdout=asyncio.subprocess.PIPE
    )
    assert process.stdout is not None
    return process, f"http://127.0.0.1:{int(await process.stdout.readline())}"


async def read(front: Front, statuses: Counter[object], stop: asyncio.Event) -> None:
    while not stop.is_set():
        try:
            async with front.client.get("/") as answer:
                whole = len(await answer.read()) == 20_000
                statuses[answer.status if whole else "cut"] += 1
        except ClientError as error:
            statuses[type(error).__name__] += 1


async def write(
    front: Front, acknowledged: list[str], statuses: Counter[object], stop: asyncio.Event
) -> None:
    number = 0
    while not stop.is_set():
        name = f"{id(statuses)}-{number}"
        number += 1
        async with front.client.post("/", data=name) as answer:
            statuses[answer.status] += 1
            if answer.status == 200:
                acknowledged.append(name)


async def test_killing_one_of_two_upstreams_fails_no_read_and_repeats_no_write(
    bench: Bench, tmp_path: Path
) -> None:
    ledger = tmp_path / "ledger"
    (victim, first), (other, second) = await start(ledger), await start(ledger)
    front = await bench.front(first, second)
    reads: Counter[object] = Counter()
    writes: Counter[object] = Counter()
    acknowledged: list[str] = []
    stop = asyncio.Event()
    try:
        async with asyncio.TaskGroup() as group:
            for _ in range(8):
                group.create_task(read(front, reads, stop))
            group.create_task(write(front, acknowledged, writes, stop))
            await until(lambda: reads[200] > 200)
            victim.kill()
            await until(lambda: reads[200] > 800)
            stop.set()
    finally:
        for process in (victim, other):
            if process.returncode is None:
                process.kill()
            await process.wait()

    assert set(reads) == {200}
    assert set(writes) <= {200, 502}
    assert writes[502] <= 1
    written = Counter(ledger.read_text("ascii").split())
    assert set(written.values()) == {1}
    assert set(acknowledged) <= set(written)
