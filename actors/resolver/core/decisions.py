"""What the resolver's core decided, as values: the engine performs them in order and decides nothing itself.

They are not frozen, as transport's messages are not: several are made for each fetch, and making a frozen one takes
three times as long. Treat them as frozen all the same.
"""

from __future__ import annotations

from enum import Enum
from typing import Generic, TypeVar

from msgspec import Struct

from .fetching.requests import Active

P = TypeVar("P")
S = TypeVar("S")


class Outcome(Enum):
    """What a consumer thinks of delivered bytes."""

    COMPLETE = "complete"  # good, and enough for every subscriber of this delivery
    AMBIGUOUS = "ambiguous"  # an honest answer, but some subscriber needs other bytes
    IGNORED = "ignored"  # nobody needs the key now, so the bytes were not examined
    INVALID = "invalid"  # no honest peer would have sent this
    UNANSWERED = "unanswered"  # the consumer raised, was cancelled or never answered; says nothing about the peer


class Cause(Enum):
    """Why a request is no longer out."""

    ANSWERED = "answered"
    MISSING = "missing"
    TIMED_OUT = "timed out"
    LINK_CLOSED = "link closed"
    CANCELLED = "cancelled"
    OVERTAKEN = "overtaken"  # another peer was asked too, and answered first


class Reason(Enum):
    """Why a key is no longer wanted."""

    FULFILLED = "fulfilled"
    IGNORED = "ignored"
    CONTRADICTED = "contradicted"  # the consumer first accepted the bytes and then called them invalid
    UNANSWERED = "unanswered"
    CANCELLED = "cancelled"


class Deliver(Struct, Generic[P, S]):
    """Ask the consumer; give its outcome to `verdict` with this key and generation."""

    key: bytes
    generation: int
    subscribers: tuple[S, ...]
    value: bytes
    peer: P


class Ended(Struct, Generic[P]):
    """A request is no longer out: its peer has one task less. Each sent request ends exactly once."""

    request: Active[P]
    cause: Cause


class Accepted(Struct, Generic[P]):
    """The consumer called the bytes complete, `seconds` after the key was first fetched."""

    key: bytes
    peer: P
    seconds: float


class Retry(Struct):
    """The key waits again; nothing to be done but counting."""

    key: bytes
    cause: Cause | Outcome


class Block(Struct, Generic[P]):
    """The peer lied about this key: have the tracker block it."""

    peer: P
    key: bytes


class Retired(Struct):
    """The key is no longer live; a verdict with this generation, if there is one, is void."""

    key: bytes
    reason: Reason
    generation: int | None


Decision = Deliver[P, S] | Ended[P] | Accepted[P] | Retry | Block[P] | Retired
