"""What the package shows works."""

from __future__ import annotations

import doctest

from focushub_core import balancer


def test_the_example_of_its_docstring_works() -> None:
    result = doctest.testmod(balancer)

    assert result.failed == 0
    assert result.attempted > 5
