"""Every metric of maintenance."""

from __future__ import annotations

from ...runtime import Registry


class Metrics:
    """Counters and gauges, by name."""

    def __init__(self, registry: Registry) -> None:
        """Declare them in the node's registry."""
        self.rounds = registry.counter("maintenance_rounds_total", "Times the tracker was asked for candidates.")
        self.dials = registry.counter(
            "maintenance_dials_total", "Dials by how they ended.", labels=("outcome",)
        )  # opened, refused, failed
        self.short_lived = registry.counter(
            "maintenance_short_lived_dials_total", "Dials for fetches, beside the connections that are counted."
        )
        self.wishes_dropped = registry.counter(
            "maintenance_fetch_wishes_dropped_total",
            "Wishes of fetches that made room for others, as there were too many.",
        )
        self.dialling = registry.gauge("maintenance_dialling", "Dials under way.")
        self.checks = registry.counter(
            "maintenance_checks_total", "Checks that ended, by what they found.", labels=("situation",)
        )
        self.cannot_trim = registry.counter("maintenance_cannot_trim_total", "Trims that did not meet their target.")
        self.room_withheld = registry.counter(
            "maintenance_room_withheld_total",
            "Waits in which peers of the set got no place, as others had not stayed.",
        )
        self.unanswered = registry.counter(
            "maintenance_unanswered_total", "Questions to other actors that failed or timed out.", labels=("question",)
        )
        self.searches = registry.counter("maintenance_searches_total", "Times that the peers were asked for others.")
        self.exchange = registry.counter(
            "maintenance_exchange_total", "Messages of peer exchange, and those not heeded.", labels=("what",)
        )
        self.records = registry.counter(
            "maintenance_records_total", "Records of other peers received, by what became of them.", labels=("result",)
        )
