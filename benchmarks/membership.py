"""How soon a death is noticed, what that costs, and who is accused wrongly: in virtual time, beside Foca 1.0.0.

The conditions are those under which Foca was measured: its LAN settings for the cluster's size, and packets that take
0.5 to 5 ms. Members start 38 ms apart and join through the first; with Foca's own settings this simulation then gives
Foca's times of joining at 10, 50 and 150 members. Medians over 20 seeds, with `--quick` over 2, of the longer
ones 1; means of what should not happen at all. Every core is used, each run by one of them.

* `idle-load-50`, `-150`, `-1000`: packets per member and second, nothing happening: the same however many there are.
  `idle-bytes-...`: the bytes of these.
* `first-down-10|50|150`: seconds from a crash until the first member knows. `spread-...`: from then until all know.
* `false-down-loss10-50`, `false-down-loss20-50`: in a minute of lost packets, how often one of 50 healthy members was
  called Down to another. `rejoins-...`: how often one had to come back under a new generation.
* `false-down-stalls-50`: the same while one member stops for 5 s of every 15 s; of the others.
* `join-150`: seconds from the first start until everybody sees everybody. `join-worst-150`: over all seeds.
* `heal-100`: after a partition of a minute into halves, seconds until everybody sees everybody.
* `simulate-1000`: seconds of one core for a minute of a thousand members, their joining, one each 20 ms, included.
* `packet-cost`: seconds of one core for each packet of that, made, sent, received and applied.
* `update-known`, `update-new`: seconds of one core for each of 100 updates in a packet that a member of a thousand
  takes in: nothing new, or news to be passed on.

The part `engine` has members as a node has them, with records and proofs (`membership_engine`), beside the same
figures of the core alone; of 10, 50 and 150 members over 5 seeds, with `--quick` of 10 over 2. In brackets what they
must not exceed:

* `engine-idle-load-...`, `engine-idle-bytes-...`: as above, the bytes with records (2.1 packets/s).
* `engine-first-down-...` (5.2, 8.4 and 9.7 s), `engine-spread-...` and the worst one (0.5 s).
* `engine-false-down-loss20-...`, `engine-rejoins-loss20-...`: as above (none). `engine-bytes-loss20-...`,
  `engine-proofs-loss20-...`, `engine-signatures-loss20-...`: of each member what it sent in a second of that
  minute, and the proofs and signatures of records that it checked in it; `engine-proofs-idle-...`,
  `engine-signatures-idle-...` without loss.
* `engine-join-...`, `engine-join-latency-...`: from the first start until everybody sees everybody (6.5 s for 150), and
  with 100 ms of latency. `engine-join-bytes-...`, `engine-join-signatures-...`: of each member until then.
* `engine-deaf-rejoins-...`: one member hears nothing for two minutes, and is heard: how many others begin a new life
  (none).
* `engine-heal-...`: after a minute in halves, until everybody sees everybody.

Counts are compared with one added to both, as the best is none at all.
"""

from __future__ import annotations

import random
import statistics
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from hashlib import sha256
from multiprocessing import get_context

from benchmarks.harness import Result, by_itself, less_is_better, main
from benchmarks.membership_engine import (
    DEAF,
    JOIN_EVERY,
    MINUTE,
    WARM_UP,
    Measured,
    deafness,
    death,
    healing,
    joining,
    minute,
)
from rookery.actors.membership import Config
from rookery.actors.membership.swim import Member, MemberId, Outbox, Swim
from rookery.actors.membership.swim.codec import encode_header, encode_packet, encode_update
from rookery.actors.membership.swim.messages import Gossip, Header
from rookery.simulate import LAN, Cluster, Event, Network, Scenario, Summary, simulate
from rookery.simulate.network import ClusterNetwork

SEEDS = 20
FOCA, CORE = "Foca 1.0.0", "core"
LATENCY = 0.1  # seconds


