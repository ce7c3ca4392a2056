"""The command line: what it prints, its exit codes, and that no mistake of a user ends in a traceback."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from rookery.config import load
from rookery.node import Client, Node
from rookery.node.command import main
from rookery.transport import keyfile

MakeFolder = Callable[..., Path]
PEER = "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a"
NOWHERE = "ab" * 32


def rookery(*arguments: object) -> Result:
    result = CliRunner().invoke(main, [str(each) for each in arguments])
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result


@pytest.fixture
def at(node: Node) -> list[object]:
    """The arguments that name the shared node."""
    return ["--node", node.config.key.parent]


# init, config, run


def test_version_loads_neither_a_node_nor_the_command_line() -> None:
    program = "import sys; from rookery.node.__main__ import main; main(); print(*sorted(sys.modules))"
    run = subprocess.run([sys.executable, "-c", program, "--version"], capture_output=True, check=True, text=True)
    version, loaded = run.stdout.splitlines()
    assert f"{version}\n" == rookery("--version").stdout.replace("main, ", "rookery, ")
    assert not {"click", "rich", "zmq", "yaml", "rookery.actors", "rookery.transport"} & set(loaded.split())


def test_init_makes_a_node_and_names_it(tmp_path: Path) -> None:
    result = rookery("init", tmp_path / "alice")
    assert result.exit_code == 0
    assert str(keyfile.load(tmp_path / "alice" / "node.key").peer) in result.stdout
    assert load(tmp_path / "alice").transport.network == "default"


def test_init_does_not_overwrite_a_node(tmp_path: Path) -> None:
    rookery("init", tmp_path)
    before = (tmp_path / "node.key").read_bytes()
    result = rookery("init", tmp_path)
    assert (result.exit_code, result.stdout) == (2, "")
    assert "node.key exists: nothing was written" in result.stderr
    assert (tmp_path / "node.key").read_bytes() == before


def test_config_check_of_a_good_file_says_so(make_folder: MakeFolder) -> None:
    result = rookery("config", "check", make_folder())
    assert result.exit_code == 0
    assert result.stdout.endswith("node.yaml: no mistakes\n")


def test_config_check_tells_every_mistake_and_exits_with_2(make_folder: MakeFolder) -> None:
    folder = make_folder(yaml="transport: {lisen: x}\ntracker: {cooldown: soon}\n")
    result = rookery("config", "check", folder / "node.yaml")
    assert result.exit_code == 2
    first, second = result.stderr.splitlines()
    assert first.startswith(f"{folder}/node.yaml:1: transport.lisen: unknown key; did you mean listen?")
    assert second.startswith(f"{folder}/node.yaml:2: tracker.cooldown: soon is not a duration")


def test_config_check_as_json_has_the_mistakes_one_by_one(make_folder: MakeFolder) -> None:
    folder = make_folder(yaml="tracker: {cooldown: soon}\n")
    result = rookery("config", "check", folder, "--json")
    assert result.exit_code == 2
    error = json.loads(result.stdout)["error"]
    assert error["kind"] == "ConfigError"
    (mistake,) = error["mistakes"]
    assert (mistake["line"], mistake["path"]) == (1, "tracker.cooldown")


def test_config_schema_is_a_json_schema() -> None:
    result = rookery("config", "schema")
    assert result.exit_code == 0
    assert "transport" in json.loads(result.stdout)["properties"]


def test_config_show_prints_what_can_be_read_again(make_folder: MakeFolder, tmp_path: Path) -> None:
    folder = make_folder(yaml="blobs: {serve_rate: 8MiB}")
    shown = tmp_path / "shown.yaml"
    shown.write_text(rookery("config", "show", folder).stdout)
    assert load(shown) == load(folder)
    assert json.loads(rookery("config", "show", folder, "--json").stdout)["blobs"]["serve_rate"] == "8MiB"


def test_config_show_prints_what_runs(make_folder: MakeFolder) -> None:
    folder = make_folder(yaml="maintenance: {private_mode: true}\ntracker: {source: static}\n")
    shown = json.loads(rookery("config", "show", folder, "--json").stdout)
    assert (shown["tracker"]["admission"], shown["transport"]["conceal"]) == ("private", True)
    assert (shown["maintenance"]["policy"], shown["membership"]["feeds_tracker"]) == ("all", False)


def test_config_show_hides_the_networks_secret(make_folder: MakeFolder) -> None:
    folder = make_folder(yaml=f"transport: {{network_key: {NOWHERE}}}")
    assert NOWHERE not in rookery("config", "show", folder).stdout


def bad_yaml(folder: Path) -> None:
    (folder / "node.yaml").write_text("transport: [")


def unknown_key(folder: Path) -> None:
    (folder / "node.yaml").write_text("transprot: {}")


def bad_duration(folder: Path) -> None:
    (folder / "node.yaml").write_text("tracker: {cooldown: 5 parsecs}")


def bad_peer(folder: Path) -> None:
    (folder / "node.yaml").write_text("tracker: {peers: ['123@tcp://10.0.0.1:7000']}")


def open_key(folder: Path) -> None:
    (folder / "node.key").chmod(0o640)


def missing_key(folder: Path) -> None:
    (folder / "node.key").unlink()


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (bad_yaml, ["node.yaml:2", "not valid YAML"]),
        (unknown_key, ["node.yaml:1", "transprot", "did you mean transport?"]),
        (bad_duration, ["node.yaml:1", "tracker.cooldown", "5 parsecs", "a number of seconds"]),
        (bad_peer, ["node.yaml:1", "tracker.peers[0]", "64 hex digits"]),
        (open_key, ["key:", "node.key", "0640", "0600"]),
        (missing_key, ["key:", "node.key", "No such file"]),
    ],
)
def test_run_refuses_what_is_wrong_with_exit_code_2(
    make_folder: MakeFolder, spoil: Callable[[Path], None], words: list[str]
) -> None:
    folder = make_folder()
    spoil(folder)
    result = rookery("run", folder / "node.yaml")
    assert result.exit_code == 2
    assert all(word in result.stderr for word in words), result.stderr
    assert "Traceback" not in result.stderr


def test_run_refuses_a_port_in_use_with_exit_code_2(make_folder: MakeFolder) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        folder = make_folder(yaml=f"transport: {{listen: 'tcp://127.0.0.1:{port}'}}")
        result = rookery("run", folder)
    assert result.exit_code == 2
    assert f"transport.listen: cannot listen on tcp://127.0.0.1:{port}" in result.stderr
    assert "Traceback" not in result.stderr


# a running node


def test_status_names_the_node(node: Node, at: list[object]) -> None:
    assert json.loads(rookery("status", *at, "--json").stdout)["peer"] == str(node.peer)
    result = rookery("status", *at)
    assert result.exit_code == 0
    assert str(node.address) in result.stdout


def test_status_explains_in_one_line_why_the_node_is_inside_its_bounds_or_not(node: Node, at: list[object]) -> None:
    explained = "0 connections, of at most 100: nobody else may be dialled"  # it is static, and has no peers
    assert json.loads(rookery("status", *at, "--json").stdout)["upkeep"] == explained
    assert explained in " ".join(rookery("status", *at).stdout.split())


def test_put_prints_the_key_and_get_writes_the_file(at: list[object], tmp_path: Path) -> None:
    (tmp_path / "source").write_bytes(os.urandom(1000))
    key = rookery("put", tmp_path / "source", *at).stdout.strip()
    result = rookery("get", key, "-o", tmp_path / "copy", *at)
    assert result.exit_code == 0
    assert result.stdout.startswith(f"{tmp_path / 'copy'}: 1000 bytes in ")
    assert result.stdout.endswith(" s; peers gave 0, manifests counted\n")
    assert (tmp_path / "copy").read_bytes() == (tmp_path / "source").read_bytes()


def test_get_as_json_is_one_object(at: list[object], tmp_path: Path) -> None:
    (tmp_path / "source").write_bytes(b"data")
    key = json.loads(rookery("put", tmp_path / "source", *at, "--json").stdout)["key"]
    report = json.loads(rookery("get", key, "-o", tmp_path / "copy", *at, "--json").stdout)
    assert (report["key"], report["size"], report["served"]) == (key, 4, {})


@pytest.mark.parametrize(
    ("output", "words"),
    [
        ("/dev/stdout", "in /dev names stand for something else than files"),
        ("new/", "it names a folder; name a file in it"),
        (256 * "a", "File name too long"),
        ("loop", "Too many levels of symbolic links"),
    ],
)
def test_get_to_where_no_file_can_be_is_refused_before_the_node_is_asked(
    at: list[object], tmp_path: Path, output: str, words: str
) -> None:
    (tmp_path / "loop").symlink_to("loop")
    nobody = ["--node", tmp_path / "nobody"]
    rookery("init", tmp_path / "nobody")
    for node in (at, nobody):
        result = rookery("get", NOWHERE, "-o", os.path.join(tmp_path, output), *node)
        assert (result.exit_code, result.stdout) == (2, "")
        assert words in result.stderr
    assert sorted(os.listdir(tmp_path)) == ["loop", "nobody"]


def test_put_of_standard_input_is_refused_before_the_node_is_asked(at: list[object]) -> None:
    result = rookery("put", "/dev/stdin", *at)
    assert (result.exit_code, result.stdout) == (2, "")
    assert "cannot read /dev/stdin: in /dev names stand for something else than files" in result.stderr


def test_get_that_times_out_exits_with_1_and_says_why(at: list[object], tmp_path: Path) -> None:
    result = rookery("get", NOWHERE, "-o", tmp_path / "copy", "--timeout", "50ms", *at)
    assert result.exit_code == 1
    assert "was not fetched within 0.05 s" in result.stderr


def test_failed_command_as_json_has_kind_and_message(at: list[object], tmp_path: Path) -> None:
    result = rookery("put", tmp_path / "missing", *at, "--json")
    assert result.exit_code == 2
    error = json.loads(result.stdout)["error"]
    assert error["kind"] == "SourceError"
    assert "missing" in error["message"]


def test_block_is_listed_until_unblock(at: list[object]) -> None:
    assert "is blocked until" in rookery("block", PEER, "--for", "1h", *at).stdout
    (row,) = json.loads(rookery("peers", *at, "--json").stdout)
    assert (row["peer"], row["state"], row["blocked"]) == (PEER, "", True)
    assert PEER[:16] in rookery("peers", *at).stdout
    assert "no longer blocked" in rookery("unblock", PEER, *at).stdout
    assert "was not blocked" in rookery("unblock", PEER, *at).stdout


@pytest.mark.parametrize("what", ["peers", "members", "connections"])
def test_empty_list_is_said_in_words_and_as_json(at: list[object], what: str) -> None:
    assert rookery(what, *at).stdout == f"no {what}\n"
    assert json.loads(rookery(what, *at, "--json").stdout) == []


@pytest.mark.parametrize(
    "arguments",
    [
        ("block", "123"),
        ("block", PEER, "--for", "ever"),
        ("block", PEER, "--for", "0s"),
        ("get", "123", "-o", "x"),
        ("get", NOWHERE),
        ("dance",),
        ("status", "--nod", "x"),
    ],
)
def test_wrong_command_exits_with_2(arguments: tuple[str, ...]) -> None:
    result = rookery(*arguments)
    assert result.exit_code == 2
    assert "Error: " in result.stderr


def test_command_without_a_running_node_exits_with_1(make_folder: MakeFolder) -> None:
    result = rookery("status", "--node", make_folder())
    assert result.exit_code == 1
    assert "no node listens at" in result.stderr


def test_command_without_a_configuration_exits_with_2(tmp_path: Path) -> None:
    result = rookery("status", "--node", tmp_path)
    assert result.exit_code == 2
    assert "node.yaml: cannot be read: No such file" in result.stderr


def test_stop_ends_the_node(make_folder: MakeFolder) -> None:
    folder = make_folder()
    with Node(load(folder)) as node:
        assert rookery("stop", "--node", folder).stdout == "stopped\n"
        assert node.stopped.wait(5)
    with Client(node.config.control.socket) as client:
        assert client.blobs is not None
    assert not node.config.control.socket.exists()
