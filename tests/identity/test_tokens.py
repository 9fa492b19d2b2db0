"""Access tokens by the rules of RFC 8725 (auth rule A9)."""

import base64
import hmac
import json
from uuid import UUID

import msgspec
import pytest
from joserfc.jwk import OKPKey

from focushub_core.identity import tokens

NOW = 1_800_000_000
USER = UUID(int=1)
SESSION = UUID(int=2)
KEY = OKPKey.generate_key("Ed25519", {"kid": "a"}, private=True)
OTHER = OKPKey.generate_key("Ed25519", {"kid": "a"}, private=True)
PUBLIC = {"a": OKPKey.import_key(KEY.as_dict(private=False))}
CLAIMS = tokens.Claims(
    iss="focushub", aud="focushub", sub=USER, sid=SESSION, jti=UUID(int=3), iat=NOW, nbf=NOW, exp=NOW + 600
)


def verify(token, now=NOW):
    return tokens.verify(token, PUBLIC, issuer="focushub", audience="focushub", now=now)


def changed(**claims):
    return tokens.sign(msgspec.structs.replace(CLAIMS, **claims), KEY)


def encoded(part):
    return base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=").decode()


def with_header(**header):
    """A token whose signature is right and whose header is another."""
    _, payload, signature = tokens.sign(CLAIMS, KEY).split(".")
    return f"{encoded(header)}.{payload}.{signature}"


def signed_with_the_public_key_as_hmac_secret():
    head = encoded({"alg": "HS256", "typ": "at+jwt", "kid": "a"})
    payload = tokens.sign(CLAIMS, KEY).split(".")[1]
    secret = PUBLIC["a"].as_dict()["x"].encode()
    mac = hmac.digest(secret, f"{head}.{payload}".encode(), "sha256")
    return f"{head}.{payload}.{base64.urlsafe_b64encode(mac).rstrip(b'=').decode()}"


def test_a_good_token_speaks_for_its_user():
    user = verify(tokens.sign(msgspec.structs.replace(CLAIMS, scope="a b"), KEY))
    assert (user.id, user.session_id, user.scopes, user.expires_at) == (USER, SESSION, {"a", "b"}, NOW + 600)


@pytest.mark.parametrize(
    "token",
    [
        "",
        "x",
        "a.b.c",
        "é.é.é",
        tokens.sign(CLAIMS, OTHER),
        with_header(alg="none", typ="at+jwt", kid="a"),
        with_header(alg="Ed25519", typ="JWT", kid="a"),
        with_header(alg="Ed25519", typ="at+jwt", kid="unknown"),
        with_header(alg="Ed25519", typ="at+jwt"),
        with_header(alg="Ed25519", typ="at+jwt", kid="a", jku="http://evil"),
        with_header(alg="Ed25519", typ="at+jwt", kid="a", jwk={"kty": "OKP"}),
        with_header(alg="EdDSA", typ="at+jwt", kid="a"),
        signed_with_the_public_key_as_hmac_secret(),
        tokens.sign(CLAIMS, KEY)[:-4],
        changed(iss="evil"),
        changed(aud="another"),
        changed(nbf=NOW + 31),
        changed(exp=NOW - 30),
    ],
)
def test_every_other_token_is_refused_with_one_answer(token):
    with pytest.raises(tokens.Rejected) as caught:
        verify(token)
    assert (caught.value.status, caught.value.code) == (401, "invalid_token")
    assert caught.value.headers["WWW-Authenticate"] == 'Bearer error="invalid_token"'


@pytest.mark.parametrize("now", [NOW - 30, NOW, NOW + 600, NOW + 629])
def test_clocks_may_differ_by_the_leeway(now):
    assert verify(tokens.sign(CLAIMS, KEY), now).id == USER
