"""Two services join a stack that its owner has edited: behind the token check, in health, metrics and documents."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import urllib.error
import urllib.request
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from .local import Local

pytestmark = pytest.mark.stack

ADD = [sys.executable, "-m", "focushub_generator", "add", "service"]


@pytest.fixture(scope="module")
def root(root: Path) -> Path:
    """The stack ``shop``, edited, with the services ``notes`` and ``order-book``."""
    file = root / "focushub.toml"
    file.write_text(file.read_text().replace("[gateway]", "# One is enough here.\n[gateway]  # mine"))
    for name in ("notes", "order-book"):
        subprocess.run([*ADD, name, str(root)], check=True, stdout=subprocess.DEVNULL)
    return root


@pytest.fixture(scope="module")
def token(shop: Local) -> str:
    """Ann's, who registered and logged in through the balancer."""
    ann = {"email": "ann@example.org", "password": "correct staple battery"}
    assert ask(shop, "POST", "/v1/auth/register", ann | {"display_name": "Ann"})[0] == 202
    status, tokens = ask(shop, "POST", "/v1/auth/login", ann)
    assert status == 200
    return str(tokens["access_token"])


def ask(
    shop: Local, method: str, path: str, body: object = None, token: str | None = None
) -> tuple[int, Any]:
    """Status and JSON of a request through the balancer."""
    headers = {"Content-Type": "application/json"}
    if token is not None:
        headers["Authorization"] = f"Bearer {token}"
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(shop.url + path, data, headers, method=method)
    try:
        with urllib.request.urlopen(request, timeout=20) as response:
            return response.status, json.load(response)
    except urllib.error.HTTPError as error:
        with error:
            return error.code, json.load(error)


def test_it_is_reached_through_the_balancer_and_kept_by_the_gateways_token_check(
    shop: Local, token: str
) -> None:
    status, problem = ask(shop, "GET", "/v1/notes")
    assert (status, problem["code"]) == (401, "unauthorized")
    status, made = ask(shop, "POST", "/v1/notes", {"text": "Buy milk"}, token)
    assert (status, made["text"]) == (201, "Buy milk")
    assert ask(shop, "GET", f"/v1/notes/{made['id']}", token=token) == (200, made)
    assert ask(shop, "GET", "/v1/notes", token=token)[1]["items"] == [made]


def test_it_is_healthy_and_status_says_so(shop: Local) -> None:
    notes = shop.parts()["notes-service"]
    assert notes.status == "healthy"
    status, health, _ = shop.ask("notes-service", "/health")
    assert (status, health["service"], health["database"]) == (200, "notes-service", "connected")


def test_it_has_a_database_of_its_own(shop: Local) -> None:
    done = shop.run("-m", "focushub_generator", "migrate", "--status")
    assert done.returncode == 0
    assert re.search(r"^notes-service +applied +0001_items\.sql ", done.stdout, re.MULTILINE)


def test_its_requests_are_in_its_metrics(shop: Local, token: str) -> None:
    assert ask(shop, "GET", "/v1/notes", token=token)[0] == 200
    with urllib.request.urlopen(f"{shop.parts()['notes-service'].url}/metrics", timeout=20) as response:
        text = response.read().decode()
    assert re.search(
        r'^http_requests_total{method="GET",route="/v1/notes",status="200"} ', text, re.MULTILINE
    )


def test_it_is_in_the_merged_document_and_its_schemas_are_not_anothers(shop: Local) -> None:
    status, document, _ = shop.get("/openapi.json")
    assert status == 200
    assert {"/v1/notes", "/v1/notes/{item_id}", "/v1/order-book", "/v1/tasks"} <= set(document["paths"])
    assert document["paths"]["/v1/notes"]["post"]["security"]


def test_its_own_tests_pass(shop: Local) -> None:
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"]
    environ = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
    done = subprocess.run(
        command, cwd=shop.root / "notes-service", env=environ, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stdout


def test_it_keeps_the_promises_when_it_is_killed_under_load(shop: Local) -> None:
    """As the others do, which are read and written meanwhile: nothing lost, nothing twice, nobody else disturbed."""
    done = shop.run(
        *("-m", "focushub_generator", "verify", str(shop.root)),
        *("--seconds", "8", "--service", "notes-service", "--json"),
    )
    assert done.returncode == 0, done.stdout + done.stderr
    found = json.loads(done.stdout)
    assert [kill["part"] for kill in found["kills"]] == ["gateway-1", "notes-service"]
    assert {"at rest", "gateway-1 killed", "notes-service killed"} == {row["during"] for row in found["rows"]}
    assert found["acknowledged"] > 50
    assert (found["lost"], found["twice"], found["astray"], found["broken"]) == (0, 0, 0, [])
    assert "write to /v1/projects, /v1/tasks, /v1/habits, /v1/notes, /v1/order-book" in done.stderr


def test_status_shows_where_the_balancer_sends_and_what_the_limits_let_in(shop: Local) -> None:
    words = ("-m", "focushub_generator", "status", str(shop.root))

    def settled() -> Any:
        """What it shows once nobody is left out for what was killed before."""
        found = json.loads(shop.run(*words, "--json").stdout)
        well = {one["state"] for one in found["upstreams"]} == {"up"}
        return found if well and {one["kept"] for one in found["limits"]} == {"shared"} else None

    found = shop.wait_for(settled, 60)
    balanced = [one for one in found["upstreams"] if one["seen_by"] == "load-balancer"]
    assert [(one["part"], one["state"]) for one in balanced] == [("gateway-1", "up"), ("gateway-2", "up")]
    assert {(one["kept_by"], one["kept"]) for one in found["limits"]} == {
        ("gateway-1", "shared"),
        ("gateway-2", "shared"),
    }
    shown = shop.run(*words).stdout
    assert re.search(r"^load-balancer +gateway-1 +up +0 +\d+", shown, re.MULTILINE)
    assert re.search(r"^gateways +shared +user +\d+ +0 +\d+ +\d+$", shown, re.MULTILINE)
    assert max(map(len, shown.splitlines())) <= 100


def test_a_further_one_joins_while_the_stack_runs_and_breaks_nothing(shop: Local) -> None:
    """It is there after the next start; until then its path is nobody's."""
    done = shop.run("-m", "focushub_generator", "add", "service", "wishes")
    assert done.returncode == 0, done.stderr
    assert ask(shop, "GET", "/v1/wishes")[0] == 404
    shop.wait_for(shop.is_well, 60)
