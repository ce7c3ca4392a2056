"""When this node goes over to other tags.

Other tags need a new record, and that a new life, of which the others take in only so many (`TAG_CHANGES`). So tags
that are set more often wait, as do those that are set while a record is signed, and the last ones count. If these are
the ones that the record has, as they were set back meanwhile, no life begins for them.
"""

from __future__ import annotations

from enum import Enum

from ....transport.core.buckets import TokenBuckets
from .sender_limits import TAG_CHANGES


class Step(Enum):
    """What follows from the tags that were set last."""

    DONE = "they are in the record"
    SIGN = "have a record with them signed now"
    SIGNING = "a record is being signed: they wait for that"
    PAUSE = "others were changed just now: they wait until `ready_at`"


class TagChanges:
    """Tags are as they are in a record."""

    def __init__(self, tags: bytes) -> None:
        """tags: those to begin with."""
        self.wanted = tags  # those that were set last
        self._limit = TokenBuckets(*TAG_CHANGES)
        self._signing = False

    def step(self, held: bytes | None, now: float) -> Step:
        """What is to be done; after `SIGN` nothing more before `signed`.

        held: the tags in our record; None before the first join, whose record has those that are wanted then.
        """
        if self._signing:
            return Step.SIGNING
        if held is None or held == self.wanted:
            return Step.DONE
        self._signing = self._limit.take(None, now)
        return Step.SIGN if self._signing else Step.PAUSE

    def ready_at(self, now: float) -> float:
        """The moment from which the tags may be changed once more."""
        return self._limit.ready_at(None, now)

    def signed(self) -> None:
        """The record that was to be signed is there, or cannot be had."""
        self._signing = False
