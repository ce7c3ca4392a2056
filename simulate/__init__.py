"""Try the membership's settings before a cluster does: many members in virtual time, in one process.

    scenario = Scenario(members=50, network=Network(loss=0.1), events=(Event("crash", at=10.0),))
    summary = Summary(tuple(simulate(scenario, seed) for seed in range(1, 21)))
    print(summary.first_heard.median, "s to notice a crash;", summary.false_downs.maximum, "false alarms at worst")

* `Scenario` is declared as settings are, so `rookery simulate` reads it from YAML.
* `figures` and `chart_of` make rows and a picture (SVG) of many runs.
* `Cluster` is the world by itself, for scenarios of one's own: crash, restart, stall, partition, block, at any moment.
* The members are those of `swim`, under the settings that the engine would give them. What the engine adds (records,
  tracker, transport) is not simulated here but in `runtime.Simulation`, which is some hundred times slower. Both have
  the same model of a link, `runtime.Link`.
"""

from .chart import Band, Chart, Line, Mark, Panel
from .cluster import Cluster, ConditionTimeout
from .loading import load_scenario
from .network import LAN
from .outcome import Death, Outcome, Spread, Summary
from .report import chart_of, figures
from .scenario import Event, Network, Scenario
from .trial import simulate
from .views import Down, Views

__all__ = [
    "LAN",
    "Band",
    "Chart",
    "Cluster",
    "ConditionTimeout",
    "Death",
    "Down",
    "Event",
    "Line",
    "Mark",
    "Network",
    "Outcome",
    "Panel",
    "Scenario",
    "Spread",
    "Summary",
    "Views",
    "chart_of",
    "figures",
    "load_scenario",
    "simulate",
]
