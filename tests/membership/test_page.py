"""What docs/membership.md says of the engine is so."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from rookery import runtime
from rookery.actors.membership import Mailbox
from rookery.actors.membership.core.tags import encode_tags
from rookery.testing import SimulatedNodes

PAGE = (Path(__file__).parents[2] / "docs" / "membership.md").read_text()
SECTION = PAGE[PAGE.index("## 8. In a node") :]


def test_page_names_every_event_of_the_engine() -> None:
    rows = re.findall(r"^\| ([A-Z]\w+(?:, [A-Z]\w+)*) \|", SECTION, re.MULTILINE)
    assert [name for row in rows for name in row.split(", ")] == [event.__name__ for event in Mailbox.events]


def test_program_of_the_page_runs(simulation: Any) -> None:
    nodes = SimulatedNodes(simulation)
    seed, node = nodes.start("alice"), nodes.start("bob")
    mailbox = simulation.mock(runtime.Mailbox, "listener")
    match = re.search(r"```python\n(.*?)```", SECTION, re.DOTALL)
    assert match is not None
    program = match[1].replace("PEERID@tcp://10.0.0.1:7000", f"{seed.peer}@{seed.address}").splitlines()
    for line in program:
        exec(line, {"node": node, "mailbox": mailbox})  # a line is a statement
        nodes.run(1.0)
    own = node.membership.members().get(timeout=1).own
    assert own is not None
    assert own.metadata == encode_tags({"zone": "b"})
    assert [peer.peer for peer in seed.membership.members().get(timeout=1).others] == [node.peer]
