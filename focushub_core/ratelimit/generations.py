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
        self._half = max(1, max_keys // 2)
        self.young: dict[K, V] = {}
        self.old: dict[K, V] = {}
        self._turned_us = now_us

    def __len__(self) -> int:
        return len(self.young) + len(self.old)

    def get(self, key: K) -> V | None:
        """The value of ``key``, if it is not forgotten."""
        value = self.young.get(key)
        return self.old.get(key) if value is None else value

    def put(self, key: K, value: V, now_us: int) -> None:
        """Keep ``value``, in the young generation."""
        young = self.young
        if key not in young:
            self.old.pop(key, None)
            if len(young) >= self._half:
                self._turn(now_us)
        self.young[key] = value

    def age(self, now_us: int, max_age_us: int) -> None:
        """Let what has not been written for twice ``max_age_us`` go."""
        if now_us - self._turned_us > max_age_us:
            self._turn(now_us)

    def clear(self) -> None:
        """Forget everything."""
        self.young, self.old = {}, {}

    def _turn(self, now_us: int) -> None:
        self.old, self.young, self._turned_us = self.young, {}, now_us
