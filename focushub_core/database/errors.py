"""What PostgreSQL's errors mean to who asked: a pure table from SQLSTATE to our errors.

Rules that hold here:

* Nothing that PostgreSQL says goes to the client: its messages hold table names and other people's values. The
  driver's error is the ``__cause__``, for the log.
* ``constraint`` and ``column`` are for the service's code, which knows what they mean to a person.

The codes are those of PostgreSQL's documentation, appendix A.
"""

from __future__ import annotations

from typing import Any

from focushub_core.errors import Conflict, FocusHubError, GatewayTimeout, Internal, Invalid, Unavailable


class UniqueViolation(Conflict):
    """A row with this key is already there (23505)."""

    code = "already_exists"
    constraint: str | None = None


class ReferenceViolation(Conflict):
    """The row refers to one that is not there, or is referred to by others (23503)."""

    code = "reference_violation"
    constraint: str | None = None


class ExclusionViolation(Conflict):
    """The row contradicts another one, such as a time that overlaps (23P01)."""

    code = "conflicting_row"
    constraint: str | None = None


class CheckViolation(Invalid):
    """A value breaks a rule of the table (23514)."""

    code = "check_violation"
    constraint: str | None = None


class MissingValue(Invalid):
    """A column that needs a value got none (23502); ``column`` names it."""

    code = "value_missing"
    column: str | None = None


class InvalidValue(Invalid):
    """PostgreSQL cannot store this value: NUL in text, out of range, not of the type (class 22)."""

    code = "invalid_value"


class TransactionConflict(Unavailable):
    """Another transaction was in the way (40001, 40P01): the whole transaction may be run again."""

    code = "transaction_conflict"


_TEXTS: dict[type[FocusHubError], str] = {
    UniqueViolation: "This already exists.",
    ReferenceViolation: "Something that this refers to does not exist, or is still in use.",
    ExclusionViolation: "This contradicts something that already exists.",
    CheckViolation: "A value breaks a rule of what is stored.",
    MissingValue: "A value is missing.",
    InvalidValue: "A value cannot be stored.",
    TransactionConflict: "Another change was made at the same time; try again.",
}
_BY_STATE: dict[str, type[FocusHubError]] = {
    "23502": MissingValue,
    "23503": ReferenceViolation,
    "23505": UniqueViolation,
    "23514": CheckViolation,
    "23P01": ExclusionViolation,
    "40001": TransactionConflict,
    "40P01": TransactionConflict,
}
_AWAY = frozenset({"25006", "55P03", "57P01", "57P02", "57P03", "57P04", "57P05", "25P03"})
_AWAY_CLASSES = ("08", "53")  # connection exceptions; insufficient resources, 53300 among them


def unavailable(detail: str = "The database is not available.") -> Unavailable:
    """No connection, or a server that is gone: 503 with Retry-After."""
    return Unavailable(detail, code="database_unavailable")


def timed_out() -> GatewayTimeout:
    """A query was cancelled at its deadline (504)."""
    return GatewayTimeout("The database did not answer in time.", code="database_timeout")


def from_sqlstate(state: str, *, constraint: str | None = None, column: str | None = None) -> FocusHubError:
    """The error that a SQLSTATE is. What is left over is a bug of ours: Internal."""
    kind = _BY_STATE.get(state) or (InvalidValue if state.startswith("22") else None)
    if kind is not None:
        return _with(kind(_TEXTS[kind]), constraint=constraint, column=column)
    if state == "57014":
        return timed_out()
    if state in _AWAY or state.startswith(_AWAY_CLASSES):
        return unavailable()
    return Internal()


def _with(error: FocusHubError, **attributes: Any) -> FocusHubError:
    for name, value in attributes.items():
        if hasattr(error, name):
            setattr(error, name, value)
    return error
