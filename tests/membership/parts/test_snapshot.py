"""The file of members: written and read as a whole, or quarantined; and a node that starts with it."""

from __future__ import annotations

import hashlib
import logging
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgpack
import pytest
from hypothesis import given
from hypothesis import strategies as some
from msgspec import structs

from rookery.actors import membership, tracker
from rookery.actors.membership import MemberDown
from rookery.actors.membership.parts.snapshot import (
    MAX_BYTES,
    SavedMember,
    Snapshot,
    UnusableSnapshot,
    foresee,
    load,
    save,
)
from rookery.actors.membership.swim import MemberId, State
from rookery.testing import NETWORK, Peers
from rookery.transport import Identity
from rookery.transport import mailbox as transport

from ..worlds import Announce, Gossip, World

KNOWN = Peers()
ME = KNOWN.identity("me").peer
VERSION_1 = Path(__file__).parents[2] / "node" / "version_1" / "members"
"""What a node of protocol version 1 wrote, with one member."""
SET_ASIDE = (
    "it is of version 1, whose records prove nothing in version 2: it is set aside with .version-1 behind its name"
)
WRITER = Identity.from_seed(bytes(range(32))).peer
Change = Callable[[bytes], bytes]


def saved_member(name: str, incarnation: int = 0, state: State = State.ALIVE) -> SavedMember:
    proof = KNOWN.life(name).link(incarnation) if incarnation else b""
    return SavedMember(KNOWN.record(name, "tcp://10.0.0.1:7000"), incarnation, state, proof)


FULL = Snapshot(
    NETWORK,
    ME,
    1_000.5,
    (saved_member("ann"), saved_member("bob", 3, State.SUSPECT), saved_member("cy", 1, State.DOWN)),
)


def framed(value: object) -> bytes:
    packed = msgpack.packb(value)
    return hashlib.sha256(packed).digest() + packed


def test_snapshot_written_and_read_again_is_the_same(tmp_path: Path) -> None:
    file = tmp_path / "deep" / "members"
    size = save(file, FULL)
    assert file.stat().st_size == size
    assert file.stat().st_mode & 0o777 == 0o600
    assert load(file, network=NETWORK, own=ME) == FULL
    assert [path.name for path in file.parent.iterdir()] == ["members"]


def test_snapshot_that_is_not_there_is_none(tmp_path: Path) -> None:
    assert load(tmp_path / "members", network=NETWORK, own=ME) is None


def test_snapshot_of_another_network_or_node_is_not_used_and_stays(tmp_path: Path) -> None:
    file = tmp_path / "members"
    save(file, FULL)
    assert load(file, network="other", own=ME) is None
    assert load(file, network=NETWORK, own=KNOWN.identity("ann").peer) is None
    assert file.exists()


