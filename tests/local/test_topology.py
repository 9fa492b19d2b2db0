"""What is started, where, and what each part is told."""

from __future__ import annotations

from pathlib import Path

import pytest

from focushub_core.errors import ConfigurationError
from focushub_core.stack import Stack, parse
from focushub_generator.local import topology
from focushub_generator.local.topology import Options

FILE = """
[stack]
name = "small"
[load-balancer]
port = 8080
[gateway]
port = 3000
[services.auth]
port = 3001
database = "small_auth"
prefixes = ["/v1/auth"]
[services.order-book]
port = 3002
database = "small_orders"
prefixes = ["/v1/orders"]
[services.plain]
port = 3003
prefixes = ["/v1/plain"]
"""


@pytest.fixture
def stack() -> Stack:
    return parse(FILE, Path("/srv/a stack"))


def ports(stack: Stack, options: Options) -> dict[str, int]:
    return {part.name: part.port for part in topology.http_parts(stack, options)}


def test_parts_stand_where_the_file_says(stack: Stack) -> None:
    assert ports(stack, Options()) == {
        "auth-service": 3001,
        "order-book-service": 3002,
        "plain-service": 3003,
        "gateway-1": 3000,
        "gateway-2": 3100,
        "load-balancer": 8080,
    }


def test_an_offset_moves_every_port_alike(stack: Stack) -> None:
    moved = ports(stack, Options(port_offset=500))
    assert moved == {name: port + 500 for name, port in ports(stack, Options()).items()}


def test_a_number_of_gateways_replaces_that_of_the_file(stack: Stack) -> None:
    assert {name for name in ports(stack, Options(gateways=3)) if "gateway" in name} == {
        "gateway-1",
        "gateway-2",
        "gateway-3",
    }


@pytest.mark.parametrize(
    ("without", "left"),
    [
        ((), 6),
        (("plain-service",), 5),
        (("gateway",), 4),
        (("gateway-2", "load-balancer"), 4),
    ],
)
def test_parts_are_left_out_by_name_or_folder(stack: Stack, without: tuple[str, ...], left: int) -> None:
    assert len(topology.started(topology.http_parts(stack, Options()), without)) == left


def test_an_unknown_part_to_leave_out_is_named_with_those_there_are(stack: Stack) -> None:
    with pytest.raises(
        ConfigurationError, match="no part nix; the parts are auth-service, order-book-service"
    ):
        topology.started(topology.http_parts(stack, Options()), ["nix"])


def test_the_first_gateway_is_meant_by_its_folder(stack: Stack) -> None:
    assert topology.find_part(topology.http_parts(stack, Options()), "gateway").name == "gateway-1"


@pytest.mark.parametrize(
    ("admin", "expected"),
    [
        ("postgresql://postgres:x@127.0.0.1:5432/postgres", "postgresql://r:p@127.0.0.1:5432/d"),
        ("postgresql://h/postgres?sslmode=require", "postgresql://r:p@h/d?sslmode=require"),
        ("postgresql://a:b%40c@[::1]:5433/x?user=a&password=b", "postgresql://r:p@[::1]:5433/d"),
        ("postgres:///x?host=%2Ftmp%2Fpg&port=5", "postgres://r:p@/d?host=%2Ftmp%2Fpg&port=5"),
    ],
)
def test_a_services_database_is_on_the_same_server_by_its_own_login(admin: str, expected: str) -> None:
    assert topology.service_database_url(admin, "r", "p", "d") == expected


def test_each_service_with_a_database_has_its_url(stack: Stack) -> None:
    secrets = {"AUTH_DATABASE_PASSWORD": "a", "ORDER_BOOK_DATABASE_PASSWORD": "o"}
    assert topology.database_urls(stack, "postgresql://postgres:x@h:1/postgres", secrets) == {
        "AUTH_DATABASE_URL": "postgresql://small_auth:a@h:1/small_auth",
        "ORDER_BOOK_DATABASE_URL": "postgresql://small_orders:o@h:1/small_orders",
    }


def test_a_missing_password_is_named(stack: Stack) -> None:
    with pytest.raises(ConfigurationError, match="AUTH_DATABASE_PASSWORD is not set"):
        topology.database_urls(stack, "postgresql://h/postgres", {})


def test_parts_learn_where_the_others_are(stack: Stack) -> None:
    parts = topology.http_parts(stack, Options(port_offset=10))
    assert topology.shared_environment(stack, parts, "redis://:r@127.0.0.1:7/0") == {
        "AUTH_SERVICE_URL": "http://127.0.0.1:3011",
        "ORDER_BOOK_SERVICE_URL": "http://127.0.0.1:3012",
        "PLAIN_SERVICE_URL": "http://127.0.0.1:3013",
        "REDIS_URL": "redis://:r@127.0.0.1:7/0",
        "GATEWAY_URLS": "http://127.0.0.1:3010,http://127.0.0.1:3110",
        "GATEWAY_REPLICAS": "2",
        "AUTH_JWKS_URL": "http://127.0.0.1:3011/.well-known/jwks.json",
    }


def test_what_the_shell_exports_moves_nothing(stack: Stack) -> None:
    part = topology.http_parts(stack, Options())[0]
    inherited = {
        "PORT": "1",
        "HOST": "machine",
        "REDIS_URL": "redis://other",
        "PYTHONPATH": "/mine",
        "KEPT": "k",
    }
    found = topology.part_environment(
        part, stack.root, inherited, {"REDIS_URL": "redis://this"}, "production"
    )
    assert found == {
        "KEPT": "k",
        "PORT": "3001",
        "HOST": "127.0.0.1",
        "REDIS_URL": "redis://this",
        "PYTHONPATH": "/srv/a stack/shared:/mine",
        "FOCUSHUB_ENV": "production",
        "INSTANCE": "auth-service",
        "LOG_FORMAT": "json",
        "PYTHONUNBUFFERED": "1",
        "MALLOC_MMAP_THRESHOLD_": "1048576",
    }


def test_where_traces_go_reaches_every_part_and_one_name_for_all_none(stack: Stack) -> None:
    inherited = {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:4318", "OTEL_SERVICE_NAME": "shell"}
    for part in topology.http_parts(stack, Options()):
        found = topology.part_environment(part, stack.root, inherited, {}, "development")
        assert found["OTEL_EXPORTER_OTLP_ENDPOINT"] == "http://127.0.0.1:4318"
        assert "OTEL_SERVICE_NAME" not in found


def test_the_balancer_does_not_wait_for_somebody_to_look_at_its_readiness(stack: Stack) -> None:
    balancer = topology.http_parts(stack, Options())[-1]
    found = topology.part_environment(balancer, stack.root, {"DRAIN_SECONDS": "30"}, {}, "development")
    assert found["DRAIN_SECONDS"] == "0"


def test_a_gateway_believes_the_balancer_whose_address_a_request_is(stack: Stack) -> None:
    gateway = next(part for part in topology.http_parts(stack, Options()) if part.kind == "gateway")
    found = topology.part_environment(gateway, stack.root, {}, {}, "development")
    assert found["TRUSTED_PROXIES"] == "127.0.0.1"
