"""A database and a role of its own for each service."""

from __future__ import annotations

import asyncio
import base64
import itertools
import secrets

import asyncpg
import pytest

from focushub_core.database import drop, provision
from focushub_core.database.provision import scram_verifier
from focushub_core.errors import ConfigurationError, Unavailable
from focushub_core.testing.servers import PostgresServer, address


async def _ask(url: str, sql: str) -> object:
    connection = await asyncpg.connect(url, ssl=False, timeout=5)
    try:
        return await connection.fetchval(sql)
    finally:
        await connection.close()


async def test_a_role_connects_to_its_own_database_and_to_no_other(postgres_server: PostgresServer) -> None:
    """Each password is tried on each database, the server's own ones too."""
    names = [f"part{n}_{secrets.token_hex(4)}" for n in range(3)]
    for name in names:
        await provision(postgres_server.admin_url, database=name, role=name, password=f"pw-{name}")
    for role, database in itertools.product(names, [*names, "postgres", "template1"]):
        url = address(postgres_server.admin_url, role, f"pw-{role}").rpartition("/")[0] + f"/{database}"
        if role == database:
            assert await _ask(url, "SELECT current_user::text") == role
            continue
        with pytest.raises(
            (asyncpg.InsufficientPrivilegeError, asyncpg.InvalidAuthorizationSpecificationError)
        ):
            await _ask(url, "SELECT 1")
    for name in names:
        await drop(postgres_server.admin_url, database=name, role=name)


async def test_made_again_does_no_harm_and_sets_the_password(postgres_server: PostgresServer) -> None:
    """Ten at once, too."""
    name = f"again_{secrets.token_hex(4)}"
    admin = postgres_server.admin_url
    await asyncio.gather(*(provision(admin, database=name, role=name, password="old") for _ in range(10)))
    await _ask(address(admin, name, "old"), "CREATE TABLE kept ()")
    await provision(admin, database=name, role=name, password="new")
    assert await _ask(address(admin, name, "new"), "SELECT to_regclass('kept') IS NOT NULL") is True
    with pytest.raises(asyncpg.InvalidPasswordError):
        await _ask(address(admin, name, "old"), "SELECT 1")
    await drop(admin, database=name, role=name)


async def test_the_role_owns_its_database_and_its_statements_have_a_ceiling(database_url: str) -> None:
    assert await _ask(database_url, "SHOW statement_timeout") == "30s"
    assert await _ask(database_url, "CREATE TABLE t (); ") is None
    assert (
        await _ask(database_url, "SELECT rolsuper OR rolcreatedb FROM pg_roles WHERE rolname = current_user")
        is False
    )


async def test_a_database_of_somebody_else_is_refused_by_name(postgres_server: PostgresServer) -> None:
    name = f"theirs_{secrets.token_hex(4)}"
    admin = postgres_server.admin_url
    await provision(admin, database=name, role=name, password="x")
    with pytest.raises(ConfigurationError, match=f"'{name}' belongs to '{name}'"):
        await provision(admin, database=name, role=f"{name}_2", password="x")
    await drop(admin, database=name, role=name)
    await drop(admin, database=name, role=f"{name}_2")


async def test_an_administrator_without_the_right_is_told(database_url: str) -> None:
    with pytest.raises(ConfigurationError, match="PostgreSQL refused: permission denied"):
        await provision(database_url, database="x", role="x", password="x")


async def test_the_administrators_own_role_is_no_services(postgres_server: PostgresServer) -> None:
    with pytest.raises(ConfigurationError, match="is the administrator"):
        await provision(postgres_server.admin_url, database="x", role="postgres", password="x")


async def test_names_are_quoted(postgres_server: PostgresServer) -> None:
    name = f'a "b" \' {secrets.token_hex(4)}'
    await provision(postgres_server.admin_url, database=name, role=name, password="x")
    await drop(postgres_server.admin_url, database=name, role=name)


@pytest.mark.parametrize("name", ["", "x" * 64, "a\0b"])
async def test_names_that_postgresql_would_cut_are_refused(name: str) -> None:
    with pytest.raises(ConfigurationError, match="no name"):
        await provision("postgresql://nowhere", database=name, role="x", password="x")


async def test_no_server_is_unavailable() -> None:
    with pytest.raises(Unavailable):
        await provision("postgresql://a:b@127.0.0.1:1/c", database="x", role="x", password="x")


async def test_the_verifier_is_the_one_that_postgresql_makes(postgres_server: PostgresServer) -> None:
    """Of the same password and the same salt."""
    admin, name = postgres_server.admin_url, f"role_{secrets.token_hex(4)}"
    await _ask(admin, f"CREATE ROLE {name} PASSWORD 'pencil-B_7'")
    stored = str(await _ask(admin, f"SELECT rolpassword FROM pg_authid WHERE rolname = '{name}'"))
    await _ask(admin, f"DROP ROLE {name}")
    salt = base64.b64decode(stored.split("$")[1].split(":")[1])
    assert stored == scram_verifier("pencil-B_7", salt)
