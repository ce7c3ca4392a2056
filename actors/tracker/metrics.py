"""Everything the tracker counts."""

from __future__ import annotations

from ...runtime import Registry
from ...transport.gater import POINTS, Gaters
from .core.directory import Directory


class Metrics:
    """The tracker's metrics. No label comes from a peer."""

    def __init__(self, registry: Registry) -> None:
        """registry: the node's."""
        gauge, counter = registry.gauge, registry.counter
        self.peers = gauge("tracker_peers", "Peers of whom something is known, this node excluded.")
        self.hinted = gauge("tracker_hinted_peers", "Peers with an address that no set lists.")
        self.reserved = gauge("tracker_reserved", "Tickets that are out, of pending and of open links.")
        self.connected = gauge("tracker_connected", "Links that are open.")
        self.blocked = gauge("tracker_blocked", "Blocks in force, by what is blocked.", labels=("kind",))
        self.trusted = gauge("tracker_trusted", "Peers that are trusted.")
        self.newest_set = gauge("tracker_newest_set", "Id of the newest peer set.")
        self.refusals = counter(
            "tracker_refusals_total",
            "Claims and dials refused, by who dialled and why.",
            labels=("direction", "reason"),
        )
        self.dials = counter("tracker_dials_total", "Dials handed to transport, by how they ended.", labels=("end",))
        self.address_changes = counter(
            "tracker_address_changes_total", "Addresses changed by track or overwrite.", labels=("by",)
        )
        self.sets_refused = counter("tracker_sets_refused_total", "Peer sets refused, by error.", labels=("error",))
        self.hints = counter(
            "tracker_hints_total",
            "Records hinted at, by what became of them; messages of which no signature was checked in time.",
            labels=("result",),
        )
        self.pushed_out = counter(
            "tracker_pushed_out_total", "Unlisted peers forgotten to make room, by what was full.", labels=("bound",)
        )
        self.closes = counter("tracker_closes_total", "Peers to be disconnected, by why.", labels=("reason",))
        self.void_releases = counter("tracker_void_releases_total", "Releases of tickets that had moved or ended.")
        self.not_in_effect = counter("tracker_not_in_effect_total", "Changes that transport did not confirm in time.")
        self.log_lines_left_out = counter(
            "tracker_log_lines_left_out_total", "Log lines that were not written because a peer or IP caused too many."
        )
        self.gated = counter("tracker_gater_denied_total", "What the application's gater denied.", labels=("point",))
        self.gater_failures = counter(
            "tracker_gater_failures_total", "Times the application's gater raised, which denies.", labels=("point",)
        )

    def show(self, directory: Directory, gaters: Gaters) -> None:
        """Bring up to date what is only looked at when somebody reads the metrics."""
        peers = directory.peers
        self.peers.set(len(peers))
        self.hinted.set(len(peers.unlisted))
        self.reserved.set(directory.held)
        self.trusted.set(len(peers.trusted))
        self.newest_set.set(directory.window.newest or 0)
        for kind, count in peers.blocks.counts().items():
            self.blocked.set(count, kind)
        for bound, count in peers.unlisted.pushed_out.copy().items():
            self.pushed_out.advance(count, bound)
        for point in POINTS:
            self.gated.advance(gaters.denied[point], point)
            self.gater_failures.advance(gaters.failed[point], point)


class BookMetrics:
    """Those of the address book."""

    def __init__(self, registry: Registry) -> None:
        """registry: the node's."""
        gauge, counter = registry.gauge, registry.counter
        self.unwritten = gauge("tracker_book_unwritten", "Changes that are not in the address book yet.")
        self.batches = counter("tracker_book_batches_total", "Batches written to the address book.")
        self.read = counter(
            "tracker_book_read_total", "Entries found at the start, by what became of them.", labels=("result",)
        )
        self.failures = counter("tracker_book_failures_total", "What could not be read or written.", labels=("what",))
        self.quarantined = counter("tracker_book_quarantined_total", "Damaged address books that were quarantined.")
        self.jumps = counter("tracker_book_clock_jumps_total", "Times the wall clock was set while the node ran.")
