"""A part as a process: it drains on SIGTERM, hurries on SIGINT, and says what is wrong with its settings."""

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from focushub_core.embedded.ports import free_port

PART = """
import asyncio
from focushub_core import WebPart, get

class Slow(WebPart):
    name = "slow"

    @get("/v1/slow")
    async def slow(self) -> dict[str, bool]:
        print("serving", flush=True)
        await asyncio.sleep(0.5)
        return {"done": True}

Slow.run()
"""


@contextmanager
def running(tmp_path, **environ) -> Iterator[tuple[subprocess.Popen[str], str]]:
    port = free_port()
    env = os.environ | {"PORT": str(port), "LOG_FORMAT": "json", "DRAIN_SECONDS": "60"} | environ
    process = subprocess.Popen(
        [sys.executable, "-c", PART],
        cwd=tmp_path,
        env=env,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        wait_for_line(process, "listening")
        yield process, f"http://127.0.0.1:{port}"
    finally:
        process.kill()
        process.communicate()


def wait_for_line(process, words) -> None:
    for line in process.stdout:
        if words in line:
            return
    raise AssertionError(f"the process ended before it said {words!r}")


def status(url) -> int:
    try:
        with urllib.request.urlopen(url, timeout=20) as response:
            return response.status
    except urllib.error.HTTPError as error:
        error.close()
        return error.code


async def test_a_drain_says_so_serves_on_and_a_second_signal_ends_it(tmp_path):
    with running(tmp_path) as (process, url):
        process.send_signal(signal.SIGTERM)
        wait_for_line(process, "draining")
        assert (status(f"{url}/readyz"), status(f"{url}/livez"), status(f"{url}/v1/slow")) == (503, 200, 200)
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == 0


async def test_an_interrupt_finishes_what_runs_and_does_not_wait(tmp_path):
    with running(tmp_path) as (process, url):
        request = asyncio.create_task(asyncio.to_thread(status, f"{url}/v1/slow"))
        await asyncio.to_thread(wait_for_line, process, "serving")
        started = time.monotonic()
        process.send_signal(signal.SIGINT)
        assert await request == 200
        assert process.wait(20) == 0
        assert time.monotonic() - started < 30


def test_wrong_settings_are_named_all_at_once_on_standard_error(tmp_path):
    env = os.environ | {"PORT": "x", "LOG_LEVEL": "LOUD"}
    result = subprocess.run(
        [sys.executable, "-c", PART], cwd=tmp_path, env=env, capture_output=True, text=True, timeout=30
    )
    assert result.returncode == 1
    assert result.stderr.startswith("slow: ")
    assert "PORT" in result.stderr
    assert "LOG_LEVEL" in result.stderr


def test_a_port_in_use_is_said_and_ends_the_process(tmp_path):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        env = os.environ | {"PORT": str(port), "LOG_FORMAT": "json"}
        result = subprocess.run(
            [sys.executable, "-c", PART], cwd=tmp_path, env=env, capture_output=True, text=True, timeout=30
        )
    assert result.returncode == 1
    assert json.loads(result.stdout)["message"].startswith(f"cannot listen on 127.0.0.1:{port}")


@pytest.mark.parametrize("module", ["click", "jinja2", "cookiecutter", "aiohttp", "asyncpg", "redis"])
def test_importing_the_library_loads_nothing_that_is_not_used(module):
    code = f"import sys, focushub_core; sys.exit({module!r} in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
