"""``/docs``: a page that shows a part's ``/openapi.json`` to people, and tries it out."""

from focushub_core.http.docs.page import ApiPage

__all__ = ["ApiPage"]
