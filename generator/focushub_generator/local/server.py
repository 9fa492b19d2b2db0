"""Runs an embedded server as one guarded process: ``python -m focushub_generator.local.server``.

It prepares the server, then becomes it.

Rules that hold here:

* Whatever can take time or fail (making the cluster, copying programs) happens in this process, behind the guard: `up`
  can be killed at any moment of it.
* The server keeps this process' id, and Linux kills it with the guard as any other part.
* What cannot be helped by another start ends with ``HOPELESS`` and one line.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import Mapping
from pathlib import Path

from focushub_core.embedded import (
    EmbeddedPostgres,
    EmbeddedServer,
    EmbeddedValkey,
    find_postgres,
    find_valkey,
)
from focushub_core.errors import ConfigurationError
from focushub_generator.local import lines
from focushub_generator.local.guard import Command
from focushub_generator.local.nursery import PR_SET_PDEATHSIG, prctl
from focushub_generator.local.supervisor import HOPELESS

VARIABLE = "FOCUSHUB_SERVER"
CLASSES: Mapping[str, type[EmbeddedServer]] = {"postgres": EmbeddedPostgres, "redis": EmbeddedValkey}


def check_installed(*, postgres: bool, redis: bool) -> None:
    """Raises `ConfigurationError`, saying what to install, unless the programs of the servers wanted are there."""
    if postgres:
        find_postgres()
    if redis:
        find_valkey()


def command_for(name: str, server: EmbeddedServer, password: str, inherited: Mapping[str, str]) -> Command:
    """What the guard is to start for ``postgres`` or ``redis``; the password goes by the environment."""
    wanted = {"name": name, "data": str(server.data), "port": server.port, "password": password}
    argv = (sys.executable, "-P", "-m", "focushub_generator.local.server")
    return Command(argv, Path("/"), {**inherited, VARIABLE: json.dumps(wanted)}, server.stop_signal)


def main() -> None:
    """Prepares the server that the environment describes, and becomes it."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # asked to stop: at once, and without a traceback
    wanted = json.loads(os.environ.pop(VARIABLE))
    server = CLASSES[wanted["name"]](Path(wanted["data"]), port=wanted["port"], password=wanted["password"])
    try:
        server.prepare()
        if server.notice:
            _print("notice", server.notice)
        become(server)
    except ConfigurationError as error:
        _print("error", str(error))
        sys.exit(HOPELESS)
    except OSError as error:
        where = f": {error.filename}" if error.filename else ""
        _print("error", f"{error.strerror or error}{where}")
        sys.exit(HOPELESS)


def become(server: EmbeddedServer) -> None:
    """Replaces this process by the server, as the server's user."""
    guard = os.getppid()
    prctl(PR_SET_PDEATHSIG, signal.SIGKILL)  # also loads what the next one needs, while this user may read it
    if server.account is not None:
        os.setgroups([])
        os.setgid(server.account.gid)
        os.setuid(server.account.uid)
    prctl(PR_SET_PDEATHSIG, signal.SIGKILL)  # setuid has cleared it
    if os.getppid() != guard:
        sys.exit("the guard is gone")
    os.umask(0o077)
    os.chdir(server.data)
    argv = server.command()
    os.execve(argv[0], argv, server.environment())  # noqa: S606 - the point of it


def _print(level: str, text: str) -> None:
    line = {"ts": lines.now(), "level": level, "part": "", "message": text}
    sys.stdout.write(json.dumps(line) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
