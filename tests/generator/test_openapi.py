"""`focushub openapi`: documents of the bundled stack, with nothing running and nothing set."""

import subprocess
import sys
from pathlib import Path

import msgspec
import pytest
from openapi_spec_validator import validate

EXAMPLE = Path(__file__).parents[2] / "examples" / "focushub"


def focushub(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "focushub_generator", "openapi", *arguments],
        cwd=EXAMPLE,
        env={"PATH": "/nowhere"},
        capture_output=True,
        text=True,
        timeout=60,
    )


@pytest.fixture(scope="module")
def merged():
    found = focushub()
    assert found.returncode == 0, found.stderr
    return msgspec.json.decode(found.stdout)


def test_the_merged_document_is_valid(merged):
    validate(merged)


def test_all_services_and_the_gateway_stand_in_it(merged):
    tags = {tag["name"] for tag in merged["tags"]}
    assert {"dashboard", "auth", "me", "projects", "tasks", "focus", "habits"} <= tags
    assert merged["info"]["title"] == "focushub"
    assert "x-unavailable" not in merged


def test_a_services_own_document_is_printed_as_it_prints_it_itself():
    found = focushub("--service", "task-service")
    document = msgspec.json.decode(found.stdout)
    validate(document)
    assert document["info"]["title"] == "task-service"
    assert all(path.startswith("/v1/") for path in document["paths"])


def test_an_unknown_service_is_one_clear_line():
    found = focushub("--service", "nope")
    assert (found.returncode, found.stdout) == (1, "")
    assert found.stderr == (
        "Error: there is no part nope with a document; there are gateway, auth-service, task-service, "
        "focus-service, habit-service\n"
    )
