"""The programs of examples/ run as they stand, and do what they say."""

from __future__ import annotations

import hashlib
import runpy
import sys
from contextlib import closing
from pathlib import Path

import pytest

from rookery.actors import resolver
from rookery.node.new import make_node
from rookery.runtime import ThreadRuntime
from rookery.transport import GenerationFile, PeerId

EXAMPLES = Path(__file__).parent.parent / "examples"


def run(name: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Run an example as `python examples/NAME FOLDER` does."""
    monkeypatch.setattr(sys, "argv", [name, str(folder)])
    runpy.run_path(str(EXAMPLES / name), run_name="__main__")


def test_compose_lets_two_nodes_fetch_each_others_rows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], no_leaks: None
) -> None:
    run("compose.py", tmp_path, monkeypatch)
    both = "has [b'written by alice', b'written by bob']"
    assert capsys.readouterr().out.splitlines() == [f"alice {both}", f"bob {both}"]


def test_chat_node_hears_what_the_other_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], no_leaks: None
) -> None:
    run("chat.py", tmp_path, monkeypatch)
    assert capsys.readouterr().out == "bob hears alice: is anybody there?\n"


def test_database_of_compose_calls_false_data_invalid_and_does_not_keep_it(tmp_path: Path, no_leaks: None) -> None:
    database_of = runpy.run_path(str(EXAMPLES / "compose.py"))["Database"]
    key, peer = hashlib.sha256(b"true").digest(), PeerId(bytes(32))
    runtime = ThreadRuntime()
    with closing(database_of(tmp_path / "app.sqlite", runtime)) as database, runtime:
        verdict = database.deliver(resolver.Delivery(key, (), peer), b"false")
        assert verdict.get(timeout=5) is resolver.Outcome.INVALID
        assert database.get(key) is None


def test_useful_peers_keeps_the_useful_and_the_friend(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], no_leaks: None
) -> None:
    run("useful_peers.py", tmp_path, monkeypatch)
    assert capsys.readouterr().out.splitlines() == [
        "bob is worth 3",
        "carol is worth 3",
        "dave is worth -9",
        "erin is worth 0",
        "frank is worth 0, protected as friend",
        "given up: dave erin",
        "kept: bob carol frank",
    ]


@pytest.mark.processes
def test_launch_fetches_on_one_node_what_was_put_on_another(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], no_leaks: None
) -> None:
    run("launch.py", tmp_path, monkeypatch)
    assert (tmp_path / "copy.bin").read_bytes() == (tmp_path / "model.bin").read_bytes()
    assert capsys.readouterr().out.endswith("is 2097152 bytes, the same as on node a: True\n")


@pytest.mark.parametrize(("example", "node_of"), [("compose.py", "application"), ("useful_peers.py", "quiz_node")])
def test_node_of_an_example_that_starts_again_is_told_apart(
    tmp_path: Path, example: str, node_of: str, no_leaks: None
) -> None:
    program = runpy.run_path(str(EXAMPLES / example))
    make_node(tmp_path / "bob", program["YAML"])
    lives = []
    for _life in range(2):
        with program[node_of](tmp_path / "bob") as node:
            lives.append(GenerationFile(tmp_path / "bob" / "data" / "generation", node.peer).load())
    first, second = lives
    assert isinstance(first, int)
    assert isinstance(second, int)
    assert first < second


def test_every_example_is_run_by_a_test() -> None:
    tests = "".join(path.read_text() for path in Path(__file__).parent.rglob("test_*.py"))
    assert [path.name for path in EXAMPLES.glob("*.py") if f'"{path.name}"' not in tests] == []


def test_build_cache_builds_once_and_is_fetched_by_all_others(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["build_cache.py", "16"])
    runpy.run_path(str(EXAMPLES / "build_cache.py"), run_name="__main__")
    first, second, *each, last = capsys.readouterr().out.splitlines()
    assert first == "16 machines start"
    assert second.startswith("they have found each other, and none has more than ")
    assert [line.split(" has libfoo 1.4: ")[1] for line in each] == ["built", *["fetched"] * 7]
    assert last == "built by 1, fetched by 7"
