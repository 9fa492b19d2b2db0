"""The Ed25519 keys that sign access tokens, and the document that publishes their public halves (RFC 7517).

Rules that hold here:

* A key is made when first needed, be it to sign or to be published, so that who asks before the first login
  does not remember an empty document. It is made under an advisory lock: all instances share one.
* The private half lies sealed in the database; the public one is published until the key is gone.
"""

from __future__ import annotations

from base64 import urlsafe_b64decode, urlsafe_b64encode

import msgspec
from joserfc.jwk import OKPKey

from focushub_core import Answer, Database, Routes
from focushub_core.database import Connection
from focushub_core.identity.keys import MAX_AGE
from focushub_core.identity.tokens import ALGORITHM

from .vault import Vault

_LOCK = 0x666F637573 << 16
"""The advisory lock of making keys, in this service's own database."""

_ACTIVE = "SELECT kid, public_key, private_enc FROM signing_keys WHERE state = 'active'"
_PUBLISHED = "SELECT kid, public_key FROM signing_keys WHERE state <> 'gone' ORDER BY created_at, kid"
_INSERT = "INSERT INTO signing_keys (kid, public_key, private_enc, state) VALUES ($1, $2, $3, 'active')"


class PublicKey(msgspec.Struct, frozen=True):
    """An Ed25519 key as RFC 8037 writes it."""

    kid: str
    x: str
    kty: str = "OKP"
    crv: str = "Ed25519"
    use: str = "sig"
    alg: str = ALGORITHM


class KeySet(msgspec.Struct, frozen=True):
    """A JWKS document."""

    keys: list[PublicKey]


class _Stored(msgspec.Struct, frozen=True):
    kid: str
    public_key: bytes
    private_enc: bytes


class SigningKeys:
    """The keys in ``database``; the one that signs is kept once it was opened."""

    def __init__(self, database: Database, vault: Vault) -> None:
        self._database = database
        self._vault = vault
        self._signer: OKPKey | None = None

    async def signer(self) -> OKPKey:
        """The private key that signs now."""
        if self._signer is None:
            self._signer = self._opened(await self._active())
        return self._signer

    async def published(self) -> KeySet:
        """The public keys that verify what was signed."""
        rows = await self._database.fetch(_PUBLISHED)
        if not rows:
            await self._active()
            rows = await self._database.fetch(_PUBLISHED)
        return KeySet([PublicKey(row["kid"], _encode(row["public_key"])) for row in rows])

    async def document(self) -> bytes:
        """`published` as JSON."""
        return msgspec.json.encode(await self.published())

    async def _active(self) -> _Stored:
        found = await self._database.one(_Stored, _ACTIVE)
        if found is not None:
            return found
        async with self._database.transaction() as transaction:
            await transaction.execute("SELECT pg_advisory_xact_lock($1)", _LOCK)
            return await transaction.one(_Stored, _ACTIVE) or await self._make(transaction)

    async def _make(self, transaction: Connection) -> _Stored:
        jwk = OKPKey.generate_key("Ed25519", private=True)
        parts = {name: urlsafe_b64decode(str(jwk.as_dict(private=True)[name]) + "=") for name in ("x", "d")}
        kid = jwk.thumbprint()
        stored = _Stored(kid, parts["x"], self._vault.seal(parts["d"], _row(kid)))
        await transaction.execute(_INSERT, stored.kid, stored.public_key, stored.private_enc)
        return stored

    def _opened(self, stored: _Stored) -> OKPKey:
        private = self._vault.open(stored.private_enc, _row(stored.kid))
        public = PublicKey(stored.kid, _encode(stored.public_key))
        return OKPKey.import_key({**msgspec.structs.asdict(public), "d": _encode(private)})


routes = Routes("/.well-known")


@routes.get("/jwks.json")
async def jwks(keys: SigningKeys) -> Answer[KeySet]:
    """The keys that access tokens are verified with."""
    return Answer(await keys.published(), headers={"Cache-Control": f"public, max-age={MAX_AGE:.0f}"})


def _row(kid: str) -> str:
    return f"signing key:{kid}"


def _encode(raw: bytes) -> str:
    return urlsafe_b64encode(raw).rstrip(b"=").decode()
