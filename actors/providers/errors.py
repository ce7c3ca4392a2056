"""What the providers decline with."""

from __future__ import annotations

from ...runtime import Declined


class NotTakingPart(Declined):
    """This node does not ask who has a key: it is private, no member, or `providers.enabled` is false."""


class TooManySearches(Declined):
    """As many keys are looked for as may be at once, `max_searches`."""
