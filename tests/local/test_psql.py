"""`focushub psql` gives the address to psql without showing the password."""

from __future__ import annotations

import pytest

from focushub_generator.local.psql import connection


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        (
            "postgresql://r:p%40ss@127.0.0.1:5433/d",
            {"PGHOST": "127.0.0.1", "PGPORT": "5433", "PGUSER": "r", "PGPASSWORD": "p@ss", "PGDATABASE": "d"},
        ),
        (
            "postgresql://r:p@h/d?sslmode=require",
            {
                "PGHOST": "h",
                "PGPORT": "5432",
                "PGUSER": "r",
                "PGPASSWORD": "p",
                "PGDATABASE": "d",
                "PGSSLMODE": "require",
            },
        ),
        (
            "postgresql://r:p@/d?host=/tmp/pg&port=7",
            {"PGHOST": "/tmp/pg", "PGPORT": "7", "PGUSER": "r", "PGPASSWORD": "p", "PGDATABASE": "d"},
        ),
    ],
)
def test_an_address_becomes_libpqs_variables(url: str, expected: dict[str, str]) -> None:
    assert connection(url) == expected
