"""Starting a server and never leaving it behind.

A guard, one small shell, holds the reading end of a pipe that only the starting process can write to. When that
process is gone, however it went, the pipe closes and the guard stops the server: by its signal, and after five
seconds by force. The server itself stays the starter's direct child, with the process id that it was started with.
"""

# ruff: noqa: S603 - what is executed is found by `binaries`, or is the system's own sh and ps

from __future__ import annotations

import asyncio
import contextlib
import signal
import subprocess
from collections.abc import Coroutine, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any, Generic, TypeVar

from focushub_core.embedded.server import EmbeddedServer
from focushub_core.errors import Unavailable

ServerT = TypeVar("ServerT", bound=EmbeddedServer)

# `$$` in a subshell is the shell itself, which becomes the server by exec: no moment without a guard, and the
# guard, being a grandchild whose parent ended at once, is not a child that the server would have to reap.
# The pipe comes as standard input, since dash takes only one-digit descriptors.
_GUARD = """
signal=$1; shift
exec 3<&0 </dev/null
( {
  read -r _ <&3 && exit
  kill -s CONT $$; kill -s "$signal" $$
  for _ in 1 2 3 4 5 6 7 8 9 10; do kill -s 0 $$ || exit; sleep 0.5; done
  kill -s KILL $$
} >/dev/null 2>&1 & )
exec "$@" 3<&-
"""


def guarded(command: Sequence[str], stop_signal: signal.Signals) -> list[str]:
    """``command`` behind a guard, to be started with ``stdin=PIPE`` by the process that it must not outlive.

    The guard stops it once the other end of that pipe closes; a line written into it first ends the guard alone.
    The command itself reads nothing.
    """
    return ["/bin/sh", "-c", _GUARD, "guard", stop_signal.name.removeprefix("SIG"), *command]


@dataclass
class RunningServer(Generic[ServerT]):
    """A started server. `start` and `stop` may be called in turns, as a test of a restart does."""

    server: ServerT
    log: Path
    _process: subprocess.Popen[bytes] | None = field(default=None, repr=False)

    @property
    def pid(self) -> int:
        """The server's process id (of PostgreSQL: the postmaster's)."""
        assert self._process is not None, "the server has not been started"
        return self._process.pid

    def start(self, deadline: float = 20.0) -> None:
        """Start the server and return when it answers. Raises Unavailable with the log's last lines."""
        self.server.prepare()
        with self.log.open("ab") as log:
            self._process = _popen(self.server, log)
        try:
            _call(self._until_ready(deadline))
        except BaseException:
            self.stop()
            raise

    def stop(self, with_signal: signal.Signals | None = None, deadline: float = 10.0) -> None:
        """Stop it by its signal or by ``with_signal``; by force after ``deadline`` seconds."""
        process, self._process = self._process, None
        if process is None:
            return
        process.send_signal(signal.SIGCONT)  # one that a test froze hears nothing else
        process.send_signal(with_signal or self.server.stop_signal)
        try:
            process.wait(deadline)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        with contextlib.suppress(BrokenPipeError):
            process.communicate(b"\n")  # ends the guard

    async def _until_ready(self, deadline: float) -> None:
        waiting = asyncio.ensure_future(self.server.wait_ready(deadline))
        while not (await asyncio.wait({waiting}, timeout=0.05))[0]:
            if self._process is not None and self._process.poll() is not None:
                waiting.cancel()
                raise Unavailable(f"{self.server.name} ended at once: {self._last_lines()}")
        await waiting

    def _last_lines(self) -> str:
        return " | ".join(self.log.read_text(errors="replace").splitlines()[-5:])


@contextlib.contextmanager
def running(server: ServerT, log: Path | None = None) -> Iterator[RunningServer[ServerT]]:
    """Run ``server`` for the length of a ``with`` block, even if this process is killed within it.

    Blocks while it starts and stops; also fine inside a running event loop. ``log`` takes what it prints; left out, a
    file beside its data: what is removed with them leaves nothing, however this process ends.
    """
    handle = RunningServer(server, log or server.data.with_name(f"{server.data.name}.log"))
    try:
        handle.start()
        yield handle
    finally:
        handle.stop()


def _popen(server: EmbeddedServer, log: IO[bytes]) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        guarded(server.command(), server.stop_signal),
        stdin=subprocess.PIPE,
        stdout=log,
        stderr=subprocess.STDOUT,
        **server.popen_options(),
    )


def _call(coroutine: Coroutine[Any, Any, None]) -> None:
    """Run a coroutine to its end, in a thread of its own: this one may have a running loop."""
    with ThreadPoolExecutor(1) as pool:
        pool.submit(asyncio.run, coroutine).result()
