"""What the membership answers instead of doing what it was asked."""

from __future__ import annotations

from ... import runtime


class NoAddress(runtime.Declined):
    """This node advertises no address, so nobody could ask it whether it is alive; it cannot be a member."""
