"""What strangers can have a node write into its log: a few lines each, and one that says how many were left out."""

from __future__ import annotations

import logging
import re
from pathlib import Path
from typing import Any

import pytest

from rookery import transport
from rookery.transport import Reason
from tests.transport.worlds import Node, SimulatedWorld

AT_ONCE = 64

NO_FOLDER = "no data folder, so the generation is random within the second: a restart may seem an earlier life"
UNLIMITED = {
    "engine.py: listening",
    "parts/inbound.py: near the limit of file descriptors: new connections are refused",  # once a minute by itself
    "parts/packets.py: packet of an unknown kind dropped",  # as this one
    "parts/shared.py: log lines left out",
    f"parts/shared.py: {NO_FOLDER}",
    "parts/shared.py: SET_ASIDE",
}


def lines(caplog: pytest.LogCaptureFixture, event: str) -> list[dict[str, Any]]:
    return [record.__dict__["fields"] for record in caplog.records if record.getMessage() == event]


@pytest.fixture
def bob(simulated: SimulatedWorld) -> Node:
    bob = simulated.node("bob", handshakes_per_ip=1e6, handshakes_per_subnet=1e6)
    bob.gatekeeper.refuse_with = Reason.NOT_TRACKED
    return bob


def dials(simulated: SimulatedWorld, bob: Node, name: str, times: int) -> None:
    alice = simulated.node(name)
    for number in range(1, times + 1):
        alice.dial(bob)
        simulated.until(lambda: len(alice.gatekeeper.releases) == number)  # noqa: B023


def test_refusals_of_one_ip_are_logged_some_times_all_counted_and_the_rest_is_told_in_one_line(
    simulated: SimulatedWorld, bob: Node, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO, "rookery"):
        dials(simulated, bob, "alice", 200)
        logged = len(lines(caplog, "inbound refused"))
        assert AT_ONCE <= logged < AT_ONCE + 5
        assert bob.counted("refused", Reason.NOT_TRACKED) == 200
        assert bob.counted("log_lines_left_out") == 200 - logged
        assert lines(caplog, "log lines left out") == []
        simulated.pass_time(11)
        said = [each for each in lines(caplog, "log lines left out") if each["most_of"] == "10.0.0.2"]
        assert said == [{"lines": 200 - logged, "most_of": "10.0.0.2", "of_it": 200 - logged}]
        simulated.pass_time(60)
        assert len([each for each in lines(caplog, "log lines left out") if each["most_of"] == "10.0.0.2"]) == 1


def test_refusals_of_another_ip_are_logged_meanwhile(
    simulated: SimulatedWorld, bob: Node, caplog: pytest.LogCaptureFixture
) -> None:
    dials(simulated, bob, "alice", 100)
    with caplog.at_level(logging.INFO, "rookery"):
        dials(simulated, bob, "carol", 1)
    assert [each["ip"] for each in lines(caplog, "inbound refused")] == ["10.0.0.3"]


def test_line_that_a_far_end_can_cause_goes_through_the_limit() -> None:
    """`note` and `warn`; what is written directly is here by name."""
    root = Path(transport.__file__).parent
    written = re.compile(r"\blog\.(?:info|warning)\(\s*(.*?)[,)]\s*(?:\w+=|$|\))", re.DOTALL)
    found = {
        f"{path.relative_to(root)}: {match.group(1).strip().strip(chr(34))}"
        for path in [root / "engine.py", root / "channel.py", *(root / "parts").glob("*.py")]
        for match in written.finditer(path.read_text())
    }
    assert found - {"parts/shared.py: event"} == UNLIMITED
