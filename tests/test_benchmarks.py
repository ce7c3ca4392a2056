"""What the benchmarks' report does with a page and with results; nothing is measured here."""

from __future__ import annotations

import pytest

from benchmarks.report import programs, put, readable, table

PAGE = "# Page\n\nWords.\n\n<!-- one -->\n\nold\n\n<!-- /one -->\n\nMore words.\n"


def result(name: str, value: float, unit: str, baseline: float | None = None) -> dict[str, object]:
    ratio = None if baseline is None else value / baseline
    other = None if baseline is None else "pyzmq"
    return {
        "name": name, "value": value, "unit": unit, "baseline": other, "baseline_value": baseline, "ratio": ratio
    }  # fmt: skip


def test_report_replaces_a_programs_table_and_leaves_the_rest() -> None:
    assert put(PAGE, "one", "new") == PAGE.replace("old", "new")


def test_report_gives_a_new_program_a_section_of_its_own() -> None:
    page = put(PAGE, "two", "new")
    assert page == PAGE + "\n## `benchmarks.two`\n\n<!-- two -->\n\nnew\n\n<!-- /two -->\n"
    assert put(page, "two", "newer") == page.replace("new\n", "newer\n")


def test_report_of_a_page_without_the_end_of_a_table_names_it() -> None:
    with pytest.raises(ValueError, match="<!-- /one -->"):
        put(PAGE.replace("<!-- /one -->", ""), "one", "new")


def test_table_has_the_columns_of_a_baseline_only_where_there_is_one() -> None:
    assert table([result("a", 5, "bytes")]) == "| result | ours |\n| --- | --- |\n| `a` | 5 bytes |"
    both = table([result("a", 300.0, "messages/s", 200.0), result("b", 5, "bytes")]).splitlines()
    assert both[2:] == ["| `a` | 300 messages/s | pyzmq | 200 messages/s | 1.50 |", "| `b` | 5 bytes |  |  |  |"]


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
    }
    assert named <= set(programs())
