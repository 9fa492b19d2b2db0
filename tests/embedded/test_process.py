"""A started server ends with who started it, however that ends."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from focushub_core.embedded import guarded

pytestmark = pytest.mark.slow

_STARTER = """
import sys, time
from pathlib import Path
from focushub_core.embedded import EmbeddedPostgres, EmbeddedValkey, running
kind = {"postgres": EmbeddedPostgres, "valkey": EmbeddedValkey}[sys.argv[1]]
with running(kind(Path(sys.argv[2]) / "data", password="secret")) as process:
    print(process.pid, flush=True)
    time.sleep(60)
"""


def _soon(condition: Callable[[], bool], deadline: float) -> bool:
    """Whether ``condition`` comes true within ``deadline`` seconds."""
    end = time.monotonic() + deadline
    while not condition():
        if time.monotonic() > end:
            return False
        time.sleep(0.02)
    return True


def _runs(pid: int) -> bool:
    try:
        return bool(psutil.Process(pid).status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


@pytest.mark.parametrize("kind", ["postgres", "valkey"])
def test_kill_9_of_the_starter_leaves_no_process_and_nothing_but_data_and_log(
    kind: str, folder: Path, tmp_path: Path
) -> None:
    command = [sys.executable, "-c", _STARTER, kind, str(folder)]
    environment = {**os.environ, "TMPDIR": str(tmp_path)}
    with subprocess.Popen(command, stdout=subprocess.PIPE, env=environment) as starter:
        assert starter.stdout is not None
        pid = int(starter.stdout.readline())
        family = [pid, *(child.pid for child in psutil.Process(pid).children(recursive=True))]
        starter.kill()
        assert _soon(lambda: not any(_runs(pid) for pid in family), 5)
    left = {path.name for place in (folder, tmp_path) for path in place.iterdir()}
    assert left == {"data", "data.log"}


def _start_guarded(*command: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        guarded(command, signal.SIGINT),
        stdin=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )


def test_the_guard_stops_a_frozen_process_by_its_signal() -> None:
    with _start_guarded("/bin/sleep", "60") as process:
        assert _soon(lambda: psutil.Process(process.pid).name() == "sleep", 5)
        process.send_signal(signal.SIGSTOP)
        assert process.stdin is not None
        process.stdin.close()
        assert process.wait(4) == -signal.SIGINT


def test_a_line_into_the_pipe_ends_the_guard_and_nothing_else() -> None:
    with _start_guarded("/bin/sleep", "60") as process:
        with pytest.raises(subprocess.TimeoutExpired):
            process.communicate(b"\n", timeout=0.5)
        process.kill()
        assert process.wait(5) == -signal.SIGKILL


def test_the_process_is_the_command_itself_with_its_own_arguments() -> None:
    """No shell stays in between, and nothing in the arguments is expanded."""
    argument = '$HOME "*'
    code = f"import os, sys; sys.exit(sys.argv[1] != {argument!r} or os.getpid() != os.getsid(0))"
    with _start_guarded(sys.executable, "-c", code, argument) as process:
        assert process.wait(5) == 0
