"""A million keys: what a process that saw them takes."""

from __future__ import annotations

import subprocess
import sys

import pytest

pytestmark = pytest.mark.slow

CODE = """
import resource, sys, uuid
from pathlib import Path
from focushub_core.ratelimit import Charge, LocalStore, Policy
policy, store = Policy("user", 600), LocalStore()
for number in range(int(sys.argv[1])):
    store.decide([Charge(policy, str(uuid.UUID(int=number)))])
if sys.platform == "linux":  # there ru_maxrss begins with that of the process that started this one
    status = Path("/proc/self/status").read_text()
    peak = int(status.partition("VmHWM:")[2].split()[0]) // 1024
else:
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024**2
print(len(store), peak)
"""


def spend(keys: int) -> tuple[int, int]:
    """How many buckets are kept, and the MB that the whole process took at most."""
    ran = subprocess.run([sys.executable, "-c", CODE, str(keys)], capture_output=True, text=True, check=True)
    kept, megabytes = ran.stdout.split()
    return int(kept), int(megabytes)


def test_a_million_keys_take_less_than_200_mb_and_old_ones_leave() -> None:
    kept, megabytes = spend(1_300_000)

    assert kept <= 1_000_000
    assert megabytes < 200
