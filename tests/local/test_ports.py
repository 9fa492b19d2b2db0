"""Ports are checked before anything starts."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator

import pytest

from focushub_core.errors import ConfigurationError
from focushub_generator.local import ports


@pytest.fixture
def taken() -> Iterator[int]:
    """A port that this process listens on."""
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen()
        yield server.getsockname()[1]


def test_a_free_port_passes() -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    assert ports.is_free(port)


def test_a_taken_port_is_named_with_part_holder_and_a_way_out(
    monkeypatch: pytest.MonkeyPatch, taken: int
) -> None:
    monkeypatch.setattr(ports, "HIGHEST", 65535)
    monkeypatch.setattr(ports, "OFFSETS", (1,))
    monkeypatch.setattr(ports, "is_free", lambda port, host: port != taken)
    with pytest.raises(ConfigurationError) as caught:
        ports.check({"gateway-1": taken}, 0)
    line = str(caught.value)
    assert line.startswith(f"port {taken} of gateway-1 is in use by process {os.getpid()} (")
    assert line.endswith("); --port-offset 1 is free")


@pytest.mark.parametrize(("port", "offset"), [(8080, 30000), (32000, 768), (1, -1)])
def test_a_port_beyond_the_range_is_named(port: int, offset: int) -> None:
    with pytest.raises(ConfigurationError, match=f"port {port + offset} of balancer is not usable"):
        ports.check({"balancer": port}, offset)


def test_the_offset_suggested_frees_every_port() -> None:
    taken = {4000, 9080, 5001, 6000}
    offset = ports.free_offset([3000, 3001, 8080], lambda port: port not in taken, tried=0)
    assert offset == 4000


def test_no_offset_is_suggested_where_none_helps() -> None:
    assert ports.free_offset([3000], lambda port: False, tried=0) is None
