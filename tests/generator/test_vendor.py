"""The kit's wheel in `vendor/` is the kit that is installed here, packed again."""

from __future__ import annotations

import base64
import csv
import hashlib
import io
import zipfile
from importlib.metadata import PathDistribution, distribution
from pathlib import Path

import pytest

import focushub_core
from focushub_core.errors import ConfigurationError
from focushub_generator import vendor

VERSION = distribution(vendor.NAME).version
WHEEL = f"focushub_core-{VERSION}-py3-none-any.whl"
METADATA = f"focushub_core-{VERSION}.dist-info"


def test_it_has_both_packages_the_templates_and_the_metadata_but_no_bytecode(tmp_path: Path) -> None:
    vendor.write_wheel(tmp_path)
    with zipfile.ZipFile(tmp_path / WHEEL) as archive:
        names = set(archive.namelist())
    assert names >= {
        "focushub_core/__init__.py",
        "focushub_core/py.typed",
        "focushub_generator/cli.py",
        "focushub_generator/data/docker/Dockerfile.python",
        "focushub_generator/data/nginx/templates/default.conf.template",
        "focushub_generator/data/templates/overlays/base/.gitignore",
        "focushub_generator/data/templates/stack/{{cookiecutter.stack}}/.env.example",
        f"{METADATA}/METADATA",
        f"{METADATA}/RECORD",
        f"{METADATA}/WHEEL",
        f"{METADATA}/entry_points.txt",
    }
    assert [name for name in names if "__pycache__" in name or name.endswith((".pyc", "/.env"))] == []
    assert {name.split("/")[0] for name in names} == {"focushub_core", "focushub_generator", METADATA}


def test_its_record_lists_every_file_with_its_hash_and_size(tmp_path: Path) -> None:
    vendor.write_wheel(tmp_path)
    with zipfile.ZipFile(tmp_path / WHEEL) as archive:
        rows = list(csv.reader(io.StringIO(archive.read(f"{METADATA}/RECORD").decode())))
        recorded = {name: (digest, size) for name, digest, size in rows}
        assert recorded.pop(f"{METADATA}/RECORD") == ("", "")
        assert set(recorded) == set(archive.namelist()) - {f"{METADATA}/RECORD"}
        for name, (digest, size) in recorded.items():
            content = archive.read(name)
            expected = base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=").decode()
            assert (digest, size) == (f"sha256={expected}", str(len(content))), name


def test_the_same_files_give_the_same_bytes(tmp_path: Path) -> None:
    for folder in ("one", "two"):
        vendor.write_wheel(tmp_path / folder)
    assert (tmp_path / "one" / WHEEL).read_bytes() == (tmp_path / "two" / WHEEL).read_bytes()


def test_it_is_written_once_and_takes_the_place_of_another_versions(tmp_path: Path) -> None:
    (tmp_path / "focushub_core-0.0.1-py3-none-any.whl").write_bytes(b"old")
    (tmp_path / "other-1.0-py3-none-any.whl").write_bytes(b"other")
    assert vendor.write_wheel(tmp_path) == tmp_path / WHEEL
    assert vendor.write_wheel(tmp_path) is None
    assert sorted(path.name for path in tmp_path.iterdir()) == [WHEEL, "other-1.0-py3-none-any.whl"]


def test_a_failure_leaves_the_wheel_that_was_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "focushub_core-0.0.1-py3-none-any.whl").write_bytes(b"old")

    def full(self: Path, target: Path) -> Path:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "replace", full)
    with pytest.raises(OSError, match="No space"):
        vendor.write_wheel(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["focushub_core-0.0.1-py3-none-any.whl"]


def installed(folder: Path, record: str) -> PathDistribution:
    """A distribution as an installer leaves it, with just these files and this RECORD."""
    metadata = folder / "focushub_core-9.9.dist-info"
    metadata.mkdir(parents=True)
    (metadata / "METADATA").write_text("Metadata-Version: 2.4\nName: focushub-core\nVersion: 9.9\n")
    (metadata / "RECORD").write_text(record)
    for line in record.splitlines():  # from Python 3.12 on, files that are not there are not told
        file = folder / line.partition(",")[0]
        file.parent.mkdir(parents=True, exist_ok=True)
        file.touch()
    return PathDistribution(metadata)


def test_what_an_installer_adds_is_left_out(tmp_path: Path) -> None:
    kit = installed(
        tmp_path,
        "bin/focushub,,\n"
        "focushub_core/__init__.py,,\n"
        "focushub_core/__pycache__/__init__.cpython-311.pyc,,\n"
        "focushub_generator/data/templates/overlays/base/gateway/__pycache__/x.cpython-311.pyc,,\n"
        "focushub_core-9.9.dist-info/INSTALLER,,\n"
        "focushub_core-9.9.dist-info/METADATA,,\n"
        "focushub_core-9.9.dist-info/RECORD,,\n"
        "focushub_core-9.9.dist-info/REQUESTED,,\n"
        "focushub_core-9.9.dist-info/direct_url.json,,\n"
        "focushub_core-9.9.dist-info/licenses/LICENSE,,\n",
    )
    assert {name for name, _ in vendor.sources(kit)} == {
        "focushub_core/__init__.py",
        "focushub_core-9.9.dist-info/METADATA",
        "focushub_core-9.9.dist-info/licenses/LICENSE",
    }


def test_a_broken_installation_is_said_in_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(focushub_core, "__file__", str(tmp_path / "focushub_core" / "__init__.py"))
    kit = installed(tmp_path, "focushub_core-9.9.dist-info/METADATA,,\n")
    with pytest.raises(ConfigurationError, match="install it anew"):
        list(vendor.sources(kit))
