"""How soon a death is noticed, what that costs, and who is accused wrongly: in virtual time, beside Foca 1.0.0.

The conditions are those under which Foca was measured: its LAN settings for the cluster's size, and packets that take
0.5 to 5 ms. Members start 38 ms apart and join through the first; with Foca's own settings this simulation then gives
Foca's times of joining at 10, 50 and 150 members. Medians over 20 seeds, with `--quick` over 3.

* `idle-load-50`, `idle-bytes-50`: packets and bytes per member and second, nothing happening. `idle-load-1000`: the
  same for a thousand.
* `first-down-10|50|150`: seconds from a crash until the first member knows. `spread-...`: from then until all know.
* `false-down-loss10-50`, `false-down-loss20-50`: in a minute of lost packets, how often one of 50 healthy members was
  called Down to another. `rejoins-...`: how often one had to come back under a new generation.
* `false-down-stalls-50`: the same while one member stops for 5 s of every 15 s; of the others.
* `join-150`: seconds from the first start until everybody sees everybody. `join-worst-150`: over all seeds.
* `heal-100`: after a partition of a minute into halves, seconds until everybody sees everybody.
* `simulate-1000`: seconds of real time for a minute of a thousand members, their joining included.
* `update-cost`: microseconds of real time for each packet sent, received and applied, with all its updates.

Counts are compared with one added to both, as the best is none at all.
"""

from __future__ import annotations

import statistics
import sys
import time
from collections.abc import Iterator

from benchmarks.harness import Result, less_is_better, main
from rookery.actors.membership import Config
from rookery.actors.membership.simulator import Cluster, Conditions, Event, Network, Scenario, Summary, simulate

JOIN_EVERY = 0.038
FOCA = "foca"


def scenario(members: int, *events: Event, duration: float = 60.0, loss: float = 0.0) -> Scenario:
    """Under the conditions of the comparison."""
    return Scenario(
        members=members,
        join_every=JOIN_EVERY,
        duration=duration,
        network=Network(loss=loss),
        membership=Config(cluster_size=members),
        events=events,
    )


def played(what: Scenario, seeds: int) -> Summary:
    """Many runs."""
    return Summary(tuple(simulate(what, seed) for seed in range(1, seeds + 1)))


def fewer(name: str, count: float, unit: str, baseline: float) -> Result:
    """A count of what should not happen at all."""
    return Result(name, count, unit, FOCA, baseline, (baseline + 1) / (count + 1))


def happened(value: float | None) -> float:
    """What is measured. Raises RuntimeError if it did not happen at all while it was watched for."""
    if value is None:
        raise RuntimeError("something that should have happened did not, in half of the runs or at the worst")
    return value


def idle(seeds: int) -> Iterator[Result]:
    """What it costs when nothing happens."""
    rest = played(scenario(50), seeds)
    yield less_is_better("idle-load-50", happened(rest.packets_per_second.median), "packets/s", FOCA, 2.07)
    yield Result("idle-bytes-50", happened(rest.bytes_per_second.median), "bytes/s")


def deaths(seeds: int) -> Iterator[Result]:
    """One member crashes."""
    for size, first, spread in ((10, 5.6, 0.3), (50, 9.2, 0.6), (150, 10.5, 0.7)):
        runs = played(scenario(size, Event("crash", at=5.0), duration=40.0), seeds)
        yield less_is_better(f"first-down-{size}", happened(runs.first_told.median), "s", FOCA, first)
        yield less_is_better(f"spread-{size}", happened(runs.dissemination.median), "s", FOCA, spread)


def losses(seeds: int) -> Iterator[Result]:
    """Packets are lost; nobody dies."""
    for percent, downs, rejoins in ((10, 0.0, 16.5), (20, 40.5, 80.0)):
        runs = played(scenario(50, loss=percent / 100), seeds).outcomes
        down = statistics.fmean(len(run.false_downs) for run in runs)
        rejoined = statistics.fmean(len(run.rejoins) for run in runs)
        yield fewer(f"false-down-loss{percent}-50", down, "per minute", downs)
        yield fewer(f"rejoins-loss{percent}-50", rejoined, "per minute", rejoins)
    stalls = played(scenario(50, Event("stall", lasting=5.0, every=15.0)), seeds).outcomes
    yield Result("false-down-stalls-50", statistics.fmean(len(run.false_downs) for run in stalls), "per minute")


def views(seeds: int) -> Iterator[Result]:
    """Until everybody sees everybody."""
    joining = 149 * JOIN_EVERY
    joined = played(scenario(150, duration=1.0), seeds).joined
    yield less_is_better("join-150", joining + happened(joined.median), "s", FOCA, 6.4)
    yield less_is_better("join-worst-150", joining + happened(joined.most), "s", FOCA, 34.1)
    cut = Event("partition", members=50, lasting=60.0)
    healed = played(scenario(100, cut, duration=180.0), seeds).healed
    yield Result("heal-100", happened(healed.median), "s")
    yield Result("heal-worst-100", happened(healed.most), "s")


def scale() -> Iterator[Result]:
    """A thousand members in one process."""
    started = time.process_time()
    cluster = Cluster(Config(cluster_size=1000).protocol, seed=1, conditions=Conditions())
    cluster.start(1000, every=0.02)
    cluster.run(50)
    before = cluster.sent[0]
    cluster.run(10)
    spent = time.process_time() - started
    packets = cluster.sent[0]
    yield Result("simulate-1000", spent, "s")
    yield Result("idle-load-1000", (packets - before) / 1000 / 10, "packets/s")
    yield Result("update-cost", spent / packets * 1e6, "us")


def measure(quick: bool) -> Iterator[Result]:
    """Every figure."""
    seeds = 3 if quick else 20
    print(f"medians over {seeds} seeds{' (20 without --quick)' if quick else ''}", file=sys.stderr)
    yield from idle(1 if quick else seeds)  # nothing in it is left to chance
    yield from deaths(seeds)
    yield from losses(seeds)
    yield from views(seeds)
    yield from scale()


if __name__ == "__main__":
    main("membership", measure)
