"""What the images install is pinned, with hashes, and fits what the kit and the parts name.

Where one of these fails: ``tox -e pins``, then commit what it wrote.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator
from importlib.metadata import distribution
from pathlib import Path
from typing import Any

import pytest
from packaging.markers import default_environment
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from focushub_generator.resources import data_root, inventory

ROOT = Path(__file__).resolve().parents[2]
IMAGE: dict[str, str] = {
    **{name: str(value) for name, value in default_environment().items()},
    "sys_platform": "linux",
    "platform_system": "Linux",
    "python_version": "3.13",
    "python_full_version": "3.13.0",
}
ENTRY = re.compile(r"^([a-z0-9-]+)==(\S+) \\\n((?: +--hash=sha256:[0-9a-f]{64}(?: \\)?\n)+)", re.MULTILINE)
HINT = "run tox -e pins"


def pins() -> dict[str, str]:
    text = (data_root() / "docker" / "requirements.txt").read_text(encoding="utf-8")
    return {name: version for name, version, _ in ENTRY.findall(text)}


def project(file: Path) -> Any:
    return tomllib.loads(file.read_text(encoding="utf-8"))["project"]


def named() -> Iterator[tuple[str, str]]:
    """Every dependency that the kit or a part names, and who does."""
    yield from (("the kit", line) for line in project(ROOT / "pyproject.toml")["dependencies"])
    for file in inventory():
        if re.fullmatch(r"templates/overlays/\w+/[a-z-]+/pyproject\.toml", file):
            part = project(data_root() / file)
            yield from ((part["name"], line) for line in part["dependencies"])


@pytest.mark.parametrize(("owner", "line"), list(named()))
def test_what_is_named_is_pinned_in_a_version_that_fits(owner: str, line: str) -> None:
    wanted = Requirement(line)
    pinned = pins().get(canonicalize_name(wanted.name))
    assert pinned is not None, f"{owner} names {line}: {HINT}"
    assert wanted.specifier.contains(pinned, prereleases=True), f"{owner} names {line}: {HINT}"


def test_what_these_need_in_turn_is_pinned() -> None:
    """As far as what is installed here says; the images' own build looks at the very versions."""
    kept = pins()
    missing = {
        f"{name} needs {needed.name}"
        for name in kept
        for needed in _needed(name)
        if canonicalize_name(needed.name) not in kept
    }
    assert missing == set(), HINT


def _needed(name: str) -> Iterator[Requirement]:
    for line in distribution(name).requires or ():
        requirement = Requirement(line)
        if requirement.marker is None or requirement.marker.evaluate({**IMAGE, "extra": ""}):
            yield requirement


def test_every_pin_has_its_hashes_and_no_index_is_named() -> None:
    text = (data_root() / "docker" / "requirements.txt").read_text(encoding="utf-8")
    rest = re.sub(r"^ *#.*\n", "", ENTRY.sub("", text), flags=re.MULTILINE)
    assert rest.strip() == ""
    assert "://" not in text


def test_the_images_are_of_the_python_that_is_pinned_for() -> None:
    dockerfile = (data_root() / "docker" / "Dockerfile.python").read_text(encoding="utf-8")
    pin = (data_root() / "docker" / "pin").read_text(encoding="utf-8")
    found = re.search(r"^FROM python:(\d+\.\d+)-slim", dockerfile, re.MULTILINE)
    assert found is not None
    assert f"--python-version {found[1]} " in pin
