"""What only containers have: images, an order of starting, an edge, addresses that change."""

from __future__ import annotations

import http.client
import json
import re
import subprocess
import tarfile
import zlib
from collections.abc import Iterator
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import IO

import pytest

from .compose import PYTHON_PARTS, Compose, docker, missing
from .runtime import DEVELOPMENT, FOCUSHUB, PRODUCTION, SERVICES, fetch

both = pytest.mark.parametrize("stack", [DEVELOPMENT, PRODUCTION], indirect=True)
development = pytest.mark.parametrize("stack", [DEVELOPMENT], indirect=True)
production = pytest.mark.parametrize("stack", [PRODUCTION], indirect=True)

# Starting ----------------------------------------------------------------------------------------------------------


@both
def test_each_part_started_when_those_that_it_needs_were_there(stack: Compose) -> None:
    states = {name: container["State"] for name, container in stack.containers().items()}
    migrated = states["migrate"]["FinishedAt"]
    gateways = [name for name in states if name.startswith("gateway-")]
    order = [
        states["postgres"]["StartedAt"],
        states["migrate"]["StartedAt"],
        migrated,
        *sorted(states[name]["StartedAt"] for name in SERVICES),
        *sorted(states[name]["StartedAt"] for name in gateways),
        states["load-balancer"]["StartedAt"],
        states["nginx"]["StartedAt"],
    ]
    assert order == sorted(order)
    assert states["migrate"]["ExitCode"] == 0


@both
def test_bringing_the_databases_up_to_date_again_changes_nothing(stack: Compose) -> None:
    said = stack.must("run", "--rm", "--no-deps", "-T", "migrate")
    assert "applied" not in said


@development
def test_every_curl_of_its_readme_answers(stack: Compose) -> None:
    shown = re.findall(r"^    curl (http://\S+)", (stack.root / "README.md").read_text(), re.MULTILINE)
    assert len(shown) == 7
    for url in shown:
        status, health, _ = fetch(url)
        assert (status, health["status"]) == (200, "healthy"), url


@development
def test_a_part_starts_again_when_its_sources_change(stack: Compose) -> None:
    source = stack.root / "task-service" / "task_service" / "__init__.py"
    source.write_text(source.read_text() + "\n# changed\n")

    def starts() -> int:
        return stack.must("logs", "task-service").count("listening on")

    before = starts()
    stack.wait_for(lambda: starts() == before + 1, 30)
    assert stack.ask("task-service", "/health").status == 200


@pytest.mark.docker
def test_without_its_secrets_nothing_starts_and_it_says_what_to_do(tmp_path: Path) -> None:
    reason = missing()
    if reason is not None:
        pytest.skip(reason)
    root = tmp_path / "shop"
    subprocess.run([*FOCUSHUB, "generate", str(root)], check=True, stdout=subprocess.DEVNULL)
    (root / ".env").unlink()
    done = Compose(root, "production").compose("config")
    assert done.returncode != 0
    assert "run focushub prepare" in done.stderr


@production
def test_a_service_that_joined_is_behind_the_gateways_token_check(stack: Compose) -> None:
    assert stack.parts()["notes-service"].status == "healthy"
    status, problem, _ = stack.get("/v1/notes")
    assert (status, problem["code"]) == (401, "unauthorized")


# What is published, and what is inside -------------------------------------------------------------------------------


@production
def test_nothing_but_nginx_is_published(stack: Compose) -> None:
    assert _published(stack) == {"nginx": ["0.0.0.0:80", ":::80"]}


@development
def test_the_parts_are_published_on_this_machine_only(stack: Compose) -> None:
    published = _published(stack)
    del published["nginx"]
    assert set(published) == {*PYTHON_PARTS, "redis"}
    assert all(address.startswith("127.0.0.1:") for found in published.values() for address in found)


def _published(stack: Compose) -> dict[str, list[str]]:
    found = {
        name: [
            f"{address['HostIp']}:{address['HostPort']}"
            for addresses in container["NetworkSettings"]["Ports"].values()
            for address in addresses or ()
        ]
        for name, container in stack.containers().items()
    }
    return {name: addresses for name, addresses in found.items() if addresses}


@production
@pytest.mark.parametrize("part", [*PYTHON_PARTS, "redis"])
def test_a_part_is_an_ordinary_user_who_can_gain_nothing(stack: Compose, part: str) -> None:
    container = stack.containers()[part]
    status = docker("exec", container["Id"], "cat", "/proc/1/status")
    facts = dict(re.findall(r"^(\w+):\s+(.*)$", status, re.MULTILINE))
    assert "0" not in facts["Uid"].split()
    assert (int(facts["CapEff"], 16), facts["NoNewPrivs"]) == (0, "1")


@production
def test_no_secret_is_in_any_layer_of_any_image(stack: Compose) -> None:
    env = (stack.root / ".env").read_text()
    secrets = [value.encode() for value in re.findall(r"^\w+_(?:PASSWORD|SECRET)=(\S+)$", env, re.MULTILINE)]
    assert len(secrets) > 5
    parts = stack.containers()
    images = {parts[name]["Image"] for name in (*PYTHON_PARTS, "migrate")}
    with subprocess.Popen(["docker", "save", *images], stdout=subprocess.PIPE) as saving:
        assert saving.stdout is not None
        read = 0
        for content in _layers(saving.stdout):
            read += len(content)
            assert not any(secret in content for secret in secrets)
    assert read > 10_000_000


