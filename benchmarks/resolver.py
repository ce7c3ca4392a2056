"""A resolver that fetches from another process over loopback, CURVE on, and what a million wanted keys cost.

* `fetch-1KiB`: fetches per second; `fetch-1KiB-latency`: seconds of one, asked for when the last one is there, beside a
  round trip of 64 bytes over the same transport.
* `fetch-256KiB`: MB/s, beside one-way messages of that size over the same transport.
* `pending-1000000`: processor seconds of one event while a million keys wait, beside 10,000: a ratio of 1 would be no
  growth at all, O(log n) is 0.67, O(n) 0.01. `-bytes-per-key` is memory beyond the key's own bytes, `-worst-turn` the
  longest turn of a `retain` that goes through all of them. The last two need Linux.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator

from benchmarks.harness import Result, by_itself, less_is_better, main, more_is_better, repeated, side_by_side
from benchmarks.resolver_pending import Crowd
from benchmarks.transport_ends import Pair, Process

KIB = 1024
MANY, FEW = 1_000_000, 10_000


class Fetching:
    """Two ends, connected."""

    def __init__(self, size: int, count: int) -> None:
        """count: values of `size` bytes each."""
        self.count = count
        module = "benchmarks.resolver_ends"
        self._server = Process(str(size), str(count), module=module)
        self._client = Process(str(size), str(count), *self._server.greeting.split(), module=module)

    def rate(self) -> float:
        """Fetches per second."""
        return self.count / self._client.ask("fetch")

    def latency(self, times: int) -> float:
        """Seconds of one fetch."""
        return self._client.ask("one-by-one", times)

    def close(self) -> None:
        """Let both end."""
        self._client.close()
        self._server.close()


def small(runs: int, quick: bool) -> Iterator[Result]:
    """Values of 1 KiB."""
    ends = Fetching(KIB, 5_000 if quick else 20_000)
    try:
        with Pair("ours-loop") as pair:
            yield by_itself("fetch-1KiB", repeated(ends.rate, runs), "fetches/s", more=True)
            times = 500 if quick else 2000
            ours, theirs = side_by_side(lambda: ends.latency(times), lambda: pair.trips(times), runs)
            yield less_is_better("fetch-1KiB-latency", ours, "s", "transport", theirs)
    finally:
        ends.close()


def large(runs: int, quick: bool) -> Iterator[Result]:
    """Values of 256 KiB."""
    size = 256 * KIB
    ends = Fetching(size, 512 if quick else 1024)
    try:
        with Pair("ours-loop") as pair:

            def stream() -> float:
                return ends.count / pair.stream(size, ends.count)

            ends.rate(), stream()  # both are warm
            both = side_by_side(ends.rate, stream, runs)
            ours, theirs = ([per_second * size / 1e6 for per_second in rates] for rates in both)
            yield more_is_better("fetch-256KiB", ours, "MB/s", "transport", theirs)
    finally:
        ends.close()


def pending(runs: int) -> Iterator[Result]:
    """Waiting keys."""
    few, many = Crowd(FEW), Crowd(MANY)
    ours, theirs = side_by_side(many.events, few.events, runs)
    yield less_is_better(f"pending-{MANY}", ours, "s", f"{FEW:,} keys", theirs)
    if sys.platform == "linux":
        yield by_itself(f"pending-{MANY}-bytes-per-key", many.bytes_per_key, "bytes")
        yield by_itself(f"pending-{MANY}-worst-turn", many.worst_turn(), "s")


def measure(quick: bool) -> Iterator[Result]:
    """Every figure."""
    runs = 3 if quick else 7
    yield from pending(runs)  # first: it reads this process's memory
    yield from small(runs, quick)
    yield from large(5 if quick else 9, quick)


if __name__ == "__main__":
    main("resolver", measure)
