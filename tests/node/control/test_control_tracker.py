"""The tracker from another process: peer sets, addresses, blocks and trust over the control socket."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from rookery.actors.tracker import Overwritten, PeerSet, TrackedPeers
from rookery.config import load
from rookery.node import Client, Cluster, CommandFailed, Node, new
from rookery.node.command import main
from rookery.node.control.commands.peer_lists import write_peers
from rookery.testing import Peers
from rookery.transport import Address
from tests.node.conftest import start_threads

KNOWN = Peers()
ADA, BOB, CAROL = (KNOWN.identity(name).peer for name in ("ada", "bob", "carol"))
A, B = (Address.parse(f"tcp://10.0.0.{number}:7000") for number in (1, 2))
APPLICATION = """
tracker: {source: application, admission: tracked, max_peers_per_set: 2000}
maintenance: {policy: band}
"""


@pytest.fixture(scope="module")
def tracked(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Node]:
    """A node whose peer sets come from the application."""
    folder = tmp_path_factory.mktemp("tracked") / "node"
    new.make_node(folder, APPLICATION)
    with Node(load(folder)) as node:
        start_threads(node)
        yield node


@pytest.fixture
def remote(tracked: Node) -> Iterator[Client]:
    with Client(tracked.config.control.socket) as client:
        yield client


@pytest.fixture
def next_id(tracked: Node) -> int:
    """Above every id before."""
    with pytest.raises(Exception, match="allowed is") as raised:
        tracked.tracker.track(0, {}).get(timeout=5)
    newest: int = raised.value.newest  # type: ignore[attr-defined]
    return newest + 1


@pytest.fixture(scope="module", autouse=True)
def first_set(tracked: Node) -> None:
    tracked.tracker.track(1, {}).get(timeout=5)


def rookery(*arguments: object, given: str | None = None) -> Result:
    result = CliRunner().invoke(main, [str(each) for each in arguments], input=given)
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result


@pytest.fixture
def at(tracked: Node) -> list[object]:
    return ["--node", tracked.config.key.parent]


# from a script


def test_script_tracks_a_set_and_reads_it(remote: Client, next_id: int) -> None:
    remote.tracker.track(next_id, {ADA: A, BOB: None}, secondary={CAROL: B})
    assert remote.tracker.peer_set(next_id) == PeerSet(tuple(sorted((ADA, BOB))), (CAROL,))
    assert remote.tracker.peer_set(next_id + 1) is None
    remote.tracker.track(next_id + 1, TrackedPeers({ADA: A}))
    remote.tracker.track(next_id + 2, {str(ADA): str(B)})
    rows = {row.peer: row for row in remote.peers()}
    assert (rows[str(ADA)].role, rows[str(ADA)].address, rows[str(CAROL)].role) == ("primary", str(B), "secondary")


def test_script_overwrites_addresses_and_is_told_what_became_of_each(remote: Client, next_id: int) -> None:
    remote.tracker.track(next_id, {ADA: A, BOB: B})
    done = remote.tracker.overwrite({ADA: B, BOB: B, KNOWN.identity("stranger").peer: A})
    assert done == Overwritten((ADA,), (BOB,), (KNOWN.identity("stranger").peer,))


def test_script_is_told_why_its_set_is_refused_and_which_would_do(remote: Client, next_id: int) -> None:
    remote.tracker.track(next_id + 5, {ADA: A})
    with pytest.raises(CommandFailed, match=f"allowed is {next_id + 6} or more") as raised:
        remote.tracker.track(next_id, {ADA: A})
    assert (raised.value.kind, raised.value.details) == ("StaleSetId", {"id": next_id, "newest": next_id + 5})
    many = {KNOWN.identity(f"peer {number}").peer: A for number in range(2000)}
    with pytest.raises(CommandFailed, match="2001 peers, this node included: allowed are 2000") as raised:
        remote.tracker.track(next_id + 9, many)
    assert (raised.value.kind, raised.value.details["limit"]) == ("PeerSetTooLarge", 2000)


def test_script_tracks_a_set_of_thousands(remote: Client, next_id: int) -> None:
    many = {KNOWN.identity(f"peer {number}").peer: A for number in range(1999)}
    remote.tracker.track(next_id, many)
    found = remote.tracker.peer_set(next_id)
    assert found is not None
    assert len(found.primary) == 1999
    assert len(remote.peers()) >= 1999
    remote.tracker.track(next_id + 1, {})


def test_script_cannot_track_where_the_configuration_lists_the_peers(client: Client) -> None:
    with pytest.raises(CommandFailed, match="the configuration lists the peers") as raised:
        client.tracker.track(7, {ADA: A})
    assert raised.value.kind == "SourceIsStatic"


def test_script_cannot_track_where_the_members_are_the_peers(make_folder: Callable[..., Path]) -> None:
    folder = make_folder("fed", "")
    with (
        Node(load(folder)),
        Client.of(folder) as client,
        pytest.raises(CommandFailed, match="this needs tracker.source: application") as raised,
    ):
        client.tracker.track(7, {ADA: A})
    assert raised.value.kind == "SourceIsMembership"


def test_script_blocks_a_peer_an_ip_and_a_network(remote: Client) -> None:
    until = remote.tracker.block(ADA, 3600.0)
    assert until == pytest.approx(time.time() + 3600, abs=30)
    assert remote.tracker.block("10.9.9.9", float("inf")) == float("inf")
    remote.tracker.block("10.8.0.0/16", 60.0)
    assert [row.target for row in remote.tracker.blocks()] == [str(ADA), "10.9.9.9", "10.8.0.0/16"]
    assert remote.status().blocked == 3
    assert [remote.tracker.unblock(target) for target in (ADA, "10.9.9.9", "10.8.0.0/16", "10.8.0.1")] == [
        True, True, True, False,
    ]  # fmt: skip
    assert (remote.tracker.blocks(), remote.status().blocked) == ((), 0)


def test_script_trusts_and_distrusts(remote: Client) -> None:
    assert (remote.tracker.trust(ADA), remote.tracker.trust(ADA)) == (True, False)
    assert {row.peer: row.trusted for row in remote.peers()}[str(ADA)]
    assert (remote.tracker.distrust(ADA), remote.tracker.distrust(str(ADA))) == (True, False)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"id": -1, "primary": "", "secondary": ""}, "id must be a whole number"),
        ({"primary": "", "secondary": ""}, "id must be a whole number"),
        ({"id": 99, "primary": "abc", "secondary": ""}, "primary: line 1: .*64 hex digits"),
        ({"id": 99, "primary": "", "secondary": f"{ADA}\n{ADA}"}, "secondary: line 2: .* is listed twice"),
        ({"id": 99, "primary": ""}, "secondary must be a text"),
    ],
)
def test_call_that_tracks_nonsense_changes_nothing_and_says_what_is_wrong(
    remote: Client, arguments: dict[str, str | int], words: str
) -> None:
    with pytest.raises(CommandFailed, match=words) as raised:
        remote.call("track", dict(arguments))
    assert raised.value.kind == "BadArguments"


def test_call_that_overwrites_without_an_address_says_so(remote: Client) -> None:
    with pytest.raises(CommandFailed, match=f"peers: {ADA} has no address"):
        remote.call("overwrite", {"peers": str(ADA)})
    with pytest.raises(
        CommandFailed, match="target: 'nobody' is neither a peer, an IP nor a network: allowed is a peer id"
    ):
        remote.call("block", {"target": "nobody"})


# on the command line


def test_command_line_tracks_from_arguments_files_and_standard_input(
    at: list[object], next_id: int, tmp_path: Path
) -> None:
    (tmp_path / "peers").write_text(f"# ours\n{BOB}@{B}\n")
    result = rookery("track", next_id, f"{ADA}@{A}", "--file", tmp_path / "peers", "--secondary", CAROL, *at)
    assert result.stdout == f"peer set {next_id} is tracked: 2 primary and 1 secondary peers\n"
    rows = json.loads(rookery("peer-set", next_id, *at, "--json").stdout)
    assert {row["peer"]: row["role"] for row in rows} == {
        str(ADA): "primary",
        str(BOB): "primary",
        str(CAROL): "secondary",
    }
    assert str(CAROL)[:16] in rookery("peer-set", next_id, *at).stdout
    result = rookery("track", next_id + 1, "--file", "-", *at, "--json", given=write_peers({ADA: A}))
    assert json.loads(result.stdout) == {"id": next_id + 1, "primary": 1, "secondary": 0}


def test_command_line_overwrites(at: list[object], next_id: int) -> None:
    rookery("track", next_id, f"{ADA}@{A}", f"{BOB}@{B}", *at)
    assert rookery("overwrite", f"{ADA}@{B}", f"{BOB}@{B}", *at).stdout == "1 changed, 1 unchanged, 0 unknown\n"
    assert json.loads(rookery("overwrite", f"{ADA}@{A}", *at, "--json").stdout)["changed"] == [str(ADA)]


def test_command_line_says_why_a_set_is_refused_and_exits_with_1(at: list[object], next_id: int) -> None:
    result = rookery("track", 0, f"{ADA}@{A}", *at)
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr == f"peer set 0 is not newer than {next_id - 1}: allowed is {next_id} or more\n"
    error = json.loads(rookery("track", 0, f"{ADA}@{A}", *at, "--json").stdout)["error"]
    assert (error["kind"], error["newest"]) == ("StaleSetId", next_id - 1)
    result = rookery("peer-set", 10**6, *at)
    assert (result.exit_code, result.stderr) == (1, "peer set 1000000 is not among the newest ones\n")


def test_command_line_blocks_for_a_time_and_for_good(at: list[object]) -> None:
    assert "10.9.9.0/24 is blocked until 20" in rookery("block", "10.9.9.0/24", "--for", "2h", *at).stdout
    assert rookery("block", ADA, "--for-good", *at).stdout == f"{ADA.short} is blocked for good\n"
    assert rookery("block", "10.9.9.1", "--for-good", *at, "--json").stdout == '{"target": "10.9.9.1", "until": null}\n'
    rows = json.loads(rookery("blocks", *at, "--json").stdout)
    assert [row["target"] for row in rows] == [str(ADA), "10.9.9.1", "10.9.9.0/24"]
    assert rows[2]["until"] == pytest.approx(time.time() + 7200, abs=30)
    assert "for good" in rookery("blocks", *at).stdout
    (row,) = [row for row in json.loads(rookery("peers", *at, "--json").stdout) if row["peer"] == str(ADA)]
    assert (row["blocked"], row["blocked_until"]) == (True, None)
    for target in (ADA, "10.9.9.1", "10.9.9.0/24"):
        assert "is no longer blocked" in rookery("unblock", target, *at).stdout
    assert rookery("unblock", "10.9.9.0/24", *at).stdout == "10.9.9.0/24 was not blocked\n"


def test_command_line_trusts_and_distrusts(at: list[object]) -> None:
    assert rookery("trust", ADA, *at).stdout == f"{ADA.short} is trusted\n"
    assert rookery("trust", ADA, *at).stdout == f"{ADA.short} was trusted already\n"
    assert json.loads(rookery("distrust", ADA, *at, "--json").stdout) == {"peer": str(ADA), "was_trusted": True}
    assert rookery("distrust", ADA, *at).stdout == f"{ADA.short} was not trusted\n"


def test_command_line_shows_the_peers_with_what_is_known_of_them(at: list[object], next_id: int) -> None:
    rookery("track", next_id, f"{ADA}@{A}", *at)
    rookery("block", ADA, "--for", "1h", *at)
    rows = json.loads(rookery("peers", *at, "--json").stdout)
    (row,) = [row for row in rows if row["peer"] == str(ADA)]
    assert (row["role"], row["state"], row["address"], row["trusted"]) == ("primary", "", str(A), False)
    assert list(row) == [
        "peer", "role", "state", "address", "last_seen", "last_failure", "quiet_until", "backoff", "trusted",
        "blocked", "blocked_until",
    ]  # fmt: skip
    text = rookery("peers", *at).stdout
    assert "primary" in text
    assert "59m" in text or "1h" in text
    rookery("unblock", ADA, *at)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("track", "x"), "'x' is not a valid integer"),
        (("track", "1", "abc"), "PEERS: line 1: .*64 hex digits"),
        (("track", "1", "--file", "/nowhere"), "No such file"),
        (("overwrite",), "allowed are one peer or more"),
        (("overwrite", str(ADA)), "each as PEERID@tcp://HOST:PORT"),
        (("block", str(ADA), "--for", "1h", "--for-good"), "contradict each other"),
        (("block", "10.0.0.0/99"), "is neither a peer, an IP nor a network: allowed is"),
        (("trust", "10.0.0.1"), "64 hex digits"),
    ],
)
def test_command_line_that_is_wrong_exits_with_2_and_says_what_is_allowed(
    at: list[object], arguments: tuple[str, ...], words: str
) -> None:
    result = rookery(*arguments, *at)
    assert result.exit_code == 2
    assert re.search(words, " ".join(result.stderr.split())), result.stderr


def test_peer_given_as_argument_and_in_the_file_is_refused(at: list[object], tmp_path: Path) -> None:
    (tmp_path / "peers").write_text(f"{ADA}@{A}")
    result = rookery("track", 99, f"{ADA}@{B}", "--file", tmp_path / "peers", *at)
    assert result.exit_code == 2
    assert "is given beside the file too" in result.stderr


def test_block_is_still_there_after_a_restart(make_folder: Callable[..., Path]) -> None:
    folder = make_folder("kept", APPLICATION)
    with Node(load(folder)):
        rookery("block", "10.7.0.0/16", "--for", "2h", "--node", folder)
        rookery("trust", BOB, "--node", folder)
    with Node(load(folder)) as node:
        (row,) = json.loads(rookery("blocks", "--node", folder, "--json").stdout)
        assert row["target"] == "10.7.0.0/16"
        assert node.status().blocked == 1
        assert rookery("trust", BOB, "--node", folder).stdout == f"{BOB.short} was trusted already\n"


@pytest.mark.processes
def test_block_is_still_there_after_its_process_was_killed(tmp_path: Path) -> None:
    (file,) = Cluster.make(tmp_path, 1, {"tracker": {"source": "application", "peers": "[]"}})
    with Cluster.launch([file]) as cluster:
        until = cluster["a"].tracker.block(ADA, 7200.0)
        cluster["a"].tracker.block("10.7.0.0/16")
        cluster.kill("a")
    with Cluster.launch([file]) as cluster:
        peer, network = cluster["a"].tracker.blocks()
    assert (peer.target, network.target) == (str(ADA), "10.7.0.0/16")
    assert peer.until == pytest.approx(until, abs=1)


@pytest.mark.parametrize(
    ("command", "done"),
    [("block", "blocked"), ("unblock", "unblocked"), ("trust", "trusted"), ("distrust", "distrusted")],
)
def test_command_that_cannot_be_given_the_node_itself_says_so_in_its_own_words(
    node: Node, command: str, done: str
) -> None:
    refused = rookery(command, node.peer, "--node", node.config.control.socket.parent)
    assert (refused.exit_code, refused.stderr) == (1, f"{node.peer} cannot be {done}: it is this node\n")
