"""Which texts are mail addresses, and which two are the same."""

from __future__ import annotations

import pytest

from auth_service.addresses import normalise


@pytest.mark.parametrize(
    ("address", "same"),
    [
        ("ann@x.org", "ann@x.org"),
        ("Ann@X.Org", "ann@x.org"),
        ("a.n-n+tag@mail.x.org", "a.n-n+tag@mail.x.org"),
        ("o'neill@x.org", "o'neill@x.org"),
        ("ann@bücher.example", "ann@xn--bcher-kva.example"),
        ("ann@BÜCHER.example", "ann@xn--bcher-kva.example"),
        ("ann@faß.example", "ann@xn--fa-hia.example"),
        ("a" * 64 + "@x.org", "a" * 64 + "@x.org"),
    ],
)
def test_an_address_is_the_same_in_another_case_or_spelling_of_its_domain(address: str, same: str) -> None:
    assert normalise(address) == same
    assert normalise(same) == same


@pytest.mark.parametrize(
    "text",
    [
        "", "@", "ann", "ann@", "@x.org", "ann@x", "ann@localhost", "ann@@x.org", "a@b@x.org", " ann@x.org",
        "ann@x.org ", "ann@x.org\n", "an n@x.org", "ann@x .org", ".ann@x.org", "ann.@x.org", "a..n@x.org",
        "ann@x..org", "ann@.x.org", "ann@x.org.", "ann@-x.org", "ann@x_y.org", "ann@127.0.0.1", "ann@[127.0.0.1]",
        '"ann"@x.org', "ann(x)@x.org", "ann,bob@x.org", "ann@x.org,bob@x.org", "<ann@x.org>", "änn@x.org",
        "\u0131nn@x.org", "a" * 65 + "@x.org", "ann@" + "a" * 64 + ".org", "ann@" + "abcdefg." * 32 + "org",
        "ann@x.org\r\nBcc: bob@x.org",
    ],
)  # fmt: skip
def test_anything_else_is_no_address(text: str) -> None:
    assert normalise(text) is None
