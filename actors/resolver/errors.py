"""What the resolver answers or reports when something did not work."""

from __future__ import annotations

from ... import runtime
from .core.decisions import Reason


class BadKey(runtime.Declined, ValueError):
    """A key of another length than this resolver's keys have. Nothing was fetched."""

    def __init__(self, length: int, allowed: int) -> None:
        """length: of the key that was given, allowed: of this resolver's keys; in bytes."""
        super().__init__(f"a key of {length} bytes: keys of this resolver have {allowed}")


class FetchError(runtime.Declined):
    """A `get` ended without a value. key: of which data."""

    def __init__(self, key: bytes, why: str) -> None:
        """why: in words."""
        super().__init__(f"{key.hex()} was not fetched: {why}")
        self.key = key


class FetchCancelled(FetchError):
    """Somebody cancelled this key, or all of them."""

    def __init__(self, key: bytes) -> None:
        """key: of which data."""
        super().__init__(key, "cancelled")


class FetchTimedOut(FetchError, TimeoutError):
    """The time that `get` was given is over."""

    def __init__(self, key: bytes, timeout: float) -> None:
        """timeout: in seconds."""
        super().__init__(key, f"not within {timeout:g} s")


class FetchRetired(FetchError):
    """Bytes came, and the consumer ended the fetch without accepting them for this `get`. reason: how."""

    def __init__(self, key: bytes, reason: Reason) -> None:
        """reason: how the fetch ended."""
        super().__init__(key, f"the consumer's verdict was {reason.value}")
        self.reason = reason


class BadAnswer(TypeError):
    """A consumer or producer answered something that is none of the allowed types."""


class ValueTooLarge(ValueError):
    """A producer's value does not fit into one message. The asker was told that there is no data."""

    def __init__(self, size: int, limit: int) -> None:
        """size: of the value, limit: `max_value`; in bytes."""
        super().__init__(f"a value of {size} bytes: allowed are {limit}")
        self.size = size
        self.limit = limit
