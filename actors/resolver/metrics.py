"""Every metric of a resolver. All are labelled with its name, since a node may have several."""

from __future__ import annotations

from ...runtime import Counter, Gauge, Registry


class BoundCounter:
    """A counter that adds the resolver's name to the labels."""

    def __init__(self, counter: Counter, resolver: str) -> None:
        self._counter = counter
        self._resolver = resolver

    def inc(self, *labels: str, by: float = 1) -> None:
        """Add `by` at these labels."""
        self._counter.inc(self._resolver, *labels, by=by)


class BoundGauge:
    """A gauge that has the resolver's name for its label."""

    def __init__(self, gauge: Gauge, resolver: str) -> None:
        self._gauge = gauge
        self._resolver = resolver

    def set(self, value: float) -> None:
        """Set the value of this resolver's gauge."""
        self._gauge.set(value, self._resolver)


class Metrics:
    """Counters and gauges, by name."""

    def __init__(self, registry: Registry, resolver: str) -> None:
        """Declare them in the node's registry. resolver: the engine's name."""

        def counter(name: str, help: str, *labels: str) -> BoundCounter:
            made = registry.counter(f"resolver_{name}_total", help, labels=("resolver", *labels))
            return BoundCounter(made, resolver)

        def gauge(name: str, help: str) -> BoundGauge:
            return BoundGauge(registry.gauge(f"resolver_{name}", help, labels=("resolver",)), resolver)

        self.live = gauge("keys", "Keys that somebody wants.")
        self.waiting = gauge("keys_waiting", "Keys that wait to be sent.")
        self.active = gauge("requests_active", "Requests that wait for an answer.")
        self.judging = gauge("verdicts_awaited", "Values that the consumer has not judged.")
        self.serving = gauge("serves_active", "Requests of others that the producer works on.")
        self.excluded = gauge("peers_excluded", "Peers that sent false data and did not connect again since.")

        self.requests = counter("requests", "Requests that ended.", "cause")
        self.refused = counter("requests_refused", "Requests that transport did not take.")
        self.limited = counter("requests_limited", "Times a peer was passed over for its rate limit.")
        self.overdue = counter("requests_overdue", "Requests to another peer as one did not answer in time.")
        self.retries = counter("retries", "Keys that wait again.", "cause")
        self.verdicts = counter("verdicts", "What the consumer said.", "outcome")
        self.retired = counter("retired", "Keys that nobody wants any more.", "reason")
        self.fetched = counter("fetched", "Values accepted.")
        self.fetched_bytes = counter("fetched_bytes", "Bytes of the values that came.")
        self.fetch_seconds = counter("fetch_seconds", "Sum of the seconds from first fetch to acceptance.")
        self.blocks = counter("blocks", "Peers blocked for false data.")
        self.wants = counter("wants", "Connections to unconnected targets that were asked for.")

        self.serves = counter("serves", "Requests of others, by how they were answered.", "result")
        self.served_bytes = counter("served_bytes", "Bytes of the values sent.")
        self.serve_seconds = counter("serve_seconds", "Sum of the seconds from request to value, of the values sent.")
        self.answers_lost = counter("answers_lost", "Answers that could not be sent.", "why")

        self.malformed = counter("malformed", "Messages that could not be decoded.")
        self.unmatched = counter("unmatched", "Answers to nothing that is out: late, repeated or forged.")
        self.stray = counter("stray", "Messages of a link that is closed.")
        self.application_failures = counter("application_failures", "Failures of application code.", "part")
