"""Who is asking: tokens, the keys that sign them, passwords."""

from focushub_core.identity.user import User

__all__ = ["User"]
