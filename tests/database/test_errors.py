"""What PostgreSQL's errors mean to who asked."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from focushub_core.database import errors
from focushub_core.database.session import begin_unit, script_touches_session, touches_session


@pytest.mark.parametrize(
    ("state", "status", "code"),
    [
        ("22001", 422, "invalid_value"),
        ("22003", 422, "invalid_value"),
        ("22021", 422, "invalid_value"),
        ("22P02", 422, "invalid_value"),
        ("23502", 422, "value_missing"),
        ("23503", 409, "reference_violation"),
        ("23505", 409, "already_exists"),
        ("23514", 422, "check_violation"),
        ("23P01", 409, "conflicting_row"),
        ("40001", 503, "transaction_conflict"),
        ("40P01", 503, "transaction_conflict"),
        ("53300", 503, "database_unavailable"),
        ("55P03", 503, "database_unavailable"),
        ("57014", 504, "database_timeout"),
        ("57P01", 503, "database_unavailable"),
        ("57P03", 503, "database_unavailable"),
        ("08006", 503, "database_unavailable"),
        ("42601", 500, "internal_error"),
        ("42P01", 500, "internal_error"),
        ("42501", 500, "internal_error"),
        ("P0001", 500, "internal_error"),
    ],
)
def test_each_sqlstate_has_a_status_and_a_code(state: str, status: int, code: str) -> None:
    error = errors.from_sqlstate(state)
    assert (status, code) == (error.status, error.code)


@given(st.text("0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ", min_size=5, max_size=5))
def test_no_sqlstate_is_without_an_error_and_503_says_when_to_come_back(state: str) -> None:
    error = errors.from_sqlstate(state, constraint="c", column="d")
    assert error.status in {409, 422, 500, 503, 504}
    assert (error.status == 503) == ("Retry-After" in error.headers)


def test_the_constraint_is_for_the_code_and_not_for_the_client() -> None:
    error = errors.from_sqlstate("23505", constraint="people_email_key")
    assert isinstance(error, errors.UniqueViolation)
    assert (error.constraint, error.extensions) == ("people_email_key", {})
    assert "people" not in str(error)


@pytest.mark.parametrize(
    ("sql", "touches"),
    [
        ("SELECT 1", False),
        ("UPDATE t SET a = $1", False),
        ("INSERT INTO t VALUES ($1) ON CONFLICT DO UPDATE SET a = 1", False),
        ("SET LOCAL statement_timeout = 5", False),
        ("SET TRANSACTION READ ONLY", False),
        ("SELECT pg_advisory_xact_lock(1)", False),
        ("SET search_path = x", True),
        (" set\ntime zone 'UTC'", True),
        ("SELECT 1; SET x = 1", True),
        ("RESET ALL", True),
        ("LISTEN tasks", True),
        ("SELECT pg_advisory_lock(1)", True),
        ("SELECT pg_try_advisory_lock($1)", True),
        ("SELECT set_config('a.b', 'c', false)", True),
        ("CREATE TEMP TABLE t (a int)", True),
        ("create temporary table t (a int)", True),
    ],
)
def test_what_outlives_its_transaction_is_known(sql: str, touches: bool) -> None:
    assert touches == touches_session(sql) == script_touches_session(sql)


def test_a_script_of_the_kits_own_is_not_remembered() -> None:
    """Each is another."""
    before = touches_session.cache_info().currsize
    assert not script_touches_session(begin_unit(lock=1, then="SELECT set_config('a', 'b', false)"))
    assert touches_session.cache_info().currsize == before
