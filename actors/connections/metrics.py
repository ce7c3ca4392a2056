"""Every metric of the connections actor."""

from __future__ import annotations

from ...runtime import Registry


class Metrics:
    """Counters and gauges, by name."""

    def __init__(self, registry: Registry) -> None:
        """Declare them in the node's registry."""
        self.open = registry.gauge("connections_open", "Connections that are open and not chosen for closing.")
        self.closing = registry.gauge("connections_closing", "Connections chosen for closing that are not gone yet.")
        self.opened = registry.counter("connections_opened_total", "Connections opened.", labels=("direction",))
        self.closed = registry.counter("connections_closed_total", "Connections closed.", labels=("reason",))
        self.unexpected = registry.counter(
            "connections_unexpected_total", "Links that opened twice or closed without being open.", labels=("event",)
        )
        self.trims = registry.counter("connections_trims_total", "Trims that found something to close.")
