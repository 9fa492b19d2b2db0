"""Where a server's data and its socket lie, so that the user it runs as can reach them.

Rules that hold here:

* Modes of folders above are never changed. Where the server's user cannot reach the wanted folder, the data lie in
  ``/var/lib/focushub/<hash>``, the wanted place is a link to them, and one line says so.
* That link decides: moved along with the folder around it, it still leads to the data; removed, it leads to none, and
  new data begin; copied, it does not make two servers share their data.
* The socket's folder is short (a socket's path may have 104 bytes), 0700, the server's own, and outside the data.
"""

from __future__ import annotations

import hashlib
import os
import secrets
import shutil
import stat
import tempfile
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


def private_folder(data: Path, account: Account | None) -> Path:
    """A short folder of mode 0700 that only the server's user can enter; the same one for the same data."""
    base = Path("/tmp") if os.access("/tmp", os.W_OK) else Path(tempfile.gettempdir())  # noqa: S108 - 0700, owner checked
    owner = os.geteuid() if account is None else account.uid
    folder = base / f"focushub-{_short_hash(f'{owner}:{data}')}"
    try:
        own_folder(folder, account)
    except FileExistsError:
        _refuse_foreign(folder, owner)
    return folder


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


def empty(folder: Path) -> None:
    """Remove what a killed server left: sockets, their locks, a password file."""
    for path in folder.iterdir():
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)


def _refuse_foreign(folder: Path, owner: int) -> None:
    found = folder.lstat()
    private = stat.S_IMODE(found.st_mode) & 0o077 == 0
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != owner or not private:
        raise ConfigurationError(f"{folder} should be a private folder of ours and is not: remove it")


def _short_hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:16]
