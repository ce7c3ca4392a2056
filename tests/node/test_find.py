"""Who has a file: from a script, and on the command line. One node alone, whose source is the membership."""

from __future__ import annotations

import json
import random
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor, wait
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from rookery.actors import providers
from rookery.actors.blobs import Progress
from rookery.actors.providers import Holder, SearchEnded
from rookery.config import load
from rookery.node import Client, CommandFailed, Node, new
from rookery.node.command import main
from rookery.node.control.commands.files import Files, Found
from rookery.transport import PeerId
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
    found = rookery("find", key, *at)
    assert found.stdout == f"{member.peer}  {member.address}  this node\nasked 1 index member; 1 holder\n"
    assert found.exit_code == 0
    said = json.loads(rookery("find", key, *at, "--json").stdout)
    holder = {"peer": str(member.peer), "address": str(member.address), "age": None, "this_node": True}
    assert said["holders"] == [holder]


def test_find_of_what_nobody_has_exits_with_1_and_says_who_was_asked(member: Node) -> None:
    at = ["--node", member.config.key.parent]
    found = rookery("find", NOWHERE, *at)
    assert (found.exit_code, found.stdout) == (1, "asked 1 index member; nobody has it\n")
    as_json = rookery("find", NOWHERE, *at, "--json")
    assert as_json.exit_code == 1
    assert json.loads(as_json.stdout) == {"holders": [], "result": "asked 1 index member; nobody has it"}


def test_find_marks_this_node_alone(member: Node, monkeypatch: pytest.MonkeyPatch) -> None:
    others = [Holder(PeerId(bytes(32)), None, 61.0), Holder(member.peer, member.address, None)]
    monkeypatch.setattr(Files, "find", lambda *_asked, **_how: Found(tuple(others), "asked"))
    lines = rookery("find", NOWHERE, "--node", member.config.key.parent).stdout.splitlines()
    assert lines == [f"{'00' * 32}  no address  told 61 s ago", f"{member.peer}  {member.address}  this node", "asked"]


def test_get_that_does_not_wait_exits_with_1_and_says_who_was_asked(member: Node, tmp_path: Path) -> None:
    at = ["--node", member.config.key.parent]
    result = rookery("get", NOWHERE, "-o", tmp_path / "copy", "--no-wait", *at)
    assert (result.exit_code, result.stdout) == (1, "")
    assert f"{NOWHERE} was not fetched: asked 1 index member; nobody has it" in result.stderr


@pytest.fixture
def part(member: Node, tmp_path: Path) -> str:
    """The key of a file of 600,000 bytes of which 524,288 are here, and which is looked for in vain."""
    (tmp_path / "file").write_bytes(random.Random(1).randbytes(600_000))
    key = member.blobs.put(tmp_path / "file")
    last = 600_000 - 2 * 262_144
    (block,) = [each for each in member.config.data.rglob("*") if each.is_file() and each.stat().st_size == last]
    block.unlink()
    return str(key)


def looked_for(member: Node, key: str, get: Callable[[], Result]) -> Result:
    """Let the search end in vain until the get does."""
    nobody = SearchEnded(1, bytes.fromhex(key), providers.Result((), 1, 1), 5.0)
    with ThreadPoolExecutor(1) as pool:
        under_way = pool.submit(get)
        while not under_way.done():
            if member.providers.progress(nobody.data_key).get(timeout=30).stage != "unknown":
                member.files.tell(nobody)
            wait([under_way], timeout=0.05)
        return under_way.result()


def test_get_that_does_not_wait_says_how_much_of_the_file_came(member: Node, part: str, tmp_path: Path) -> None:
    at = ["-o", tmp_path / "copy", "--no-wait", "--node", member.config.key.parent]
    ended = looked_for(member, part, lambda: rookery("get", part, *at))
    assert (ended.exit_code, ended.stdout) == (1, "")
    assert ended.stderr.endswith("; nobody has it; 524288 of 600000 bytes came\n")
    error = json.loads(looked_for(member, part, lambda: rookery("get", part, *at, "--json")).stdout)["error"]
    assert (error["kind"], error["done"], error["total"]) == ("NobodyHasIt", 524_288, 600_000)


def test_progress_of_a_get_says_how_far_the_search_is(member: Node, tmp_path: Path) -> None:
    seen: list[Progress] = []
    with Client(member.config.control.socket) as client, pytest.raises(CommandFailed, match="within 1 s"):
        client.blobs.get("cd" * 32, tmp_path / "copy", timeout=1, progress=seen.append)
    assert "asked 1 index member; nobody has it" in [each.stage for each in seen]


def test_node_that_asks_nobody_says_so(node: Node, client: Client) -> None:
    with pytest.raises(CommandFailed, match="this node does not ask who has a key"):
        client.blobs.find(NOWHERE)
    assert rookery("find", NOWHERE, "--node", node.config.key.parent).exit_code == 1
