"""The Kubernetes base of a new stack: valid by current schemas, and the same stack as the others."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml  # type: ignore[import-untyped]

from focushub_core.stack import Stack, load
from focushub_generator import render
from focushub_generator.plan import plan
from focushub_generator.resources import inventory
from focushub_generator.spec import stack_spec

KUBECTL = shutil.which("kubectl")
Document = dict[str, Any]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A new stack's files."""
    return render.carry_out(plan(stack_spec("my-stack"), inventory()), tmp_path_factory.mktemp("kubernetes"))


@pytest.fixture(scope="module")
def base(made: Path) -> Path:
    """The folder that is applied."""
    return made / "kubernetes" / "base"


@pytest.fixture(scope="module")
def stack(made: Path) -> Stack:
    """What its file says."""
    return load(made)


@pytest.fixture(scope="module")
def documents(base: Path) -> list[Document]:
    """Every object that the kustomization names."""
    listed = yaml.safe_load((base / "kustomization.yaml").read_text())["resources"]
    return [document for file in listed for document in yaml.safe_load_all((base / file).read_text())]


def of_kind(documents: list[Document], kind: str) -> dict[str, Document]:
    return {document["metadata"]["name"]: document for document in documents if document["kind"] == kind}


def pods(documents: list[Document]) -> dict[str, Document]:
    """The pods' specs by the name of what makes them."""
    return {
        document["metadata"]["name"]: document["spec"]["template"]["spec"]
        for document in documents
        if document["kind"] in {"Deployment", "StatefulSet", "Job"}
    }


def environment(container: Document) -> dict[str, str]:
    """A container's variables; one from the secret as ``secret:KEY``."""
    return {
        one["name"]: one.get("value") or f"secret:{one['valueFrom']['secretKeyRef']['key']}"
        for one in container["env"]
    }


def validate(*files: Path) -> subprocess.CompletedProcess[str]:
    """By the schemas of the version of Kubernetes that kubernetes-validate is made for, unknown fields refused."""
    command = [sys.executable, "-m", "kubernetes_validate", "--strict", *map(str, files)]
    return subprocess.run(command, capture_output=True, text=True)


def test_every_object_is_valid_by_the_current_schemas(base: Path, documents: list[Document]) -> None:
    files = [file for file in sorted(base.glob("*.yaml")) if file.name != "kustomization.yaml"]
    done = validate(*files)
    assert done.returncode == 0, done.stdout + done.stderr
    assert (done.stdout + done.stderr).count(" passed for resource ") == len(documents)


