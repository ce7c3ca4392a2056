"""What the benchmarks make of what they measured: figures, tables, the page, and before beside after."""

from __future__ import annotations

import dataclasses
import json
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from benchmarks import report
from benchmarks.against import compared, verdict
from benchmarks.harness import Result, by_itself, less_is_better, line, main, more_is_better, side_by_side
from benchmarks.machine import commit, machine
from benchmarks.page import Measured, put, put_text, table
from benchmarks.report import load, programs, save
from benchmarks.written import readable

HEAD = "# Page\n\n<!-- machines -->\n\n\n\n<!-- /machines -->\n"
PAGE = HEAD + "\nWords.\n\n<!-- one -->\n\nold\n\n<!-- /one -->\n\nMore words.\n"


def measured(*results: Result, machine: str = "a machine", quick: bool = False) -> Measured:
    return Measured(machine, "2026-01-01", "commit abc", quick, results)


# Results -------------------------------------------------------------------------------------------------------------


def test_result_of_several_runs_is_their_median_and_keeps_them() -> None:
    found = more_is_better("rate", [30.0, 10.0, 20.0], "MB/s", "bare", [10.0, 4.0, 5.0])
    assert (found.value, found.baseline_value, found.ratio) == (20.0, 5.0, 4.0)
    assert (found.samples, found.baseline_samples, found.more) == ((30.0, 10.0, 20.0), (10.0, 4.0, 5.0), True)


def test_result_of_a_cost_is_better_the_less_it_is() -> None:
    found = less_is_better("cost", [2.0, 4.0], "s", "bare", 6.0)
    assert (found.value, found.ratio, found.more, found.baseline_samples) == (3.0, 2.0, False, ())


def test_two_sides_are_measured_in_turn() -> None:
    calls: list[str] = []

    def side(name: str) -> float:
        calls.append(name)
        return float(len(calls))

    assert side_by_side(lambda: side("ours"), lambda: side("theirs"), 2) == ([1.0, 3.0], [2.0, 4.0])
    assert calls == ["ours", "theirs"] * 2


def test_line_for_a_person_says_median_quartiles_and_ratio() -> None:
    said = line(less_is_better("cost", [0.001, 0.002, 0.003], "s", "bare", 0.004))
    assert said.split() == ["cost", "2", "ms", "(1.5\N{EN DASH}2.5)", "bare:", "4", "ms", "ratio", "2.00"]
    assert line(by_itself("size", 5, "bytes")).split() == ["size", "5", "bytes"]


def runs(_quick: bool) -> Iterator[Result]:
    yield by_itself("runs", [1.0, 3.0, 2.0], "s")


def once(_quick: bool) -> Iterator[Result]:
    yield by_itself("once", 5.0, "MB/s", more=True)


def long(quick: bool) -> Iterator[Result]:
    yield by_itself("long", 1.0 if quick else 2.0, "s")


@pytest.mark.parametrize(
    ("arguments", "names"),
    [([], ["runs", "once"]), (["--only", "long"], ["long"]), (["--only", "long", "--only", "runs"], ["runs", "long"])],
)
def test_program_prints_the_runs_of_its_parts_as_json(
    arguments: list[str], names: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["example", "--json", "--quick", *arguments])
    main("example", runs, once, on_request=(long,))
    said = json.loads(capsys.readouterr().out)
    assert said["benchmark"] == "example"
    assert [each["name"] for each in said["results"]] == names
    every = {
        "runs": Result("runs", 2.0, "s", samples=[1.0, 3.0, 2.0]),
        "once": Result("once", 5.0, "MB/s", more=True, samples=[]),
        "long": Result("long", 1.0, "s", samples=[]),
    }
    assert [Result(**each) for each in said["results"]] == [
        dataclasses.replace(every[name], baseline_samples=[]) for name in names
    ]


# How figures are written ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [
        (0.000152, "s", "152 us"),
        (0.0213, "s", "21.3 ms"),
        (1.5, "s", "1.5 s"),
        (0.0, "s", "0 s"),
        (603_100.0, "messages/s", "603,000 messages/s"),
        (2.2e6, "messages/s", "2,200,000 messages/s"),
        (44_650, "bytes", "44,600 bytes"),
        (1234, "peers", "1,230 peers"),
        (0.531, "us", "0.531 us"),
    ],
)
def test_value_is_written_with_three_digits(value: float, unit: str, text: str) -> None:
    assert readable(value, unit) == text


