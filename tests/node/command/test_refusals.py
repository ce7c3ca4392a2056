"""Whatever is typed, each command ends with an exit code and a short text, never with a traceback."""

from __future__ import annotations

import codecs
import json
import os
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
from click.testing import CliRunner, Result

from rookery.config import load
from rookery.node import Client, Node, new
from rookery.node.command import main
from rookery.transport.identity import Identity
from tests.node.conftest import start_threads

ADA = str(Identity.from_seed(bytes(32)).peer)
NOWHERE = "ab" * 32
HUGE = "9" * 100_000
BAD = "\udcff"  # how a byte that is no UTF-8 arrives
LISTED = f"{Identity.from_seed(b'b' * 32).peer}@tcp://10.0.0.1:7000\n"


def rookery(*arguments: object, **how: bytes) -> Result:
    result = CliRunner().invoke(main, [str(each) for each in arguments], **how)  # type: ignore[arg-type]
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Node]:
    """A node whose peer sets anybody may track."""
    folder = tmp_path_factory.mktemp("refusals") / "node"
    new.make_node(folder, "tracker: {source: application}\n")
    with Node(load(folder)) as node:
        start_threads(node)
        node.blobs.get(node.blobs.put(folder / "node.yaml"), folder / "copy")
        yield node


@pytest.fixture
def at(node: Node) -> list[object]:
    return ["--node", node.config.key.parent]


WRONG: list[tuple[object, ...]] = [
    ("tag", ADA, "a", "18446744073709551615"),
    ("tag", ADA, "a", "-2147483648"),
    ("tag", ADA, "a", HUGE),
    ("tag", ADA, "a", "nan"),
    ("tag", ADA, BAD, "1"),
    ("tag", ADA, "", "1"),
    ("tag", HUGE, "a", "1"),
    ("protect", ADA, "--as", BAD),
    ("protect", ADA, "--as", "a" * 257),
    ("unprotect", ADA, "--as", ""),
    ("protect", BAD),
    ("trust", HUGE),
    ("distrust", ""),
    ("track", "18446744073709551616", ADA),
    ("track", HUGE),
    ("track", "--", "-1"),
    ("track", "1", BAD),
    ("track", "1", HUGE),
    ("track", "1", "--file", f"/nowhere/{BAD}"),
    ("track", "1", "--file", "/"),
    ("overwrite", ADA),
    ("overwrite",),
    ("overwrite", "--file", "/dev/zero"),
    ("peer-set", "18446744073709551616"),
    ("peer-set", "-1"),
    ("block", HUGE),
    ("block", BAD),
    ("block", "fe80::1%eth0"),
    ("block", ADA, "--for", "0s"),
    ("block", ADA, "--for", f"{HUGE}d"),
    ("block", ADA, "--for", "1e999s"),
    ("block", ADA, "--for", BAD),
    ("unblock", HUGE),
    ("put", f"/nowhere/{BAD}"),
    ("put", "/"),
    ("put", f"/{HUGE}"),
    ("get", HUGE, "-o", "/nowhere/x"),
    ("get", NOWHERE, "-o", "/", "--timeout", "1s"),
    ("get", NOWHERE, "-o", f"/nowhere/{BAD}", "--timeout", "1s"),
    ("get", NOWHERE, "-o", "/nowhere/x", "--timeout", HUGE),
    ("find", HUGE),
    ("find", NOWHERE, "--timeout", "0s"),
]


@pytest.mark.parametrize("typed", WRONG, ids=lambda typed: ascii(" ".join(typed))[1:60])
def test_argument_that_can_mean_nothing_exits_with_2_and_a_short_text(
    node: Node, at: list[object], typed: tuple[object, ...]
) -> None:
    command, *others = typed
    result = rookery(command, *at, *others)
    assert result.exit_code == 2, result.output
    assert result.stdout == ""
    assert 0 < len(result.stderr) < 1500
    assert result.stderr.isascii() or result.stderr.isprintable()
    assert node.failure is None


WITHOUT_A_NODE: list[tuple[object, ...]] = [
    ("status", "--node", f"/nowhere/{BAD}"),
    ("status", "--node", f"/{HUGE}"),
    ("run", f"/nowhere/{BAD}"),
    ("config", "check", f"/nowhere/{BAD}"),
    ("config", "show", "/nowhere"),
    ("simulate", f"/nowhere/{BAD}"),
    ("init", "/proc/nobody/may/write/here"),
    ("init", f"/dev/null/{BAD}"),
    ("init", f"/{HUGE}"),
    (HUGE,),
    (BAD,),
    ("status", f"--{HUGE}"),
    ("status", HUGE),
]


@pytest.mark.parametrize("typed", WITHOUT_A_NODE, ids=lambda typed: ascii(" ".join(typed))[1:60])
def test_file_or_command_that_is_not_there_exits_with_2_and_a_short_text(typed: tuple[object, ...]) -> None:
    result = rookery(*typed)
    assert result.exit_code == 2, result.output
    assert 0 < len(result.stderr) < 1500


ENCODED: dict[str, tuple[bytes, str]] = {
    "utf-16": (LISTED.encode("utf-16"), "line 1: the file is not text in UTF-8"),
    "latin-1": (b"# a\n# caf\xe9\n" + LISTED.encode(), "line 2: the file is not text in UTF-8"),
    "too large": (b"#" * (8 * 1024 * 1024 + 1), "more than 8388608 bytes"),
    "nul": (b"\0" + LISTED.encode(), "line 1: peer id"),
}


