"""For the tests of people's own services. Needs the extras ``[local,testing]``.

In a ``conftest.py``: ``pytest_plugins = ["focushub_core.testing"]``. Then a test asks for

* ``serve``: starts a service on a database of its own and gives a client for it (`focushub_core.testing.services`);
* ``clock``: a clock that the test sets, for ``serve(Notes, clock=clock)`` (`focushub_core.testing.clocks`);
* ``database_url``, ``valkey_url``: a fresh database, an emptied Valkey, on real servers that are started once a
  session;
* ``postgres_server``, ``valkey_server``: those servers (`focushub_core.testing.servers`).
"""

from focushub_core.testing.clocks import FakeClock, clock
from focushub_core.testing.servers import (
    PostgresServer,
    ValkeyServer,
    database_url,
    postgres_server,
    valkey_server,
    valkey_url,
)
from focushub_core.testing.services import Person, Reply, Serve, ServiceClient, TokenMint, serve

__all__ = [
    "FakeClock",
    "Person",
    "PostgresServer",
    "Reply",
    "Serve",
    "ServiceClient",
    "TokenMint",
    "ValkeyServer",
    "clock",
    "database_url",
    "postgres_server",
    "serve",
    "valkey_server",
    "valkey_url",
]
