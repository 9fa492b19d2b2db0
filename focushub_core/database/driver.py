"""What the pool and the migrations need of a PostgreSQL driver; the only door to one.

Every method raises errors of `focushub_core.errors` only, with the driver's own as ``__cause__``.
"""

from __future__ import annotations

from collections.abc import ItemsView, Iterator, KeysView, Sequence, ValuesView
from importlib import import_module
from typing import Any, Protocol, cast

from focushub_core.errors import ConfigurationError


class Record(Protocol):
    """A row: values by column name or by position; ``dict(row)`` and ``Struct(**row)`` work."""

    def __getitem__(self, key: Any, /) -> Any: ...
    def __len__(self) -> int: ...
    def __iter__(self) -> Iterator[Any]: ...
    def keys(self) -> KeysView[str]: ...
    def values(self) -> ValuesView[Any]: ...
    def items(self) -> ItemsView[str, Any]: ...
    def get(self, key: str, default: Any = None, /) -> Any: ...


class DriverConnection(Protocol):
    """One session. ``timeout`` is in seconds; None waits for as long as it takes."""

    @property
    def broken_off(self) -> bool:
        """A query was left at its deadline or cancelled; the server may still be at it."""

    @property
    def needs_care(self) -> bool:
        """Not fit for the next user as it is: a query was broken off, session state changed, a transaction open."""

    async def fetch(
        self, sql: str, args: Sequence[Any], timeout: float | None, *, first: bool = False
    ) -> list[Record]:
        """All rows; or the ``first``, if there is one."""

    async def execute(self, sql: str, args: Sequence[Any], timeout: float | None) -> str:
        """Run one statement with ``args`` or, without, a script of several. Returns the command tag."""

    async def recover(self, timeout: float) -> bool:
        """Make it as good as new; False if that cannot be had within ``timeout`` seconds."""

    async def close(self, timeout: float) -> None:
        """Say goodbye to the server; never raises."""

    def terminate(self) -> None:
        """Cut the connection, waiting for nothing."""

    def is_closed(self) -> bool: ...


class Driver(Protocol):
    """A module that connects."""

    async def connect(self, url: str, *, timeout: float, name: str) -> DriverConnection:
        """Open a session; ``name`` shows in ``pg_stat_activity``. Raises Unavailable within ``timeout`` seconds."""


DRIVERS = ("asyncpg", "aiopg")
"""The names of all there are; the first is the default."""


def load(name: str = "asyncpg") -> Driver:
    """Load a driver by its name; the import happens here and not before.

    Raises ConfigurationError, saying what to install, where it is not there.
    """
    if name not in DRIVERS:
        raise ConfigurationError(f"there is no driver {name!r}; there are {', '.join(DRIVERS)}")
    try:
        return cast(Driver, import_module(f"focushub_core.database.{name}_driver"))
    except ModuleNotFoundError as error:
        if str(error.name).startswith("focushub_core"):
            raise
        raise ConfigurationError(
            f"the driver {name} is not installed; it is the extra [aiopg]: "
            "pip install 'aiopg>=1.4,<2' 'psycopg2-binary>=2.9.9'"
        ) from error
