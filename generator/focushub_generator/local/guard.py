"""`up`'s end of the guard (`nursery`): children are asked for, and their ends reported, over one socket.

Rules that hold here:

* This process never waits for a part's process id and never keeps one beyond the report that it ended.
* When the guard dies, its children's groups are killed: as their subreaper (Linux) this process inherits them first, so
  that their numbers are still theirs.
"""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from focushub_core.errors import ConfigurationError
from focushub_generator.local import nursery

SEND_TIMEOUT = 5.0


@dataclass(frozen=True)
class Command:
    """What a child is: ``argv[0]`` is an absolute path, ``env`` its whole environment."""

    argv: tuple[str, ...]
    cwd: Path
    env: Mapping[str, str] = field(repr=False)
    stop_signal: int = signal.SIGTERM


@dataclass
class _Child:
    started: asyncio.Future[int]
    on_exit: Callable[[int], None]
    pid: int | None = None


class Guard:
    """Starts and signals children by key; ``on_death`` is called when the guard itself is gone."""

    def __init__(self, lock: int, on_death: Callable[[], None]) -> None:
        """``lock`` is the descriptor of a held lock that lives on in the guard."""
        self._children: dict[str, _Child] = {}
        self._buffer = bytearray()
        self._on_death = on_death
        self._link, theirs = socket.socketpair()
        self._link.settimeout(SEND_TIMEOUT)
        nursery.prctl(nursery.PR_SET_CHILD_SUBREAPER, 1)
        descriptors = (theirs.fileno(), lock)
        self._process = subprocess.Popen(  # noqa: S603 - our own file
            [sys.executable, "-I", "-S", nursery.__file__, *map(str, descriptors)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            pass_fds=descriptors,
            start_new_session=True,
            cwd="/",
        )
        theirs.close()
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(self._link, self._receive)

    @property
    def pid(self) -> int:
        """The guard's process id."""
        return self._process.pid

    async def spawn(self, key: str, command: Command, output: int, on_exit: Callable[[int], None]) -> int:
        """Starts ``command`` with ``output`` as its standard output and error; returns its process id.

        ``on_exit`` gets the exit code once, below zero for a signal. Raises `ConfigurationError` when it cannot be
        executed, `ConnectionError` when the guard is gone.
        """
        child = _Child(self._loop.create_future(), on_exit)
        self._children[key] = child
        what = (list(command.argv), dict(command.env), str(command.cwd), int(command.stop_signal))
        data = nursery.frame(("spawn", key, *what))
        try:
            sent = socket.send_fds(self._link, [data], [output])
            self._link.sendall(data[sent:])
        except OSError as error:
            self._children.pop(key, None)
            raise ConnectionError("the guard is gone") from error
        return await asyncio.shield(
            child.started
        )  # whoever asked may be cancelled, the child is there all the same

    def signal(self, key: str, number: int, *, whole_group: bool = False) -> None:
        """Signals a child; one that has ended, or a guard that has gone, does not mind."""
        if key in self._children:
            try:
                self._link.sendall(nursery.frame(("signal", key, int(number), whole_group)))
            except OSError:
                return

    async def close(self) -> None:
        """Lets the guard end whatever is left, and waits for it."""
        self._unlink()
        await asyncio.to_thread(self._process.wait)

    def _receive(self) -> None:
        try:
            data = self._link.recv(65536)
        except OSError:
            data = b""
        if not data:
            self._died()
        self._buffer += data
        for kind, key, value in nursery.unframe(self._buffer):
            self._handle(kind, key, value)

    def _handle(self, kind: str, key: str, value: int | str) -> None:
        child = self._children[key]
        if kind == "started":
            child.pid = int(value)
            child.started.set_result(child.pid)
            return
        del self._children[key]
        if kind == "failed":
            child.started.set_exception(ConfigurationError(f"{key} cannot be started: {value}"))
        else:
            self._loop.call_soon(child.on_exit, int(value))  # after whoever awaits `started`

    def _unlink(self) -> None:
        if self._link.fileno() >= 0:
            self._loop.remove_reader(self._link)
            self._link.close()

    def _died(self) -> None:
        self._unlink()
        self._process.wait()
        kill_groups([child.pid for child in self._children.values() if child.pid is not None])
        for child in self._children.values():
            if not child.started.done():
                child.started.set_exception(ConnectionError("the guard is gone"))
        self._children.clear()
        self._on_death()


def kill_groups(leaders: list[int]) -> None:
    """Ends the groups of a dead guard's children.

    On Linux they are this process' own children by now, killed with the guard but not reaped, so that each number still
    is theirs. Elsewhere one that no longer leads its own session is somebody else's, and left alone.
    """
    for leader in leaders:
        try:
            if os.getsid(leader) == leader:
                os.killpg(leader, signal.SIGKILL)
        except (ProcessLookupError, PermissionError):
            continue
    for leader in leaders if nursery.LINUX else ():
        try:
            os.waitpid(leader, 0)
        except ChildProcessError:
            continue
