"""Roles and databases are made as the services' URLs say."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Any
from urllib.parse import urlsplit

import pytest

from focushub_core.database.migrations import KIT, discover
from focushub_core.errors import ConfigurationError
from focushub_core.testing.servers import PostgresServer
from focushub_generator import databases

FILE = """
[stack]
name = "shop"
[services.task]
port = 3002
prefixes = ["/v1/tasks"]
database = "shop_tasks"
[services.mail]
port = 3005
prefixes = ["/v1/mail"]
[services.order-book]
port = 3006
prefixes = ["/v1/orders"]
database = "shop_orders"
"""
ADMIN = "postgresql://postgres:p@127.0.0.1:5432/postgres"


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "focushub.toml").write_text(FILE)
    monkeypatch.setenv("TASK_DATABASE_URL", "postgresql://shop_tasks:t-1@db:5432/shop_tasks")
    monkeypatch.setenv("ORDER_BOOK_DATABASE_URL", "postgresql://shop_orders:o_2@db:5432/shop_orders")
    return tmp_path


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, str, str]]:
    """What would have been made, instead of making it."""
    calls: list[tuple[str, str, str]] = []

    async def provision(admin_url: str, *, database: str, role: str, password: str) -> None:
        assert admin_url == ADMIN
        calls.append((database, role, password))

    fake: Any = ModuleType("focushub_core.database.provision")
    fake.provision = provision
    monkeypatch.setitem(sys.modules, fake.__name__, fake)
    return calls


def test_each_service_with_a_database_gets_its_own(root: Path, made: list[tuple[str, str, str]]) -> None:
    databases.provision(root, ADMIN)
    assert made == [("shop_tasks", "shop_tasks", "t-1"), ("shop_orders", "shop_orders", "o_2")]


def test_one_may_be_named(root: Path, made: list[tuple[str, str, str]]) -> None:
    databases.provision(root, ADMIN, ["order-book-service"])
    assert made == [("shop_orders", "shop_orders", "o_2")]


@pytest.mark.parametrize(
    "url", ["", "postgresql://db/shop_tasks", "postgresql://shop_tasks@db/shop_tasks", "nonsense"]
)
def test_a_url_without_a_login_is_named(
    root: Path, made: list[tuple[str, str, str]], monkeypatch: pytest.MonkeyPatch, url: str
) -> None:
    monkeypatch.setenv("TASK_DATABASE_URL", url)
    with pytest.raises(ConfigurationError, match="TASK_DATABASE_URL"):
        databases.provision(root, ADMIN)
    assert made == []


def test_a_server_that_others_run_is_made_ready_and_again_does_no_harm(
    tmp_path: Path, postgres_server: PostgresServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Roles, databases, then migrations by each service's own role; the second time there is nothing to do."""
    (tmp_path / "focushub.toml").write_text(FILE)
    server = urlsplit(postgres_server.admin_url)
    for variable, database in (("TASK", "shop_tasks"), ("ORDER_BOOK", "shop_orders")):
        url = f"postgresql://{database}:own-password@{server.hostname}:{server.port}/{database}"
        monkeypatch.setenv(f"{variable}_DATABASE_URL", url)
    for folder in ("task-service/task_service", "order-book-service/order_book_service"):
        (tmp_path / folder / "migrations").mkdir(parents=True)
        (tmp_path / folder / "migrations" / "0001_things.sql").write_text("CREATE TABLE things (id integer);")
    outputs = [
        subprocess.run(
            [
                sys.executable,
                "-m",
                "focushub_generator",
                "migrate",
                tmp_path,
                "--postgres",
                server.geturl(),
            ],
            capture_output=True,
            text=True,
            check=False,
        )
        for _ in range(2)
    ]
    assert [(output.returncode, output.stderr) for output in outputs] == [(0, ""), (0, "")]
    assert [[line.split(maxsplit=1) for line in output.stdout.splitlines()] for output in outputs] == [
        [
            [name, f"applied {file}"]
            for name in ("task-service", "order-book-service")
            for file in [*(f"focushub/{one.file}" for one in discover(KIT)), "0001_things.sql"]
        ],
        [["task-service", "up to date"], ["order-book-service", "up to date"]],
    ]
