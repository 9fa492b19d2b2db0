"""Properties are judged by what they find, not by how fast the machine is."""

from __future__ import annotations

from hypothesis import settings

settings.register_profile("stack", deadline=None)
settings.load_profile("stack")