@pytest.mark.parametrize(
    ("samples", "text"),
    [
        ([0.000141, 0.000145, 0.000152], "145 us (143\N{EN DASH}148)"),
        ([0.9e-3, 0.000145, 1.1e-3], "145 us (522\N{EN DASH}1,000)"),  # in one unit
        ([0.000145, 0.000145, 0.0001451], "145 us"),
        ([0.000145], "145 us"),
        ([], "145 us"),
    ],
)
def test_quartiles_stand_behind_the_value_if_they_say_more(samples: Sequence[float], text: str) -> None:
    assert readable(0.000145, "s", samples) == text


# The page ------------------------------------------------------------------------------------------------------------


def test_table_has_the_columns_of_a_baseline_only_where_there_is_one() -> None:
    assert table([by_itself("a", 5, "bytes")]) == "| result | ours |\n| --- | --- |\n| `a` | 5 bytes |"
    rate = more_is_better("a", 300.0, "messages/s", "pyzmq", [100.0, 300.0])
    both = table([rate, by_itself("b", 5, "bytes")]).splitlines()
    theirs = "200 messages/s (150\N{EN DASH}250)"
    assert both[2:] == [f"| `a` | 300 messages/s | pyzmq | {theirs} | 1.50 |", "| `b` | 5 bytes |  |  |  |"]


def test_text_of_a_name_is_replaced_and_the_rest_of_the_page_left() -> None:
    assert put_text(PAGE, "one", "new") == PAGE.replace("old", "new")


def test_name_that_is_not_on_the_page_gets_a_section_of_its_own() -> None:
    page = put_text(PAGE, "two", "new")
    assert page == PAGE + "\n## `benchmarks.two`\n\n<!-- two -->\n\nnew\n\n<!-- /two -->\n"
    assert put_text(page, "two", "newer") == page.replace("new\n", "newer\n")


def test_section_without_an_end_is_named() -> None:
    with pytest.raises(ValueError, match="<!-- /one -->"):
        put_text(PAGE.replace("<!-- /one -->", ""), "one", "new")


def test_table_says_when_on_which_commit_and_machine_it_was_measured() -> None:
    page = put(PAGE, "one", measured(by_itself("a", 5, "bytes")))
    assert "| `a` | 5 bytes |\n\n*Machine 1, 2026-01-01, commit abc*\n\n<!-- /one -->" in page
    assert "<!-- machines -->\n\n* Machine 1: a machine\n\n<!-- /machines -->" in page


def test_table_of_short_runs_says_so() -> None:
    page = put(PAGE, "one", measured(by_itself("a", 5, "bytes"), quick=True))
    assert "*Machine 1, 2026-01-01, commit abc, in short runs (`--quick`)*" in page


def test_machines_are_told_apart_and_one_without_a_table_is_forgotten() -> None:
    result = by_itself("a", 5, "bytes")
    page = put(put(PAGE, "one", measured(result)), "two", measured(result, machine="another"))
    assert "* Machine 1: a machine\n* Machine 2: another\n" in page
    assert (page.count("*Machine 1,"), page.count("*Machine 2,")) == (1, 1)
    page = put(page, "one", measured(result, machine="another"))
    assert "* Machine 1: another\n" in page
    assert (page.count("*Machine 1,"), page.count("Machine 2")) == (2, 0)


# Before and after ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("before", "after", "more", "word"),
    [
        ([10.0, 10.5, 11.0], [12.0, 12.5, 13.0], False, "worse"),
        ([10.0, 10.5, 11.0], [12.0, 12.5, 13.0], True, "better"),
        ([12.0, 12.5, 13.0], [10.0, 10.5, 11.0], False, "better"),
        ([12.0, 12.5, 13.0], [10.0, 10.5, 11.0], True, "worse"),
        ([10.0, 11.0, 12.0], [11.0, 12.0, 13.0], False, ""),  # the quartiles meet
        ([100.0, 100.1], [101.0, 101.1], False, ""),  # a hundredth
        ([10.0], [11.0], False, "worse"),
        ([0.0], [1.0], False, "worse"),
        ([0.0], [0.0], False, ""),
    ],
)
def test_change_is_one_if_it_is_beyond_the_spread(
    before: list[float], after: list[float], more: bool, word: str
) -> None:
    assert verdict(by_itself("a", before, "s", more=more), by_itself("a", after, "s", more=more)) == word


