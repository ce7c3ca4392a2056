"""Why a node did not start."""

from __future__ import annotations


class CannotStart(Exception):
    """The node cannot run as it is configured; the text names the key of the configuration and the reason."""
