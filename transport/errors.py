"""Errors of the wire that every module of the transport shares."""

from __future__ import annotations


class DecodeError(ValueError):
    """Bytes from another peer are not what the protocol allows; the text says which part and what is allowed."""
