"""Every metric of transport."""

from __future__ import annotations

from ..runtime import Registry


class Metrics:
    """Counters and gauges; a label's values are `Reason`s or words from here, never a peer's."""

    def __init__(self, registry: Registry) -> None:
        """Register them all."""
        self.connections = registry.gauge("transport_connections", "Open connections.", labels=("direction",))
        self.listening = registry.gauge("transport_listening", "1 while others can connect, 0 before and after.")
        self.listening_lost = registry.counter(
            "transport_listening_lost_total", "How often the listening socket ended though nobody closed it."
        )
        self.refused = registry.counter(
            "transport_refused_total", "Inbound handshakes refused, by reason.", labels=("reason",)
        )
        self.silent_connections = registry.counter(
            "transport_silent_connections_total",
            "Inbound connections that ended before their first message: late, one too many, flooding, or lost (also if "
            "refused).",
            labels=("reason",),
        )
        self.dials = registry.counter("transport_dials_total", "Dials that ended, by outcome.", labels=("outcome",))
        self.look_ups = registry.gauge(
            "transport_look_ups", "Look-ups of peers' names: running, waiting for their turn.", labels=("state",)
        )
        self.closed = registry.counter("transport_closed_total", "Connections that ended.", labels=("reason",))
        self.sent = registry.counter("transport_sent_total", "Messages handed to the wire.")
        self.received = registry.counter("transport_received_total", "Messages delivered to receivers.")
        self.lost = registry.counter(
            "transport_lost_total", "Messages accepted by `send` and not sent, by cause.", labels=("cause",)
        )
        self.unconfirmed = registry.counter(
            "transport_unconfirmed_total", "Messages sent on links that ended before the other side confirmed them."
        )
        self.dropped = registry.counter(
            "transport_dropped_total", "Messages received and not delivered, by cause.", labels=("cause",)
        )
        self.invalid = registry.counter(
            "transport_invalid_total", "Frames that no honest peer sends, by kind.", labels=("kind",)
        )
        self.log_lines_left_out = registry.counter(
            "transport_log_lines_left_out_total", "Log lines that were not written because an IP caused too many."
        )
        self.packets = registry.counter(
            "transport_packets_total",
            "Packets: sent, received, dropped, unresolved (to a name), over the quota, of a kind that nobody "
            "receives, or refused as not sendable.",
            labels=("outcome",),
        )
        self.packet_links_refused = registry.counter(
            "transport_packet_links_refused_total", "Our packet links that the peer refused.", labels=("reason",)
        )
        self.ignored = registry.counter("transport_ignored_total", "Commands for links that are gone already.")
