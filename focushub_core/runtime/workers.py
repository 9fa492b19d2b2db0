"""Several processes that share one port, so that one machine's cores are used.

Rules that hold here:

* The kernel shares connections out among the sockets that listen (SO_REUSEPORT). Each worker has its own state.
* A signal to the parent goes to every worker; the parent ends when all have, and fails if one did.
* A worker that dies is started anew; five deaths within half a minute end the rest, too. A parent that dies, however,
  takes its workers with it: each holds the end of a pipe that closes.
"""

from __future__ import annotations

import logging
import os
import signal
import socket
import sys
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from types import FrameType
from typing import NoReturn

DEATHS = 5
WITHIN_S = 30.0
PAUSE_S = 0.2
_ENDING = (signal.SIGTERM, signal.SIGINT)

_log = logging.getLogger(__name__)


def can_share() -> bool:
    """Whether several listeners share a port here: elsewhere the last one takes all connections."""
    return sys.platform.startswith("linux")


def run(count: int, host: str, port: int, worker: Callable[[int, int], int]) -> int:
    """Runs ``worker(number, guard)`` in ``count`` processes until a signal; the exit status.

    ``guard`` is for `focushub_core.runtime.process.run`. 1 where the port is taken already.
    """
    try:
        _try_port(host, port)
    except OSError as error:
        _log.error("cannot listen on %s:%d: %s", host, port, error.strerror or error)
        return 1
    return _Parent(worker).run(count)


def _try_port(host: str, port: int) -> None:
    """Sharing must not mean to share with somebody else."""
    family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    with socket.socket(family, kind, protocol) as trial:
        trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        trial.bind(address)
        trial.listen()


class _Parent:
    def __init__(self, worker: Callable[[int, int], int]) -> None:
        self._worker = worker
        self._running: dict[int, int] = {}  # process id -> number
        self._deaths: list[float] = []
        self._stopping = False
        self._guard, self._held = os.pipe()

    def run(self, count: int) -> int:
        for name in _ENDING:
            signal.signal(name, self._pass_on)
        for number in range(1, count + 1):
            self._start(number)
        failed = False
        while self._running:
            process, status = os.wait()
            number = self._running.pop(process)
            failed |= status != 0
            if not self._stopping:
                self._replace(number, os.waitstatus_to_exitcode(status))
        return int(failed)

    def _start(self, number: int) -> None:
        # A signal waits until it is clear whom it is for: all workers that there are, or, in one of them, itself.
        before = signal.pthread_sigmask(signal.SIG_BLOCK, _ENDING)
        if not self._stopping:
            process = os.fork()
            if not process:
                self._work(number, before)
            self._running[process] = number
        signal.pthread_sigmask(signal.SIG_SETMASK, before)

    def _work(self, number: int, mask: Iterable[int]) -> NoReturn:
        os.close(self._held)
        for name in _ENDING:
            signal.signal(name, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        status = 1
        try:
            status = self._worker(number, self._guard)
        finally:
            sys.stdout.flush()
            os._exit(status)

    def _replace(self, number: int, status: int) -> None:
        now = time.monotonic()
        self._deaths = [*(death for death in self._deaths if now - death < WITHIN_S), now]
        _log.warning("worker %d ended with %d", number, status)
        if len(self._deaths) >= DEATHS:
            _log.error("%d workers died within %g s: giving up", DEATHS, WITHIN_S)
            self._pass_on(signal.SIGTERM, None)
            return
        time.sleep(PAUSE_S)
        self._start(number)

    def _pass_on(self, number: int, _: FrameType | None) -> None:
        self._stopping = True
        for process in list(self._running):
            with suppress(ProcessLookupError):  # it has ended by itself, and was waited for a moment ago
                os.kill(process, number)
