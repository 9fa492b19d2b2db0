"""Accounts: registering and logging in.

Rules that hold here:

* Nothing tells whether an address has an account: registering answers the same for a new and for a taken one, and
  hashes once either way; a login that fails has one status, code and body for every reason (OWASP Authentication).
* A login costs one Argon2 verification, whatever the account: unknown, disabled or with another password.
* The database decides who was first: one address, one account, however many register at once.
"""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

import msgspec
from msgspec import Meta
from uuid_utils.compat import uuid7

from focushub_core import Answer, Body, Database, Routes, Rule, Unauthorized
from focushub_core.database import retry_conflicts
from focushub_core.identity.passwords import Passwords
from stack_shared.zones import ZoneName

from . import addresses, profiles
from .day_settings import DayCache
from .password_rules import MAX_LENGTH, weakness
from .profiles import DisplayName
from .sessions import Sessions, Tokens

Address = Annotated[str, Meta(max_length=320)]
Password = Annotated[str, Meta(max_length=MAX_LENGTH)]
DeviceName = Annotated[str, Meta(max_length=100)]

_INSERT = """
    INSERT INTO users (id, email, email_norm, password_hash) VALUES ($1, $2, $3, $4)
    ON CONFLICT (email_norm) DO NOTHING RETURNING id
"""
_SELECT = "SELECT id, password_hash, status FROM users WHERE email_norm = $1"
_REHASH = "UPDATE users SET password_hash = $3 WHERE id = $1 AND password_hash = $2"


class NewAccount(Body, frozen=True):
    """``POST /v1/auth/register``"""

    email: Annotated[Address, Rule("invalid_email", addresses.why_none)]
    password: Annotated[Password, Rule("weak_password", weakness)]
    display_name: DisplayName | None = None
    timezone: ZoneName = "UTC"


class Login(Body, frozen=True):
    """``POST /v1/auth/login``"""

    email: Address
    password: Password
    device_name: DeviceName | None = None


class Message(msgspec.Struct, frozen=True):
    """A sentence for people."""

    message: str


class _Account(msgspec.Struct, frozen=True):
    id: UUID
    password_hash: str
    status: str


class Accounts:
    """The accounts in ``database``."""

    def __init__(self, database: Database, passwords: Passwords, days: DayCache) -> None:
        self._database = database
        self._passwords = passwords
        self._days = days

    async def register(self, wish: NewAccount) -> None:
        """Makes an account unless its address has one."""
        password_hash = await self._passwords.hash(wish.password)
        user_id = await self._insert(wish, password_hash)
        if user_id is not None:
            await self._days.publish(user_id)

    async def authenticate(self, email: str, password: str) -> UUID:
        """The id of the active account with this address and password; raises `Unauthorized` for any other."""
        address = addresses.normalise(email)
        account = await self._database.one(_Account, _SELECT, address) if address else None
        right = await self._passwords.verify(account.password_hash if account else None, password)
        if account is None or not right or account.status != "active":
            raise Unauthorized("The address or the password is wrong.", code="invalid_credentials")
        if self._passwords.outdated(account.password_hash):
            renewed = await self._passwords.hash(password)
            await self._database.execute(_REHASH, account.id, account.password_hash, renewed)
        return account.id

    @retry_conflicts()
    async def _insert(self, wish: NewAccount, password_hash: str) -> UUID | None:
        """The new account's id; ``None`` where the address has one."""
        address = addresses.normalise(wish.email)
        async with self._database.transaction() as transaction:
            user_id: UUID | None = await transaction.fetchval(
                _INSERT, uuid7(), wish.email, address, password_hash
            )
            if user_id is not None:
                await profiles.create(transaction, user_id, wish.display_name, wish.timezone)
        return user_id


routes = Routes("/v1/auth")


@routes.post("/register", status=202)
async def register(body: NewAccount, accounts: Accounts) -> Message:
    """Makes an account. The answer is the same where the address has one."""
    await accounts.register(body)
    return Message("Thank you. If this address had no account, it has one now.")


@routes.post("/login", raises=[Unauthorized(code="invalid_credentials")])
async def login(body: Login, accounts: Accounts, sessions: Sessions) -> Answer[Tokens]:
    """Begins a session."""
    user_id = await accounts.authenticate(body.email, body.password)
    return (await sessions.start(user_id, body.device_name)).answer()
