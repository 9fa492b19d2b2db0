"""Whose request it is: a table of what proxies and forgers send."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from focushub_core.errors import ConfigurationError
from focushub_core.ratelimit.address import bucket_key, client_address, parse_address, parse_networks

EDGE = parse_networks("10.0.0.0/8, fd00::/8")


@pytest.mark.parametrize(
    ("peer", "forwarded", "expected"),
    [
        ("192.0.2.1", [], "192.0.2.1"),
        ("192.0.2.1", ["198.51.100.7"], "192.0.2.1"),  # no proxy of ours: a claim
        ("10.0.0.1", ["198.51.100.7"], "198.51.100.7"),
        ("10.0.0.1", ["203.0.113.9, 198.51.100.7"], "198.51.100.7"),  # what is further left is a claim
        ("10.0.0.1", ["203.0.113.9", "198.51.100.7, 10.0.0.2"], "198.51.100.7"),
        ("10.0.0.1", ["10.0.0.3, 10.0.0.2"], "10.0.0.3"),
        ("10.0.0.1", [], "10.0.0.1"),
        ("10.0.0.1", ["198.51.100.7, unknown"], "10.0.0.1"),  # nothing readable was vouched for
        ("10.0.0.1", ["garbage, 10.0.0.2"], "10.0.0.2"),
        ("10.0.0.1", [""], "10.0.0.1"),
        ("10.0.0.1", ["198.51.100.7:4711"], "198.51.100.7"),
        ("10.0.0.1", ["[2001:db8::1]:4711"], "2001:db8::1"),
        ("10.0.0.1", ["::ffff:198.51.100.7"], "198.51.100.7"),
        ("::ffff:10.0.0.1", ["198.51.100.7"], "198.51.100.7"),
        ("fd00::1", ["2001:db8::1"], "2001:db8::1"),
        ("fe80::1%eth0", [], "fe80::1"),
    ],
)
def test_the_client_is_the_first_from_the_right_that_is_no_proxy_of_ours(
    peer: str, forwarded: list[str], expected: str
) -> None:
    assert str(client_address(peer, forwarded, EDGE)) == expected


def test_no_proxy_is_trusted_by_default() -> None:
    assert str(client_address("127.0.0.1", ["198.51.100.7"])) == "127.0.0.1"


@given(st.lists(st.ip_addresses().map(str), max_size=5))
def test_forged_fields_do_not_move_a_client_to_another_bucket(forged: list[str]) -> None:
    """The proxy appends the address it saw; what the client wrote stands left of it."""
    seen = ", ".join([*forged, "198.51.100.7"])

    assert bucket_key(client_address("10.0.0.1", [seen], EDGE)) == "198.51.100.7"


@given(st.text())
def test_any_text_is_an_address_or_none(text: str) -> None:
    client_address(text, [text], EDGE)


@given(network=st.integers(0, 2**64 - 1), one=st.integers(0, 2**64 - 1), other=st.integers(0, 2**64 - 1))
def test_ipv6_is_one_bucket_per_64(network: int, one: int, other: int) -> None:
    from ipaddress import IPv6Address

    keys = {bucket_key(IPv6Address(network << 64 | host)) for host in (one, other)}

    assert len(keys) == 1


def test_a_peer_without_an_address_has_a_bucket_too() -> None:
    assert bucket_key(client_address(None)) == "unknown"
    assert bucket_key(parse_address("2001:db8:1:2:3:4:5:6")) == "2001:db8:1:2::/64"


def test_networks_that_are_none_are_refused() -> None:
    with pytest.raises(ConfigurationError, match="trusted proxies"):
        parse_networks("10.0.0.0/33")