@pytest.mark.parametrize("name", ENCODED)
@pytest.mark.parametrize("piped", [False, True])
def test_list_of_peers_in_another_encoding_is_refused_with_its_line(
    at: list[object], tmp_path: Path, name: str, piped: bool
) -> None:
    content, said = ENCODED[name]
    (tmp_path / "peers").write_bytes(content)
    file = "-" if piped else tmp_path / "peers"
    result = rookery("overwrite", "--file", file, *at, input=content)
    assert result.exit_code == 2
    assert said in result.stderr


@pytest.mark.parametrize("piped", [False, True])
def test_list_of_peers_may_begin_with_a_byte_order_mark(at: list[object], tmp_path: Path, piped: bool) -> None:
    content = codecs.BOM_UTF8 + LISTED.encode()
    (tmp_path / "peers").write_bytes(content)
    result = rookery("overwrite", "--file", "-" if piped else tmp_path / "peers", *at, input=content)
    assert (result.exit_code, result.stdout) == (0, "0 changed, 0 unchanged, 1 unknown\n")


def test_block_longer_than_the_calendar_is_listed_and_can_be_given_another_end(node: Node, at: list[object]) -> None:
    assert rookery("block", ADA, "--for", "3000000d", *at).stdout.endswith("is blocked until after the year 9999\n")
    assert "after the year 9999" in rookery("blocks", *at).stdout
    assert rookery("block", ADA, "--for-good", *at).stdout.endswith("is blocked for good\n")
    assert "for good" in rookery("peers", *at).stdout
    assert " is blocked until 2" in rookery("block", ADA, "--for", "1m", *at).stdout
    (block,) = node.tracker.blocks().get(timeout=5)
    assert block.until - node.runtime.wall() < 61
    rookery("unblock", ADA, *at)


def test_peer_set_without_peers_is_tracked_from_the_command_line_as_from_code(node: Node, at: list[object]) -> None:
    assert rookery("track", 4, *at).stdout == "peer set 4 is tracked: 0 primary and 0 secondary peers\n"
    node.tracker.track(5, {}).get(timeout=5)
    assert rookery("peer-set", 4, *at).stdout == "no peers\n"
    assert rookery("track", 6, ADA, "--secondary", ADA, *at).stdout.endswith("1 primary and 0 secondary peers\n")
    assert rookery("peer-set", 6, *at).stdout.split() == ["peer", "role", ADA, "primary"]


def test_missing_file_and_one_that_may_not_be_read_have_one_exit_code(
    at: list[object], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "there").write_bytes(b"")
    monkeypatch.setattr(os, "access", lambda *_args, **_how: False)  # what a check before the use would ask
    assert rookery("put", tmp_path / "missing", *at).exit_code == 2
    assert rookery("put", tmp_path / "there", *at).exit_code == 0  # the node may read it, and it is the node that does
    assert rookery("config", "check", tmp_path / "missing").exit_code == 2


def test_control_socket_of_somebody_else_is_not_said_to_be_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def connect(*_args: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("socket.socket.connect", connect)
    new.make_node(tmp_path)
    result = rookery("status", "--node", tmp_path)
    assert result.exit_code == 1
    assert result.stderr == f"the control socket {tmp_path}/node.sock cannot be used: Permission denied\n"


@pytest.mark.parametrize(
    "error", [OSError(5, "Input/output error"), UnicodeEncodeError("utf-8", BAD, 0, 1, "why"), OSError()]
)
def test_error_that_nobody_foresaw_is_a_line_and_no_traceback(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, error: Exception
) -> None:
    def of(_node: object) -> Client:
        raise error

    monkeypatch.setattr(Client, "of", of)
    result = rookery("status", "--node", tmp_path)
    assert result.exit_code == 2
    assert len(result.stderr.splitlines()) == 1


def test_text_that_the_terminal_cannot_encode_is_escaped(tmp_path: Path) -> None:
    result = rookery("init", tmp_path / f"caf\u00e9{BAD}")
    assert result.exit_code == 0
    assert "\\udcff/node.yaml is node" in result.stdout


def test_wrong_argument_with_json_is_an_object_too(tmp_path: Path) -> None:
    result = rookery("tag", ADA, "a", HUGE, "--json", "--node", tmp_path)
    assert (result.exit_code, result.stderr) == (2, "")
    error = json.loads(result.stdout)["error"]
    assert error["kind"] == "BadParameter"
    assert "WEIGHT" in error["message"]
    assert len(error["message"]) < 1500


def test_every_command_is_tried_with_wrong_input() -> None:
    tried = {str(typed[0]) for typed in (*WRONG, *WITHOUT_A_NODE)}
    without_input = {"blocks", "connections", "members", "peers", "record", "stop"}
    assert isinstance(main, click.Group)
    assert tried | without_input >= main.commands.keys()


@pytest.mark.parametrize("command", [("init", ""), ("config", "check", ""), ("status", "--node", ""), ("put", "")])
def test_path_without_a_name_is_refused(command: tuple[str, ...]) -> None:
    refused = rookery(*command)
    assert refused.exit_code == 2
    assert "a name is missing (allowed: a path; . is the working folder)" in refused.stderr


@pytest.mark.parametrize("command", [("put", "-"), ("get", "0" * 64, "-o", "-")])
def test_stream_is_refused_where_a_file_is_wanted(command: tuple[str, ...]) -> None:
    refused = rookery(*command)
    assert refused.exit_code == 2
    assert "-: no stream is taken (allowed: a file; ./- for one of that name)" in refused.stderr


def test_json_of_a_name_that_is_no_utf8_has_no_half_of_a_surrogate_pair(tmp_path: Path) -> None:
    refused = rookery("config", "check", f"{tmp_path}/\udcff", "--json")
    assert json.loads(refused.stdout)["error"]["mistakes"][0]["file"] == f"{tmp_path}/\\udcff"
