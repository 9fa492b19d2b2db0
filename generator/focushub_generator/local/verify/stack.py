"""The stack to be verified: the one that `up` runs in the folder, or one started for as long as it is needed."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
import time
from asyncio.subprocess import DEVNULL, PIPE, STDOUT
from collections import deque
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from focushub_core.errors import ConfigurationError
from focushub_core.stack import Stack
from focushub_generator.local import health, lock, ports, topology
from focushub_generator.local.state import read_state
from focushub_generator.local.topology import Options

START_S = 90.0
STOP_S = 15.0
POLL_S = 0.1
KINDS = ("load-balancer", "gateway", "service")
Say = Callable[[str], None]

# On Linux it is told when this process ends, however that comes about (PR_SET_PDEATHSIG).
_UP = """
import os, signal, sys
from focushub_generator.cli import main
from focushub_generator.local.nursery import PR_SET_PDEATHSIG, prctl
prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
if os.getppid() == int(sys.argv.pop(1)):
    main()
"""


@dataclass(frozen=True)
class Running:
    """A stack that runs: where its door is, and its parts' names by kind."""

    url: str
    gateways: tuple[str, ...]
    services: tuple[str, ...]


@asynccontextmanager
async def running(stack: Stack, say: Say) -> AsyncIterator[Running]:
    """The stack that runs in its folder, once it is ready; one is started where none runs, and stopped at the end.

    Raises `ConfigurationError`: it cannot be started, or is not well.
    """
    async with contextlib.AsyncExitStack() as resources:
        if not lock.is_running(stack.root):
            await resources.enter_async_context(_started(stack, say))
        yield await _well(stack.root)


@asynccontextmanager
async def _started(stack: Stack, say: Say) -> AsyncIterator[None]:
    offset = _free_offset(stack)
    say(f"No stack runs in {stack.root}: starting it, and stopping it at the end")
    command = (sys.executable, "-c", _UP, str(os.getpid()), "up", str(stack.root), f"--port-offset={offset}")
    process = await asyncio.create_subprocess_exec(
        *command, stdout=PIPE, stderr=STDOUT, stdin=DEVNULL, start_new_session=True
    )
    assert process.stdout is not None
    lines: deque[str] = deque(maxlen=20)
    reading = asyncio.ensure_future(_read(process.stdout, lines))
    try:
        await _until_ready(stack.root, process, reading, lines)
        yield
    finally:
        say("Stopping it")
        await _stop(process)
        await reading


async def _read(stream: asyncio.StreamReader, lines: deque[str]) -> None:
    """Takes all that `up` prints, so that it never waits for us; the last lines are kept."""
    async for line in stream:
        lines.append(line.decode(errors="replace").strip())


async def _until_ready(
    root: Path, process: asyncio.subprocess.Process, reading: asyncio.Future[None], lines: deque[str]
) -> None:
    give_up = time.monotonic() + START_S
    while not (lock.is_running(root) and _is_ready(root)):
        if process.returncode is not None:
            await reading
            raise ConfigurationError(f"the stack does not start: {lines[-1] if lines else 'it says nothing'}")
        if time.monotonic() > give_up:
            raise ConfigurationError(f"the stack was not ready within {START_S:g} s")
        await asyncio.sleep(POLL_S)


def _is_ready(root: Path) -> bool:
    try:
        return bool(read_state(root).get("ready"))
    except ConfigurationError:
        return False  # it is only just starting


async def _stop(process: asyncio.subprocess.Process) -> None:
    if process.returncode is None:
        process.send_signal(signal.SIGTERM)
        try:
            await asyncio.wait_for(process.wait(), STOP_S)
        except TimeoutError:
            process.kill()  # its guard ends the rest
            await process.wait()


async def _well(root: Path) -> Running:
    """What runs, every part of it healthy."""
    parts = read_state(root)["parts"]
    http = [part for part in parts if str(part["url"]).startswith("http")]
    answers = await asyncio.gather(*(health.health(part["url"]) for part in http))
    ill = [part["name"] for part, answer in zip(http, answers, strict=True) if answer.status != 200]
    names = {kind: tuple(part["name"] for part in http if part["kind"] == kind) for kind in KINDS}
    if ill:
        raise ConfigurationError(f"{', '.join(ill)} is not well: see `focushub status`")
    if not names["load-balancer"]:
        raise ConfigurationError("the stack runs without its load balancer, and all is sent through that")
    door = next(part["url"] for part in http if part["kind"] == "load-balancer")
    return Running(door, names["gateway"], names["service"])


def _free_offset(stack: Stack) -> int:
    """0, unless somebody else listens on one of the stack's ports."""
    wanted = {part.name: part.port for part in topology.http_parts(stack, Options())}
    if all(ports.is_free(port) for port in wanted.values()):
        return 0
    offset = ports.free_offset(wanted.values(), ports.is_free, tried=0)
    if offset is None:
        ports.check(wanted, 0)  # raises, and says who holds which port
    return offset or 0
