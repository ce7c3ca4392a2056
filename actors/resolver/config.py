"""What can be configured of a resolver."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from ...runtime.settings import MILLISECOND, Bytes, Problem, Seconds, Settings, option
from ...transport.core.codec import MAX_PAYLOAD_BYTES
from .core.codec import OVERHEAD


@dataclass(frozen=True, slots=True)
class Config(Settings):
    """Nodes that share a resolver's channel agree on `key_length`; the rest is each node's own."""

    key_length: int = option(32, "Bytes of every key.", minimum=1, maximum=1024)
    max_message: Bytes = option(
        1024 * 1024,
        "Largest message sent, as transport's `max_message`.",
        minimum=1024,
        maximum=MAX_PAYLOAD_BYTES,
    )
    ask: Literal["all", "primary"] = option(
        "all", "Whom to ask: primary peers, and secondary ones where no primary one is left; or only primary peers."
    )

    fetch_timeout: Seconds = option(5.0, "Time for one peer to answer one request.", minimum=MILLISECOND)
    fetch_retry_delay: Seconds = option(
        0.1, "Wait before a key is asked for again; once all were asked in vain ever longer, up to 32 times.", minimum=0
    )
    verdict_timeout: Seconds = option(
        30.0, "Time for the consumer to judge a value; then it failed.", minimum=MILLISECOND
    )
    block_duration: Seconds | None = option(
        None,
        "How long a peer that sent false data is blocked. By default the tracker's `block_duration`.",
        minimum=MILLISECOND,
    )
    close_malformed: bool = option(False, "Close a link over which a message came that cannot be decoded.")
    want_interval: Seconds = option(
        10.0,
        "How often a connection is asked for that keys wait for. Where any peer may have what they wait for, the first "
        "eight that do not come are asked for twenty times as often.",
        minimum=MILLISECOND,
    )

    find: bool = option(
        False,
        "Ask the members who has a key that nobody connected has: for a resolver of an application, which provides its "
        "keys. Files are found without.",
    )

    max_requests_per_peer: int = option(16, "Requests that wait for one peer's answer.", minimum=1)
    request_rate: float = option(2000.0, "Requests per second sent to one peer.", minimum=0.001)
    request_burst: int = option(2000, "How many of those may go at once.", minimum=1)
    inbound_rate: float = option(
        5000.0, "Messages per second taken from one peer: requests and answers.", minimum=0.001
    )
    inbound_burst: int = option(5000, "How many of those may come at once.", minimum=1)

    max_serves: int = option(256, "Requests that the producer works on at once; more are told: no data.", minimum=1)
    max_serves_per_peer: int = option(32, "How many of those may be of one peer.", minimum=1)
    serve_timeout: Seconds = option(
        4.0,
        "Time for the producer; then the asker is told: no data. Shorter than the askers' fetch_timeout.",
        minimum=MILLISECOND,
    )

    priority_requests: bool = option(
        True, "Requests overtake what waits for the same peer without priority: they are small, and a key waits."
    )
    priority_responses: bool = option(
        False, "Answers do so too, with a value or with none, where asker and responder both have this set."
    )

    @property
    def max_value(self) -> int:
        """Bytes of the largest value that fits into one message."""
        return self.max_message - OVERHEAD

    def check(self) -> Iterable[Problem]:
        """Yield what two settings make impossible together."""
        if self.max_serves_per_peer > self.max_serves:
            yield Problem(("max_serves_per_peer",), "is above max_serves", f"at most {self.max_serves}")
        if self.inbound_rate < 2 * self.request_rate:
            # what we ask of a peer comes back over the same quota as what it asks of us
            yield Problem(("inbound_rate",), "is below twice request_rate", f"at least {2 * self.request_rate:g}")
        if self.inbound_burst < 2 * self.request_burst:
            yield Problem(("inbound_burst",), "is below twice request_burst", f"at least {2 * self.request_burst}")