def test_comparison_has_a_row_for_every_result_and_names_what_is_worse() -> None:
    before = measured(by_itself("a", 2.0, "s"), by_itself("b", 2.0, "s"), by_itself("c", 1.0, "s"))
    after = measured(by_itself("a", 3.0, "s"), by_itself("b", 1.0, "s"), by_itself("d", 1.0, "s"))
    assert compared({"one": before, "two": before}, {"one": after}).splitlines() == [
        "| result | before | after | change |  |",
        "| --- | --- | --- | --- | --- |",
        "| `one a` | 2 s | 3 s | +50 % | worse |",
        "| `one b` | 2 s | 1 s | -50 % | better |",
        "| `one c` | 1 s |  |  | gone |",
        "| `one d` |  | 1 s |  | new |",
        "",
        "1 of 4 are worse: `one a`.",
    ]


def test_comparison_says_what_makes_it_doubtful() -> None:
    result = by_itself("a", 2.0, "s")
    other = measured(result, machine="another", quick=True)
    said = compared({"one": measured(result)}, {"one": other}).splitlines()[-1]
    assert said.startswith("None of 1 is worse. They were not measured on the same machine")
    assert said.endswith("Some were measured in short runs.")


def test_results_that_are_saved_are_read_again_and_those_of_other_programs_kept(tmp_path: Path) -> None:
    first, second = measured(by_itself("a", [1.0, 2.0], "s")), measured(by_itself("b", 1.0, "s"))
    save(tmp_path / "results", {"one": first, "two": first})
    save(tmp_path / "results", {"two": second})
    there = load(tmp_path / "results")
    assert [*there] == ["one", "two"]
    assert there["one"].results[0].samples == [1.0, 2.0]
    assert (there["two"].results[0].name, there["two"].machine) == ("b", "a machine")


# All of it -----------------------------------------------------------------------------------------------------------


def report_on(arguments: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[int, str]:
    page = tmp_path / "page.md"
    page.write_text(PAGE)
    monkeypatch.setattr(report, "PAGE", page)
    monkeypatch.setattr(sys, "argv", ["report", *arguments])
    return report.main(), page.read_text()


def test_report_from_saved_results_writes_the_page_and_prints_what_is_worse(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    before, after = tmp_path / "before", tmp_path / "after"
    save(before, {"one": measured(by_itself("a", 1.0, "s"))})
    save(after, {"one": measured(by_itself("a", 2.0, "s"))})
    status, page = report_on(["--from", str(after), "--against", str(before)], tmp_path, monkeypatch)
    assert (status, "| `a` | 2 s |" in page) == (0, True)
    assert "| `one a` | 1 s | 2 s | +100 % | worse |" in capsys.readouterr().out


def test_report_of_a_program_that_fails_leaves_its_table_and_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    good = measured(by_itself("a", 1.0, "s"))
    monkeypatch.setattr(report, "programs", lambda: ["one", "two"])
    monkeypatch.setattr(report, "run", lambda program, *, quick: good if program == "two" else None)
    status, page = report_on(["--save", str(tmp_path / "kept")], tmp_path, monkeypatch)
    assert (status, "old" in page, "<!-- two -->" in page) == (1, True, True)
    assert [*load(tmp_path / "kept")] == ["two"]


@pytest.mark.parametrize("text", ["", "[]", '{"one": 1}', '{"one": {"results": [{}]}}'])
def test_report_refuses_a_file_that_was_not_saved_by_it(
    text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "bad").write_text(text)
    with pytest.raises(SystemExit):
        report_on(["--from", str(tmp_path / "bad")], tmp_path, monkeypatch)
    assert "no results that --save wrote" in capsys.readouterr().err


def test_machine_is_described_with_the_versions_of_what_is_measured() -> None:
    said = machine()
    for name in (" cores, ", "Python 3.", "libzmq ", "pyzmq ", "msgpack ", "msgspec ", "cryptography "):
        assert name in said


def test_commit_says_whether_anything_but_the_page_is_changed(tmp_path: Path) -> None:
    def git(*arguments: str) -> None:
        settings = ("-c", "user.name=a", "-c", "user.email=a@b", "-c", "commit.gpgsign=false")
        subprocess.run(("git", *settings, *arguments), cwd=tmp_path, check=True, capture_output=True)

    page, other = tmp_path / "page.md", tmp_path / "code"
    assert commit(tmp_path, page) == "no commit"
    git("init")
    page.write_text("one")
    other.write_text("one")
    git("add", ".")
    git("commit", "-m", "all")
    page.write_text("two")
    at = commit(tmp_path, page)
    assert at.startswith("commit ")
    other.write_text("two")
    assert commit(tmp_path, page) == f"{at} with changes"


def test_every_program_that_the_design_names_is_run() -> None:
    named = {
        "mailbox",
        "simulation",
        "transport",
        "membership",
        "connections",
        "tracker",
        "resolver",
        "blobs",
        "providers",
        "maintenance",
        "footprint",
        "fairness",
    }
    assert named <= set(programs())
