"""The code of docs/actors.md is one program: it runs block by block, and the tests it shows pass.

docs/testing.md, whose example is whole files, is run by `tests/runtime/test_kit_as_users_see_it.py`.
"""

from __future__ import annotations

import inspect
import re
import sys
import types
from collections.abc import Iterator
from pathlib import Path

import pytest

from rookery.runtime.testing import Held, MockMailbox
from rookery.transport import testing as kit

DOCS = Path(__file__).parent.parent / "docs"
PAGE = (DOCS / "actors.md").read_text()
BLOCKS = list(re.finditer(r"```python\n(.*?)```", PAGE, re.DOTALL))
TESTS = [name for block in BLOCKS for name in re.findall(r"^def (test_\w+)", block[1], re.MULTILINE)]


@pytest.fixture(scope="module")
def page() -> Iterator[types.ModuleType]:
    """A module in which every block of the page has run, in order; errors name the page's lines."""
    module = sys.modules["actors_page"] = types.ModuleType("actors_page")
    for block in BLOCKS:
        above = "\n" * PAGE.count("\n", 0, block.start(1))
        exec(compile(above + block[1], str(DOCS / "actors.md"), "exec"), module.__dict__)
    yield module
    del sys.modules["actors_page"]


@pytest.mark.parametrize("name", TESTS)
def test_actors_page_shows_tests_that_pass(page: types.ModuleType, name: str, request: pytest.FixtureRequest) -> None:
    test = getattr(page, name)
    test(**{fixture: request.getfixturevalue(fixture) for fixture in inspect.signature(test).parameters})


def test_actors_page_shows_five_tests_and_no_name_twice() -> None:
    assert len(TESTS) == 5
    assert len(set(TESTS)) == len(TESTS)


def test_actors_page_is_short() -> None:
    assert len(PAGE.splitlines()) <= 320


@pytest.mark.parametrize("page_name", sorted(path.name for path in DOCS.glob("*.md")))
def test_link_of_a_page_names_a_file(page_name: str) -> None:
    links = re.findall(r"\]\(([^)#:]+)\)", (DOCS / page_name).read_text())
    assert [link for link in links if not (DOCS / link).exists()] == []


@pytest.mark.parametrize("kind", [MockMailbox, Held, kit.Peers])
def test_testing_page_names_every_part_of_the_kit(kind: type) -> None:
    page = (DOCS / "testing.md").read_text()
    names = [name for name in vars(kind) if not name.startswith("_")]
    assert len(names) >= 2
    assert [name for name in names if not re.search(rf"[.]{name}\b", page)] == []


def test_testing_page_names_every_fixture_of_the_kit() -> None:
    page = (DOCS / "testing.md").read_text()
    fixtures = re.findall(r"@pytest[.]fixture\ndef (\w+)", inspect.getsource(kit))
    assert len(fixtures) >= 3
    assert [name for name in fixtures if f"`{name}" not in page] == []
