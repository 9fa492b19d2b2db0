"""What a new stack watches itself with: Prometheus, its alerts, a dashboard, and the containers of both profiles."""

from __future__ import annotations

import asyncio
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, contextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import yaml  # type: ignore[import-untyped]
from aiohttp.test_utils import TestServer

from focushub_core import Database, Secret, Service, get
from focushub_core.embedded.ports import free_port
from focushub_core.gateway import Gateway, GatewaySettings
from focushub_core.service import ServiceSettings
from focushub_core.stack import load
from focushub_generator import render
from focushub_generator.plan import plan
from focushub_generator.resources import inventory
from focushub_generator.spec import stack_spec

PARTS = ["auth-service", "task-service", "focus-service", "habit-service", "gateway", "load-balancer"]
PROMTOOL = shutil.which("promtool")
needs_promtool = pytest.mark.skipif(PROMTOOL is None, reason="promtool is not here (Debian: prometheus)")
KEYWORDS = frozenset(
    {"and", "or", "unless", "by", "without", "on", "ignoring", "group_left", "bool", "offset"}
)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A new stack's files."""
    return render.carry_out(plan(stack_spec("my-stack"), inventory()), tmp_path_factory.mktemp("monitoring"))


@pytest.fixture(scope="module")
def scraping(made: Path) -> dict[str, Any]:
    """Prometheus' configuration."""
    return dict(yaml.safe_load((made / "monitoring/prometheus/prometheus.yml").read_text()))


@pytest.fixture(scope="module")
def dashboard(made: Path) -> dict[str, Any]:
    """The dashboard."""
    return dict(json.loads((made / "monitoring/grafana/dashboards/stack.json").read_text()))


# What is scraped ----------------------------------------------------------------------------------------------


def test_every_part_is_scraped_under_its_name_at_its_port_each_replica_by_itself(
    made: Path, scraping: dict[str, Any]
) -> None:
    """By the name's addresses: a name alone would give one replica, another each time."""
    stack = load(made)
    ports = {service.name: service.port for service in stack.services.values()}
    ports |= {"gateway": stack.gateway.port, "load-balancer": stack.load_balancer.port}
    jobs = {job["job_name"]: job.get("dns_sd_configs") for job in scraping["scrape_configs"]}
    assert jobs.pop("prometheus") is None
    expected = {
        name: [{"names": [name], "type": "A", "port": port, "refresh_interval": "5s"}]
        for name, port in ports.items()
    }
    assert jobs == expected
    assert set(jobs) == set(PARTS)


