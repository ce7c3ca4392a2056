"""What can be configured of the providers."""

from __future__ import annotations

from dataclasses import dataclass

from ...runtime.settings import Seconds, Settings, option
from .core.codec import MAX_SECONDS


@dataclass(frozen=True, slots=True)
class Config(Settings):
    """Who has a key, where the tracker's source is the membership. Times are in seconds."""

    enabled: bool = option(
        True, "Tell the members which keys this node has, keep the index of some for others, and ask who has a key."
    )
    ttl: Seconds = option(
        7200.0,
        "How long others are told that this node has a key; they are told again after about half of it.",
        minimum=60,
        maximum=MAX_SECONDS,
    )
    rate: float = option(32.0, "Batches of keys that are told in a second, to all members together.", minimum=0.1)
    burst: int = option(64, "How many of those may leave at once.", minimum=1)
    max_provided: int = option(1_000_000, "Keys of this node that others are told of; more are not.", minimum=0)
    max_keys: int = option(500_000, "Keys that are kept for others, one of two providers twice.", minimum=0)
    max_keys_per_provider: int = option(100_000, "How many of those may be of one provider, at most all.", minimum=0)
    max_searches: int = option(1024, "Keys that are looked for at once; more take turns.", minimum=1)
