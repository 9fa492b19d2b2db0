"""Why a message was refused, each with the status that says so."""

from __future__ import annotations

from focushub_core.errors import RequestError


class ProtocolError(RequestError):
    """The message is not HTTP/1.1, or could be read in more than one way (400)."""

    code = "malformed_message"


class TargetTooLong(ProtocolError):
    """The request's target is over the limit (414)."""

    status = 414
    code = "target_too_long"
    title = "URI Too Long"


class HeadTooLarge(ProtocolError):
    """The head, or the trailers, are over the limit in bytes or in fields (431, RFC 6585 section 5)."""

    status = 431
    code = "head_too_large"
    title = "Request Header Fields Too Large"


class NotSupported(ProtocolError):
    """A method or a transfer coding that nobody here takes (501)."""

    status = 501
    code = "not_supported"
    title = "Not Implemented"


class VersionNotSupported(ProtocolError):
    """Neither HTTP/1.1 nor HTTP/1.0 (505)."""

    status = 505
    code = "version_not_supported"
    title = "HTTP Version Not Supported"


class ExpectationFailed(ProtocolError):
    """An ``Expect`` other than ``100-continue`` (417)."""

    status = 417
    code = "expectation_failed"
    title = "Expectation Failed"


class Truncated(ProtocolError):
    """The connection ended before the message did."""

    code = "truncated_message"
