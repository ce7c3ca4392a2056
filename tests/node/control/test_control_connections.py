"""Tags and protections from another process, over the control socket and on the command line."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from rookery.config import load
from rookery.node import Client, CommandFailed, Node
from rookery.node.command import main
from rookery.node.control.commands.connections import Tags
from rookery.testing import Peers
from tests.node.conftest import ALONE

MakeFolder = Callable[..., Path]
ADA = Peers().identity("ada").peer


@pytest.fixture
def at(node: Node) -> list[object]:
    return ["--node", node.config.key.parent]


def rookery(*arguments: object) -> Result:
    result = CliRunner().invoke(main, [str(each) for each in arguments])
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result


@pytest.fixture
def pair(make_folder: MakeFolder) -> Iterator[tuple[Node, Node]]:
    """Two nodes, connected."""
    with Node(load(make_folder("bob", ALONE))) as bob:
        seeds = f"tracker: {{source: static, peers: ['{bob.peer}@{bob.address}']}}\n"
        with Node(load(make_folder("alice", seeds))) as alice:
            alice.wait(connected=1, timeout=20)
            bob.wait(connected=1, timeout=20)
            yield alice, bob


def test_script_tags_and_untags(client: Client) -> None:
    assert client.connections.tag_peer(ADA, "useful", 5) == Tags(5, {"useful": 5})
    assert client.connections.tag_peer(str(ADA), "slow", -7) == Tags(-2, {"useful": 5, "slow": -7})
    assert client.connections.untag_peer(ADA, "useful") == Tags(-7, {"slow": -7})
    assert client.connections.untag_peer(ADA, "slow") == Tags(0, {})


def test_script_protects_and_unprotects_by_name(client: Client, node: Node) -> None:
    client.connections.protect(ADA, "a")
    client.connections.protect(ADA, "b")
    assert node.connections.is_protected(ADA).get(timeout=5)
    assert client.connections.unprotect(ADA, "a")
    assert not client.connections.unprotect(ADA, "b")
    assert not node.connections.is_protected(ADA).get(timeout=5)


@pytest.mark.parametrize(
    ("command", "arguments", "said"),
    [
        ("protect", {"peer": str(ADA), "tag": ""}, "a tag is a text of 1"),
        ("protect", {"peer": "12", "tag": "a"}, "peer: peer id '12'"),
        ("tag", {"peer": str(ADA), "tag": "a", "weight": 0.5}, "weight must be a whole number"),
        ("tag", {"peer": str(ADA), "tag": "a"}, "weight must be a whole number"),
        ("untag", {"peer": str(ADA), "tag": 7}, "tag must be a text"),
        ("trim", {"target": -1}, "target must be a whole number, at least 0"),
    ],
)
def test_wrong_arguments_are_named(client: Client, command: str, arguments: dict[str, object], said: str) -> None:
    with pytest.raises(CommandFailed, match=said):
        client.call(command, arguments)  # type: ignore[arg-type]


def test_connections_are_listed_with_all_that_is_known_and_trimmed_but_for_the_protected(
    pair: tuple[Node, Node],
) -> None:
    alice, bob = pair
    with Client(alice.config.control.socket) as client:
        client.connections.tag_peer(bob.peer, "useful", 5)
        client.connections.protect(bob.peer, "operator")
        (row,) = client.connections()
        assert (row.peer, row.direction, row.value, row.tags) == (str(bob.peer), "out", 5, {"useful": 5})
        assert (row.protections, row.in_grace) == (("operator",), True)
        assert 0 <= row.age < 60
        report = client.connections.trim_open_connections(0)
        assert (report.closed, report.short_by, report.protected) == ((), 1, 1)
    shown = rookery("connections", "--node", alice.config.key.parent).stdout
    assert "useful=5" in shown
    assert "operator" in shown
    (row_as_json,) = json.loads(rookery("connections", "--node", alice.config.key.parent, "--json").stdout)
    assert (row_as_json["value"], row_as_json["protections"]) == (5, ["operator"])


def test_command_line_protects_and_unprotects(at: list[object]) -> None:
    assert rookery("protect", ADA, *at).stdout == f"{ADA.short} is protected as operator\n"
    assert rookery("protect", ADA, "--as", "friend", *at).stdout == f"{ADA.short} is protected as friend\n"
    assert rookery("unprotect", ADA, *at).stdout == f"{ADA.short} is still protected under another name\n"
    said = json.loads(rookery("unprotect", ADA, "--as", "friend", *at, "--json").stdout)
    assert said == {"peer": str(ADA), "tag": "friend", "still_protected": False}
    assert rookery("unprotect", ADA, *at).stdout == f"{ADA.short} is not protected\n"


def test_command_line_tags(at: list[object]) -> None:
    assert rookery("tag", ADA, "useful", 5, *at).stdout == f"{ADA.short} is worth 5\n"
    assert rookery("tag", ADA, "slow", -7, *at).stdout == f"{ADA.short} is worth -2\n"
    said = json.loads(rookery("tag", ADA, "slow", "--remove", *at, "--json").stdout)
    assert said == {"peer": str(ADA), "value": 5, "tags": {"useful": 5}}
    assert rookery("tag", ADA, "useful", "--remove", *at).stdout == f"{ADA.short} is worth 0\n"


@pytest.mark.parametrize("more", [(), ("5", "--remove"), ("much",)])
def test_command_line_tag_wants_a_weight_or_its_removal(at: list[object], more: tuple[str, ...]) -> None:
    assert rookery("tag", ADA, "useful", *more, *at).exit_code == 2
