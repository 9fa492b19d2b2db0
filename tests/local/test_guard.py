"""Every child ends with the guard, and the guard with `up`. Real processes; each test leaves none."""

# ruff: noqa: ASYNC220, ASYNC240 - /proc is memory, and starting a process is what is tested

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import textwrap
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest

from focushub_core.errors import ConfigurationError
from focushub_generator.local.guard import Command, Guard

Until = Callable[[Callable[[], object]], Awaitable[None]]


class Watch:
    """A guard and what it reported."""

    def __init__(self, tmp_path: Path) -> None:
        self.died = False
        self.codes: dict[str, int] = {}
        self.lock = os.open(tmp_path / "lock", os.O_CREAT | os.O_RDWR)
        self.output = os.open(tmp_path / "output", os.O_CREAT | os.O_WRONLY | os.O_APPEND)
        self.guard = Guard(self.lock, self._on_death)

    def _on_death(self) -> None:
        self.died = True

    async def spawn(self, key: str, *argv: str, stop: int = signal.SIGTERM, cwd: Path = Path("/")) -> int:
        command = Command(argv, cwd, {"SECRET": "s", "PATH": os.defpath}, stop)
        return await self.guard.spawn(key, command, self.output, lambda code: self.codes.update({key: code}))

    async def close(self) -> None:
        if not self.died:
            await self.guard.close()
            self.died = True


@pytest.fixture
async def watch(tmp_path: Path) -> AsyncIterator[Watch]:
    found = Watch(tmp_path)
    yield found
    await found.close()
    os.close(found.lock)
    os.close(found.output)


def alive(pid: int) -> bool:
    """Whether a process runs; a zombie does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def script(text: str) -> tuple[str, ...]:
    return (sys.executable, "-I", "-S", "-c", textwrap.dedent(text))


SLEEP = ("/bin/sleep", "600")
DEAF = script(
    """
    import signal, time
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    print("deaf", flush=True)
    time.sleep(600)
    """
)


@pytest.mark.parametrize(
    ("code", "argv"),
    [(0, ("/bin/true",)), (3, ("/bin/sh", "-c", "exit 3")), (-9, ("/bin/sh", "-c", "kill -9 $$"))],
)
async def test_the_end_of_a_child_is_reported(
    watch: Watch, until: Until, code: int, argv: tuple[str, ...]
) -> None:
    await watch.spawn("a", *argv)
    await until(lambda: watch.codes)
    assert watch.codes == {"a": code}


async def test_a_child_leads_a_session_of_its_own_and_secrets_are_no_arguments(watch: Watch) -> None:
    pid = await watch.spawn("a", *SLEEP)
    assert os.getsid(pid) == os.getpgid(pid) == pid
    assert b"SECRET=s" in Path(f"/proc/{pid}/environ").read_bytes()
    for process in (pid, watch.guard.pid):
        assert b"SECRET" not in Path(f"/proc/{process}/cmdline").read_bytes()


async def test_a_child_inherits_nothing_but_its_output(watch: Watch, until: Until) -> None:
    pid = await watch.spawn("a", *SLEEP)
    folder = Path(f"/proc/{pid}/fd")
    # Until: it has just been executed, and opens the C library for a moment.
    await until(lambda: sorted(path.name for path in folder.iterdir()) == ["0", "1", "2"])
    status = Path(f"/proc/{pid}/status").read_text()
    ignored = next(line.split()[1] for line in status.splitlines() if line.startswith("SigIgn"))
    # The C library keeps 32 and 33 for itself, and what it has spawned ignores them.
    assert int(ignored, 16) & 0x7FFF_FFFF == 0


@pytest.mark.parametrize(
    ("argv", "cwd", "words"),
    [
        (("/nowhere/x",), Path("/"), "No such file"),
        (SLEEP, Path("/nowhere"), "No such file"),
        (("/etc/passwd",), Path("/"), "Permission denied"),
    ],
)
async def test_what_cannot_be_executed_says_why(
    watch: Watch, argv: tuple[str, ...], cwd: Path, words: str
) -> None:
    with pytest.raises(ConfigurationError, match=f"a cannot be started: .*{words}"):
        await watch.spawn("a", *argv, cwd=cwd)


async def test_what_a_leader_leaves_behind_ends_with_it(watch: Watch, until: Until, tmp_path: Path) -> None:
    """Its group, and a daemon that had left the group."""
    pids = tmp_path / "pids"
    leaver = script(
        f"""
        import os, subprocess
        member, leaver = [subprocess.Popen(["/bin/sleep", "600"], start_new_session=new) for new in (False, True)]
        with open({str(pids)!r}, "w") as file:
            file.write(f"{{member.pid}} {{leaver.pid}}")
        os._exit(0)
        """
    )
    await watch.spawn("a", *leaver)
    await until(lambda: watch.codes)
    left = [int(pid) for pid in pids.read_text().split()]
    await until(lambda: not any(map(alive, left)))
    assert len(left) == 2


async def test_another_parts_death_leaves_a_living_part_alone(watch: Watch, until: Until) -> None:
    pid = await watch.spawn("a", *SLEEP)
    await watch.spawn("b", "/bin/true")
    await until(lambda: watch.codes)
    assert (watch.codes, alive(pid)) == ({"b": 0}, True)


async def test_a_signal_reaches_the_child_and_one_for_a_dead_child_nobody(watch: Watch, until: Until) -> None:
    await watch.spawn("a", *SLEEP)
    watch.guard.signal("a", signal.SIGTERM)
    await until(lambda: watch.codes)
    watch.guard.signal("a", signal.SIGKILL, whole_group=True)
    assert watch.codes == {"a": -signal.SIGTERM}


async def test_when_the_link_closes_children_are_asked_by_their_own_signal(
    watch: Watch, until: Until, tmp_path: Path
) -> None:
    asked = tmp_path / "asked"
    polite = script(
        f"""
        import signal, sys, time
        def end(number, frame):
            open({str(asked)!r}, "w").write(signal.Signals(number).name)
            sys.exit()
        signal.signal(signal.SIGINT, end)
        print("ready", flush=True)
        time.sleep(600)
        """
    )
    pid = await watch.spawn("a", *polite, stop=signal.SIGINT)
    await until(lambda: (tmp_path / "output").read_text() == "ready\n")
    await watch.close()
    assert (asked.read_text(), alive(pid)) == ("SIGINT", False)


async def test_when_the_guard_is_killed_its_children_end(watch: Watch, until: Until) -> None:
    pids = [await watch.spawn(key, *SLEEP) for key in "abc"]
    os.kill(watch.guard.pid, signal.SIGKILL)
    await until(lambda: watch.died)
    assert not any(map(alive, pids))
    with pytest.raises(ConnectionError):
        await watch.spawn("d", *SLEEP)


UP = """
import asyncio, os, sys
from pathlib import Path
from focushub_generator.local.guard import Command, Guard

