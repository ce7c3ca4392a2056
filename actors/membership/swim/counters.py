"""What is counted, so that nothing happens in silence."""

from dataclasses import dataclass

__all__ = ["Counters"]


@dataclass(slots=True)
class Counters:
    """Totals since the start, for metrics."""

    incomplete_probe_cycles: int = 0
    """Probes without a verdict because the indirect stage never had its turn (defects: D7)."""

    late_timers: int = 0
    """Verdicts not passed, and suspects given more time, because our clock stood still."""

    failed_probes: int = 0
    refutations: int = 0
    refused_incarnation_jumps: int = 0
    refused_members: int = 0
    """Updates about others that are not known yet, when `max_members` are."""

    foreign_generations: int = 0
    """Updates about our key under another generation."""

    refused_generation_jumps: int = 0
    """Others hold a life of ours that is later by more than any clock can be wrong."""

    withheld_rejoins: int = 0
    refused_broadcasts: int = 0
    """Received items that the application's handler refused."""

    refused_relays: int = 0
    """Pings for others without a Nack to follow, as too many were waiting already."""

    refused_syncs: int = 0
    """Transfers not begun, as the same member or too many were being served already."""

    dropped_broadcasts: int = 0
    """Items that were news and are not passed on: the queue was full, or they are too big for our packets."""

    broadcast_filter_errors: int = 0
    """Packets without items, as the application's filter raised."""
