"""The grammar of heads and chunk lines, as expressions over bytes.

All quantifiers are possessive: a line that does not match is given up in one pass, however long it is.
"""

from __future__ import annotations

import re

# RFC 9110 section 5.6.2: tchar
_TCHAR = rb"!#$%&'*+\-.^_`|~0-9A-Za-z"
# RFC 9110 section 5.5: field-vchar = VCHAR / obs-text, between which SP and HTAB may stand; so no control
# bytes: "Field values containing CR, LF, or NUL characters are invalid and dangerous".
_CONTROL = rb"\x00-\x08\x0a-\x1f\x7f"

TOKEN = re.compile(rb"[" + _TCHAR + rb"]++")
FIRST = re.compile(rb"[" + _TCHAR + rb"]")

# RFC 9112 section 3: request-line = method SP request-target SP HTTP-version
REQUEST_LINE = re.compile(rb"([" + _TCHAR + rb"]++) ([\x21-\x7e]++) HTTP/([0-9]\.[0-9])\r\n")
# RFC 9112 section 4: status-line = HTTP-version SP status-code SP [ reason-phrase ]. The second SP is not asked for
# where no reason follows: there is only one way to read the line without it.
STATUS_LINE = re.compile(rb"HTTP/1\.([01]) ([1-5][0-9][0-9])(?: ([^" + _CONTROL + rb"]*+))?+\r\n")

# RFC 9112 section 5: field-line = field-name ":" OWS field-value OWS, and section 5.1: "No whitespace is allowed
# between the field name and colon." Without its CRLF; the value with the white space behind it.
FIELD_LINE = re.compile(rb"([" + _TCHAR + rb"]++):[ \t]*+([^" + _CONTROL + rb"]*+)")

# What is certainly a whole value: nothing in it has a meaning of its own anywhere.
PLAIN_VALUE = re.compile(rb"[A-Za-z0-9_-]{1,64}+")

# RFC 9112 section 7.1: chunk-size = 1*HEXDIG, here at most 15 of them. Section 7.1.1: an extension is a token, or one
# and a token or quoted-string; "A recipient MUST ignore unrecognized chunk extensions". Here without "bad" white space.
_QUOTED = rb'"(?:[\t !#-\[\]-~\x80-\xff]|\\[\t -~\x80-\xff])*+"'
_EXTENSION = rb";[" + _TCHAR + rb"]++(?:=(?:[" + _TCHAR + rb"]++|" + _QUOTED + rb"))?+"
CHUNK_LINE = re.compile(rb"([0-9A-Fa-f]{1,15}+)(?:" + _EXTENSION + rb")*+\r\n")

# RFC 9110 section 8.6: Content-Length = 1*DIGIT, here at most 15 of them
LENGTH = re.compile(rb"[0-9]{1,15}+")

# RFC 3986 section 3.2.2, without percent-encoding and sub-delims: no name of a host needs them, and
# "a,b" is a list to some
_AUTHORITY = rb"(?:[A-Za-z0-9._~\-]++|\[[0-9A-Fa-f:.]++\])(?::[0-9]{1,5}+)?+"
HOST = re.compile(_AUTHORITY)
# RFC 9112 section 3.2.2: absolute-form
ABSOLUTE = re.compile(rb"http://(" + _AUTHORITY + rb")([/?][\x21-\x7e]*+)?+", re.IGNORECASE)
