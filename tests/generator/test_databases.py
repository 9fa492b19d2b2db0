"""Roles and databases are made as the services' URLs say."""

from __future__ import annotations

import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from focushub_core.errors import ConfigurationError
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
    databases.provision(root, ADMIN, "order-book-service")
    assert made == [("shop_orders", "shop_orders", "o_2")]


@pytest.mark.parametrize(
    "url", ["", "postgresql://db/shop_tasks", "postgresql://shop_tasks@db/shop_tasks", "nonsense"]
)
def test_a_url_without_a_login_is_named(
    root: Path, made: list[tuple[str, str, str]], monkeypatch: pytest.MonkeyPatch, url: str
) -> None:
    monkeypatch.setenv("TASK_DATABASE_URL", url)
    with pytest.raises(ConfigurationError, match="TASK_DATABASE_URL is not set"):
        databases.provision(root, ADMIN)
    assert made == []
