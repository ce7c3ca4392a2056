"""How soon a crowd of nodes becomes a network, and heals: whole nodes in virtual time.

200 nodes start at once and know one seed. They want 4 to 16 connections, 8 at best, so all are inside bounds with 5 to
14. All else that they know of each other comes from refusals and from peer exchange. Nothing of this depends on the
machine. Medians over 20 seeds, with `--quick` over 3.

* `converge-200`: virtual seconds until every node is inside its bounds. `converge-worst-200`: over all seeds.
* `recover-200`: after 30 % of them crash at once, until every other one is again. `recover-worst-200`: likewise.
* `dials-200`: dials per node until they are inside for the first time.
* `node-seconds`: virtual seconds of one whole node that are simulated per second of this machine, with that storm and
  the crash.

`--chart FILE` draws one run as SVG instead.
"""

from __future__ import annotations

import gc
import random
import statistics
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.harness import Result, by_itself, main
from rookery.actors import connections
from rookery.runtime import Feedback, Message, Simulation
from rookery.simulate import Band, Chart, Line, Mark, Panel
from rookery.testing import SimulatedNodes, WholeNode

SIZE, CRASHES, WITHIN, STEP = 200, 60, 60.0, 0.25
LOW, HIGH = 5, 14
ENDS = ("opened", "failed")
SECTIONS: dict[str, Any] = {
    "tracker": {"source": "static"},
    "maintenance": {"policy": "band", "min_connections": 4, "expected_connections": 8, "max_connections": 16},
    "connections": {"grace_period": 5.0},
}


class Degree(connections.Mailbox):
    """The number of one node's connections, as it changes."""

    open = 0

    def tell(self, message: Message) -> Feedback:
        """Remember."""
        if isinstance(message, connections.Counts):
            self.open = message.open
        return Feedback.OK


@dataclass(slots=True)
class Run:
    """One cluster's life. samples: the time, and the degree of every node that runs, in ascending order."""

    seed: int
    converged: float = 0.0
    crashed_at: float = 0.0
    recovered: float = 0.0
    dials: float = 0.0
    spent: float = 0.0
    samples: list[tuple[float, list[int]]] = field(default_factory=list)

    @property
    def lasted(self) -> float:
        """Virtual seconds in all."""
        return self.samples[-1][0]


def live(seed: int, after: float = 0.0) -> Run:
    """Start, converge, crash, recover. after: seconds to go on after either."""
    run = Run(seed)
    gc.disable()  # it would take a third of the time to find nothing
    started = time.process_time()
    with Simulation(seed) as simulation:
        nodes = SimulatedNodes(simulation)
        degrees: dict[WholeNode, Degree] = {}
        seeds: list[WholeNode] = []
        for number in range(SIZE):
            node = nodes.start(f"n{number}", seeds=seeds, member=False, **SECTIONS)
            seeds = seeds or [node]
            degrees[node] = Degree(f"degree-{number}")
            node.connections.subscribe(degrees[node], connections.Counts)
        run.converged = until_inside(run, nodes, degrees) - 0.0
        run.dials = sum(
            node.counted("maintenance_dials_total", end) for node in degrees for end in ("opened", "failed")
        )
        go_on(run, nodes, degrees, after)
        run.crashed_at = simulation.time
        for node in random.Random(seed).sample(list(degrees), CRASHES):
            node.crash()
        run.recovered = until_inside(run, nodes, degrees) - run.crashed_at
        go_on(run, nodes, degrees, after)
        run.spent = time.process_time() - started
    gc.enable()
    gc.collect()
    return run


def until_inside(run: Run, nodes: SimulatedNodes, degrees: dict[WholeNode, Degree]) -> float:
    """Sample until every node is inside its bounds; when that was. Raises RuntimeError if it takes too long."""
    end = nodes.simulation.time + WITHIN
    nodes.run(STEP)  # a crash is not noticed at once
    while not all(LOW <= degree <= HIGH for degree in sample(run, nodes, degrees)):
        if nodes.simulation.time >= end:
            raise RuntimeError(f"not inside bounds within {WITHIN:g} s, seed {run.seed}")
        nodes.run(STEP)
    return nodes.simulation.time


def go_on(run: Run, nodes: SimulatedNodes, degrees: dict[WholeNode, Degree], seconds: float) -> None:
    """Sample for so long."""
    end = nodes.simulation.time + seconds
    while nodes.simulation.time < end:
        nodes.run(STEP)
        sample(run, nodes, degrees)


def sample(run: Run, nodes: SimulatedNodes, degrees: dict[WholeNode, Degree]) -> list[int]:
    """Note the degrees as they are."""
    now = sorted(degree.open for node, degree in degrees.items() if not node.ended)
    run.samples.append((nodes.simulation.time, now))
    return now


def chart(run: Run) -> Chart:
    """Degree and convergence of one run."""
    times = [when for when, _ in run.samples]
    marks = (Mark(run.crashed_at, f"{CRASHES} crash"),)
    middle = Line("median", [(when, statistics.median(degrees)) for when, degrees in run.samples])
    spread = Band([(when, degrees[len(degrees) // 20], degrees[-len(degrees) // 20]) for when, degrees in run.samples])
    bounds = [Line(name, [(0.0, at), (times[-1], at)]) for name, at in (("5, too few", LOW), ("14, too many", HIGH))]
    inside = [(when, 100 * sum(LOW <= d <= HIGH for d in degrees) / len(degrees)) for when, degrees in run.samples]
    final = run.samples[-1][1]
    counts = [(float(degree), float(final.count(degree))) for degree in range(18)]
    return Chart(
        f"{SIZE} nodes from one seed, all started at once (seed {run.seed})",
        (
            Panel(
                "Connections of a node: median, and 5 to 95 %",
                "seconds",
                "connections",
                (middle, *bounds),
                (spread,),
                marks,
            ),
            Panel("Nodes inside their bounds", "seconds", "%", (Line("inside", inside),), marks=marks, top=100.0),
            Panel("Degree at the end", "connections", "nodes", (Line("nodes", counts, steps=True),)),
        ),
    )


def measure(quick: bool) -> Iterator[Result]:
    """Every figure."""
    runs = [live(seed) for seed in range(1, 4 if quick else 21)]
    converged, recovered = [run.converged for run in runs], [run.recovered for run in runs]
    yield by_itself("converge-200", converged, "s")
    yield by_itself("converge-worst-200", max(converged), "s")
    yield by_itself("recover-200", recovered, "s")
    yield by_itself("recover-worst-200", max(recovered), "s")
    yield by_itself("dials-200", [run.dials / SIZE for run in runs], "dials")
    yield by_itself("node-seconds", [SIZE * run.lasted / run.spent for run in runs], "virtual s/s", more=True)


if __name__ == "__main__":
    if "--chart" in sys.argv:
        Path(sys.argv[sys.argv.index("--chart") + 1]).write_text(chart(live(1, after=10.0)).svg())
    else:
        main("maintenance", measure)
