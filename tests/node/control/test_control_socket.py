"""Nothing that comes through the control socket ends a node, and whatever it has made the node hold can be listed."""

from __future__ import annotations

import io
import math
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import redirect_stdout, suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from msgspec.structs import asdict

from rookery.actors.connections import IsThisNode
from rookery.config import load
from rookery.node import CallTimeout, Client, CommandFailed, Node, new
from rookery.node.command import screen
from rookery.node.control import commands
from rookery.node.control.command import Command, Pending
from rookery.node.control.protocol import Plain
from rookery.node.control.socket import ControlSocket
from rookery.runtime import Reply
from rookery.runtime.actor.waiter import LockWaiter
from rookery.transport.identity import Identity, PeerId
from tests.node.conftest import start_threads

ADA = str(Identity.from_seed(bytes(32)).peer)
BEA = str(Identity.from_seed(b"b" * 32).peer)
NOWHERE = "ab" * 32
WEIRD: list[Any] = [
    None, True, False, 0, -1, 1, 2**31, 2**63, 2**64 - 1, -(2**63), 0.0, -0.5, 1e-9, 1e300, math.inf, -math.inf,
    math.nan,
    "", "a", "\0", "\udcff", "\ud800", "x" * 10_000, "\x1b[2J", "a\nb", b"\xff", b"", [], [1, [2]], {}, {"a": None},
    ADA, BEA, ADA.upper(), NOWHERE, "0" * 64, "10.0.0.1", "10.0.0.0/8", "::/0", "fe80::1%eth0", "::ffff:10.0.0.1",
    f"{ADA}@tcp://10.0.0.1:7000", f"{ADA}\n{BEA}", f"{ADA}\n{ADA}", "\ufeff" + ADA,
]  # fmt: skip
NEVER_LONG = [value for value in WEIRD if value not in (None, 1, 2**31, 2**63, 2**64 - 1, 1e300, math.inf, True)]
"""For what is waited for: what is no time, or a very short one."""
TIMES = ("timeout", "timeout")


def values(name: str, folder: Path) -> st.SearchStrategy[Any]:
    """Anything for most arguments; for times no long ones, for paths none outside the folder."""
    if name in TIMES:
        return st.sampled_from([*NEVER_LONG, 0.01])
    text = st.text(st.characters(codec=None), max_size=20)
    if name in ("path", "destination"):
        inside = text.map(lambda tail: os.path.join(folder, tail.replace("/", "|").replace("..", "|")))
        return inside | st.sampled_from(WEIRD)
    return st.sampled_from([*WEIRD, "@me"]) | text | st.integers(-(2**63), 2**64 - 1) | st.floats()


def calls(folder: Path) -> st.SearchStrategy[tuple[str, dict[str, Any]]]:
    names = sorted(commands.TABLE.keys() - {"stop"})

    def of(name: str) -> st.SearchStrategy[tuple[str, dict[str, Any]]]:
        known = {each: values(each, folder) for each in commands.TABLE[name].arguments}
        times = {each: known[each] for each in known if each in TIMES}  # without one, a command may wait for ever
        some = st.fixed_dictionaries(times, optional={each: known[each] for each in known if each not in TIMES})
        return st.tuples(st.just(name), st.fixed_dictionaries(known) | some)

    return st.sampled_from(names).flatmap(of)


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Node]:
    """A node whose peer sets anybody may track."""
    folder = tmp_path_factory.mktemp("control_socket") / "node"
    new.make_node(folder, "tracker: {source: application}\n")
    with Node(load(folder)) as node:
        start_threads(node)
        yield node


@pytest.fixture(scope="module")
def client(node: Node) -> Iterator[Client]:
    with Client(node.config.control.socket, timeout=10) as client:
        yield client


