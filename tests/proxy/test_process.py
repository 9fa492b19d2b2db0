"""The balancer as a process: small, quick to start, and several on one port."""

from __future__ import annotations

import asyncio
import os
import random
import signal
import socket
import subprocess
import sys
import textwrap
from collections import Counter
from collections.abc import Container, Iterator
from contextlib import contextmanager

import psutil
import pytest

from .conftest import Bench, Script, until
from .raw import Client, answering, each

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
GET = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"
BALANCE = (
    "import sys; from focushub_core.proxy import standalone; "
    "sys.exit(standalone.balance(sys.argv[1], sys.argv[2].split(','), 'round-robin', '/', count=int(sys.argv[3])))"
)


def free_port(besides: Container[int] = ()) -> int:
    """Below those that the system gives to connections, so that a server can come back to it."""
    first = random.randrange(22000, 32768)
    for port in (*range(first, 32768), *range(22000, first)):
        if port in besides:
            continue
        with socket.socket() as trial:
            try:
                trial.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    raise AssertionError("no free port")


@contextmanager
def balancer(*upstreams: str, workers: int = 1) -> Iterator[tuple[subprocess.Popen[bytes], int]]:
    port = free_port()
    argv = [
        sys.executable,
        "-c",
        BALANCE,
        f"127.0.0.1:{port}",
        ",".join(upstream.removeprefix("http://") for upstream in upstreams),
        str(workers),
    ]
    process = subprocess.Popen(argv, stdout=subprocess.DEVNULL)
    try:
        yield process, port
    finally:
        process.kill()
        process.wait()


async def listening(port: int) -> None:
    async with asyncio.timeout(30):
        while True:
            try:
                client = await Client.to("127.0.0.1", port)
            except OSError:
                await asyncio.sleep(0.01)
                continue
            client.close()
            return


def test_neither_a_web_framework_nor_a_metrics_library_is_loaded() -> None:
    code = "import sys, focushub_core.proxy.standalone; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout

    assert not {"aiohttp", "prometheus_client", "yarl", "click", "ssl_match_hostname"} & set(loaded.split())


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="memory is told by /proc")
async def test_the_process_rests_under_30_mb(bench: Bench) -> None:
    upstream = await bench.script(answering(OK))
    with balancer(upstream) as (process, port):
        await listening(port)
        resident = psutil.Process(process.pid).memory_info().rss

    assert resident < 32 * 2**20  # 30 MB are aimed at; builds of Python differ


async def test_it_starts_in_a_moment(bench: Bench) -> None:
    """By the processor's time, which others on the machine do not lengthen much."""
    upstream = await bench.script(answering(OK))
    spent = []
    for _ in range(3):
        with balancer(upstream) as (process, port):
            await listening(port)
            times = psutil.Process(process.pid).cpu_times()
            spent.append(times.user + times.system)

    assert min(spent) < 0.4


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="elsewhere the port is not shared")
async def test_workers_share_a_port_are_replaced_and_end_together(bench: Bench) -> None:
    upstream = await bench.script(answering(OK))
    with balancer(upstream, workers=2) as (parent, port):
        await listening(port)
        family = psutil.Process(parent.pid)
        await until(lambda: len(family.children()) == 2)
        await kill_one(family)
        await listening(port)
        client = await Client.to("127.0.0.1", port)
        assert (await client.ask(GET)).status == 200
        client.close()
        parent.send_signal(signal.SIGINT)
        assert await asyncio.to_thread(parent.wait, 15) is not None


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="elsewhere the port is not shared")
@pytest.mark.parametrize("whom", ["parent", "child"])
def test_a_signal_that_comes_as_a_worker_is_made_ends_it_too(whom: str) -> None:
    """To the parent just before it forks, and to the worker just after: nobody is left to be waited for."""
    code = f"""
        import os, signal, sys, time
        from focushub_core.runtime import workers

        made = os.fork

        def fork():
            if {whom!r} == "parent":
                os.kill(os.getpid(), signal.SIGINT)
            process = made()
            if process == 0 and {whom!r} == "child":
                os.kill(os.getpid(), signal.SIGINT)
            return process

        def worker(number, guard):
            time.sleep(600)
            return 0

        os.fork = fork
        workers.DEATHS = 1
        workers.run(1, "127.0.0.1", 0, worker)
    """
    done = subprocess.run([sys.executable, "-c", textwrap.dedent(code)], timeout=30, check=False)
    assert done.returncode == 0