@needs_promtool
def test_promtool_finds_nothing_wrong_with_configuration_and_alerts(made: Path) -> None:
    done = subprocess.run(
        [str(PROMTOOL), "check", "config", "prometheus.yml"],
        cwd=made / "monitoring/prometheus",
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert re.search(r"SUCCESS: \d+ rules found", done.stdout)


@needs_promtool
def test_alerts_fire_when_they_should_and_are_quiet_otherwise(made: Path) -> None:
    """By Prometheus' own unit tests for rules, in alerts_test.yml beside this file."""
    rules = (Path(__file__).parent / "alerts_test.yml").read_text()
    cases = made / "monitoring" / "alerts_test.yml"
    cases.write_text(rules)
    done = subprocess.run([str(PROMTOOL), "test", "rules", str(cases)], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def test_every_alert_fires_in_a_test(made: Path) -> None:
    tested = yaml.safe_load((Path(__file__).parent / "alerts_test.yml").read_text())["tests"]
    fired = {
        case["alertname"] for test in tested for case in test["alert_rule_test"] if case.get("exp_alerts")
    }
    assert fired == {rule["alert"] for rule in rules_of(made)}


# What is asked exists -------------------------------------------------------------------------------------------


class Samples(dict[str, set[str]]):
    """The metrics that parts expose: each sample's name, with the labels that it was seen to have."""

    def take(self, text: str) -> None:
        """Adds an answer of ``/metrics``, its samples and whatever is announced without one yet."""
        for name, kind in re.findall(r"^# TYPE (\w+) (\w+)", text, re.MULTILINE):
            suffixes = ("_bucket", "_count", "_sum") if kind == "histogram" else ("",)
            for suffix in suffixes:
                self.setdefault(name + suffix, set())
        for name, labels in re.findall(r"^(\w+)(?:\{([^}]*)\})? ", text, re.MULTILINE):
            self.setdefault(name, set()).update(re.findall(r'(\w+)="', labels))


class Notes(Service):
    """A service with a database."""

    name = "task-service"
    database = Database()

    @get("/v1/tasks")
    async def read(self) -> dict[str, str]:
        return {}


BALANCER = "from focushub_core.proxy.loadbalancer import LoadBalancer; LoadBalancer.run()"


@pytest.fixture
async def exposed(made: Path, database_url: str) -> AsyncIterator[Samples]:
    """What a service, a gateway and a load balancer that run expose after some requests."""
    stack = load(made)
    service = Notes(ServiceSettings(database_url=Secret(database_url)), stack=stack)
    away = GatewaySettings(
        port=0, auth_jwks_url="http://127.0.0.1:1/", redis_url=Secret("redis://127.0.0.1:1/0")
    )
    gateway = Gateway(away, stack=stack)
    found = Samples(up={"job", "instance"}, ALERTS={"alertname", "alertstate", "job", "instance"})
    async with AsyncExitStack() as running:
        server = await running.enter_async_context(TestServer(service.application()))
        found.take(await metrics_of(str(server.make_url("/"))))
        await gateway.listen()
        running.push_async_callback(gateway.stop, 0.0)
        found.take(await metrics_of(f"{gateway.url}/"))
        found.take(await metrics_of(running.enter_context(balancer(made))))
        yield found


@contextmanager
def balancer(stack: Path) -> Iterator[str]:
    """A load balancer in a process of its own, and its address; its gateway is away."""
    port = free_port()
    told = {"PORT": str(port), "GATEWAY_URLS": "http://127.0.0.1:1", "DRAIN_SECONDS": "0"}
    command = [sys.executable, "-c", BALANCER]
    with subprocess.Popen(command, cwd=stack, env=os.environ | told, stdout=subprocess.DEVNULL) as process:
        try:
            yield f"http://127.0.0.1:{port}/"
        finally:
            process.kill()


async def metrics_of(origin: str) -> str:
    """``/metrics`` after a few requests, so that series with labels exist."""
    async with aiohttp.ClientSession() as client, asyncio.timeout(20):
        for path in ("livez", "v1/tasks", "v1/nothing"):
            await asked(client, origin + path)
        return await asked(client, origin + "metrics")


async def asked(client: aiohttp.ClientSession, url: str) -> str:
    """The answer's text, once somebody listens."""
    while True:
        try:
            async with client.get(url) as answer:
                return await answer.text()
        except aiohttp.ClientConnectorError:
            await asyncio.sleep(0.05)


def names_in(query: str) -> set[str]:
    """The metrics that a PromQL expression names."""
    bare = re.sub(r'"[^"]*"', '""', query)
    bare = re.sub(r"\{[^}]*\}|\[[^\]]*\]|\b(?:by|without|on|ignoring) *\([^)]*\)", " ", bare)
    return set(re.findall(r"\b[a-zA-Z_]\w*\b(?! *\()", bare)) - KEYWORDS


def labels_in(query: str) -> set[str]:
    """The labels that a PromQL expression selects or groups by."""
    bare = re.sub(r'"[^"]*"', '""', query)
    selected = re.findall(r"(\w+) *(?:=~|!~|!=|=)", " ".join(re.findall(r"\{([^}]*)\}", bare)))
    grouped = re.findall(r"\w+", " ".join(re.findall(r"\b(?:by|without|on|ignoring) *\(([^)]*)\)", bare)))
    return {*selected, *grouped}


def rules_of(made: Path) -> list[dict[str, Any]]:
    """Every alert."""
    groups = yaml.safe_load((made / "monitoring/prometheus/alerts.yml").read_text())["groups"]
    return [rule for group in groups for rule in group["rules"]]


def queries_of(dashboard: dict[str, Any]) -> Iterator[str]:
    """Every query of the dashboard: panels, variables, annotations."""
    for panel in dashboard["panels"]:
        yield from (target["expr"] for target in panel.get("targets", []))
    yield from (annotation["expr"] for annotation in dashboard["annotations"]["list"])


async def test_dashboard_and_alerts_name_only_metrics_and_labels_that_parts_expose(
    made: Path, dashboard: dict[str, Any], exposed: Samples
) -> None:
    queries = [*queries_of(dashboard), *(rule["expr"] for rule in rules_of(made))]
    assert len(queries) > 25
    from_prometheus = {"job", "instance"}
    for query in queries:
        names = names_in(query)
        assert names, query
        assert names <= set(exposed), query
        labels = from_prometheus.union(*(exposed[name] for name in names))
        assert labels_in(query) <= labels, query


def test_every_panel_says_whose_data_it_shows_and_fits_beside_the_others(dashboard: dict[str, Any]) -> None:
    """From the datasource that is provisioned; no two panels lie on each other."""
    taken: set[tuple[int, int]] = set()
    for panel in dashboard["panels"]:
        if panel["type"] != "row":
            assert {target["datasource"]["uid"] for target in panel["targets"]} == {"prometheus"}
        place = panel["gridPos"]
        cells = {(place["x"] + x, place["y"] + y) for x in range(place["w"]) for y in range(place["h"])}
        assert not cells & taken, panel["title"]
        assert place["x"] + place["w"] <= 24
        taken |= cells
    ids = [panel["id"] for panel in dashboard["panels"]]
    assert len(ids) == len(set(ids))


def test_grafana_finds_its_datasource_and_its_dashboards_by_itself(made: Path) -> None:
    grafana = made / "monitoring/grafana"
    sources = yaml.safe_load((grafana / "provisioning/datasources/prometheus.yml").read_text())["datasources"]
    assert [(source["uid"], source["url"]) for source in sources] == [
        ("prometheus", "http://prometheus:9090")
    ]
    provider = yaml.safe_load((grafana / "provisioning/dashboards/stack.yml").read_text())["providers"][0]
    service = yaml.safe_load((made / "monitoring/compose.metrics.yml").read_text())["services"]["grafana"]
    mounted = {there: here for here, there, _ in (volume.split(":") for volume in service["volumes"][:2])}
    assert mounted[provider["options"]["path"]] == "./monitoring/grafana/dashboards"


# The containers -------------------------------------------------------------------------------------------------

PROFILES = {
    "metrics": ("monitoring", {"prometheus", "grafana"}),
    "logs": ("elk", {"elasticsearch", "elk-setup", "kibana", "filebeat"}),
}


@pytest.fixture(params=PROFILES)
def fragment(made: Path, request: pytest.FixtureRequest) -> tuple[str, dict[str, Any]]:
    """A profile's file."""
    return request.param, dict(yaml.safe_load((made / f"monitoring/compose.{request.param}.yml").read_text()))


def test_a_profile_holds_its_services_and_starts_none_unasked(fragment: tuple[str, dict[str, Any]]) -> None:
    profile, names = PROFILES[fragment[0]]
    services = fragment[1]["services"]
    assert set(services) == names
    assert all(service["profiles"] == [profile] for service in services.values())


def test_both_profiles_are_included(made: Path) -> None:
    included = yaml.safe_load((made / "docker-compose.yml").read_text())["include"]
    paths = [one["path"] for one in included if one["project_directory"] == "."]
    assert {"monitoring/compose.metrics.yml", "monitoring/compose.logs.yml"} <= set(paths)


def test_what_a_profile_publishes_is_for_this_machine_only(fragment: tuple[str, dict[str, Any]]) -> None:
    ports = [port for service in fragment[1]["services"].values() for port in service.get("ports", [])]
    assert ports
    assert all(port.startswith("127.0.0.1:") for port in ports)


def test_what_a_profile_mounts_is_there(made: Path, fragment: tuple[str, dict[str, Any]]) -> None:
    for service in fragment[1]["services"].values():
        for volume in service.get("volumes", []):
            here = volume.split(":")[0]
            if here.startswith("."):
                assert (made / here).exists(), here
                assert volume.endswith(":ro")
            elif not here.startswith("/"):
                assert here in fragment[1]["volumes"]


def test_what_a_profile_takes_from_env_is_in_the_example(
    made: Path, fragment: tuple[str, dict[str, Any]]
) -> None:
    text = (made / f"monitoring/compose.{fragment[0]}.yml").read_text()
    offered = set(re.findall(r"^(?:# )?([A-Z_]+)=", (made / ".env.example").read_text(), re.MULTILINE))
    of_compose = {"COMPOSE_PROJECT_NAME"}
    assert set(re.findall(r"(?<!\$)\${(\w+)", text)) <= offered | of_compose


@pytest.mark.parametrize(
    "file",
    [
        "docker-compose.yml",
        "docker-compose.override.yml",
        "monitoring/compose.metrics.yml",
        "monitoring/compose.logs.yml",
    ],
)
def test_the_compose_files_are_as_the_specification_wants(made: Path, file: str) -> None:
    command = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.compose-spec", file]
    done = subprocess.run(command, cwd=made, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


# The lines --------------------------------------------------------------------------------------------------------


def test_filebeat_may_add_to_the_stream_that_it_writes_and_to_no_other(made: Path) -> None:
    elk = made / "monitoring/elk"
    settings = yaml.safe_load((elk / "filebeat.yml").read_text())
    output = settings["output.elasticsearch"]
    setup = (elk / "setup.sh").read_text()
    body = re.search(r"/_security/role/stack_logs '(.*?)'", setup, re.DOTALL)
    assert body is not None
    role = json.loads(body[1])
    pattern, privileges = role["indices"][0]["names"][0], role["indices"][0]["privileges"]
    assert re.fullmatch(pattern.replace("*", ".*"), output["index"])
    assert privileges == ["auto_configure", "create_doc"]
    assert f"/_security/user/{output['username']}" in setup


def test_filebeat_reads_the_time_as_parts_write_it(made: Path) -> None:
    """Go's layout for what `focushub_core.telemetry.logs` writes: milliseconds and a Z."""
    processors = yaml.safe_load((made / "monitoring/elk/filebeat.yml").read_text())["processors"]
    stamp = next(one["timestamp"] for one in processors if "timestamp" in one)
    assert (stamp["field"], stamp["layouts"]) == ("ts", ["2006-01-02T15:04:05.999Z"])


def test_the_setup_script_is_a_sound_one(made: Path) -> None:
    script = made / "monitoring/elk/setup.sh"
    assert subprocess.run(["bash", "-n", str(script)]).returncode == 0
    service = yaml.safe_load((made / "monitoring/compose.logs.yml").read_text())["services"]["elk-setup"]
    used = set(re.findall(r"\$([A-Z_]+)", script.read_text()))
    assert used <= set(service["environment"])