def list_everything(client: Client) -> None:
    """Each list, shown in each way."""
    status, known, members, open = client.status(), client.peers(), client.members(), client.connections()
    blocks = [asdict(block) for block in client.tracker.blocks()]
    client.call("metrics")
    client.record()
    with redirect_stdout(io.StringIO()):
        for as_json in (True, False):
            screen.facts(asdict(status), as_json)
            screen.peers(known, as_json)
            screen.rows("members", [asdict(member) for member in members], as_json)
            screen.connections(open, as_json)
            screen.rows("blocks", blocks, as_json)


def test_any_arguments_of_any_command_leave_a_node_that_answers_and_lists_everything(tmp_path: Path) -> None:
    new.make_node(tmp_path / "node", "tracker: {source: application}\n")
    with Node(load(tmp_path / "node")) as node, Client(node.config.control.socket, timeout=10) as client:
        throw_at(node, client, tmp_path)
        assert client.metric("control_internal_errors_total") == 0


def throw_at(node: Node, client: Client, folder: Path) -> None:
    @given(st.lists(calls(folder), min_size=1, max_size=5))
    @settings(max_examples=100, deadline=None)
    @example([("tag", {"peer": ADA, "tag": "a", "weight": 2**64 - 1}), ("tag", {"peer": ADA, "tag": "b", "weight": 1})])
    @example([("tag", {"peer": ADA, "tag": each, "weight": 2**31 - 1}) for each in "abcde"])
    @example([("block", {"target": ADA, "duration": 3_000_000 * 86_400.0}), ("blocks", {})])
    @example([("block", {"target": ADA, "duration": 1e308}), ("block", {"target": "10.0.0.1", "duration": 5e-324})])
    @example([("track", {"id": 2**64 - 1, "primary": ADA, "secondary": ADA}), ("peer_set", {"id": 2**64 - 1})])
    @example([("put", {"path": os.path.join(folder, "\udcff")}), ("put", {"path": os.path.join(folder, "\ud800")})])
    def throw(thrown: list[tuple[str, dict[str, Any]]]) -> None:
        for command, arguments in thrown:
            sent = {name: str(node.peer) if value == "@me" else value for name, value in arguments.items()}
            try:
                client.call(command, sent)
            except CommandFailed as refused:
                assert refused.kind not in ("InternalError", "EngineFailed"), (command, sent, refused)
                assert 0 < len(str(refused)) < 5000
            except CallTimeout:
                raise AssertionError(f"{command} of {sent} has no answer") from None
        assert node.failure is None
        list_everything(client)

    throw()


# The last guard ------------------------------------------------------------------------------------------------------


def answering(answer: Callable[[], Reply[Plain]]) -> Mapping[str, Command]:
    """The table of commands, with one more that answers so."""
    return {**commands.TABLE, "defect": Command(lambda _node, _arguments: Pending(answer()))}


def raising() -> Reply[Plain]:
    raise KeyError("nobody foresaw it")


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (lambda: Reply.of(2**64), "cannot be packed"),
        (lambda: Reply.of({"peers": [object()]}), "cannot be packed"),
        (raising, "KeyError: 'nobody foresaw it'"),
    ],
)
def test_defect_of_a_command_is_an_error_of_its_caller_and_counted(
    client: Client, monkeypatch: pytest.MonkeyPatch, answer: Callable[[], Reply[Plain]], said: str
) -> None:
    monkeypatch.setattr(commands, "TABLE", answering(answer))
    before = client.metric("control_internal_errors_total")
    with pytest.raises(CommandFailed, match=said) as refused:
        client.call("defect")
    assert refused.value.kind == "InternalError"
    assert client.metric("control_internal_errors_total") == before + 1


