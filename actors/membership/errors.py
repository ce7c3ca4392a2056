"""The errors that requests to the membership fail with."""

from __future__ import annotations

from ... import runtime


class NoAddress(runtime.Declined):
    """This node advertises no address, so nobody could probe it: it cannot be a member."""
