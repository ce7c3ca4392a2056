"""Nodes that find each other although none names the other's address and key."""

from __future__ import annotations

import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from rookery.actors.discovery import Engine, StaticRecord
from rookery.config import load
from rookery.node import CannotStart, Client, Node
from rookery.node.command import main
from rookery.testing import SimulatedNodes, WholeNode
from rookery.transport import PeerId

MakeFolder = Callable[..., Path]
FEW = {"min_connections": 1, "expected_connections": 2, "max_connections": 4}


def names(node: WholeNode) -> set[PeerId]:
    """Who else is alive, by the node's membership."""
    return {member.peer for member in node.membership.members().get(timeout=5).active}


def test_node_that_has_nothing_but_a_record_connects_to_the_peer_that_signed_it(simulation: Any) -> None:
    nodes = SimulatedNodes(simulation)
    alice = nodes.start("alice")
    record = StaticRecord.of(alice.transport.record().get(timeout=5).record)
    bob = nodes.start("bob", discovery={"records": (record,)}, maintenance=FEW)
    nodes.run_until(lambda: bob.is_connected_to(alice), timeout=10)
    nodes.run_until(lambda: (names(alice), names(bob)) == ({bob.peer}, {alice.peer}), timeout=10)


def test_record_command_prints_what_another_nodes_configuration_takes(make_folder: MakeFolder) -> None:
    folder = make_folder("alice", "")
    with Node(load(folder)) as alice:
        printed = CliRunner().invoke(main, ["record", "--node", str(folder)]).output.strip()
        with Client(alice.config.control.socket) as client:
            assert client.record() == printed
        with Node(load(make_folder("bob", f"discovery: {{records: [{printed}]}}"))) as bob:
            bob.wait(connected=1, timeout=20)


def test_node_serves_its_record_and_another_finds_it_by_a_name(make_folder: MakeFolder) -> None:
    with Node(load(make_folder("alice", "discovery: {record_listen: 'http://127.0.0.1:0'}"))) as alice:
        (engine,) = (engine for engine in alice.runtime.engines if isinstance(engine, Engine))
        address = engine.record_address
        with urllib.request.urlopen(f"{address}/record", timeout=5) as answer:
            served = StaticRecord.parse(answer.read().decode().strip())
        assert served.decode("default") == alice.transport.record().get(timeout=5).record
        with Node(load(make_folder("bob", f"discovery: {{dns: ['{address}']}}"))) as bob:
            bob.wait(connected=1, timeout=20)


def test_record_address_in_use_is_an_error_that_names_the_key(make_folder: MakeFolder) -> None:
    with Node(load(make_folder("alice", "discovery: {record_listen: 'http://127.0.0.1:0'}"))) as alice:
        (engine,) = (engine for engine in alice.runtime.engines if isinstance(engine, Engine))
        taken = f"discovery: {{record_listen: '{engine.record_address}'}}"
        with pytest.raises(CannotStart, match=r"discovery\.record_listen: cannot listen on"):
            Node(load(make_folder("bob", taken))).start()
