"""`focushub up`: a whole stack in the foreground, without Docker.

Rules that hold here:

* Nothing is started before every check that needs no process has passed, and whatever was started is ended on every way
  out. On the ways that run no code (``kill -9``) the guard does it.
* The first SIGINT, SIGTERM or SIGHUP stops, the second hurries; a stop that was asked for is exit code 0.
"""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Coroutine
from pathlib import Path
from typing import Any

from focushub_core import stack as stacks
from focushub_core.errors import ConfigurationError
from focushub_core.settings import read_layers
from focushub_generator.local import lock, ports, server, state, topology, watch
from focushub_generator.local.session import Session
from focushub_generator.local.start import start
from focushub_generator.local.topology import Options
from focushub_generator.secrets import write_env


def up(root: Path, options: Options) -> int:
    """Runs the stack until it is asked to stop; 0 after a clean stop. Raises `ConfigurationError` and `OSError`."""
    stack = stacks.load(root)
    plan = topology.http_parts(stack, options)
    wanted = topology.started(plan, options.without)
    server.check_installed(postgres=options.postgres is None, redis=options.redis is None)
    with lock.held(root, say=lambda line: print(line, flush=True)) as guards_lock:  # noqa: T201
        ports.check({part.name: part.port - options.port_offset for part in wanted}, options.port_offset)
        write_env(root)
        lock.make_folder(lock.folder_of(root) / "logs")
        state.clear(root)  # what a run that was killed left behind does not count
        return asyncio.run(_run(stack, options, guards_lock))


async def _run(stack: stacks.Stack, options: Options, guards_lock: int) -> int:
    signals = Signals()
    plan = topology.http_parts(stack, options)
    session = Session(stack, options, plan, read_layers(stack.root))
    try:
        if options.reload and not session.development:
            raise ConfigurationError("--reload is for development, and FOCUSHUB_ENV is production")
        session.open(guards_lock)
        try:
            await _until_stopped(session, signals, _live(session))
        finally:
            await _end(session, signals)
    finally:
        session.console.close()
    return 0


class Signals:
    """The first signal to end is ``stop``, the second ``hurry``."""

    def __init__(self) -> None:
        self.stop = asyncio.Event()
        self.hurry = asyncio.Event()
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            asyncio.get_running_loop().add_signal_handler(number, self._arrived)

    def _arrived(self) -> None:
        (self.hurry if self.stop.is_set() else self.stop).set()


async def _until_stopped(session: Session, signals: Signals, work: Coroutine[Any, Any, None]) -> None:
    """Does ``work`` until a signal. Raises what it raises, and `ConfigurationError` when the guard dies."""
    task = asyncio.ensure_future(work)
    events = [asyncio.ensure_future(event.wait()) for event in (signals.stop, session.guard_died)]
    await asyncio.wait([task, *events], return_when=asyncio.FIRST_COMPLETED)
    failed = task.done() and not session.guard_died.is_set()
    for other in (task, *events):
        other.cancel()
    await asyncio.gather(task, *events, return_exceptions=True)
    if session.guard_died.is_set():
        raise ConfigurationError("the guard of the parts was killed, so everything was stopped")
    if failed:
        task.result()


async def _live(session: Session) -> None:
    """Starts everything; then watches the sources, or only waits."""
    folders = sorted({session.root / "shared", *(session.root / part.folder for part in session.wanted)})
    seen = watch.look(folders) if session.options.reload else {}
    await start(session)
    if not session.options.reload:
        await asyncio.Event().wait()
    async for changed in watch.changes(folders, seen):
        await _restart_users(session, [Path(path).relative_to(session.root) for path in changed])


async def _restart_users(session: Session, changed: list[Path]) -> None:
    """Starts the parts again that use a changed source."""
    touched = {path.parts[0] for path in changed}
    parts = [part.name for part in session.wanted if "shared" in touched or part.folder in touched]
    session.console.say(f"{changed[0]} changed: {', '.join(parts)} starts again")
    await asyncio.gather(*(session.supervisor.restart(session.parts[name]) for name in parts))


async def _end(session: Session, signals: Signals) -> None:
    session.console.say("Stopping")
    if not session.guard_died.is_set():
        await session.stop(signals.hurry)
    await session.close()
    session.console.say("Stopped")
