"""docs/performance.md: every table is a program's, each name in it explained, and the prose has no measured figure."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from benchmarks.page import FOOTNOTE, MACHINE, MACHINES, SECTION
from benchmarks.report import programs

PAGE = (Path(__file__).parent.parent / "docs" / "performance.md").read_text()
WRITTEN = {name: text for name, text in SECTION.findall(PAGE) if name != MACHINES}
PROSE = {
    name: SECTION.sub("", part)
    for part in re.split(r"^#+ ", PAGE, flags=re.MULTILINE)
    for name, _ in SECTION.findall(part)
}

UNIT = r"(?:[num]?s|seconds|times|x|%|[KMG]?i?B(?:/s)?|[KM]bit/s|bytes|messages|packets|fetches|threads)(?![\w/])"
FIGURE = re.compile(rf"\d[\d,.]* {UNIT}|\d[\d,]*[.]\d+")
"""A number with a unit, or with a decimal point: sizes of networks, seeds and bounds have neither."""
SETTINGS = {
    # what is sent, and over what
    "64 bytes", "1 MiB", "16 MiB", "64 KiB", "100 Mbit/s", "30,000 messages", "1 MB/s", "12.5 MB/s",
    # of the simulated networks: latencies, losses, what stalls for how long
    "50 ms", "0.4 s", "0.5", "5 ms", "100 ms", "20 %", "5 s", "15 s",
    # constants of the code
    "20 ms", "32 KiB", "3.5",
    # what a ratio is held against: a promise, the logarithm's growth, and that of n log n
    "0.8", "0.67", "1.1",
    # a version
    "1.0",
}  # fmt: skip
"""What the prose may say because it is set, and not measured."""


def names(program: str) -> list[str]:
    return re.findall(r"^\| `([^`]+)` \|", WRITTEN[program], re.MULTILINE)


def pattern(span: str) -> str:
    """What is named, where N is for a number."""
    return re.sub(r"\bN\b", r"\\d+", re.escape(span))


def test_page_has_a_section_with_a_table_for_every_program_and_no_other() -> None:
    assert sorted(WRITTEN) == programs()
    assert [program for program in WRITTEN if not names(program)] == []


def test_every_table_of_the_page_is_written_by_a_program() -> None:
    assert [line for line in SECTION.sub("", PAGE).splitlines() if line.startswith("|")] == []


def test_every_table_says_on_which_machine_of_the_head_it_was_measured() -> None:
    footnotes = {program: FOOTNOTE.findall(text) for program, text in WRITTEN.items()}
    assert [program for program, found in footnotes.items() if len(found) != 1] == []
    used = {int(number) for found in footnotes.values() for number, _ in found}
    assert used == set(range(1, len(MACHINE.findall(PAGE)) + 1))


def test_prose_of_the_page_holds_no_figure_but_settings() -> None:
    assert set(FIGURE.findall(re.sub(r"`[^`]*`", "", SECTION.sub("", PAGE)))) == SETTINGS


@pytest.mark.parametrize("program", programs())
def test_every_result_of_a_table_is_explained_and_what_is_explained_is_there(program: str) -> None:
    spans = re.findall(r"`([^`\n]+)`", PROSE[program])
    stems = re.compile("|".join(pattern(span) for span in spans if not span.startswith("-")))
    assert [name for name in names(program) if " " not in name and not stems.match(name)] == []
    explained = [
        span
        for group in re.findall(r"((?:`[^`]+`,? )*`[^`]+`):", PROSE[program])
        for span in re.findall("`(.+?)`", group)
    ]
    assert [span for span in explained if not any(re.search(pattern(span), name) for name in names(program))] == []