def scenario(
    members: int, *events: Event, duration: float = 60.0, loss: float = 0.0, latency: float | None = None
) -> Scenario:
    """Under the conditions of the comparison; latency: of every packet, if it is to be another."""
    network = Network(loss=loss) if latency is None else Network(min_latency=latency, max_latency=latency, loss=loss)
    return Scenario(members=members, join_every=JOIN_EVERY, duration=duration, network=network, events=events)


@dataclass(frozen=True, slots=True)
class Runs:
    """Runs scenarios, on all cores."""

    pool: ProcessPoolExecutor
    seeds: int
    seeds_of_long_ones: int

    def of(self, what: Scenario, *, long: bool = False) -> Summary:
        """With each seed."""
        seeds = self.seeds_of_long_ones if long else self.seeds
        return Summary(tuple(self.pool.map(simulate, [what] * seeds, range(1, seeds + 1))))

    def measured(self, what: Callable[..., Measured], size: int, *more: float) -> list[Measured]:
        """Runs of `membership_engine`, with each seed."""
        seeds = range(1, self.seeds + 1)
        return list(self.pool.map(what, [size] * self.seeds, seeds, *([each] * self.seeds for each in more)))


def fewer(
    name: str, counts: Sequence[float], unit: str, theirs: float | Sequence[float] | None = None, of: str = FOCA
) -> Result:
    """What should not happen at all: the mean of the runs, as medians of the rare are none."""
    count = statistics.fmean(counts)
    if theirs is None:
        return Result(name, count, unit, samples=counts)
    baseline, of_baseline = (statistics.fmean(theirs), theirs) if isinstance(theirs, Sequence) else (theirs, ())
    return Result(name, count, unit, of, baseline, (baseline + 1) / (count + 1), False, counts, of_baseline)


def happened(values: Iterable[float | None]) -> list[float]:
    """What is measured, of each run. Raises RuntimeError if in one it did not happen while it was watched for."""
    found = list(values)
    if None in found:
        raise RuntimeError(f"what should have happened did not in {found.count(None)} of {len(found)} runs")
    return [value for value in found if value is not None]


def resting_rates(found: Summary) -> tuple[list[float], list[float]]:
    """Packets and bytes per member and second, of each run."""
    return [run.packets_per_second for run in found.outcomes], [run.bytes_per_second for run in found.outcomes]


def first_and_spread(found: Summary) -> tuple[list[float], list[float]]:
    """Of each death: seconds until the first member knew, and from then until all did."""
    first = happened(death.first for death in found.deaths())
    last = happened(death.last for death in found.deaths())
    return first, [end - begun for begun, end in zip(first, last, strict=True)]


def joined(found: Summary) -> list[float]:
    """Seconds from the last start until all saw all, of each run."""
    return happened(run.joined for run in found.outcomes)


def healed(found: Summary) -> list[float]:
    """Seconds from the end of the partition until all saw all, of each run."""
    return happened(seconds for run in found.outcomes for seconds in run.healed)


def idle(runs: Runs) -> Iterator[Result]:
    """What it costs when nothing happens."""
    for size, long in ((50, False), (150, True)):
        packets, sizes = resting_rates(runs.of(scenario(size), long=long))
        yield less_is_better(f"idle-load-{size}", packets, "packets/s", FOCA, 2.07)
        yield by_itself(f"idle-bytes-{size}", sizes, "bytes/s")


def deaths(runs: Runs) -> Iterator[Result]:
    """One member crashes."""
    for size, of_foca, spread_of_foca in ((10, 5.6, 0.3), (50, 9.2, 0.6), (150, 10.5, 0.7)):
        first, spread = first_and_spread(runs.of(scenario(size, Event("crash", at=5.0), duration=40.0)))
        yield less_is_better(f"first-down-{size}", first, "s", FOCA, of_foca)
        yield less_is_better(f"spread-{size}", spread, "s", FOCA, spread_of_foca)


