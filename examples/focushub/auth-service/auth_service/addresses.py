"""Mail addresses: which texts are one, and which two are the same. Pure.

Rules that hold here:

* A small, strict form: the local part is a dot-atom of ASCII (RFC 5321, 4.1.2), the domain has two labels or more. No
  quoted local parts, comments or address literals: nobody's address needs them.
* Letters beyond ASCII are taken in domains only, as IDNA 2008 says. In local parts they would make look-alikes.
* Two addresses are the same when they differ in case only. RFC 5321 would allow a host to tell them apart; none does.
"""

from __future__ import annotations

import re

import idna

MAX_LENGTH = 254
"""Characters of an address that fits a mail's path (RFC 5321, 4.5.3.1.3)."""

_ATOM = r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+"
_LOCAL = re.compile(rf"(?=.{{1,64}}\Z){_ATOM}(?:\.{_ATOM})*")


def normalise(address: str) -> str | None:
    """What makes ``address`` the same as others; ``None`` where it is no mail address."""
    local, at, domain = address.rpartition("@")
    if not at or not _LOCAL.fullmatch(local):
        return None
    host = _ascii_domain(domain)
    if host is None or len(local) + 1 + len(host) > MAX_LENGTH:
        return None
    return f"{local}@{host}".casefold()


def why_none(address: str) -> str | None:
    """Why a text is no mail address, for people; ``None`` where it is one."""
    return "This is no mail address." if normalise(address) is None else None


def _ascii_domain(domain: str) -> str | None:
    """``Bücher.example`` as ``xn--bcher-kva.example``."""
    try:
        host = idna.encode(domain, uts46=True, std3_rules=True).decode()
    except (idna.IDNAError, UnicodeError):
        return None
    *rest, top = host.split(".")
    return host if rest and top and not top.isdecimal() else None
