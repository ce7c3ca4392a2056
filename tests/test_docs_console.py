"""The command lines of docs/tracker.md: each is run against a node, and prints what the page says.

`...` on the page stands for anything.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from string import Template

import pytest
from click.testing import CliRunner

from rookery.config import load
from rookery.node import Node, new
from rookery.node.command import main
from rookery.testing import Peers

PAGE = (Path(__file__).parent.parent / "docs" / "tracker.md").read_text()
NAMES = {name: str(Peers().identity(name.lower()).peer) for name in ("BOB", "CAROL")}


def commands() -> Iterator[tuple[str, str]]:
    """Each command of the page, and what it prints there."""
    for block in re.findall(r"```console\n(.*?)```", PAGE, re.DOTALL):
        for part in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
            command, _, printed = part.partition("\n")
            yield Template(command).safe_substitute(NAMES), printed


def matches(printed: str, shown: str) -> bool:
    """Whether it is what the page shows."""
    pattern = ".*".join(re.escape(part) for part in shown.strip().split("..."))
    return re.fullmatch(pattern, printed.strip(), re.DOTALL) is not None


def test_tracker_page_shows_what_its_commands_print(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    new.make_node(tmp_path / "node", "tracker: {source: application, admission: tracked}")
    monkeypatch.chdir(tmp_path / "node")
    code, ran = 0, 0
    with Node(load(tmp_path / "node")):
        for command, shown in commands():
            if command == "echo $?":
                printed = str(code)
            else:
                program, *arguments = shlex.split(command)
                assert program == "rookery"
                result = CliRunner().invoke(main, arguments)
                printed, code = result.output, result.exit_code
                ran += 1
            assert matches(printed, shown), f"$ {command}\n{printed}"
    assert ran >= 10


@pytest.mark.parametrize(("printed", "shown", "same"), [("a b c\n", "a ... c", True), ("a b c", "a ... d", False)])
def test_page_is_compared_with_what_is_printed(printed: str, shown: str, same: bool) -> None:
    assert matches(printed, shown) is same
