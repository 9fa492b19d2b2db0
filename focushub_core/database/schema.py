"""Does a database's schema fit the code that is about to use it?

Rules that hold here:

* Code is used with the schema that its own migrations make, neither an older nor a newer one.
* It is looked at once, on the first session: a schema may go on while a service runs that can live with that.
"""

from __future__ import annotations

from collections.abc import Sequence

from focushub_core.database.driver import DriverConnection
from focushub_core.database.migrations import MigrationState, Source, State, states
from focushub_core.errors import Unavailable


class SchemaMismatch(Unavailable):
    """The database is there, but its schema is older or newer than the code: nothing is asked of it."""

    code = "schema_mismatch"


_WORDS: dict[State, str] = {
    "edited": "{files} changed since being applied: this code is not what made the schema",
    "missing": "{files} was applied and is unknown here: the schema is newer than this code",
    "pending": "{files} is not applied: the schema is older than this code; `focushub migrate` brings it up to date",
}


def misfit(found: Sequence[MigrationState]) -> str | None:
    """In words why the schema does not fit, None if it does. Pure."""
    said = []
    for state, words in _WORDS.items():
        files = [one.file for one in found if one.state == state]
        if files:
            said.append(words.format(files=", ".join(files)))
    return "; ".join(said) or None


async def look(session: DriverConnection, source: Source) -> None:
    """Raise SchemaMismatch if the schema is not what the kit's migrations and those in ``source`` make."""
    problem = misfit(await states(session, source))
    if problem is not None:
        raise SchemaMismatch(problem)
