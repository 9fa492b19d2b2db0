"""A database and a role of its own for a service, made by the server's administrator.

Rules that hold here:

* Made again does no harm: the password is set anew, nothing else changes, data are not touched.
* A password is sent as a SCRAM verifier (RFC 5803), never as such: no log of the server can show it.
* The role owns its database and nobody else may connect to it, nor make temporary tables in it.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from focushub_core.database.driver import DriverConnection, load
from focushub_core.errors import ConfigurationError, Internal

_CONNECT_S = 5.0
_STATEMENT_S = 30.0
_LOCK = 0x666F_6375_7370_726F  # "focuspro": two that provision at once take turns
_ITERATIONS = 4096  # PostgreSQL's own default


async def provision(
    admin_url: str, *, database: str, role: str, password: str, statement_timeout: str = "30s"
) -> None:
    """Make ``role`` with ``password`` and ``database`` owned by it, where missing.

    ``statement_timeout`` is the ceiling for each of the role's statements. Raises ConfigurationError when the
    database belongs to somebody else or the administrator may not do this; Unavailable when there is no server.
    """
    _check_name(database)
    _check_name(role)
    async with _administration(admin_url) as session:
        await _refuse_administrator(session, role)
        await _make_role(session, role, scram_verifier(password))
        await _may_act_as(session, role)
        await _run(session, f"ALTER ROLE {_name(role)} SET statement_timeout = {_text(statement_timeout)}")
        await _make_database(session, database, role)


async def drop(admin_url: str, *, database: str, role: str) -> None:
    """Remove a database, ending its sessions, and its role; what is not there is no failure. For tests."""
    async with _administration(admin_url) as session:
        await _run(session, f"DROP DATABASE IF EXISTS {_name(database)} WITH (FORCE)")
        await _run(session, f"DROP ROLE IF EXISTS {_name(role)}")


def scram_verifier(password: str, salt: bytes | None = None) -> str:
    """What PostgreSQL stores of a password: ``SCRAM-SHA-256$iterations:salt$stored:server``.

    Only for ASCII passwords, for which SASLprep changes nothing. Raises ConfigurationError for others.
    """
    if not (password.isascii() and password.isprintable() and password):
        raise ConfigurationError("a database password is printable ASCII and not empty")
    salt = os.urandom(16) if salt is None else salt
    salted = hashlib.pbkdf2_hmac("sha256", password.encode(), salt, _ITERATIONS)
    stored = hashlib.sha256(hmac.digest(salted, b"Client Key", "sha256")).digest()
    server = hmac.digest(salted, b"Server Key", "sha256")
    salt_, stored_, server_ = (base64.b64encode(part).decode() for part in (salt, stored, server))
    return f"SCRAM-SHA-256${_ITERATIONS}:{salt_}${stored_}:{server_}"


@asynccontextmanager
async def _administration(admin_url: str) -> AsyncIterator[DriverConnection]:
    session = await load().connect(admin_url, timeout=_CONNECT_S, name="focushub provision")
    try:
        await session.fetch("SELECT pg_advisory_lock($1)", (_LOCK,), _STATEMENT_S)
        yield session
    finally:
        await session.close(1.0)


async def _refuse_administrator(session: DriverConnection, role: str) -> None:
    rows = await session.fetch("SELECT current_user::text", (), _STATEMENT_S)
    if rows[0][0] == role:
        raise ConfigurationError(f"role {role!r} is the administrator: a service needs a role of its own")


async def _make_role(session: DriverConnection, role: str, verifier: str) -> None:
    known = await session.fetch("SELECT 1 FROM pg_roles WHERE rolname = $1", (role,), _STATEMENT_S)
    verb = "ALTER" if known else "CREATE"
    await _run(session, f"{verb} ROLE {_name(role)} LOGIN PASSWORD {_text(verifier)}")


async def _make_database(session: DriverConnection, database: str, role: str) -> None:
    owners = await session.fetch(
        "SELECT pg_get_userbyid(datdba)::text FROM pg_database WHERE datname = $1", (database,), _STATEMENT_S
    )
    if not owners:
        options = f"OWNER {_name(role)} ENCODING 'UTF8' TEMPLATE template0"
        await _run(session, f"CREATE DATABASE {_name(database)} {options}")
    elif (owner := owners[0][0]) != role:
        raise ConfigurationError(f"database {database!r} belongs to {owner!r}, not to {role!r}")
    await _run(session, f"REVOKE ALL ON DATABASE {_name(database)} FROM PUBLIC")


async def _may_act_as(session: DriverConnection, role: str) -> None:
    """An administrator who is no superuser must be a member of the role to give it a database."""
    rows = await session.fetch("SELECT pg_has_role($1, 'USAGE')", (role,), _STATEMENT_S)
    if not rows[0][0]:
        await _run(session, f"GRANT {_name(role)} TO CURRENT_USER")


async def _run(session: DriverConnection, sql: str) -> None:
    try:
        await session.execute(sql, (), _STATEMENT_S)
    except Internal as error:  # 42501 above all: said by the server, and it holds no password
        raise ConfigurationError(f"PostgreSQL refused: {error.__cause__}") from error


def _check_name(name: str) -> None:
    if not name or len(name.encode()) > 63 or "\0" in name:
        raise ConfigurationError(f"{name!r} is no name for a database or role (1 to 63 bytes)")


def _name(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _text(value: str) -> str:
    return "'" + value.replace("'", "''") + "'"
