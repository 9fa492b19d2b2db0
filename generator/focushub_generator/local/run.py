"""`focushub run`: one part alone, in the foreground."""

from __future__ import annotations

import asyncio
import os
import signal
from pathlib import Path

from focushub_core import stack as stacks
from focushub_core.errors import ConfigurationError
from focushub_generator.local import lock, state, topology, watch
from focushub_generator.local.topology import HttpPart, Options

PATIENCE = 10.0


def run(root: Path, service: str, *, reload: bool) -> int:
    """Becomes the part, or with ``reload`` keeps it running with its present sources until a signal."""
    stack = stacks.load(root)
    offset = _offset(root)
    part = topology.find_part(topology.http_parts(stack, Options(port_offset=offset)), service)
    environment = _environment(part, root)
    folder = root / part.folder
    if not folder.is_dir():
        raise ConfigurationError(f"{part.name} has no folder {folder}")
    if reload:
        return asyncio.run(_keep(part, root, environment))
    os.chdir(folder)
    argv = topology.part_command(part)
    os.execve(argv[0], argv, environment)  # noqa: S606 - signals and exit code are the part's own


def _offset(root: Path) -> int:
    """A part started by hand stands where `up --without` left it out."""
    return int(state.read_state(root)["port_offset"]) if lock.is_running(root) else 0


def _environment(part: HttpPart, root: Path) -> dict[str, str]:
    """Like a part of `up`, but what the environment says wins, and logs are for people."""
    paths = [str(root / "shared"), os.environ.get("PYTHONPATH", "")]
    own = {"PORT": str(part.port), "INSTANCE": part.name}
    return {**own, **os.environ, "PYTHONPATH": os.pathsep.join(path for path in paths if path)}


async def _keep(part: HttpPart, root: Path, environment: dict[str, str]) -> int:
    loop = asyncio.get_running_loop()
    stop: asyncio.Event = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        loop.add_signal_handler(number, stop.set)
    watching = asyncio.ensure_future(_restart_on_change(part, root, environment))
    stopping = asyncio.ensure_future(stop.wait())
    await asyncio.wait([watching, stopping], return_when=asyncio.FIRST_COMPLETED)
    watching.cancel()
    await asyncio.gather(watching, return_exceptions=True)
    return 0


async def _restart_on_change(part: HttpPart, root: Path, environment: dict[str, str]) -> None:
    """Ends the part whichever way this ends."""
    folders = [root / part.folder, root / "shared"]
    seen = watch.look(folders)
    process = await _start(part, root, environment)
    try:
        async for changed in watch.changes(folders, seen):
            print(f"{Path(changed[0]).name} changed: {part.name} starts again", flush=True)  # noqa: T201
            await _end(process)
            process = await _start(part, root, environment)
    finally:
        await _end(process)


async def _start(part: HttpPart, root: Path, environment: dict[str, str]) -> asyncio.subprocess.Process:
    argv = topology.part_command(part)
    return await asyncio.create_subprocess_exec(*argv, cwd=root / part.folder, env=environment)


async def _end(process: asyncio.subprocess.Process) -> None:
    if process.returncode is None:
        process.send_signal(signal.SIGINT)
        try:
            await asyncio.wait_for(process.wait(), PATIENCE)
        except TimeoutError:
            process.kill()
            await process.wait()
