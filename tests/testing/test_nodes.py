"""Whole nodes in a simulation."""

from __future__ import annotations

from typing import Any

import pytest

from rookery.actors import membership, tracker
from rookery.runtime import Simulation
from rookery.runtime.settings import SettingsError
from rookery.testing import SimulatedNodes, settings


def five(simulation: Simulation) -> SimulatedNodes:
    nodes = SimulatedNodes(simulation)
    first = nodes.start("n0")
    for number in range(1, 5):
        nodes.start(f"n{number}", seeds=[first])
    nodes.run_until(lambda: all(len(node.connected()) == 4 for node in nodes.running), timeout=30)
    return nodes


def test_whole_nodes_with_one_seed_are_all_connected(simulation: Any) -> None:
    nodes = five(simulation)
    assert nodes.all["n4"].is_connected_to(nodes.all["n1"], nodes.all["n2"])


def test_whole_nodes_with_equal_seeds_have_equal_digests() -> None:
    digests = set()
    for _ in range(2):
        with Simulation(7) as simulation:
            five(simulation)
            digests.add(simulation.digest())
    assert len(digests) == 1


@pytest.mark.parametrize("elsewhere", [False, True])
def test_whole_node_after_a_crash_is_noticed_and_after_a_restart_comes_back(simulation: Any, elsewhere: bool) -> None:
    nodes = five(simulation)
    gone = nodes.all["n3"]
    gone.crash()
    assert gone not in nodes.running
    nodes.run_until(lambda: all(gone.peer not in node.connected() for node in nodes.running), timeout=30)
    back = nodes.restart(gone, elsewhere=elsewhere)
    assert (back.peer, back.ip) == (gone.peer, gone.ip)
    assert (back.address == gone.address) is not elsewhere
    nodes.run_until(lambda: len(back.connected()) == 4, timeout=30)


def test_whole_node_that_stops_says_goodbye(simulation: Any) -> None:
    nodes = five(simulation)
    told = simulation.mock(membership.Mailbox)
    nodes.all["n0"].membership.subscribe(told, membership.MemberDown)
    gone = nodes.all["n3"]
    gone.stop()
    nodes.run(2)
    assert told.control.received() == [membership.MemberDown(gone.peer)]


def test_whole_nodes_parted_lose_their_links_and_heal(simulation: Any) -> None:
    nodes = five(simulation)
    everybody = nodes.running
    nodes.partition(everybody[:2], everybody[2:])
    nodes.run_until(lambda: [len(node.connected()) for node in everybody] == [1, 1, 2, 2, 2], timeout=30)
    nodes.heal()
    nodes.run_until(lambda: all(len(node.connected()) == 4 for node in everybody), timeout=120)


def test_whole_nodes_share_blobs(simulation: Any, tmp_path: Any) -> None:
    nodes = five(simulation)
    (tmp_path / "source").write_bytes(bytes(range(256)) * 4000)
    key = nodes.all["n0"].files.put(str(tmp_path / "source")).get(timeout=5)
    nodes.all["n4"].files.get(key, str(tmp_path / "copy")).get(timeout=30)
    assert (tmp_path / "copy").read_bytes() == (tmp_path / "source").read_bytes()


def test_whole_node_answers_by_its_mailboxes(simulation: Any) -> None:
    nodes = five(simulation)
    alice, bob = nodes.all["n0"], nodes.all["n1"]
    alice.tracker.block(bob.peer).get(timeout=5)
    assert bob.peer not in alice.connected()
    assert alice.counted("transport_closed_total", "blocked") == 1


def test_whole_nodes_may_be_static(simulation: Any) -> None:
    nodes = SimulatedNodes(simulation)
    alice = nodes.start("alice", tracker={"source": "static"})
    bob = nodes.start("bob", seeds=[alice], tracker={"source": "static"})
    nodes.run_until(lambda: bob.is_connected_to(alice), timeout=5)


def test_whole_node_of_a_name_that_runs_is_refused(simulation: Any) -> None:
    nodes = SimulatedNodes(simulation)
    nodes.start("alice")
    with pytest.raises(ValueError, match="'alice' runs already"):
        nodes.start("alice")


def test_settings_of_whole_nodes_are_checked_and_twins_written_once() -> None:
    config = settings(maintenance={"min_connections": 4, "expected_connections": 8, "max_connections": 16})
    assert config.transport.max_connections == 16
    assert config.tracker == tracker.Config()
    with pytest.raises(SettingsError, match="ascending"):
        settings(maintenance={"min_connections": 60})
    with pytest.raises(TypeError, match="no section maintenence; there are transport, tracker"):
        settings(maintenence={})


@pytest.mark.parametrize("elsewhere", [False, True])
def test_whole_node_after_a_restart_has_its_address_book_and_needs_no_seed(simulation: Any, elsewhere: bool) -> None:
    nodes = five(simulation)
    lonely = nodes.all["n4"]
    lonely.tracker.block(nodes.all["n1"].peer).get(timeout=5)
    nodes.run(2)
    lonely.crash()
    nodes.all["n0"].crash()  # its only seed
    back = nodes.restart(lonely, elsewhere=elsewhere)
    nodes.run_until(lambda: len(back.connected()) == 2, timeout=60)
    assert back.connected() == {nodes.all["n2"].peer, nodes.all["n3"].peer}
