"""The counters and gauges of the membership."""

from __future__ import annotations

from dataclasses import fields

from ...runtime import Registry
from .swim import Counters, Swim

_PROTOCOL = tuple(each.name for each in fields(Counters))


class Metrics:
    """The membership's metrics. No label comes from a peer."""

    def __init__(self, registry: Registry) -> None:
        """registry: the node's registry, which exports them."""
        gauge, counter = registry.gauge, registry.counter
        self.members = gauge("membership_members", "Visible members, this node excluded.")
        self.missing = gauge("membership_missing_records", "Active members whose record is not known yet.")
        self.left_out = gauge("membership_left_out", "Members that are left out of the tracker's peer set.")
        self.waiting = gauge("membership_waiting_keys", "Keys that others told of and whose records are not known yet.")
        self.unproved = gauge("membership_unproved_members", "Members that have not answered this node yet.")
        self.changes = counter("membership_changes_total", "Events emitted, by kind.", labels=("event",))
        self.packets = counter("membership_packets_total", "Packets, by outcome.", labels=("outcome",))
        self.over_limit = counter(
            "membership_over_limit_total", "Packets dropped as their sender sent too many, by kind.", labels=("kind",)
        )
        self.cheats = counter(
            "membership_cheats_total", "False proofs, by whether they were the sender's own.", labels=("of",)
        )
        self.not_shown = counter(
            "membership_cheats_not_shown_total", "Cheats whose records were not shown to others, as too many waited."
        )
        self.renewals = counter(
            "membership_renewals_total",
            "Answers to requests for a record of a new life, by outcome.",
            labels=("outcome",),
        )
        self.log_lines_left_out = counter(
            "membership_log_lines_left_out_total", "Log lines that were not written because a peer caused too many."
        )
        self.bytes_sent = counter("membership_sent_bytes_total", "Bytes handed to transport.")
        self.records = counter("membership_records_total", "Records received, by result.", labels=("result",))
        self.newcomers = counter(
            "membership_newcomers_total",
            "Peers that others told of, and updates that wait for their records, by what became of them.",
            labels=("outcome",),
        )
        self.peer_sets = counter(
            "membership_peer_sets_total", "Peer sets given to the tracker, by answer.", labels=("answer",)
        )
        self.snapshots = counter(
            "membership_snapshots_total", "Reads and writes of the file of members, by outcome.", labels=("outcome",)
        )
        self.health = gauge(
            "membership_health", "Lifeguard's score: 0: keeps up; more: how much slower than it should be."
        )
        self.round_trips = counter("membership_round_trips_total", "Probes that were answered directly.")
        self.round_trip_seconds = counter("membership_round_trip_seconds_total", "Sum of their round trip times.")
        self.backlog = gauge("membership_backlog", "Members with an update still to be passed on.")
        self.protocol = gauge(
            "membership_protocol_events", "Counters of SWIM since the first join, by kind.", labels=("kind",)
        )

    def show(self, swim: Swim) -> None:
        """Copy the counters and gauges of SWIM, which are read only when metrics are collected."""
        self.backlog.set(swim.updates_backlog())
        self.health.set(swim.health)
        for kind in _PROTOCOL:
            self.protocol.set(getattr(swim.counters, kind), kind)
