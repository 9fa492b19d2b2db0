"""Where a server's data lie, so that the user it runs as can reach them.

Rules that hold here:

* Modes of folders above are never changed. Where the server's user cannot reach the wanted folder, the data lie in
  ``/var/lib/focushub/<hash>``, the wanted place is a link to them, and one line says so.
* That link decides: moved along with the folder around it, it still leads to the data; removed, it leads to none, and
  new data begin; copied, it does not make two servers share their data.
"""

from __future__ import annotations

import hashlib
import os
import secrets
from dataclasses import dataclass
from pathlib import Path

from focushub_core.embedded.account import Account
from focushub_core.errors import ConfigurationError

STATE = Path("/var/lib/focushub")
OWNER = "of"
"""The file beside the data that says which link they were made for."""


@dataclass(frozen=True)
class Place:
    """``data``: where the data really lie. ``notice``: one line for people when that is not where they asked."""

    data: Path
    notice: str | None = None


def settle(wanted: Path, account: Account | None) -> Place:
    """Decide where the data of a server lie and make the folder above. Raises ConfigurationError."""
    wanted = Path(os.path.abspath(wanted))  # noqa: PTH100 - resolve() would follow the link made here
    try:
        wanted.parent.mkdir(parents=True, exist_ok=True)
        if account is None:
            return _own(wanted)
        if not wanted.is_symlink() and account.may("-x", wanted.parent):
            return Place(wanted)
        return _elsewhere(wanted, account)
    except OSError as error:
        raise ConfigurationError(f"cannot make {wanted}: {error.strerror}") from error


def _own(wanted: Path) -> Place:
    if wanted.exists() and wanted.stat().st_uid != os.geteuid():
        raise ConfigurationError(f"{wanted} belongs to another user: start as who made it, or remove it")
    return Place(wanted)


def _elsewhere(wanted: Path, account: Account) -> Place:
    if wanted.is_dir() and not wanted.is_symlink():
        raise ConfigurationError(f"user {account.name!r} owns {wanted} but cannot reach it")
    home = _linked(wanted) or _new_home(wanted)
    data = home / wanted.name
    if not account.may("-x", home):
        raise ConfigurationError(f"user {account.name!r} can reach neither {wanted.parent} nor {home}")
    (home / OWNER).write_text(str(wanted), encoding="utf-8")
    if not wanted.is_symlink() or wanted.readlink() != data:
        wanted.unlink(missing_ok=True)
        wanted.symlink_to(data)
    return Place(
        data, f"{wanted} lies in {data}: user {account.name!r}, who runs it, cannot enter {wanted.parent}"
    )


def _linked(wanted: Path) -> Path | None:
    """The folder that the link at ``wanted`` leads to, unless it is another link's, of which this is a copy."""
    if not wanted.is_symlink():
        return None
    data = wanted.readlink()
    home = data.parent
    try:
        owner = Path((home / OWNER).read_text(encoding="utf-8"))
    except OSError:
        return None
    is_copy = owner != wanted and owner.is_symlink() and owner.readlink() == data
    return home if home.parent == STATE and not is_copy else None


def _new_home(wanted: Path) -> Path:
    home = STATE / _short_hash(f"{wanted}:{secrets.token_hex()}")
    home.mkdir(parents=True)
    return home


def own_folder(folder: Path, account: Account | None) -> None:
    """Make an empty folder of mode 0700 that belongs to the server's user. Raises FileExistsError."""
    folder.mkdir(mode=0o700)
    if account is not None:
        os.chown(folder, account.uid, account.gid)


def write_private(path: Path, text: str, account: Account | None) -> None:
    """Write a file that is 0600 and the server's own from its first byte, all or nothing."""
    new = path.with_name(path.name + ".new")
    new.unlink(missing_ok=True)
    descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        if account is not None:
            os.fchown(descriptor, account.uid, account.gid)
        file.write(text)
    new.replace(path)


def _short_hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:16]
