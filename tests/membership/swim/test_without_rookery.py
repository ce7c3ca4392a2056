"""The package stands alone: it can be lifted out and used by any program, as examples/swim_udp.py does."""

import runpy
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from rookery.actors.membership import swim
from rookery.actors.membership.swim import Config, MemberDown, MemberUp

EXAMPLE = Path(__file__).parents[3] / "examples" / "swim_udp.py"
QUICK = replace(
    Config.new_lan(3), probe_period=0.2, probe_rtt=0.1, suspect_to_down_after=0.4, distrust_late_timers=False
)


@pytest.fixture
def agents() -> Iterator[list[Any]]:
    agent = runpy.run_path(str(EXAMPLE))["Agent"]
    with ExitStack() as stack:
        started = []
        for _ in range(3):
            notes: list[object] = []
            started.append(agent(0, QUICK, notes.append))
            started[-1].notes = notes
            stack.callback(started[-1].socket.close)
        yield started


def run(agents: list[Any], until: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 20.0
    while not until():
        assert time.monotonic() < deadline
        for agent in agents:
            agent.step(patience=0.005)


def test_udp_example_members_find_each_other_through_one_and_notice_who_leaves_and_who_dies(agents: list[Any]) -> None:
    first, second, third = agents
    port = first.socket.getsockname()[1]
    for agent in (second, third):
        agent.join(port)
    run(agents, lambda: [agent.swim.num_members for agent in agents] == [2, 2, 2])
    assert MemberUp(third.swim.identity) in second.notes
    third.swim.leave_cluster(third.outbox)
    third.carry_out()
    gone = MemberDown(third.swim.identity, left=True)
    run([first, second], lambda: gone in first.notes and gone in second.notes)
    run([first], lambda: MemberDown(second.swim.identity) in first.notes)  # it is not stepped any more
    assert first.swim.num_members == 0


def test_udp_example_drops_what_is_no_packet_and_says_so(agents: list[Any]) -> None:
    first, second, _ = agents
    second.socket.sendto(b"hello", first.socket.getsockname())
    run([first], lambda: bool(first.notes))
    assert "dropped a packet of 127.0.0.1" in first.notes[0]


def test_swim_imported_alone_brings_neither_actors_nor_sockets_nor_clocks_nor_rookery() -> None:
    assert swim.__file__ is not None
    home = Path(swim.__file__).parent.parent
    unwanted = {"pykka", "zmq", "rookery", "asyncio", "threading", "time", "socket", "selectors", "ssl"}
    program = (
        f"import sys; sys.path.insert(0, {str(home)!r}); before = set(sys.modules); import swim;"
        f"print(sorted({{name.partition('.')[0] for name in set(sys.modules) - before}} & {unwanted}));"
        "print(swim.Swim.__module__)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=30)
    assert done.stdout.split("\n")[:2] == ["[]", "swim.swim"]


def test_swim_source_reads_no_clock_and_no_global_random() -> None:
    assert swim.__file__ is not None
    imports = {
        line.split()[1]
        for file in sorted(Path(swim.__file__).parent.rglob("*.py"))
        for line in file.read_text().splitlines()
        if line.startswith(("import ", "from ")) and not line.startswith("from .")
    }
    pure = {"collections", "collections.abc", "dataclasses", "enum", "functools", "hashlib", "math", "random", "typing"}
    assert imports == pure | {"msgpack", "msgspec"}
    calls = [
        file.name
        for file in Path(swim.__file__).parent.rglob("*.py")
        for line in file.read_text().splitlines()
        if "random." in line and "random.Random" not in line and not line.lstrip().startswith(('"', "#"))
    ]
    assert calls == []