def losses(runs: Runs) -> Iterator[Result]:
    """Packets are lost; nobody dies."""
    for percent, downs, rejoins in ((10, 0.0, 16.5), (20, 40.5, 80.0)):
        found = runs.of(scenario(50, loss=percent / 100)).outcomes
        yield fewer(f"false-down-loss{percent}-50", [len(run.false_downs) for run in found], "per minute", downs)
        yield fewer(f"rejoins-loss{percent}-50", [len(run.rejoins) for run in found], "per minute", rejoins)
    stalls = runs.of(scenario(50, Event("stall", lasting=5.0, every=15.0))).outcomes
    yield fewer("false-down-stalls-50", [len(run.false_downs) for run in stalls], "per minute")


def views(runs: Runs) -> Iterator[Result]:
    """Until everybody sees everybody."""
    took = [149 * JOIN_EVERY + rest for rest in joined(runs.of(scenario(150, duration=1.0), long=True))]
    yield less_is_better("join-150", took, "s", FOCA, 6.4)
    yield less_is_better("join-worst-150", max(took), "s", FOCA, 34.1)
    cut = Event("partition", members=50, lasting=60.0)
    took = healed(runs.of(scenario(100, cut, duration=180.0), long=True))
    yield by_itself("heal-100", took, "s")
    yield by_itself("heal-worst-100", max(took), "s")


def thousand() -> list[Result]:
    """A thousand members in one process."""
    started = time.process_time()
    cluster = Cluster(Config().protocol, seed=1, link=LAN)
    cluster.start(1000, every=0.02)
    cluster.run(50)
    before = cluster.sent
    cluster.run(10)
    spent = time.process_time() - started
    packets, size = (now - then for now, then in zip(cluster.sent, before, strict=True))
    if not cluster.views.is_exact:
        raise RuntimeError("of the thousand not everybody sees everybody after a minute")
    return [
        by_itself("simulate-1000", spent, "s"),
        by_itself("idle-load-1000", packets / 1000 / 10, "packets/s"),
        by_itself("idle-bytes-1000", size / 1000 / 10, "bytes/s"),
        by_itself("packet-cost", spent / cluster.sent[0], "s"),
    ]


def updates(rounds: int) -> Iterator[Result]:
    """What taking in one update costs."""
    ids = [MemberId(sha256(str(number).encode()).digest(), 1) for number in range(1001)]
    me, sender, *others = ids
    for name, generations in (("update-known", [1] * rounds), ("update-new", range(2, 2 + rounds))):
        swim, outbox = Swim.new(me, Config().protocol, random.Random(1)), Outbox()
        swim.apply_many((Member(each) for each in others), False, 0.0, outbox)
        packets = []
        for place, generation in enumerate(generations):
            begin = place * 100 % 900
            named = [Member(MemberId(each.key, generation)) for each in others[begin : begin + 100]]
            header = encode_header(Header(sender, 0, me, Gossip()))
            packets.append(encode_packet(header, [encode_update(each) for each in named]))
        took = []
        for packet in packets:
            started = time.process_time()
            swim.handle_data(packet, 0.0, outbox)
            outbox.drain()
            took.append((time.process_time() - started) / 100)
        yield by_itself(name, took, "s")


def measure(quick: bool) -> Iterator[Result]:
    """Every figure."""
    with ProcessPoolExecutor(mp_context=get_context("spawn")) as pool:
        runs = Runs(pool, 2, 1) if quick else Runs(pool, SEEDS, SEEDS)
        print(f"{runs.seeds} seeds, of the longer ones {runs.seeds_of_long_ones}", file=sys.stderr)
        of_thousand = pool.submit(thousand)
        for part in (idle, deaths, losses, views):
            yield from part(runs)
        yield from of_thousand.result()
    yield from updates(200 if quick else 1000)


class DeafNetwork(ClusterNetwork):
    """Nothing reaches one member."""

    def delay(self, sender: int, receiver: int) -> float | None:
        """As without it, but for that one."""
        seconds = super().delay(sender, receiver)
        return None if receiver == DEAF else seconds


def deafness_of_core(size: int, seed: int) -> Measured:
    """As `deafness` of the engine."""
    cluster = Cluster(Config().protocol, seed=seed, link=LAN)
    cluster.start(size, every=JOIN_EVERY)
    cluster.run((size - 1) * JOIN_EVERY + WARM_UP)
    before = len(cluster.views.rejoins)
    cluster.network = DeafNetwork(LAN, random.Random(f"{seed}/network"))
    cluster.run(2 * MINUTE)
    return {"rejoins": sum(number != DEAF for _, number in cluster.views.rejoins[before:])}


