"""What keeps the HTTP server from starting."""

from __future__ import annotations


class CannotListen(Exception):
    """`http.listen` cannot be listened on; the text says why and what is allowed."""
