"""Every metric of the connections actor."""

from __future__ import annotations

from ...runtime import Registry
from .core.peer import State
from .core.peer_table import PeerTable


class Metrics:
    """Counters and gauges, by name."""

    def __init__(self, registry: Registry) -> None:
        """Declare them in the node's registry."""
        self.open = registry.gauge("connections_open", "Connections that are open and not chosen for closing.")
        self.closing = registry.gauge("connections_closing", "Connections chosen for closing that are not gone yet.")
        self.states = registry.gauge(
            "connections_state", "Open connections by whether a trim may close them.", labels=("state",)
        )
        self.temporary = registry.gauge("connections_temporary", "Peers with tags and without a connection.")
        self.protected = registry.gauge("connections_protected_peers", "Peers that are protected, connected or not.")
        self.opened = registry.counter("connections_opened_total", "Connections opened.", labels=("direction",))
        self.closed = registry.counter("connections_closed_total", "Connections closed.", labels=("reason",))
        self.unexpected = registry.counter(
            "connections_unexpected_total",
            "Links that opened twice or closed unopened, untagged peers without that tag, work done that never began.",
            labels=("event",),
        )
        self.declined = registry.counter(
            "connections_declined_total",
            "Tags and protections that were declined: of this node itself, or one more than the configuration allows.",
            labels=("error",),
        )
        self.trims = registry.counter("connections_trims_total", "Trims by who wanted them.", labels=("trigger",))
        self.trimmed = registry.counter(
            "connections_trimmed_total", "Connections that trims chose, by who wanted the trim.", labels=("trigger",)
        )
        self.short = registry.counter(
            "connections_trims_short_total",
            "Trims that did not reach their target, by what kept the connections above it.",
            labels=("why",),
        )
        self.trim_seconds = registry.counter(
            "connections_trim_seconds_total", "Time from the first victim of each trim to its report."
        )

        self.failures = registry.counter(
            "connections_application_failures_total",
            "Functions of the application that raised, returned what they must not, or could not follow.",
            labels=("function",),
        )

        self.log_lines_left_out = registry.counter(
            "connections_log_lines_left_out_total", "Log lines that were not written because an IP caused too many."
        )

        self.alarms = registry.counter(
            "connections_memory_alarms_total", "Checks that found more memory in use than `memory_limit`."
        )

    def show(self, table: PeerTable) -> None:
        """Bring the gauges up to date."""
        self.open.set(table.open)
        self.closing.set(table.closing)
        for state in State:
            self.states.set(table.count(state), state.name.lower())
        self.temporary.set(table.temporary)
        self.protected.set(len(table.protections))
