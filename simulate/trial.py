"""One run of a scenario: forms the cluster, lets the events happen, and watches.

The seed decides everything, and what happens draws from a source of its own: the same seed crashes the same members
under other settings too, so settings can be compared run by run.
"""

import random
from collections.abc import Sequence
from functools import partial

from .cluster import Cluster
from .outcome import Death, Outcome
from .scenario import Event, Scenario

__all__ = ["simulate"]


def simulate(scenario: Scenario, seed: int) -> Outcome:
    """Run a scenario."""
    return _Trial(scenario, seed).run()


class _Trial:
    def __init__(self, scenario: Scenario, seed: int) -> None:
        self._scenario = scenario
        self._rng = random.Random(f"{seed}/events")
        self._cluster = Cluster(scenario.membership.protocol, seed=seed, link=scenario.network.link)
        self._deaths: dict[int, float] = {}
        self._until_exact: list[float | None] = []
        self._spared = {0}

    def run(self) -> Outcome:
        """All of it."""
        scenario, cluster = self._scenario, self._cluster
        cluster.start(scenario.members, every=scenario.join_every)
        cluster.run((scenario.members - 1) * scenario.join_every)
        self._time_until_exact()
        cluster.run(scenario.warm_up)
        begin = cluster.now
        for event in scenario.events:
            self._plan(event, begin)
        packets, sizes, present = self._watch(begin + scenario.duration)
        views = cluster.views
        return Outcome(
            seed=cluster.seed,
            members=sum(present) / len(present),
            joined=self._until_exact[0],
            deaths=tuple(self._death(number, at) for number, at in self._deaths.items()),
            healed=tuple(self._until_exact[1:]),
            packets=packets,
            bytes=sizes,
            false_downs=tuple(down.time - begin for down in views.downs if down.is_false and down.time >= begin),
            rejoins=tuple(time - begin for time, _ in views.rejoins if time >= begin),
        )

    def _watch(self, end: float) -> tuple[tuple[int, ...], tuple[int, ...], tuple[int, ...]]:
        """Packets and bytes of each second, and how many members there were."""
        cluster = self._cluster
        seconds = []
        sent = cluster.sent
        while cluster.now < end:
            cluster.run(min(1.0, end - cluster.now))
            before, sent = sent, cluster.sent
            seconds.append((sent[0] - before[0], sent[1] - before[1], len(cluster.views.running)))
        packets, sizes, present = zip(*seconds, strict=True)
        return packets, sizes, present

    # Events ----------------------------------------------------------------------------------------------------------

    def _plan(self, event: Event, begin: float) -> None:
        """Draw the members, each for one event only, and set the time of each occurrence."""
        chosen = self._rng.sample(sorted(set(range(self._scenario.members)) - self._spared), event.members)
        self._spared.update(chosen)
        at = begin + event.at
        while at < begin + self._scenario.duration:
            self._cluster.at(at, partial(self._happen, event, chosen))
            if event.every is None:
                break
            at += event.every

    def _happen(self, event: Event, chosen: Sequence[int]) -> None:
        cluster, lasting = self._cluster, event.lasting or 0.0
        match event.action:
            case "crash" | "leave":
                for number in chosen:
                    self._deaths[number] = cluster.now
                    (cluster.crash if event.action == "crash" else cluster.leave)(number)
            case "restart":
                for number in chosen:
                    cluster.crash(number)
                cluster.at(cluster.now + lasting, partial(self._start_again, chosen))
            case "stall":
                for number in chosen:
                    cluster.stall(number, lasting)
            case "partition":
                cluster.partition(chosen)
                cluster.at(cluster.now + lasting, self._heal)

    def _start_again(self, chosen: Sequence[int]) -> None:
        for number in chosen:
            self._cluster.restart(number)
        self._time_until_exact()

    def _heal(self) -> None:
        self._cluster.heal()
        self._time_until_exact()

    # Measures --------------------------------------------------------------------------------------------------------

    def _time_until_exact(self) -> None:
        """Until all see all, from now on."""
        place, started = len(self._until_exact), self._cluster.now
        self._until_exact.append(None)

        def note() -> None:
            self._until_exact[place] = self._cluster.now - started

        self._cluster.when_exact(note)

    def _death(self, number: int, at: float) -> Death:
        views = self._cluster.views
        heard: dict[int, float] = {}
        for down in views.downs:
            if down.subject == number and down.time >= at:
                heard.setdefault(down.observer, down.time - at)
        if not heard:
            return Death(None, None)
        unaware = any(number in views.sees[observer] for observer in views.running)
        return Death(min(heard.values()), None if unaware else max(heard.values()))
