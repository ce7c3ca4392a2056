"""The code of actors.md, connections.md, resolver.md, simulating.md, tracker.md: each page is one program, it runs.

What tracker.md shows of the command line is run against a node, and prints what the page says.

docs/testing.md, whose example is whole files, is run by `tests/testing/test_kit_as_users_see_it.py`.
"""

from __future__ import annotations

import functools
import inspect
import re
import sys
import types
from pathlib import Path

import pytest

from rookery.testing import Held, MockControl, Peers, plugin

DOCS = Path(__file__).parent.parent / "docs"


class Page:
    """A page whose Python blocks are one program, run at first use; errors name the page's lines."""

    def __init__(self, name: str) -> None:
        self.path = DOCS / name
        self.text = self.path.read_text()
        self.blocks = list(re.finditer(r"```python\n(.*?)```", self.text, re.DOTALL))
        self.tests = [test for block in self.blocks for test in re.findall(r"^def (test_\w+)", block[1], re.MULTILINE)]

    @functools.cached_property
    def module(self) -> types.ModuleType:
        name = f"{self.path.stem}_page"
        module = sys.modules[name] = types.ModuleType(name)
        for block in self.blocks:
            above = "\n" * self.text.count("\n", 0, block.start(1))
            exec(compile(above + block[1], str(self.path), "exec"), module.__dict__)
        return module


PAGES = {name: Page(f"{name}.md") for name in ("actors", "connections", "resolver", "simulating", "tracker")}


@pytest.mark.parametrize(("page", "name"), [(page, test) for page in PAGES for test in PAGES[page].tests])
def test_page_shows_tests_that_pass(page: str, name: str, request: pytest.FixtureRequest) -> None:
    test = getattr(PAGES[page].module, name)
    test(**{fixture: request.getfixturevalue(fixture) for fixture in inspect.signature(test).parameters})


@pytest.mark.parametrize(
    ("page", "shown"), [("actors", 6), ("connections", 5), ("resolver", 5), ("simulating", 2), ("tracker", 3)]
)
def test_page_shows_so_many_tests_and_no_name_twice(page: str, shown: int) -> None:
    assert len(PAGES[page].tests) == len(set(PAGES[page].tests)) == shown


@pytest.mark.parametrize("page", PAGES)
def test_page_is_short(page: str) -> None:
    assert len(PAGES[page].text.splitlines()) <= 320


@pytest.mark.parametrize("page_name", sorted(path.name for path in DOCS.glob("*.md")))
def test_link_of_a_page_names_a_file(page_name: str) -> None:
    links = re.findall(r"\]\(([^)#:]+)\)", (DOCS / page_name).read_text())
    assert [link for link in links if not (DOCS / link).exists()] == []


def test_file_test_and_folder_that_contributing_names_is_there() -> None:
    root = DOCS.parent
    page = (root / "CONTRIBUTING.md").read_text()
    quoted = [path for path in re.findall(r"`([a-z_]+/[\w./]+)`", page) if (root / path.partition("/")[0]).is_dir()]
    (chart,) = re.findall(r"^```\n(.*?)```", page, re.MULTILINE | re.DOTALL)
    named, tests = {*quoted, *re.findall(r"^([a-z]+)/", chart, re.MULTILINE)}, set(re.findall(r"`(test_\w+)`", page))
    assert len(named) > 25
    assert [path for path in sorted(named) if not (root / path).exists()] == []
    written = {
        name for path in (root / "tests").rglob("*.py") for name in re.findall(r"def (test_\w+)", path.read_text())
    }
    assert sorted(tests - written) == []


@pytest.mark.parametrize("kind", [MockControl, Held, Peers])
def test_testing_page_names_every_part_of_the_kit(kind: type) -> None:
    page = (DOCS / "testing.md").read_text()
    names = [name for name in vars(kind) if not name.startswith("_") and name not in ("take", "resolve")]
    assert len(names) >= 2
    assert [name for name in names if not re.search(rf"[.]{name}\b", page)] == []


def test_testing_page_names_every_fixture_of_the_kit() -> None:
    page = (DOCS / "testing.md").read_text()
    fixtures = re.findall(r"@pytest[.]fixture\ndef (\w+)", inspect.getsource(plugin))
    assert len(fixtures) >= 3
    assert [name for name in fixtures if f"`{name}" not in page] == []
