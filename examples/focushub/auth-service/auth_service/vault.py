"""Seals what must not be readable in a copy of the database: signing keys and the keys of sessions.

Rules that hold here:

* AES-256-GCM under a key that HKDF (RFC 5869) derives from ``AUTH_KEY_SECRET``; a fresh nonce for each seal.
* What is sealed is bound to the row it belongs to: moved to another row it does not open.
"""

from __future__ import annotations

import logging
import os

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from focushub_core import ConfigurationError, Secret
from focushub_core.errors import Internal

MIN_SECRET = 16
"""Characters. HKDF does not make a weak secret strong, so one that can be guessed is refused."""

_NONCE = 12
_PURPOSE = b"focushub auth: keys at rest, 1"

_log = logging.getLogger(__name__)


class Vault:
    """Seals and opens. Raises `ConfigurationError` on a secret that is too short."""

    def __init__(self, secret: Secret) -> None:
        text = secret.reveal()
        if len(text) < MIN_SECRET:
            raise ConfigurationError(f"AUTH_KEY_SECRET: at least {MIN_SECRET} random characters are needed")
        derive = HKDF(algorithm=SHA256(), length=32, salt=None, info=_PURPOSE).derive
        self._cipher = AESGCM(derive(text.encode()))

    def seal(self, plain: bytes, row: str) -> bytes:
        """``plain``, readable only by `open` with the same ``row`` (such as ``session:<id>``)."""
        nonce = os.urandom(_NONCE)
        return nonce + self._cipher.encrypt(nonce, plain, row.encode())

    def open(self, sealed: bytes, row: str) -> bytes:
        """What was sealed; raises `Internal` when the secret is another one or the bytes were changed."""
        try:
            return self._cipher.decrypt(sealed[:_NONCE], sealed[_NONCE:], row.encode())
        except (InvalidTag, ValueError) as error:
            _log.error("%s does not open: AUTH_KEY_SECRET is not the one it was sealed with", row)
            raise Internal from error
