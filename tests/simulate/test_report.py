"""`rookery simulate`: what it prints and draws, and what it says about a scenario that is wrong."""

from __future__ import annotations

import json
from itertools import pairwise
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest
from click.testing import CliRunner, Result

from rookery.node.command import main
from rookery.simulate import (
    Band,
    Chart,
    Death,
    Event,
    Line,
    Mark,
    Network,
    Outcome,
    Panel,
    Scenario,
    Summary,
    chart_of,
    figures,
)
from rookery.simulate.chart import ticks
from rookery.simulate.loading import load_scenario

EXAMPLE = Path(__file__).parents[2] / "config" / "examples" / "scenario.yaml"
SMALL = "members: 5\nwarm_up: 5s\nduration: 20s\nevents: [{action: crash, at: 2s}]\n"
SVG = "{http://www.w3.org/2000/svg}"


def rookery(*arguments: object) -> Result:
    result = CliRunner().invoke(main, [str(each) for each in arguments])
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result


def written(folder: Path, text: str) -> Path:
    file = folder / "scenario.yaml"
    file.write_text(text)
    return file


def outcome(**changes: Any) -> Outcome:
    values: dict[str, Any] = {
        "seed": 1, "members": 4.0, "joined": 1.0, "deaths": (), "healed": (), "packets": (8, 16), "bytes": (800, 1600),
        "false_downs": (), "rejoins": (),
    }  # fmt: skip
    return Outcome(**values | changes)


def polylines(svg: str) -> list[list[tuple[float, float]]]:
    lines = ET.fromstring(svg).iter(f"{SVG}polyline")
    return [[tuple(map(float, pair.split(","))) for pair in line.attrib["points"].split()] for line in lines]  # type: ignore[misc]


def texts(svg: str) -> list[str]:
    return [element.text or "" for element in ET.fromstring(svg).iter(f"{SVG}text")]


def test_simulate_prints_a_row_for_each_measure_of_what_happened(tmp_path: Path) -> None:
    result = rookery("simulate", written(tmp_path, SMALL), "--seeds", 2, "--jobs", 1)
    assert result.exit_code == 0
    for words in ("a death is known to the first (s)", "packets per member (1/s)", "false alarms per run", "median"):
        assert words in result.stdout
    assert "partition" not in result.stdout


def test_simulate_as_json_gives_figures_that_are_the_same_in_one_process_and_in_many(tmp_path: Path) -> None:
    file = written(tmp_path, SMALL)
    one, many = (rookery("simulate", file, "--seeds", 2, "--jobs", jobs, "--json") for jobs in (1, 2))
    said = json.loads(one.stdout)
    assert said == json.loads(many.stdout)
    assert said["seeds"] == 2
    first = next(row for row in said["figures"] if row["measure"] == "a death is known to the first")
    assert 4 < first["median"] < 15
    assert (first["unit"], first["never"], first["cases"]) == ("s", 0, 2)


def test_simulate_draws_the_runs_as_well_formed_svg(tmp_path: Path) -> None:
    target = tmp_path / "runs.svg"
    result = rookery("simulate", written(tmp_path, SMALL), "--seeds", 1, "--jobs", 1, "--svg", target)
    assert f"drawn: {target}" in result.stdout
    assert {"5 members, 1 run", "How soon a death is known", "Load", "False alarms"} <= set(texts(target.read_text()))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("members: many", "scenario.yaml:1: members: many is not a whole number"),
        ("member: 5", "unknown key; did you mean members?"),
        ("events: [{action: explode}]", "events[0].action: explode is not one of the choices"),
        ("events: [{at: 5s}]", "events[0].action: is required"),
        ("events:\n- {action: stall}", "scenario.yaml:2: events[0].lasting: is missing"),
        ("network: {loss: 110}", "network.loss: 110 is too large"),
        ("membership: {seeds: ['" + "11" * 32 + "@tcp://10.0.0.1:1']}", "membership.seeds: mean nothing here"),
    ],
)
def test_simulate_says_what_is_wrong_with_a_scenario_and_where(tmp_path: Path, text: str, said: str) -> None:
    result = rookery("simulate", written(tmp_path, text))
    assert (result.exit_code, result.stdout) == (2, "")
    assert said in result.stderr


def test_simulate_without_the_file_or_with_no_place_for_the_picture_fails_in_a_sentence_before_the_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("rookery.simulate.simulate", lambda *_arguments: pytest.fail("it ran"))
    missing = rookery("simulate", tmp_path / "none.yaml")
    assert missing.exit_code == 2
    assert "cannot be read" in missing.stderr
    nowhere = tmp_path / "missing" / "runs.svg"
    refused = rookery("simulate", written(tmp_path, SMALL), "--seeds", 1, "--jobs", 1, "--svg", nowhere)
    assert refused.exit_code == 2
    assert f"{nowhere}: files may not be made in {nowhere.parent}" in " ".join(refused.stderr.split())


