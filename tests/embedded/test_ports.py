"""Free ports."""

from __future__ import annotations

import pytest

from focushub_core.embedded import ports


def test_no_port_is_given_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    """PostgreSQL and Valkey are both chosen a port for before either listens."""
    monkeypatch.setattr(ports, "_given", set())
    monkeypatch.setattr(ports, "LOWEST", 20000)
    monkeypatch.setattr(ports, "HIGHEST", 20199)
    monkeypatch.setattr(ports, "is_free", lambda port: True)
    assert len({ports.free_port() for _ in range(150)}) == 150


def test_a_port_that_somebody_will_listen_on_is_not_given(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ports, "_given", set())
    monkeypatch.setattr(ports, "LOWEST", 20000)
    monkeypatch.setattr(ports, "HIGHEST", 20199)
    monkeypatch.setattr(ports, "is_free", lambda port: True)
    assert ports.free_port(reserved=set(range(20000, 20199))) == 20199
