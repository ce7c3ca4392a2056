"""Every metric of the providers."""

from __future__ import annotations

from ...runtime import Registry


class Metrics:
    """Counters and gauges; a label's values are words from here."""

    def __init__(self, registry: Registry) -> None:
        """Register them all."""
        counter, gauge = registry.counter, registry.gauge
        self.provided = gauge("providers_provided_keys", "Keys of this node that others are told of.")
        self.untold = gauge("providers_untold_keys", "Keys that wait to be told, once for each member to tell.")
        self.kept = gauge("providers_kept_keys", "Keys that are kept for others.")
        self.searches = gauge("providers_searches", "Keys that are looked for.")
        self.members = gauge("providers_members", "Members that take part, this node included.")

        self.sent = counter("providers_sent_total", "Packets sent, by what they say.", labels=("kind",))
        self.not_sent = counter("providers_not_sent_total", "Packets that transport did not take, or for nobody known.")
        self.received = counter("providers_received_total", "Packets received, by what they say.", labels=("kind",))
        self.refused = counter("providers_refused_total", "Packets that were dropped, by why.", labels=("why",))
        self.unmatched = counter("providers_unmatched_total", "Answers to nothing that is out: late, or forged.")
        self.not_provided = counter("providers_not_provided_total", "Keys beyond max_provided, not told of.")
        self.not_taken = counter("providers_not_taken_total", "Keys that an index member had no room for.")
        self.not_kept = counter("providers_not_kept_total", "Keys of others that there was no room for.")
        self.not_named = counter("providers_not_named_total", "Holders that were not named, as too many were.")
        self.ended = counter("providers_searches_total", "Askings that ended, by outcome.", labels=("outcome",))
        self.found = counter("providers_found_total", "Holders that said yes, by who led to them.", labels=("by",))
        self.charged = counter("providers_charged_total", "Index members passed over for naming falsely.")
        self.wants = counter("providers_wants_total", "Connections that were asked for, by why.", labels=("why",))
        self.unknown = counter("providers_unknown_total", "Named peers that are not asked, as they have not answered.")
        self.log_lines_left_out = counter(
            "providers_log_lines_left_out_total", "Log lines beyond what others may cause."
        )
