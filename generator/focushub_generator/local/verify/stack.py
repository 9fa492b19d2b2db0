"""The stack to be verified: the one that `up` runs in the folder, or one started for as long as it is needed."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import time
from asyncio.subprocess import DEVNULL, PIPE, STDOUT
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
LAST_LINE = 4096
"""Bytes of what `up` has printed last, for its error."""
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
    if lock.is_running(stack.root):
        await _until(lambda: _is_ready(stack.root) or not lock.is_running(stack.root))
        yield await _well(stack.root)
    else:
        async with _started(stack, say):
            yield await _well(stack.root)


@asynccontextmanager
async def _started(stack: Stack, say: Say) -> AsyncIterator[None]:
    offset, begun = _free_offset(stack), time.time()
    say(f"No stack runs in {stack.root}: starting it, and stopping it at the end")
    command = (sys.executable, "-c", _UP, str(os.getpid()), "up", str(stack.root), f"--port-offset={offset}")
    process = await asyncio.create_subprocess_exec(
        *command, stdout=PIPE, stderr=STDOUT, stdin=DEVNULL, start_new_session=True
    )
    assert process.stdout is not None
    reading = asyncio.ensure_future(_last_line(process.stdout))
    try:
        await _until(lambda: process.returncode is not None or _is_ready(stack.root, begun))
        if process.returncode is not None:
            said = (await reading).removeprefix("Error: ")
            raise ConfigurationError(f"the stack does not start: {said or 'it says nothing'}")
        yield
    finally:
        say("Stopping it")
        await _stop(process)
        await reading


async def _last_line(stream: asyncio.StreamReader) -> str:
    """Takes all that `up` prints, so that it never waits for us, to its end."""
    tail = b""
    while piece := await stream.read(65536):
        tail = (tail + piece)[-LAST_LINE:]
    return tail.decode(errors="replace").strip().rpartition("\n")[2]


async def _until(condition: Callable[[], bool]) -> None:
    give_up = time.monotonic() + START_S
    while not condition():
        if time.monotonic() > give_up:
            raise ConfigurationError(f"the stack was not ready within {START_S:g} s")
        await asyncio.sleep(POLL_S)


def _is_ready(root: Path, since: float = 0.0) -> bool:
    """Whether an `up` that was started ``since`` (wall clock) runs and all of it has been well.

    Another's state may lie there until a new one has cleared it away, that of a run that was killed.
    """
    try:
        state = read_state(root)
    except ConfigurationError:
        return False  # it is only just starting, or has ended
    return bool(state.get("ready", True)) and float(state["started_at"]) >= since


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