@pytest.mark.slow
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="elsewhere the port is not shared")
async def test_the_turns_of_two_workers_are_even_within_2_percent(bench: Bench) -> None:
    """They are exact in each; which of them gets a connection is the kernel's choice."""
    seen: Counter[int] = Counter()

    def counting(number: int) -> Script:
        async def answer(head: bytes, _: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            seen[number] += b"GET / " in head and b"X-Counted" in head
            writer.write(OK)

        return each(answer)

    async def ask(port: int) -> None:
        client = await Client.to("127.0.0.1", port)
        for _ in range(100):
            assert (await client.ask(GET[:-2] + b"X-Counted: 1\r\n\r\n")).status == 200
        client.close()

    upstreams = [await bench.script(counting(number)) for number in range(3)]
    with balancer(*upstreams, workers=2) as (parent, port):
        await listening(port)
        await until(lambda: len(psutil.Process(parent.pid).children()) == 2)
        await asyncio.gather(*(ask(port) for _ in range(30)))

    assert seen.total() == 3000
    assert max(seen.values()) - min(seen.values()) <= 0.02 * 1000


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="elsewhere the port is not shared")
async def test_workers_end_with_a_parent_that_is_killed(bench: Bench) -> None:
    upstream = await bench.script(answering(OK))
    with balancer(upstream, workers=2) as (parent, port):
        await listening(port)
        family = psutil.Process(parent.pid)
        await until(lambda: len(family.children()) == 2)
        children = family.children()
        await listening(port)
        parent.kill()
        await until(lambda: not any(child.is_running() and child.status() != "zombie" for child in children))


def test_a_port_that_somebody_has_is_not_shared() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        argv = [sys.executable, "-c", BALANCE, f"127.0.0.1:{port}", "127.0.0.1:1", "2"]
        result = subprocess.run(argv, capture_output=True, text=True, timeout=30)

    assert result.returncode == 1
    assert "cannot listen" in result.stdout


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="elsewhere the port is not shared")
async def test_whichever_worker_is_asked_tells_the_metrics_of_all(bench: Bench) -> None:
    """And no counter falls when one dies: that would be a restart to Prometheus, and count all of it again."""
    upstream = await bench.script(answering(OK))
    with balancer(upstream, workers=2) as (parent, port):
        await listening(port)
        family = psutil.Process(parent.pid)
        await until(lambda: len(family.children()) == 2)
        for _ in range(30):
            client = await Client.to("127.0.0.1", port)
            assert (await client.ask(GET)).status == 200
            client.close()
        for _ in range(2):
            seen = [await answered(port) for _ in range(8)]
            await all_are_told(port, 30)
            assert {await answered(port) for _ in range(8)} == {30.0}
            assert seen == sorted(seen)
            await kill_one(family)
            await listening(port)


async def all_are_told(port: int, count: int) -> None:
    """The other workers' numbers are a second old at most."""
    async with asyncio.timeout(30):
        while await answered(port) < count:  # noqa: ASYNC110 (another process counts)
            await asyncio.sleep(0.1)


async def kill_one(family: psutil.Process) -> None:
    """Return when another one is there instead."""
    victim = family.children()[0].pid
    os.kill(victim, signal.SIGKILL)
    await until(lambda: len(family.children()) == 2 and victim not in {c.pid for c in family.children()})


async def answered(port: int) -> float:
    """What one of the workers says of the requests that were forwarded."""
    client = await Client.to("127.0.0.1", port)
    body = (await client.ask(b"GET /metrics HTTP/1.1\r\nHost: a\r\n\r\n")).body.decode()
    client.close()
    start = 'http_requests_total{method="GET",route="/{path}",status="200"} '
    return sum(float(line.removeprefix(start)) for line in body.splitlines() if line.startswith(start))
