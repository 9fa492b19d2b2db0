"""Which user runs a server: PostgreSQL refuses to run as root, and Valkey should not.

An ordinary user runs servers as itself. Root hands them to the owner of the data, where there is data; else to
who called sudo; else to an account that exists for this.
"""

# ruff: noqa: S603 - what is executed is found by `binaries`, or is the system's own sh and ps

from __future__ import annotations

import os
import pwd
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from focushub_core.errors import ConfigurationError

_FALLBACKS = ("postgres", "nobody", "daemon")


@dataclass(frozen=True)
class Account:
    """A user that a server runs as."""

    name: str
    uid: int
    gid: int

    def popen_options(self) -> dict[str, Any]:
        """Arguments for `subprocess.Popen` that start a process as this user, in no further group."""
        return {"user": self.uid, "group": self.gid, "extra_groups": []}

    def may(self, test: str, path: Path) -> bool:
        """Ask the system itself: ``test`` is an operator of ``test(1)``, such as ``-x``."""
        question = ["/bin/sh", "-c", 'test "$1" "$2"', "sh", test, str(path)]
        return subprocess.run(question, check=False, cwd="/", env={}, **self.popen_options()).returncode == 0


def server_account(
    data: Path, run_as: str | None = None, environ: Mapping[str, str] = os.environ
) -> Account | None:
    """The account to change to for a server on ``data``, None to stay who we are.

    Raises ConfigurationError when ``run_as`` does not exist or this process may not change to it.
    """
    if os.geteuid() != 0:
        if run_as is not None and run_as != pwd.getpwuid(os.geteuid()).pw_name:
            raise ConfigurationError(f"only root can run a server as {run_as!r}")
        return None
    if run_as is not None:
        return _named(run_as)
    for account in _candidates(data, environ):
        if account is not None and account.uid != 0:
            return account
    raise ConfigurationError("servers do not run as root, and there is no ordinary user to run them as")


def _candidates(data: Path, environ: Mapping[str, str]) -> Iterator[Account | None]:
    if data.exists():
        yield _by_uid(data.stat().st_uid)
    if environ.get("SUDO_UID", "").isdigit():
        yield _by_uid(int(environ["SUDO_UID"]))
    for name in _FALLBACKS:
        try:
            yield _named(name)
        except ConfigurationError:
            continue


def _named(name: str) -> Account:
    try:
        entry = pwd.getpwnam(name)
    except KeyError:
        raise ConfigurationError(f"there is no user {name!r} to run the server as") from None
    if entry.pw_uid == 0:
        raise ConfigurationError("PostgreSQL refuses to run as root: name another user")
    return Account(entry.pw_name, entry.pw_uid, entry.pw_gid)


def _by_uid(uid: int) -> Account | None:
    try:
        entry = pwd.getpwuid(uid)
    except KeyError:  # PostgreSQL's initdb needs a name for its user
        return None
    return Account(entry.pw_name, entry.pw_uid, entry.pw_gid)