def test_answer_that_is_too_large_is_an_error_of_its_caller(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(commands, "TABLE", answering(lambda: Reply.of("x" * 70_000_000)))
    with pytest.raises(CommandFailed, match="an answer of 700000.. bytes: allowed are") as refused:
        client.call("defect")
    assert refused.value.kind == "AnswerTooLarge"


# One answer from everywhere ------------------------------------------------------------------------------------------

NO_MAPPING: Any = []
HUGE = 10**5000
"""A number that Python refuses to write."""
SAME: dict[str, tuple[Callable[[Node], Any], Callable[[Client], Any]]] = {
    "set id below 0": (lambda node: node.tracker.track(-1, {}), lambda client: client.tracker.track(-1, {})),
    "set id of 65 bits": (lambda node: node.tracker.track(2**64, {}), lambda client: client.tracker.track(2**64, {})),
    "set that nobody has": (lambda node: node.tracker.peer_set(-1), lambda client: client.tracker.peer_set(-1)),
    "weight": (
        lambda node: node.connections.tag_peer(Identity.from_seed(bytes(32)).peer, "a", 2**64 - 1),
        lambda client: client.connections.tag_peer(ADA, "a", 2**64 - 1),
    ),
    "name": (
        lambda node: node.connections.protect(Identity.from_seed(bytes(32)).peer, "\udcff"),
        lambda client: client.connections.protect(ADA, "\udcff"),
    ),
    "no time": (
        lambda node: node.tracker.block(Identity.from_seed(bytes(32)).peer, 0),
        lambda client: client.tracker.block(ADA, 0),
    ),
    "huge time": (
        lambda node: node.tracker.block(Identity.from_seed(bytes(32)).peer, 10**400),
        lambda client: client.tracker.block(ADA, 10**400),
    ),
    "wait of no number": (
        lambda node: node.control.wait(timeout=math.nan),
        lambda client: client.wait(timeout=math.nan),
    ),
    "wait of no time": (lambda node: node.control.wait(timeout=0), lambda client: client.wait(timeout=0)),
    "peers as a list": (
        lambda node: node.tracker.track(4, NO_MAPPING),
        lambda client: client.tracker.track(4, NO_MAPPING),
    ),
    "addresses as a list": (
        lambda node: node.tracker.overwrite(NO_MAPPING),
        lambda client: client.tracker.overwrite(NO_MAPPING),
    ),
    "id that nobody can own": (
        lambda node: node.tracker.track(4, {PeerId(bytes(32)): None}),
        lambda client: client.tracker.track(4, {PeerId(bytes(32)): None}),
    ),
    "trim": (
        lambda node: node.connections.trim_open_connections(-1),
        lambda client: client.connections.trim_open_connections(-1),
    ),
    "wait": (lambda node: node.control.wait(connected=-1), lambda client: client.wait(connected=-1)),
    "huge trim": (
        lambda node: node.connections.trim_open_connections(HUGE),
        lambda client: client.connections.trim_open_connections(HUGE),
    ),
    "wait for more connections than can be": (
        lambda node: node.control.wait(connected=HUGE, timeout=0.05),
        lambda client: client.wait(connected=HUGE, timeout=0.05),
    ),
    "wait for more members than can be": (
        lambda node: node.control.wait(members=2**31, timeout=0.05),
        lambda client: client.wait(members=2**31, timeout=0.05),
    ),
}


@pytest.mark.parametrize("name", SAME)
def test_argument_is_refused_in_code_as_it_is_through_the_socket(node: Node, client: Client, name: str) -> None:
    in_code, in_call = SAME[name]
    with pytest.raises(ValueError, match="."):
        in_code(node)
    with pytest.raises(CommandFailed) as refused:
        in_call(client)
    assert refused.value.kind == "BadArguments"


@pytest.mark.parametrize(
    "asked",
    [
        lambda node: node.tracker.dialable(HUGE),
        lambda node: node.connections.force_trim(HUGE),
        lambda node: node.connections.check_limit(HUGE),
    ],
)
def test_number_that_cannot_be_written_is_refused_in_code_and_the_node_goes_on(
    node: Node, asked: Callable[[Node], object]
) -> None:
    with pytest.raises(ValueError, match=r"from 0 to 2147483647, not \(a number of 16610 bits\)"):
        asked(node)
    assert node.control.status().get(timeout=5).pid == os.getpid()


NO_TIMES: list[Any] = [math.nan, "x", True, 0, [1]]


@pytest.mark.parametrize("timeout", [*NO_TIMES, -1, -math.inf], ids=repr)
def test_time_of_a_put_get_or_wait_that_is_none_is_refused_by_the_client(
    client: Client, tmp_path: Path, timeout: Any
) -> None:
    (tmp_path / "source").write_bytes(b"data")
    for action in (
        lambda: client.blobs.put(tmp_path / "source", timeout=timeout),
        lambda: client.blobs.get(NOWHERE, tmp_path / "copy", timeout=timeout),
        lambda: client.wait(timeout=timeout),
    ):
        with pytest.raises(CommandFailed, match="lasts longer than 0 seconds") as refused:
            action()
        assert refused.value.kind == "BadArguments"


@pytest.mark.parametrize("timeout", NO_TIMES, ids=repr)
def test_time_of_a_call_that_is_none_is_refused_by_the_client(client: Client, timeout: Any) -> None:
    with pytest.raises(CommandFailed, match="a call lasts longer than 0 seconds") as refused:
        client.call("status", timeout=timeout)
    assert refused.value.kind == "BadArguments"


@pytest.mark.parametrize("arguments", [[1], [], "abc", 0, {1: 2}], ids=repr)
def test_arguments_of_a_call_that_are_no_mapping_of_names_are_refused_by_the_client(
    client: Client, arguments: Any
) -> None:
    with pytest.raises(CommandFailed, match="arguments are a mapping of names to values") as refused:
        client.call("status", arguments)
    assert refused.value.kind == "BadArguments"


def test_node_itself_is_neither_trusted_tagged_nor_protected(node: Node, client: Client) -> None:
    asked: list[tuple[Callable[[], object], Callable[[], Reply[Any]]]] = [
        (lambda: client.connections.protect(node.peer, "a"), lambda: node.connections.protect(node.peer, "a")),
        (lambda: client.connections.unprotect(node.peer, "a"), lambda: node.connections.unprotect(node.peer, "a")),
        (lambda: client.connections.tag_peer(node.peer, "a", 1), lambda: node.connections.tag_peer(node.peer, "a", 1)),
        (lambda: client.connections.untag_peer(node.peer, "a"), lambda: node.connections.untag_peer(node.peer, "a")),
    ]
    for through_the_socket, in_code in asked:
        with pytest.raises(CommandFailed) as refused:
            through_the_socket()
        assert refused.value.kind == "IsThisNode"
        with pytest.raises(IsThisNode):
            in_code().get(timeout=5)
    with pytest.raises(CommandFailed) as refused:
        client.tracker.trust(node.peer)
    assert refused.value.kind == "CannotTrust"
    assert not node.connections.is_protected(node.peer).get(timeout=5)


@pytest.mark.parametrize("runtime", ["loop", "threads"])
@pytest.mark.parametrize("timeout", [1e300, math.inf, 2.6e11])
def test_node_goes_on_while_somebody_waits_for_very_long(tmp_path: Path, runtime: str, timeout: float) -> None:
    new.make_node(tmp_path, f"runtime: {runtime}\ntracker: {{source: static}}\n")
    with Node(load(tmp_path)) as node, Client(node.config.control.socket) as client:
        assert client.wait(members=1, timeout=timeout).members == 1
        waits = node.control.wait(connected=1, timeout=timeout)
        client.tracker.block(ADA, 2.6e11)
        for _ in range(3):
            assert client.status().connected == 0
        assert not waits.done
    with suppress(Exception):
        waits.get(timeout=1)


@pytest.mark.parametrize("seconds", [1e300, 2.6e11, 2.0**31])
def test_wait_for_longer_than_the_system_counts_is_a_wait(tmp_path: Path, seconds: float) -> None:
    control_socket = ControlSocket(tmp_path / "node.sock")
    lock = LockWaiter()
    for waiter in (control_socket, lock):
        waiter.wake()
        waiter.wait(seconds)
    control_socket.close()
