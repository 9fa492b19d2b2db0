"""The guard: one small process that starts every part, and whose end is the end of all of them.

It runs alone, as ``python -I -S nursery.py SOCKET LOCK``, with the standard library only (10 MB, once for the whole
stack), and talks over the descriptor SOCKET with the `focushub up` that started it.

Rules that hold here:

* When the socket closes, however that came about (``kill -9`` of `up` too), every child is asked to end by its own
  stop signal, and what is left after ``GRACE`` seconds is killed. Only then does the guard end, and with it the lock
  that it inherited as the descriptor LOCK: whoever gets that lock next finds nothing of the old run.
* Each child leads a session of its own. A group is only signalled while its leader has not been reaped, so that its
  number cannot belong to anybody else.
* When a leader ends, what is left of its group ends, too, and so do its descendants that had left the group: on Linux
  the guard is their subreaper and finds them among its own children.
* When the guard itself is killed, Linux kills the leaders (``PR_SET_PDEATHSIG``), and `up` ends their groups.
* Messages are length-prefixed ``marshal`` data: both ends are the same interpreter, one the child of the other.

Requests: ``("spawn", key, argv, env, cwd, stop_signal)``, with a descriptor for standard output and error;
``("signal", key, number, whole_group)``. Reports: ``("started", key, pid)``, ``("failed", key, words)`` and
``("exited", key, code)``, where a code below zero is a signal's number, as in `subprocess`.
"""

# pathlib and contextlib would cost more memory than all the rest of this file:
# ruff: noqa: PTH123, PTH208, SIM105

from __future__ import annotations

import marshal
import os
import select
import signal
import socket
import struct
import sys
import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, NoReturn