def each(found: list[Measured], name: str) -> list[float]:
    """Of each run. Raises RuntimeError if in one it did not happen."""
    return happened(run[name] for run in found)


def resting(runs: Runs, size: int) -> Iterator[Result]:
    """What nothing happening costs, and 20 % of loss."""
    rest, core = runs.measured(minute, size), runs.of(scenario(size))
    packets, sizes = resting_rates(core)
    yield less_is_better(f"engine-idle-load-{size}", each(rest, "packets"), "packets/s", CORE, packets)
    yield less_is_better(f"engine-idle-bytes-{size}", each(rest, "bytes"), "bytes/s", CORE, sizes)
    lossy, lossy_core = runs.measured(minute, size, 0.2), runs.of(scenario(size, loss=0.2))
    for name, what in (("false-down", "downs"), ("rejoins", "rejoins")):
        of_core = [run.false_downs if what == "downs" else run.rejoins for run in lossy_core.outcomes]
        counts = [len(times) for times in of_core]
        yield fewer(f"engine-{name}-loss20-{size}", each(lossy, what), "per minute", counts, CORE)
    _, sizes = resting_rates(lossy_core)
    yield less_is_better(f"engine-bytes-loss20-{size}", each(lossy, "bytes"), "bytes/s", CORE, sizes)
    for kind in ("proofs", "signatures"):
        yield by_itself(f"engine-{kind}-idle-{size}", each(rest, kind), "per minute")
        yield by_itself(f"engine-{kind}-loss20-{size}", each(lossy, kind), "per minute")


def dying(runs: Runs, size: int) -> Iterator[Result]:
    """One member crashes."""
    dead, core = runs.measured(death, size), runs.of(scenario(size, Event("crash", at=5.0), duration=45.0))
    (first, spread), spreads = first_and_spread(core), each(dead, "spread")
    yield less_is_better(f"engine-first-down-{size}", each(dead, "first"), "s", CORE, first)
    yield less_is_better(f"engine-spread-{size}", spreads, "s", CORE, spread)
    yield less_is_better(f"engine-spread-worst-{size}", max(spreads), "s", CORE, max(spread))


def meeting(runs: Runs, size: int) -> Iterator[Result]:
    """Joining, a deaf member, and a partition that heals."""
    started = (size - 1) * JOIN_EVERY
    for name, latency in (("join", None), ("join-latency", LATENCY)):
        found = runs.measured(joining, size, *([] if latency is None else [latency]))
        core = [started + rest for rest in joined(runs.of(scenario(size, duration=1.0, latency=latency)))]
        yield less_is_better(f"engine-{name}-{size}", each(found, "joined"), "s", CORE, core)
        if latency is None:
            yield by_itself(f"engine-join-bytes-{size}", each(found, "bytes"), "bytes")
            yield by_itself(f"engine-join-signatures-{size}", each(found, "signatures"), "signatures")
    deaf, of_core = (each(runs.measured(how, size), "rejoins") for how in (deafness, deafness_of_core))
    yield fewer(f"engine-deaf-rejoins-{size}", deaf, "per 2 minutes", of_core, CORE)
    cut = Event("partition", members=size // 2, lasting=MINUTE)
    core = healed(runs.of(scenario(size, cut, duration=180.0)))
    yield less_is_better(f"engine-heal-{size}", each(runs.measured(healing, size), "healed"), "s", CORE, core)


def engine(quick: bool) -> Iterator[Result]:
    """Members as a node has them, beside the core alone."""
    with ProcessPoolExecutor(mp_context=get_context("spawn")) as pool:
        runs = Runs(pool, 2, 2) if quick else Runs(pool, 5, 5)
        for size in (10,) if quick else (10, 50, 150):
            for part in (resting, dying, meeting):
                yield from part(runs, size)


if __name__ == "__main__":
    main("membership", measure, engine)