def _layers(saved: IO[bytes]) -> Iterator[bytes]:
    """Every file of `docker save`, unpacked where the engine packs its layers."""
    with tarfile.open(fileobj=saved, mode="r|") as archive:
        for member in archive:
            if not member.isreg():
                continue
            file = archive.extractfile(member)
            assert file is not None
            content = file.read()
            yield zlib.decompress(content, 31) if content.startswith(b"\x1f\x8b") else content


# The edge ----------------------------------------------------------------------------------------------------------


@production
def test_nginx_finds_its_configuration_good(stack: Compose) -> None:
    done = stack.compose("exec", "-T", "nginx", "nginx", "-t")
    assert done.returncode == 0, done.stderr
    assert "warn" not in done.stderr


@production
@pytest.mark.parametrize(
    ("field", "value", "status", "code"),
    [
        ("Content-Length", "1100000", 413, "payload_too_large"),
        ("X-Long", "x" * 20_000, 431, "header_too_large"),
        ("Host", "a b", 400, "bad_request"),
    ],
)
def test_nginx_refuses_what_is_too_large_or_malformed_with_a_problem(
    stack: Compose, field: str, value: str, status: int, code: str
) -> None:
    connection = http.client.HTTPConnection("localhost", 80, timeout=5)
    connection.putrequest("POST", "/v1/tasks", skip_host=field == "Host")
    connection.putheader(field, value)
    connection.endheaders()
    with closing(connection), connection.getresponse() as answer:
        problem = json.load(answer)
        assert answer.headers["Content-Type"] == "application/problem+json"
    assert (answer.status, problem["status"], problem["code"]) == (status, status, code)
    assert problem["request_id"] == answer.headers["X-Request-Id"]


LOGIN = """
import json, sys, urllib.error, urllib.request
statuses = []
for number in range(int(sys.argv[1])):
    body = json.dumps({"email": "nobody@example.com", "password": "not the right one"}).encode()
    forged = {"X-Forwarded-For": f"198.51.100.{number}", "X-Real-IP": "198.51.100.9"}
    headers = {"Content-Type": "application/json", **forged}
    try:
        urllib.request.urlopen(urllib.request.Request("http://nginx/v1/auth/login", body, headers), timeout=10)
    except urllib.error.HTTPError as error:
        statuses.append(error.code)
print(json.dumps(statuses))
"""


@production
def test_who_is_limited_is_the_client_before_nginx_whatever_it_says_of_itself(stack: Compose) -> None:
    """Two clients at once, so that each has an address of its own: the first one's haste is not the other's."""
    hasty, patient = _client(stack), _client(stack)
    try:
        statuses = _log_in(hasty, 40)
        assert set(statuses) == {401, 429}
        assert 29 <= statuses.index(429) <= 35
        assert _log_in(patient, 3) == [401, 401, 401]
        assert 429 in _log_in(hasty, 10)
    finally:
        docker("rm", "--force", hasty, patient)


def _client(stack: Compose) -> str:
    """A container on the stack's network, as a client that has an address of its own; its id."""
    image = stack.containers()["gateway-1"]["Image"]
    network = f"{stack.project}_default"
    return docker("run", "--detach", "--network", network, "--entrypoint", "sleep", image, "600").strip()


def _log_in(client: str, times: int) -> list[int]:
    return list(json.loads(docker("exec", client, "python", "-c", LOGIN, str(times))))


@production
@pytest.mark.parametrize("part", ["load-balancer", "task-service"])
def test_a_container_that_comes_back_under_another_address_is_found(stack: Compose, part: str) -> None:
    before = _address(stack, part)
    stack.must("rm", "--stop", "--force", part)
    squatter = _client(stack)  # takes the address that has become free
    try:
        stack.must("up", "--detach", "--no-deps", part)
        assert _address(stack, part) != before
        stack.wait_for(stack.is_well, 30)
        stack.wait_for(lambda: stack.get("/health")[0] == 200, 15)
        # Each gateway, in its turn, finds all services; the one that moved within the interval of look-ups.
        stack.wait_for(lambda: all(_finds_all(stack) for _ in range(4)), 15)
        assert stack.run("tests/journey.py", "--url", stack.url).returncode == 0
    finally:
        docker("rm", "--force", squatter)


@production
def test_a_gateway_that_joins_or_goes_is_found_by_the_name_that_all_share(stack: Compose) -> None:
    def are_known(count: int) -> bool:
        upstreams = stack.ask("load-balancer", "/readyz?verbose").body["upstreams"]
        assert {upstream["origin"] for upstream in upstreams} == {"http://gateway:3000"}
        return [upstream["state"] for upstream in upstreams] == ["up"] * count

    for gateways in (2, 3, 2):
        stack.must(
            "up", "--detach", "--no-deps", "--no-recreate", "--scale", f"gateway={gateways}", "gateway"
        )
        stack.wait_for(partial(are_known, gateways), 30)
        assert {stack.get("/v1/tasks")[0] for _ in range(12)} == {401}


def _finds_all(stack: Compose) -> bool:
    """Whether the gateway whose turn it is reaches every service: its document would name one that it does not."""
    status, document, _ = stack.get("/openapi.json")
    return status == 200 and document.get("x-unavailable") is None


def _address(stack: Compose, part: str) -> str:
    networks = stack.containers()[part]["NetworkSettings"]["Networks"]
    return str(networks[f"{stack.project}_default"]["IPAddress"])
