"""Everything the membership counts."""

from __future__ import annotations

from dataclasses import fields

from ...runtime import Registry
from .swim import Counters, Swim

_PROTOCOL = tuple(each.name for each in fields(Counters))


class Metrics:
    """The membership's metrics. No label comes from a peer."""

    def __init__(self, registry: Registry) -> None:
        """registry: the node's."""
        gauge, counter = registry.gauge, registry.counter
        self.members = gauge("membership_members", "Visible members, this node excluded.")
        self.missing = gauge("membership_missing_records", "Active members that wait for their record.")
        self.changes = counter("membership_changes_total", "Events told, by kind.", labels=("event",))
        self.packets = counter("membership_packets_total", "Packets, by what became of them.", labels=("outcome",))
        self.bytes_sent = counter("membership_sent_bytes_total", "Bytes handed to transport.")
        self.records = counter(
            "membership_records_total", "Records received, by what became of them.", labels=("result",)
        )
        self.peer_sets = counter(
            "membership_peer_sets_total", "Peer sets given to the tracker, by answer.", labels=("answer",)
        )
        self.snapshots = counter(
            "membership_snapshots_total", "Reads and writes of the file of members, by outcome.", labels=("outcome",)
        )
        self.health = gauge("membership_health", "0: keeps up; more: how much slower than it should be (Lifeguard).")
        self.round_trips = counter("membership_round_trips_total", "Probes that were answered directly.")
        self.round_trip_seconds = counter("membership_round_trip_seconds_total", "What these took together.")
        self.backlog = gauge("membership_backlog", "Members with news still to be passed on.")
        self.protocol = gauge(
            "membership_protocol_events", "What the protocol counts since the first join, by kind.", labels=("kind",)
        )

    def show(self, swim: Swim) -> None:
        """Bring what the protocol counts up to date."""
        self.backlog.set(swim.updates_backlog())
        self.health.set(swim.health)
        for kind in _PROTOCOL:
            self.protocol.set(getattr(swim.counters, kind), kind)