GRACE = 5.0
HEAD = struct.Struct("!I")
LINUX = sys.platform == "linux"
PR_SET_PDEATHSIG, PR_SET_CHILD_SUBREAPER = 1, 36
HANDLED = (signal.SIGCHLD, signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
IGNORED_BY_PYTHON = (signal.SIGPIPE, signal.SIGXFSZ)


def frame(message: tuple[Any, ...]) -> bytes:
    """A message as it crosses the socket."""
    body = marshal.dumps(message)
    return HEAD.pack(len(body)) + body


def unframe(buffer: bytearray) -> list[Any]:
    """Takes the complete messages off the front of ``buffer``."""
    messages = []
    while len(buffer) >= HEAD.size:
        end = HEAD.size + HEAD.unpack_from(buffer)[0]
        if len(buffer) < end:
            break
        messages.append(marshal.loads(bytes(buffer[HEAD.size : end])))  # noqa: S302 - our own process wrote it
        del buffer[:end]
    return messages


def prctl(option: int, value: int) -> None:
    """Linux' prctl(2); nothing elsewhere: there the guard only knows the groups that it made."""
    if LINUX:
        import ctypes

        ctypes.CDLL(None).prctl(option, value, 0, 0, 0)


class Child:
    """A running leader, and the signal by which it is asked to end."""

    __slots__ = ("key", "pid", "stop_signal")

    def __init__(self, key: str, pid: int, stop_signal: int) -> None:
        self.key = key
        self.pid = pid
        self.stop_signal = stop_signal


class Nursery:
    """The guard's whole state: its socket, and its living children by process id."""

    def __init__(self, link: socket.socket) -> None:
        self.link = link
        self.children: dict[int, Child] = {}
        self.descriptors: list[int] = []
        self.buffer = bytearray()
        self.wake = wake_on_signals()

    def run(self) -> None:
        """Serves until the socket closes, then ends every child."""
        try:
            while self.turn():
                pass
        finally:
            self.end_all()

    def turn(self) -> bool:
        """Waits for one event and handles it; false when the socket has closed."""
        waiting: list[Any] = [self.link, self.wake]
        ready = select.select(waiting, [], [])[0]
        if self.wake in ready:
            drain(self.wake)
            self.reap()
        return self.link not in ready or self.receive()

    def receive(self) -> bool:
        """Reads and carries out what `up` asks for; false at the end."""
        try:
            data, descriptors, _, _ = socket.recv_fds(self.link, 65536, 8)
        except ConnectionError:
            return False
        for descriptor in descriptors:
            os.set_inheritable(descriptor, False)
        self.descriptors += descriptors
        self.buffer += data
        for kind, *details in unframe(self.buffer):
            (self.spawn if kind == "spawn" else self.signal)(*details)
        return bool(data)

    def report(self, *message: object) -> None:
        """Tells `up`; that it has gone the next `receive` notices."""
        try:
            self.link.sendall(frame(message))
        except OSError:
            pass

    def spawn(self, key: str, argv: list[str], env: dict[str, str], cwd: str, stop_signal: int) -> None:
        """Starts a child in a session of its own."""
        output = self.descriptors.pop(0)
        try:
            pid = launch(argv, env, cwd, output)
        except OSError as error:
            self.report("failed", key, f"{argv[0]}: {error.strerror}")
        else:
            self.children[pid] = Child(key, pid, stop_signal)
            self.report("started", key, pid)
        finally:
            os.close(output)

    def signal(self, key: str, number: int, whole_group: bool) -> None:
        """Signals a child; one that has been reaped is not in the table any more."""
        for child in self.children.values():
            if child.key == key:
                send_signal(child.pid, number, whole_group)

    def reap(self) -> None:
        """Buries the dead: first what is left of a leader's group, then the leader: its number stays ours till then."""
        while (dead := next_dead()) is not None:
            pid, status = dead
            if pid in self.children:
                send_signal(pid, signal.SIGKILL, True)
            if status is None:
                status = os.waitpid(pid, 0)[1]
            child = self.children.pop(pid, None)
            self.sweep()
            if child is not None:
                self.report("exited", child.key, os.waitstatus_to_exitcode(status))

    def sweep(self) -> None:
        """Kills orphans: adopted children whose session has no living leader of ours."""
        for pid, session in children_of(os.getpid()):
            if pid not in self.children and session not in self.children:
                send_signal(pid, signal.SIGKILL, False)

    def end_all(self) -> None:
        """Asks every child to end, and kills what has not after ``GRACE`` seconds."""
        for child in self.children.values():
            send_signal(child.pid, child.stop_signal, False)
        self.wait_until(lambda: not self.children, GRACE)
        for pid in self.children:
            send_signal(pid, signal.SIGKILL, True)
        self.wait_until(lambda: not self.children and not children_of(os.getpid()), GRACE)

    def wait_until(self, done: Callable[[], bool], seconds: float) -> None:
        """Reaps until ``done`` or the time is over."""
        deadline = time.monotonic() + seconds
        self.reap()
        while not done() and time.monotonic() < deadline:
            self.sweep()
            select.select([self.wake], [], [], 0.05)
            drain(self.wake)
            self.reap()


def launch(argv: list[str], env: dict[str, str], cwd: str, output: int) -> int:
    """Forks and executes; raises the `OSError` for which the child could not become ``argv``."""
    reader, writer = os.pipe()  # closed by exec: reading nothing means that the child is what it shall be
    guard = os.getpid()
    pid = os.fork()
    if pid == 0:
        try:
            become(argv, env, cwd, output, guard)
        except OSError as error:
            os.write(writer, str(error.errno or 0).encode())
        finally:
            os._exit(127)
    os.close(writer)
    with os.fdopen(reader, "rb") as pipe:
        failure = pipe.read()
    if failure:
        os.waitpid(pid, 0)
        raise OSError(int(failure), os.strerror(int(failure)))
    return pid


def become(argv: list[str], env: dict[str, str], cwd: str, output: int, guard: int) -> NoReturn:
    """What the forked child does until it is ``argv``. No other descriptor of the guard is inheritable."""
    os.setsid()
    for number in (*HANDLED, *IGNORED_BY_PYTHON):
        signal.signal(number, signal.SIG_DFL)
    for source, target in ((os.open(os.devnull, os.O_RDONLY), 0), (output, 1), (output, 2)):
        os.dup2(source, target)
    os.chdir(cwd)
    prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != guard:
        os._exit(127)  # the guard died in between and nothing would have told us
    os.execve(argv[0], argv, env)  # noqa: S606 - what it is for


def next_dead() -> tuple[int, int | None] | None:
    """A child that has ended, adopted ones included: not reaped yet, so that its number stays taken.

    Where there is no waitid (macOS before Python 3.13) it is reaped, and its wait status is the second half.
    """
    try:
        if hasattr(os, "waitid"):
            found = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
            return (found.si_pid, None) if found else None
        pid, status = os.waitpid(-1, os.WNOHANG)
        return (pid, status) if pid else None
    except ChildProcessError:
        return None


def children_of(parent: int) -> list[tuple[int, int]]:
    """Process id and session of each child of ``parent``, from /proc; empty where there is none."""
    found = []
    for name in os.listdir("/proc") if LINUX else ():
        try:
            with open(f"/proc/{name}/stat", "rb") as file:
                fields = file.read().rpartition(b")")[2].split()
        except (OSError, ValueError):
            continue
        if name.isdigit() and int(fields[1]) == parent:
            found.append((int(name), int(fields[3])))
    return found


def send_signal(pid: int, number: int, whole_group: bool) -> None:
    """Signals a process that is ours and not reaped; one that is dead already does not mind."""
    try:
        (os.killpg if whole_group else os.kill)(pid, number)
    except (ProcessLookupError, PermissionError):
        pass  # macOS says EPERM for a group of zombies


def wake_on_signals() -> int:
    """A descriptor that is readable after a child's end; the other signals are `up`'s to act on, not the guard's."""
    reader, writer = os.pipe()
    os.set_blocking(reader, False)
    os.set_blocking(writer, False)
    signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
    for number in HANDLED:
        signal.signal(number, lambda *_: None)  # not SIG_IGN, which children would inherit
    return reader


def drain(descriptor: int) -> None:
    """Empties the wake-up pipe."""
    try:
        while os.read(descriptor, 512):
            pass
    except BlockingIOError:
        pass


def main() -> None:
    """Runs the guard on the descriptors that are its arguments."""
    link, lock = (int(argument) for argument in sys.argv[1:])
    os.set_inheritable(lock, False)
    os.set_inheritable(link, False)
    prctl(PR_SET_CHILD_SUBREAPER, 1)
    Nursery(socket.socket(fileno=link)).run()


if __name__ == "__main__":
    main()