@pytest.mark.skipif(KUBECTL is None, reason="kubectl is not here")
def test_kustomize_builds_it_and_the_whole_is_valid(base: Path, documents: list[Document]) -> None:
    done = subprocess.run([str(KUBECTL), "kustomize", str(base)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    whole = base.parent / "whole.yaml"
    whole.write_text(done.stdout)
    built = list(yaml.safe_load_all(done.stdout))
    assert validate(whole).returncode == 0
    assert len(built) == len(documents)
    assert {document["metadata"]["namespace"] for document in built} == {"my-stack"}
    images = {
        container["image"]
        for pod in pods(built).values()
        for container in [*pod["containers"], *pod.get("initContainers", [])]
    }
    ours = {f"my-stack-{name}:latest" for name in [*parts(load(base.parents[1])), "migrate"]}
    assert images == ours | {"postgres:17-alpine", "redis:7-alpine"}


def parts(stack: Stack) -> dict[str, int]:
    """Every HTTP part with its port."""
    services = {service.name: service.port for service in stack.services.values()}
    return services | {"gateway": stack.gateway.port, "load-balancer": stack.load_balancer.port}


def test_no_file_lies_there_unused(base: Path) -> None:
    listed = yaml.safe_load((base / "kustomization.yaml").read_text())["resources"]
    assert sorted([*listed, "kustomization.yaml"]) == sorted(path.name for path in base.iterdir())


def test_every_part_has_its_port_a_service_and_a_budget(documents: list[Document], stack: Stack) -> None:
    listening = {
        name: pod["containers"][0]["ports"][0]["containerPort"]
        for name, pod in pods(documents).items()
        if name in parts(stack)
    }
    services = {
        name: service["spec"]["ports"][0]["port"] for name, service in of_kind(documents, "Service").items()
    }
    assert listening == parts(stack)
    assert services == parts(stack) | {"postgres": 5432, "redis": 6379}
    assert set(of_kind(documents, "PodDisruptionBudget")) == set(parts(stack))


def test_what_kubernetes_sets_by_itself_cannot_be_read_as_a_setting(documents: list[Document]) -> None:
    """A Service called gateway would set GATEWAY_PORT=tcp://10.0.0.1:3000 in every pod."""
    assert {
        name for name, pod in pods(documents).items() if pod.get("enableServiceLinks") is not False
    } == set()


def test_every_container_runs_as_an_ordinary_user_and_may_do_nothing_special(
    documents: list[Document],
) -> None:
    for name, pod in pods(documents).items():
        assert pod["securityContext"]["runAsNonRoot"] is True, name
        assert pod["securityContext"]["runAsUser"] > 0
        assert pod["automountServiceAccountToken"] is False
        for container in [*pod["containers"], *pod.get("initContainers", [])]:
            context = container["securityContext"]
            assert (context["allowPrivilegeEscalation"], context["capabilities"]) == (
                False,
                {"drop": ["ALL"]},
            )
            assert context.get("readOnlyRootFilesystem") is (True if name != "postgres" else None)
            assert container["resources"]["limits"]["memory"]


def test_probes_ask_what_is_made_for_them_and_the_drain_fits_into_the_grace(
    documents: list[Document], stack: Stack
) -> None:
    """A dependency's outage must not restart a part: liveness asks nobody else."""
    for name in parts(stack):
        pod = pods(documents)[name]
        container = pod["containers"][0]
        asked = {
            probe: container[f"{probe}Probe"]["httpGet"]["path"]
            for probe in ("startup", "liveness", "readiness")
        }
        assert asked == {"startup": "/livez", "liveness": "/livez", "readiness": "/readyz"}
        assert pod["terminationGracePeriodSeconds"] >= 2 * int(environment(container)["DRAIN_SECONDS"])


def test_a_pod_knows_no_secret_but_its_own(documents: list[Document]) -> None:
    known = {}
    for name, pod in pods(documents).items():
        containers = [*pod["containers"], *pod.get("initContainers", [])]
        values = [value for one in containers for value in environment(one).values()]
        known[name] = {value.removeprefix("secret:") for value in values if value.startswith("secret:")}
    databases = {f"{key}_DATABASE_PASSWORD" for key in ("AUTH", "TASK", "FOCUS", "HABIT")}
    assert known == {
        "postgres": {"POSTGRES_PASSWORD"},
        "redis": {"REDIS_PASSWORD"},
        "migrate": {"POSTGRES_PASSWORD", *databases},
        "auth-service": {"REDIS_PASSWORD", "AUTH_DATABASE_PASSWORD", "AUTH_KEY_SECRET", "CURSOR_SECRET"},
        "task-service": {"REDIS_PASSWORD", "TASK_DATABASE_PASSWORD", "CURSOR_SECRET"},
        "focus-service": {"REDIS_PASSWORD", "FOCUS_DATABASE_PASSWORD", "CURSOR_SECRET"},
        "habit-service": {"REDIS_PASSWORD", "HABIT_DATABASE_PASSWORD", "CURSOR_SECRET"},
        "gateway": {"REDIS_PASSWORD"},
        "load-balancer": set(),
    }


def test_every_secret_is_one_of_env(made: Path, base: Path) -> None:
    """The secret `stack-secrets` is made from that file."""
    named = {name for file in base.glob("*.yaml") for name in re.findall(r"key: (\w+)", file.read_text())}
    offered = set(re.findall(r"^([A-Z_]+)=", (made / ".env.example").read_text(), re.MULTILINE))
    assert named <= offered


def test_a_variable_that_names_another_comes_behind_it(documents: list[Document]) -> None:
    """Kubernetes leaves ``$(NAME)`` as it is where NAME has not been said yet."""
    for pod in pods(documents).values():
        for container in [*pod["containers"], *pod.get("initContainers", [])]:
            said: set[str] = set()
            for one in container["env"]:
                assert set(re.findall(r"\$\((\w+)\)", one.get("value", ""))) <= said, one["name"]
                said.add(one["name"])


def test_a_service_finds_the_database_that_compose_gives_it(
    made: Path, documents: list[Document], stack: Stack
) -> None:
    compose = yaml.safe_load((made / "docker-compose.yml").read_text())["services"]
    for service in stack.services.values():
        variable = f"{service.variable}_DATABASE_URL"
        there = re.sub(r"\${(\w+):[^}]*}", r"$(\1)", compose[service.name]["environment"][variable])
        pod = pods(documents)[service.name]
        assert environment(pod["containers"][0])[variable] == there
        assert environment(pod["initContainers"][0])[variable] == there
        assert pod["initContainers"][0]["command"][-1] == service.name


def test_gateways_know_among_how_many_the_limits_are_shared(documents: list[Document]) -> None:
    gateway = of_kind(documents, "Deployment")["gateway"]["spec"]
    told = environment(gateway["template"]["spec"]["containers"][0])["GATEWAY_REPLICAS"]
    assert told == str(gateway["replicas"])


def test_the_edge_passes_what_nginx_passes_and_nothing_else(made: Path, documents: list[Document]) -> None:
    paths = {
        (path["path"], path["pathType"], path["backend"]["service"]["name"])
        for rule in of_kind(documents, "Ingress")["edge"]["spec"]["rules"]
        for path in rule["http"]["paths"]
    }
    prefixes = {("/v1", "Prefix"), ("/docs", "Prefix"), ("/console", "Prefix"), ("/.well-known", "Prefix")}
    exact = {("/openapi.json", "Exact"), ("/health", "Exact")}
    assert paths == {(*path, "load-balancer") for path in prefixes | exact}


def test_from_outside_the_namespace_only_the_load_balancer_is_reachable(documents: list[Document]) -> None:
    policies = of_kind(documents, "NetworkPolicy")
    assert policies["within"]["spec"]["podSelector"] == {}
    assert policies["within"]["spec"]["ingress"] == [{"from": [{"podSelector": {}}]}]
    assert policies["edge"]["spec"]["podSelector"] == {"matchLabels": {"app": "load-balancer"}}
    assert set(policies) == {"within", "edge"}