def test_snapshot_that_cannot_be_written_leaves_the_old_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "members"
    save(file, FULL)

    def full(_descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(OSError, match="No space left"):
        save(file, structs.replace(FULL, at=2.0))
    monkeypatch.undo()
    assert load(file, network=NETWORK, own=ME) == FULL
    assert [path.name for path in tmp_path.iterdir()] == ["members"]


@pytest.mark.parametrize(
    ("damage", "why"),
    [
        (lambda data: data[:-1], "checksum"),
        (lambda data: data[:40] + b"?" + data[41:], "checksum"),
        (lambda data: b"", "checksum"),
        (lambda data: bytes(MAX_BYTES + 1), "more than"),
        (lambda data: framed([3, NETWORK, bytes(ME), 1.0, []]), "version 3"),
        (lambda data: framed([0, NETWORK, bytes(ME), 1.0, []]), "version 0"),
        (lambda data: framed([-1, NETWORK, bytes(ME), 1.0, []]), "version -1"),
        (lambda data: framed({"a": 1}), "not msgpack within bounds"),
        (lambda data: framed([2, NETWORK, bytes(ME), 1.0]), "no list of members"),
        (lambda data: framed([2, NETWORK, bytes(ME), 1.0, [[b"record", 0, 0, b""]]]), "a member in it is wrong"),
        (lambda data: framed([2, NETWORK, bytes(ME), 1.0, [5]]), "no record with incarnation"),
        (
            lambda data: framed([2, NETWORK, bytes(ME), 1.0, [[FULL.members[0].record.encode(), 1, 0, bytes(16)]]]),
            "its proof is not that of its record",
        ),
        (lambda data: framed([2, NETWORK, bytes(ME), 1.0, [[FULL.members[0].record.encode(), 0, 7, b""]]]), "wrong"),
        (lambda data: framed([2, NETWORK, bytes(ME), 1.0, [[FULL.members[0].record.encode(), -1, 0, b""]]]), "wrong"),
        (
            lambda data: framed(
                [2, NETWORK, bytes(ME), 1.0, [[FULL.members[0].record.encode()[:-1] + b"?", 0, 0, b""]]]
            ),
            "wrong",
        ),
        (lambda data: hashlib.sha256(b"\xc1").digest() + b"\xc1", "not msgpack"),
    ],
)
def test_corrupt_snapshot_is_quarantined_with_a_reason(tmp_path: Path, damage: Change, why: str) -> None:
    file = tmp_path / "members"
    save(file, FULL)
    file.write_bytes(damage(file.read_bytes()))
    answer = load(file, network=NETWORK, own=ME)
    assert isinstance(answer, UnusableSnapshot)
    assert why in str(answer)
    assert [path.name for path in tmp_path.iterdir()] == ["members.corrupt"]


def test_snapshot_of_version_1_is_set_aside_under_its_version(tmp_path: Path) -> None:
    file = tmp_path / "members"
    shutil.copyfile(VERSION_1, file)
    answer = load(file, network="net", own=WRITER)
    assert isinstance(answer, UnusableSnapshot)
    assert foresee(VERSION_1, network="net", own=WRITER) == f"no members from the file: {VERSION_1}: {SET_ASIDE}"
    assert str(answer) == SET_ASIDE
    assert [path.name for path in tmp_path.iterdir()] == ["members.version-1"]
    assert (tmp_path / "members.version-1").read_bytes() == VERSION_1.read_bytes()
    assert load(file, network="net", own=WRITER) is None


@given(some.binary(max_size=200), some.booleans())
def test_no_bytes_raise_anything_but_unusable(data: bytes, right_checksum: bool) -> None:
    try:
        Snapshot.decode(hashlib.sha256(data).digest() + data if right_checksum else data, network=NETWORK, own=ME)
    except UnusableSnapshot:
        pass


# The engine ----------------------------------------------------------------------------------------------------------


def again(simulation: Any, file: Path, **settings: Any) -> World:
    """A second engine with the same file."""
    settings = {"snapshot_every": 1.0} | settings
    return World(simulation, membership.Config(cluster_size=5, **settings), snapshot=file)


def as_was(world: World, name: str, state: State = State.ALIVE) -> SavedMember:
    return SavedMember(world.record(name), 0, state)


def written(world: World, file: Path) -> Snapshot:
    world.simulation.run(for_=world.config.snapshot_every + 0.1)
    snapshot = load(file, network=NETWORK, own=world.me.peer)
    assert isinstance(snapshot, Snapshot)
    return snapshot


def test_members_are_in_the_file_some_seconds_after_a_change_and_not_written_again_without_one(
    simulation: Any, tmp_path: Path
) -> None:
    file = tmp_path / "members"
    world = again(simulation, file, snapshot_every=2.0).join().meet("bob", "carol")
    simulation.run(for_=1.9)
    assert not file.exists()
    found = written(world, file)
    assert {each.record for each in found.members} == {world.record("bob"), world.record("carol")}
    saved = world.metric("snapshots_total", "saved")
    simulation.run(for_=30)
    assert world.metric("snapshots_total", "saved") - saved <= 2  # bob and carol, whom nobody answers for, go down
    world.meet("dave")
    assert world.record("dave") in {each.record for each in written(world, file).members}


def test_engine_that_starts_again_has_its_members_at_once_and_announces_to_some(
    simulation: Any, tmp_path: Path
) -> None:
    file = tmp_path / "members"
    written(again(simulation, file).join().meet("bob", "carol"), file)
    world = again(simulation, file).join()
    assert set(world.visible()) == {world.peer("bob"), world.peer("carol")}
    assert {event.peer for event in world.heard() if isinstance(event, membership.MemberUp)} == set(world.visible())
    assert world.said("bob", Announce)
    assert world.metric("snapshots_total", "loaded") == 1


def put(world: World, file: Path, *members: SavedMember, age: float = 0.0) -> None:
    save(file, Snapshot(NETWORK, world.me.peer, world.simulation.wall() - age, members))


def test_members_of_an_old_file_are_only_announced_to(simulation: Any, tmp_path: Path) -> None:
    world = again(simulation, tmp_path / "members", snapshot_age=10.0)
    put(world, tmp_path / "members", as_was(world, "bob"), as_was(world, "carol", State.DOWN), age=11.0)
    world.join()
    assert world.visible() == []
    assert world.said("bob", Announce)
    assert not world.said("carol", Announce)


def test_members_of_a_file_that_are_all_down_are_announced_to(simulation: Any, tmp_path: Path) -> None:
    world = again(simulation, tmp_path / "members")
    put(world, tmp_path / "members", as_was(world, "bob", State.DOWN))
    world.join()
    assert world.visible() == []
    assert world.said("bob", Announce)


def test_member_of_the_file_that_is_blocked_now_is_none(simulation: Any, tmp_path: Path) -> None:
    """It may have cheated just before the node ended."""
    world = again(simulation, tmp_path / "members")
    put(world, tmp_path / "members", as_was(world, "bob"), as_was(world, "carol"))
    world.members.tell(tracker.PeerBlocked(world.peer("carol"), 600.0))
    world.join()
    assert world.visible() == [world.peer("bob")]


def test_cheats_of_the_file_that_are_blocked_take_no_place_of_a_seed(simulation: Any, tmp_path: Path) -> None:
    """Of an old file the members are seeds and nothing else, some of them if there are many."""
    world = again(simulation, tmp_path / "members", snapshot_age=10.0)
    cheats = [f"cheat {number}" for number in range(200)]
    put(world, tmp_path / "members", *(as_was(world, name) for name in (*cheats, "bob")), age=11.0)
    for name in cheats:
        world.members.tell(tracker.PeerBlocked(world.peer(name), 600.0))
    world.join()
    assert world.said("bob", Announce)


def test_cheat_that_discovery_finds_takes_no_place_of_a_seed(simulation: Any, tmp_path: Path) -> None:
    world = again(simulation, tmp_path / "members")
    world.members.tell(tracker.PeerBlocked(world.peer("carol"), 600.0))
    world.join()
    world.members.discovered([world.record("carol")])
    world.members.tell(tracker.PeerUnblocked(world.peer("carol")))
    simulation.run(for_=20)
    assert not world.said("carol", Announce)
    world.members.discovered([world.record("carol")])
    simulation.run(for_=20)
    assert world.said("carol", Announce)


def test_down_member_of_the_file_stays_down(simulation: Any, tmp_path: Path) -> None:
    file = tmp_path / "members"
    first = again(simulation, file).join().meet("bob", "carol")
    first.open("carol")  # so it lives
    simulation.run_until(lambda: MemberDown(first.peer("bob")) in first.heard(), timeout=60)
    assert State.DOWN in {each.state for each in written(first, file).members}
    world = again(simulation, file).join()
    world.packet("carol", Gossip(), as_was(world, "bob").member)
    assert world.visible() == [world.peer("carol")]


def test_corrupt_file_is_quarantined_and_counted_and_the_engine_starts_without_it(
    simulation: Any, tmp_path: Path
) -> None:
    file = tmp_path / "members"
    file.write_bytes(b"nonsense")
    world = again(simulation, file).join("bob")
    assert world.visible() == []
    assert world.said("bob", Announce)
    assert world.metric("snapshots_total", "unusable") == 1
    assert (tmp_path / "members.corrupt").read_bytes() == b"nonsense"


def test_engine_that_finds_a_file_of_version_1_says_so_and_starts_without_it(
    simulation: Any, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    file = tmp_path / "members"
    shutil.copyfile(VERSION_1, file)
    with caplog.at_level(logging.WARNING, "rookery"):
        world = again(simulation, file).join("bob")
    assert world.visible() == []
    assert world.said("bob", Announce)
    assert world.metric("snapshots_total", "unusable") == 1
    (said,) = caplog.records
    assert (said.levelname, said.message) == ("WARNING", "no members from the file")
    fields: Any = said.fields  # type: ignore[attr-defined]
    assert (fields["file"], str(fields["error"])) == (str(file), SET_ASIDE)
    world.meet("bob")
    assert [each.record for each in written(world, file).members] == [world.record("bob")]


def test_file_that_cannot_be_read_or_written_is_counted_and_harms_nobody(simulation: Any, tmp_path: Path) -> None:
    world = again(simulation, tmp_path).join().meet("bob")
    simulation.run(for_=15)
    assert world.metric("snapshots_total", "not_loaded") == 1
    assert world.metric("snapshots_total", "not_saved") > 0


def test_engine_that_is_to_keep_no_file_keeps_none(simulation: Any, tmp_path: Path) -> None:
    again(simulation, tmp_path / "members", snapshot=False).join().meet("bob")
    simulation.run(for_=15)
    assert list(tmp_path.iterdir()) == []


def test_many_members_of_a_file_are_taken_in_slices(simulation: Any, tmp_path: Path) -> None:
    file = tmp_path / "members"
    world = again(simulation, file)
    put(world, file, *(as_was(world, f"member {number}") for number in range(250)))
    world.join()
    assert len(world.visible()) == 250
    assert len(world.net.control.received(transport.SendPacket)) <= 3 + 32


def test_members_that_are_many_are_listed_in_slices_completely_and_in_order(simulation: Any, tmp_path: Path) -> None:
    file = tmp_path / "members"
    world = again(simulation, file)
    put(world, file, *(as_was(world, f"member {number}") for number in range(1000)))  # two slices, and an empty one
    world.join()
    listed = world.members.members()
    assert not listed.done
    found = [info.peer for info in listed.get(timeout=1).others]
    assert found == sorted(world.peer(f"member {number}") for number in range(1000))


def test_generation_in_a_packet_of_a_remembered_member_counts(simulation: Any, tmp_path: Path) -> None:
    file = tmp_path / "members"
    written(again(simulation, file).join().meet("bob"), file)
    world = again(simulation, file).join()
    world.packet("bob", Gossip(), generation=2)
    (bob,) = world.members.members().get(timeout=1).active
    assert bob.record.generation == 2
    assert MemberId(bob.peer, 2) == world.id("bob", 2)
