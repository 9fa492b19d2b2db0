"""`focushub.toml`, read and checked."""

from pathlib import Path

import pytest

from focushub_core import ConfigurationError
from focushub_core.stack import find_root, load, parse

GOOD = """
[stack]
name = "shop"
[services.order-book]
port = 3001
database = "shop_orders"
prefixes = ["/v1/orders"]
public = ["/v1/orders/catalogue"]
[limits.user]
quota = 600
by = "user"
"""


def test_a_service_has_the_names_that_follow_from_its_key():
    service = parse(GOOD, Path()).services["order-book"]
    assert (service.name, service.package, service.variable, service.migrations) == (
        "order-book-service",
        "order_book_service",
        "ORDER_BOOK",
        "order-book-service/order_book_service/migrations",
    )


def test_what_is_left_out_has_its_default():
    stack = parse(GOOD, Path())
    assert (stack.load_balancer.port, stack.gateway.port, stack.gateway.replicas) == (8080, 3000, 2)
    assert [stack.gateway.port_of(number) for number in (1, 2, 3)] == [3000, 3100, 3200]


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (
            ("port = 3001", "port = 8080"),
            "services.order-book.port 8080 is already taken by load-balancer.port 8080",
        ),
        (("port = 3001", "port = 3100"), "already taken by the port 3100 of gateway-2"),
        (("port = 3001", "port = 0"), "services.order-book.port: Expected `integer` >= 1."),
        (("port = 3001", 'port = "x"'), "services.order-book.port: Expected `integer`, got `string`."),
        (("port = 3001", ""), "services.order-book.port: This field is required."),
        (('["/v1/orders"]', '["orders"]'), "services.order-book.prefixes[0]"),
        (('["/v1/orders"]', '["/v1/orders", "/v1/orders"]'), "prefix /v1/orders is already taken"),
        (("quota = 600", "quota = 0"), "limits.user.quota"),
        (('by = "user"', 'by = "moon"'), "limits.user.by"),
        (("order-book", "Order"), "services.Order: a service's key"),
        (("[stack]", '[gateway.cors]\nallow = ["*"]\n[stack]'), "gateway.cors.allow[0]"),
        (("[stack]", '[gateway.cors]\nallow = ["https://a.example/"]\n[stack]'), "gateway.cors.allow[0]"),
        (("[stack]", "[stack"), "not valid TOML"),
        (('name = "shop"', ""), "stack.name: This field is required."),
        (("quota", "qouta"), "limits.user.qouta: There is no such field."),
    ],
)
def test_a_wrong_file_is_refused_with_the_table_and_the_reason(change, reason):
    with pytest.raises(ConfigurationError) as caught:
        parse(GOOD.replace(*change), Path())
    assert reason in str(caught.value)


def test_every_reason_is_given_at_once():
    with pytest.raises(ConfigurationError) as caught:
        parse(GOOD.replace("3001", "0").replace("600", "0"), Path())
    assert "services.order-book.port" in str(caught.value)
    assert "limits.user.quota" in str(caught.value)


def test_a_folder_without_the_file_says_what_to_do(tmp_path):
    with pytest.raises(ConfigurationError, match="focushub generate"):
        load(tmp_path)


def test_the_root_is_found_from_a_service_folder(tmp_path):
    (tmp_path / "focushub.toml").write_text(GOOD)
    (tmp_path / "a/b").mkdir(parents=True)
    assert find_root(tmp_path / "a/b") == tmp_path
    assert load(find_root(tmp_path / "a")).name == "shop"
