"""The limits of a stack's ``focushub.toml`` as policies."""

from __future__ import annotations

import msgspec

from focushub_core.errors import ConfigurationError
from focushub_core.ratelimit.policy import Policy
from focushub_core.stack import FILE_NAME, LimitTable, Stack


def policies(stack: Stack) -> list[Policy]:
    """The stack's limits; those that cannot work are one `ConfigurationError` with the line and reason of each."""
    made: list[Policy] = []
    problems: list[str] = []
    for name, table in stack.limits.items():
        try:
            made.append(_policy(name, table))
        except ConfigurationError as error:
            line = stack.limit_lines.get(name)
            problems.append(f"line {line}: {error}" if line else str(error))
    if problems:
        raise ConfigurationError(f"{FILE_NAME} is not usable: " + "; ".join(problems))
    return made


def _policy(name: str, table: LimitTable) -> Policy:
    return Policy(name, **(msgspec.structs.asdict(table) | {"burst": table.burst or 0}))
