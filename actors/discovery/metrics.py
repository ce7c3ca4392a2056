"""Every metric of discovery."""

from __future__ import annotations

from ...runtime import Registry


class Metrics:
    """Counters; a label's values are the configured sources and words from here."""

    def __init__(self, registry: Registry) -> None:
        """Register them all."""
        self.lookups = registry.counter(
            "discovery_lookups_total", "Lookups of a source, by whether it worked.", labels=("source", "outcome")
        )
        self.records = registry.counter(
            "discovery_records_total",
            "Records that sources gave, by what became of them.",
            labels=("source", "outcome"),
        )
        self.served = registry.counter(
            "discovery_served_total", "Requests for this node's record over HTTP, by answer.", labels=("answer",)
        )
