"""The kit's wheel, for a stack's images: packed again from what is installed here.

Rules that hold here:

* Nothing is fetched and nothing is built by a foreign tool, so it works offline and in a bare installation.
* The same files give the same bytes: sorted names, one date, modes reduced to the run bit.
* The names inside are those of the wheel that `pip` installed; for an editable installation the checkout's files stand
  at the places that ``pyproject.toml`` gives them. Its metadata are those of the installation: after a change of
  the dependencies install the checkout again.
"""

from __future__ import annotations

import base64
import hashlib
import io
import os
import tempfile
import tomllib
import zipfile
from collections.abc import Iterator
from importlib.metadata import Distribution, distribution
from pathlib import Path

import focushub_core
from focushub_core.errors import ConfigurationError

from .resources import files_below, is_kept

NAME = "focushub-core"
PACKAGES = ("focushub_core/", "focushub_generator/")
METADATA = ("METADATA", "WHEEL", "entry_points.txt", "licenses/")
EPOCH = (2020, 2, 2, 0, 0, 0)


def write_wheel(folder: Path) -> Path | None:
    """Makes ``folder`` hold exactly this kit's wheel; gives its path if it was written, else `None`."""
    kit = distribution(NAME)
    path = folder / f"focushub_core-{kit.version}-py3-none-any.whl"
    content = pack(dict(sources(kit)), f"focushub_core-{kit.version}.dist-info")
    if path.is_file() and path.read_bytes() == content:
        return None
    folder.mkdir(exist_ok=True)
    _write_at_once(path, content)
    for other in folder.glob("focushub_core-*.whl"):
        if other != path:
            other.unlink()
    return path


def sources(kit: Distribution) -> Iterator[tuple[str, Path]]:
    """Every file of the wheel but its RECORD: the name inside, and where it lies here."""
    recorded = {file.as_posix(): Path(str(file.locate())) for file in kit.files or ()}
    metadata = f"focushub_core-{kit.version}.dist-info/"
    kept = tuple(metadata + name for name in METADATA)
    yield from ((name, path) for name, path in recorded.items() if name.startswith(kept))
    if "focushub_core/__init__.py" in recorded:
        packed = {name: path for name, path in recorded.items() if name.startswith(PACKAGES)}
        yield from ((name, path) for name, path in packed.items() if is_kept(tuple(name.split("/"))))
    else:
        yield from _checkout(Path(focushub_core.__file__).resolve().parents[1])


def _checkout(root: Path) -> Iterator[tuple[str, Path]]:
    """The checkout's files under the names that its ``pyproject.toml`` gives them in a wheel."""
    try:
        project = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ConfigurationError(
            f"focushub-core in {root} is no whole installation; install it anew"
        ) from None
    wheel = project["tool"]["hatch"]["build"]["targets"]["wheel"]
    for folder in wheel["only-include"]:
        inside = wheel["sources"].get(folder, folder)
        yield from ((f"{inside}/{file}", root / folder / file) for file in files_below(root / folder))


def pack(files: dict[str, Path], metadata: str) -> bytes:
    """A wheel of ``files``, its RECORD at ``metadata/RECORD`` (the format of PEP 427)."""
    buffer = io.BytesIO()
    record = []
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        for name in sorted(files):
            content = files[name].read_bytes()
            archive.writestr(_entry(name, executable=os.access(files[name], os.X_OK)), content)
            digest = base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=").decode()
            record.append(f"{_quoted(name)},sha256={digest},{len(content)}\n")
        own = f"{metadata}/RECORD"
        archive.writestr(_entry(own, executable=False), "".join([*record, f"{own},,\n"]))
    return buffer.getvalue()


def _entry(name: str, *, executable: bool) -> zipfile.ZipInfo:
    entry = zipfile.ZipInfo(name, EPOCH)
    entry.compress_type = zipfile.ZIP_DEFLATED
    entry.external_attr = (0o100755 if executable else 0o100644) << 16
    return entry


def _quoted(name: str) -> str:
    """A name as RECORD's CSV wants it."""
    return f'"{name}"' if "," in name else name


def _write_at_once(path: Path, content: bytes) -> None:
    handle, unnamed = tempfile.mkstemp(dir=path.parent, prefix=".wheel-")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
        Path(unnamed).chmod(0o644)
        Path(unnamed).replace(path)
    except BaseException:
        Path(unnamed).unlink(missing_ok=True)
        raise
