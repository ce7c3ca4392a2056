"""Trying settings of the membership before a cluster does."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ...runtime.files import check_regular
from . import screen
from .base import FILE, json_option, main

if TYPE_CHECKING:
    from ...simulate import Outcome, Scenario

_PICTURE = click.Path(dir_okay=False, writable=True, path_type=Path)


@main.command("simulate")
@click.argument("scenario", type=FILE)
@click.option("--seeds", default=20, show_default=True, type=click.IntRange(1, 10_000), help="How many runs.")
@click.option("--svg", type=_PICTURE, help="Draw the runs into this file.")
@click.option("--jobs", type=click.IntRange(min=1), help="Processes to run in; by default one for each core.")
@json_option
def simulate_command(scenario: Path, seeds: int, svg: Path | None, jobs: int | None, as_json: bool) -> None:
    """Play the SCENARIO of a YAML file in virtual time: how soon deaths are noticed, the load, the false alarms."""
    from ...simulate import Summary, chart_of, figures, load_scenario  # no other command needs it
    from .bars import steps

    played = load_scenario(scenario)
    if svg is not None:  # now, not after all the runs
        check_regular(svg)
        if not svg.exists() and not os.access(svg.parent, os.W_OK | os.X_OK):
            raise click.BadParameter(f"{svg}: files may not be made in {svg.parent}")
    outcomes = []
    with steps(scenario.name, seeds, hidden=as_json) as advance:
        for outcome in _runs(played, seeds, min(jobs or os.cpu_count() or 1, seeds)):
            outcomes.append(outcome)
            advance()
    summary = Summary(tuple(outcomes))
    rows = figures(summary)
    if svg is not None:
        _write(svg, chart_of(played, summary).svg())
    if as_json:
        said = {"scenario": str(scenario), "seeds": seeds, "figures": rows, "svg": None if svg is None else str(svg)}
        click.echo(json.dumps(said))
        return
    screen.rows("figures", [_readable(row) for row in rows], as_json=False)
    if svg is not None:
        click.echo(f"drawn: {svg}")


def _write(svg: Path, text: str) -> None:
    try:
        svg.write_text(text, encoding="utf-8")
    except OSError as error:
        error.filename = error.filename or str(svg)  # a full disk names none
        raise


def _runs(scenario: Scenario, seeds: int, jobs: int) -> Iterator[Outcome]:
    """The runs with the seeds from 1, in their order."""
    from concurrent.futures import ProcessPoolExecutor
    from multiprocessing import get_context

    from ...simulate import simulate

    numbers = range(1, seeds + 1)
    if jobs == 1:
        for seed in numbers:
            yield simulate(scenario, seed)
        return
    with ProcessPoolExecutor(jobs, mp_context=get_context("spawn")) as pool:
        yield from pool.map(simulate, [scenario] * seeds, numbers)


def _readable(row: Mapping[str, object]) -> Mapping[str, object]:
    unit = f" ({row['unit']})" if row["unit"] else ""
    return {
        "measure": f"{row['measure']}{unit}",
        "median": _number(row["median"]),
        "worst": _number(row["worst"]),
        "never happened": f"{row['never']} of {row['cases']}" if row["never"] else None,
    }


def _number(value: object) -> str:
    if not isinstance(value, float):
        return "never"
    return f"{value:,.0f}" if value >= 1000 else f"{value:.3g}"
