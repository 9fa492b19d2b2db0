"""Passwords: argon2id (RFC 9106) with OWASP's parameters, off the event loop and bounded.

A hash takes about 20 ms of one core outside the GIL, so no more run at once than there are cores; who comes later
waits in line instead of slowing everybody.
"""

from __future__ import annotations

import asyncio
import os
from concurrent.futures import ThreadPoolExecutor

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError


class Passwords:
    """Hashes and verifies. `verify` costs one verification whether or not there is a hash to compare with."""

    def __init__(self) -> None:
        self._hasher = PasswordHasher(time_cost=2, memory_cost=19456, parallelism=1)
        self._threads = ThreadPoolExecutor(os.cpu_count() or 1, thread_name_prefix="argon2")
        self._nobody = self._hasher.hash(os.urandom(16).hex())

    async def hash(self, password: str) -> str:
        """The hash to store, with its parameters and salt in it."""
        return await asyncio.get_running_loop().run_in_executor(self._threads, self._hasher.hash, password)

    async def verify(self, stored: str | None, password: str) -> bool:
        """Whether ``password`` is the one that ``stored`` was made of; ``None``: there is no such account."""

        def compare() -> bool:
            try:
                return self._hasher.verify(stored or self._nobody, password)
            except (VerificationError, InvalidHashError):
                return False

        return await asyncio.get_running_loop().run_in_executor(self._threads, compare) and stored is not None

    def outdated(self, stored: str) -> bool:
        """Whether ``stored`` was made with other parameters, so that the next login should hash anew."""
        return self._hasher.check_needs_rehash(stored)
