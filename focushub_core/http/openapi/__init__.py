"""OpenAPI 3.1, out of the signatures. Imported when a document is asked for."""

from focushub_core.http.openapi.document import About, document
from focushub_core.http.openapi.merge import merge

__all__ = ["About", "document", "merge"]
