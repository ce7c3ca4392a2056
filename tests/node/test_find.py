"""Who has a file: from a script, and on the command line. One node alone, whose source is the membership."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from rookery.actors.blobs import Progress
from rookery.config import load
from rookery.node import Client, CommandFailed, Node, new
from rookery.node.command import main
from tests.node.conftest import start_threads

NOWHERE = "ab" * 32
MakeFolder = Callable[..., Path]


@pytest.fixture(scope="module")
def member(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Node]:
    """A member of a network in which there is nobody else."""
    folder = tmp_path_factory.mktemp("member") / "node"
    new.make_node(folder, "tracker: {source: membership}\n")
    with Node(load(folder)) as node:
        start_threads(node)
        node.blobs.get(node.blobs.put(folder / "node.yaml"), folder / "copy")
        deadline = time.monotonic() + 30
        while node.providers.find(b"k" * 32).get(timeout=30).result.index_asked == 0:
            assert time.monotonic() < deadline, "it knows no record of its own"
        yield node


def rookery(*arguments: object) -> Result:
    result = CliRunner().invoke(main, [str(each) for each in arguments])
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result


def test_client_finds_who_has_a_file(member: Node, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"data")
    with Client(member.config.control.socket) as client:
        found = client.blobs.find(client.blobs.put(tmp_path / "file"), timeout=30)
    assert [(each.peer, each.address, each.age) for each in found.holders] == [(member.peer, member.address, None)]
    assert found.result == "asked 1 index member; 1 holder"


def test_find_prints_who_has_a_file(member: Node, tmp_path: Path) -> None:
    at = ["--node", member.config.key.parent]
    (tmp_path / "file").write_bytes(b"data")
    key = rookery("put", tmp_path / "file", *at).stdout.strip()
    assert rookery("find", key, *at).stdout == f"{member.peer}  {member.address}\nasked 1 index member; 1 holder\n"
    said = json.loads(rookery("find", key, *at, "--json").stdout)
    assert said["holders"] == [{"peer": str(member.peer), "address": str(member.address), "age": None}]
    assert rookery("find", NOWHERE, *at).stdout == "asked 1 index member; nobody has it\n"


def test_get_that_does_not_wait_exits_with_1_and_says_who_was_asked(member: Node, tmp_path: Path) -> None:
    at = ["--node", member.config.key.parent]
    result = rookery("get", NOWHERE, "-o", tmp_path / "copy", "--no-wait", *at)
    assert (result.exit_code, result.stdout) == (1, "")
    assert f"{NOWHERE} was not fetched: asked 1 index member; nobody has it" in result.stderr


def test_progress_of_a_get_says_how_far_the_search_is(member: Node, tmp_path: Path) -> None:
    seen: list[Progress] = []
    with Client(member.config.control.socket) as client, pytest.raises(CommandFailed, match="within 1 s"):
        client.blobs.get("cd" * 32, tmp_path / "copy", timeout=1, progress=seen.append)
    assert "asked 1 index member; nobody has it" in [each.stage for each in seen]


def test_node_that_asks_nobody_says_so(node: Node, client: Client) -> None:
    with pytest.raises(CommandFailed, match="this node does not ask who has a key"):
        client.blobs.find(NOWHERE)
    assert rookery("find", NOWHERE, "--node", node.config.key.parent).exit_code == 1
