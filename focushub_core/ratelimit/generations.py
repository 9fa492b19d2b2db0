"""A bounded memory by key, in two generations, that forgets what was used least recently.

Rules that hold here:

* A key that is written moves to the young generation. When that is full, or as old as it may become, the old one is
  dropped whole and the young one grows old: nothing is ever looked through.
* What has been written during the last ``max_age_us``, and is among the last ``max_keys / 2`` keys, is there.
"""

from __future__ import annotations

from collections.abc import Hashable
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


class Generations(Generic[K, V]):
    """At most ``max_keys`` values; ``now_us`` is when it begins."""

    def __init__(self, max_keys: int, now_us: int) -> None:
        self.turns = 0
        """How often something was forgotten: while it is the same, a key that nobody put anew has the same value."""
        self._half = max(1, max_keys // 2)
        self._young: dict[K, V] = {}
        self._old: dict[K, V] = {}
        self._turned_us = now_us

    def __len__(self) -> int:
        return len(self._young) + len(self._old)

    def get(self, key: K) -> V | None:
        """The value of ``key``, if it is not forgotten."""
        value = self._young.get(key)
        return self._old.get(key) if value is None else value

    def put(self, key: K, value: V, now_us: int) -> None:
        """Keep ``value``, in the young generation."""
        young = self._young
        if key not in young:
            self._old.pop(key, None)
            if len(young) >= self._half:
                self._turn(now_us)
        self._young[key] = value

    def age(self, now_us: int, max_age_us: int) -> None:
        """Let what has not been written for twice ``max_age_us`` go."""
        if now_us - self._turned_us > max_age_us:
            self._turn(now_us)

    def clear(self) -> None:
        """Forget everything."""
        self.turns += 1
        self._young, self._old = {}, {}

    def _turn(self, now_us: int) -> None:
        self.turns += 1
        self._old, self._young, self._turned_us = self._young, {}, now_us
