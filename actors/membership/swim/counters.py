"""Counters of everything that the protocol refuses, drops or postpones, so that nothing happens silently."""

from dataclasses import dataclass

__all__ = ["Counters"]


@dataclass(slots=True)
class Counters:
    """Totals since the start, for metrics."""

    incomplete_probe_cycles: int = 0
    """Probes that neither succeeded nor failed because the indirect stage never ran (defects: D7)."""

    late_timers: int = 0
    """Probes not judged, and suspects given more time, because this process had stalled."""

    failed_probes: int = 0
    refutations: int = 0
    refused_incarnation_jumps: int = 0
    refused_members: int = 0
    """Updates about unknown members that were refused because `max_members` are held."""

    foreign_generations: int = 0
    """Updates about our key under another generation."""

    refused_generation_jumps: int = 0
    """Later lives of ours, reported by others, that are later by more than any clock can be wrong."""

    withheld_rejoins: int = 0
    refused_broadcasts: int = 0
    """Received items that the application's handler refused."""

    refused_relays: int = 0
    """Pings for others that no Nack will follow, as too many were waiting already."""

    refused_syncs: int = 0
    """Transfers not begun, as the same member or too many were being served already."""

    dropped_broadcasts: int = 0
    """New items that are not passed on: the queue was full, or they are too long for our packets."""

    broadcast_filter_errors: int = 0
    """Packets without items, as the application's filter raised."""