def test_example_scenario_has_no_mistake() -> None:
    assert load_scenario(EXAMPLE).members == 50


def test_figures_leave_out_what_no_event_asked_for_and_say_never_where_something_never_happened() -> None:
    rows = {row["measure"]: row for row in figures(Summary((outcome(), outcome(healed=(None,), joined=3.0))))}
    assert "a death is known to all" not in rows
    healed = rows["full view after a restart or a partition"]
    assert (healed["median"], healed["worst"], healed["never"], healed["cases"]) == (None, None, 1, 1)
    joined = rows["full view after the last start"]
    assert (joined["median"], joined["worst"]) == (2.0, 3.0)
    assert (rows["packets per member"]["median"], rows["bytes per member"]["median"]) == (3.0, 300.0)


def test_chart_of_runs_has_the_shares_the_load_and_the_alarms() -> None:
    runs = (
        outcome(deaths=(Death(1.0, 2.0), Death(3.0, None)), false_downs=(0.5, 1.5)),
        outcome(packets=(24, 16), rejoins=(1.0,)),
    )
    scenario = Scenario(members=4, duration=2.0, network=Network(loss=0.1), events=(Event("crash", members=2),))
    chart = chart_of(scenario, Summary(runs))
    assert chart.title == "4 members, 2 runs, 10% of the packets lost"
    known, load, alarms = chart.panels
    assert [list(line.points) for line in known.lines] == [[(0, 0), (1, 50), (3, 100)], [(0, 0), (2, 50)]]
    assert list(load.lines[0].points) == [(1, 4), (2, 4)]
    assert list(load.bands[0].points) == [(1, 2, 6), (2, 4, 4)]
    assert list(alarms.lines[0].points) == [(0, 0), (0.5, 0.5), (1.5, 1), (2, 1)]
    assert list(alarms.lines[1].points) == [(0, 0), (1, 0.5), (2, 0.5)]
    assert load.marks == alarms.marks == (Mark(0, "crash"),)


def test_chart_with_a_repeated_event_marks_each_time() -> None:
    scenario = Scenario(members=4, duration=40.0, events=(Event("stall", at=5.0, lasting=1.0, every=15.0),))
    assert [mark.x for mark in chart_of(scenario, Summary((outcome(),))).panels[0].marks] == [5, 20, 35]


def test_chart_draws_points_where_the_axes_say_and_steps_as_steps() -> None:
    line = Line("a <line> & more", [(0, 0), (5, 10), (10, 5)])
    svg = Chart("title", (Panel("panel", "x", "y", (line,)),)).svg()
    assert "a <line> & more" in texts(svg)
    (left, bottom), (middle, top), (right, half) = polylines(svg)[-2]
    assert middle - left == pytest.approx(right - middle)
    assert bottom - half == pytest.approx(half - top)
    stepped = Chart("title", (Panel("panel", "x", "y", (Line("line", line.points, steps=True),)),)).svg()
    corners = polylines(stepped)[-2]
    assert len(corners) == 5
    assert all(one[0] == other[0] or one[1] == other[1] for one, other in pairwise(corners))


def test_chart_keeps_labels_of_marks_that_are_close_apart() -> None:
    def height(*marks: Mark) -> list[float]:
        svg = Chart("", (Panel("", "", "", (Line("", [(0, 0), (100, 1)]),), (), marks),)).svg()
        elements = ET.fromstring(svg).iter(f"{SVG}text")
        return [float(element.attrib["y"]) for element in elements if element.text == "stall"]

    assert len(set(height(Mark(10, "stall"), Mark(90, "stall")))) == 1
    assert len(set(height(Mark(10, "stall"), Mark(10, "stall"), Mark(11, "stall")))) == 3


def test_empty_chart_is_well_formed_too() -> None:
    panel = Panel("nothing", "x", "y", (Line("none", []),), (Band([]),))
    assert "nothing" in texts(Chart("empty", (panel,)).svg())


@pytest.mark.parametrize(
    ("maximum", "expected"),
    [
        (100, [0, 20, 40, 60, 80, 100]),
        (1, [0, 0.2, 0.4, 0.6, 0.8, 1]),
        (7.3, [0, 2, 4, 6, 8]),
        (0.012, [0, 0.0025, 0.005, 0.0075, 0.01, 0.0125]),
    ],
)
def test_ticks_are_round_and_reach_the_largest(maximum: float, expected: list[float]) -> None:
    assert ticks(maximum) == expected
