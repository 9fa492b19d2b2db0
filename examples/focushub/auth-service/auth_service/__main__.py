"""Runs the part: ``python -m auth_service``."""

from __future__ import annotations

from .app import AuthService

if __name__ == "__main__":
    AuthService.run()