async def main():
    lock = os.open(sys.argv[1], os.O_CREAT | os.O_RDWR)
    guard = Guard(lock, lambda: None)
    pids = []
    for key in sys.argv[2:]:
        command = Command(("/bin/sh", "-c", key), Path("/"), {"PATH": os.defpath})
        pids.append(await guard.spawn(key, command, 1, lambda code: None))
    print(guard.pid, *pids, flush=True)
    await asyncio.sleep(600)

asyncio.run(main())
"""


async def start_up(tmp_path: Path, *commands: str) -> tuple[subprocess.Popen[str], list[int]]:
    """A process that is to be killed, and the process ids of its guard and its children."""
    process = subprocess.Popen(
        [sys.executable, "-c", UP, str(tmp_path / "lock"), *commands], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    line = await asyncio.to_thread(process.stdout.readline)
    return process, [int(word) for word in line.split()]


async def test_kill_9_of_up_leaves_nothing(tmp_path: Path, until: Until) -> None:
    process, pids = await start_up(tmp_path, "sleep 600 & sleep 601", "exec sleep 602")
    with process:
        process.kill()
        await until(lambda: not any(map(alive, pids)))
    assert len(pids) == 3


async def test_kill_9_of_up_and_guard_at_once_leaves_no_child(tmp_path: Path, until: Until) -> None:
    process, pids = await start_up(tmp_path, "exec sleep 600", "exec sleep 601")
    with process:
        process.send_signal(signal.SIGSTOP)
        os.kill(pids[0], signal.SIGKILL)
        process.kill()
        await until(lambda: not any(map(alive, pids)))


@pytest.mark.stack
async def test_a_child_that_does_not_listen_is_killed(watch: Watch, until: Until, tmp_path: Path) -> None:
    """The guard waits for ``GRACE`` seconds, and its lock is held as long."""
    pid = await watch.spawn("a", *DEAF)
    await until(lambda: (tmp_path / "output").read_text() == "deaf\n")
    await watch.close()
    assert not alive(pid)
