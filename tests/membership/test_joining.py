"""Ways into the cluster: a text, a list, what discovery found; and tags that change."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import pytest

from rookery.actors import membership, tracker
from rookery.actors.membership import Rejoined
from rookery.actors.membership.core.envelope import is_announce, is_turn_undead
from rookery.actors.membership.core.tags import encode_tags
from rookery.actors.membership.swim.messages import TurnUndead
from rookery.testing.mocks import Held
from rookery.transport import mailbox as transport
from rookery.transport.record import PeerRecord

from .worlds import CONFIG, Announce, Gossip, World


def text(world: World, name: str) -> str:
    record = world.record(name)
    return f"{record.peer}@{record.address}"


def announced(world: World, *names: str) -> list[int]:
    return [len(world.said(name, Announce)) for name in names]


def forged(world: World, name: str) -> Any:
    return replace(world.record(name), generation=99)


def test_join_takes_one_text_a_list_of_texts_a_pair_a_record_or_all_together(world: World) -> None:
    bob, carol, dave = world.record("bob"), world.record("carol"), world.record("dave")
    assert bob.address is not None
    assert carol.address is not None
    world.members.join(text(world, "bob")).get(timeout=1)
    assert announced(world, "bob", "carol", "dave") == [1, 0, 0]
    world.members.join([text(world, "bob"), (carol.peer, carol.address), dave]).get(timeout=1)
    assert announced(world, "bob", "carol", "dave") == [2, 1, 1]
    world.members.join((bob.peer, bob.address)).get(timeout=1)
    world.members.join(membership.Seed(bob.peer, bob.address)).get(timeout=1)
    world.members.join(bob).get(timeout=1)
    assert announced(world, "bob", "carol", "dave") == [5, 1, 1]


@pytest.mark.parametrize("seed", ["nobody", "ab@tcp://10.0.0.1:7000", "tcp://10.0.0.1:7000", ""])
def test_join_by_a_text_that_is_no_seed_raises_at_the_caller(world: World, seed: str) -> None:
    with pytest.raises(ValueError, match="allowed"):
        world.members.join(seed)
    with pytest.raises(ValueError, match="allowed"):
        world.members.join([seed])


def test_join_by_a_forged_record_raises_at_the_caller(world: World) -> None:
    with pytest.raises(ValueError, match="forged"):
        world.members.join([forged(world, "bob")])


def test_discovered_peers_are_announced_to_at_once_while_isolated_and_only_once(world: World) -> None:
    world.join()
    world.members.discovered([world.record("bob"), world.record("carol")])
    assert announced(world, "bob", "carol") == [1, 1]
    world.members.discovered([world.record("bob"), world.record("carol")])
    assert announced(world, "bob", "carol") == [1, 1]
    world.simulation.run(for_=3)
    assert announced(world, "bob", "carol") == [2, 2]


def test_discovered_peers_before_join_are_announced_to_when_it_comes(world: World) -> None:
    world.members.discovered([world.record("bob")])
    assert announced(world, "bob") == [0]
    world.join()
    assert announced(world, "bob") == [1]


def test_discovered_peers_of_a_connected_member_are_tried_when_it_is_isolated(world: World) -> None:
    world.join().meet("bob")
    world.members.discovered([world.record("carol")])
    world.simulation.run(for_=1)
    assert announced(world, "carol") == [0]
    world.packet("bob", Gossip(), world.down("bob"))
    world.simulation.run_until(lambda: announced(world, "carol") == [1], timeout=30)
    assert isinstance(world.heard()[-1], membership.Isolated)


def test_forged_and_homeless_records_of_discovery_are_refused_and_counted(world: World) -> None:
    world.join()
    homeless = replace(world.record("dave"), address=None)
    world.members.discovered([forged(world, "bob"), world.record("carol"), homeless])
    assert announced(world, "bob", "carol", "dave") == [0, 1, 0]
    assert world.metric("records_total", "refused") == 2


def test_discovered_peers_are_bounded_and_the_newest_stay(world: World) -> None:
    world.join()
    names = [f"peer {number}" for number in range(70)]
    for name in names:
        world.members.discovered([world.record(name)])
    world.simulation.settle()
    before = announced(world, *names)
    world.simulation.run(for_=3)
    assert [now - then for now, then in zip(announced(world, *names), before, strict=True)] == [0] * 6 + [1] * 64


def test_this_node_among_the_discovered_is_ignored(world: World) -> None:
    world.join()
    world.members.discovered([world.me])
    assert world.sent("me") == []


def test_tags_of_the_configuration_are_in_our_record(simulation: Any) -> None:
    tags = {"role": "secondary", "zone": "a"}
    world = World(simulation, replace(CONFIG, tags=tags))
    world.net.control.answer(
        transport.Renew, lambda message: world.owned(world.tagged("me", tags, message.generation + 1))
    )
    world.join("bob")
    own = world.members.members().get(timeout=1).own
    assert own is not None
    assert own.metadata == encode_tags(tags)
    assert own.encode() in world.sent("bob")[0].records


def test_tags_that_change_take_a_new_record_and_generation(world: World) -> None:
    world.net.control.answer(
        transport.Renew, lambda message: world.owned(world.tagged("me", {"zone": "b"}, message.generation + 1))
    )
    world.join().meet("bob")
    world.members.set_tags({"zone": "b"}).get(timeout=1)
    own = world.members.members().get(timeout=1).own
    assert own is not None
    assert (own.generation, own.metadata) == (2, encode_tags({"zone": "b"}))
    gossip = world.said("bob", Gossip)[-1]
    assert gossip.header.src == world.id("me", 2)
    world.members.set_tags({"zone": "b"}).get(timeout=1)
    again = world.members.members().get(timeout=1).own
    assert again == own


def test_tags_set_before_join_are_in_the_first_record(world: World) -> None:
    world.net.control.answer(
        transport.Renew, lambda message: world.owned(world.tagged("me", {"zone": "b"}, message.generation + 1))
    )
    world.members.set_tags({"zone": "b"}).get(timeout=1)
    world.join()
    own = world.members.members().get(timeout=1).own
    assert own is not None
    assert own.metadata == encode_tags({"zone": "b"})


def test_tags_that_do_not_fit_raise_at_the_caller(world: World) -> None:
    with pytest.raises(ValueError, match="512 bytes"):
        world.members.set_tags({"a": "x" * 512})


def test_set_tags_fails_with_the_error_of_transport(world: World) -> None:
    world.join()
    world.net.control.answer(transport.Renew, ValueError("no key"))
    with pytest.raises(ValueError, match="no key"):
        world.members.set_tags({"a": "b"}).get(timeout=1)


def test_tags_of_a_member_are_in_its_info(world: World) -> None:
    world.join()
    world.packet("bob", Gossip(), records=[world.tagged("bob", {"zone": "c"})])
    (bob,) = world.members.members().get(timeout=1).active
    assert bob.tags == {"zone": "c"}


def test_member_at_a_blocked_ip_is_neither_probed_nor_accused_until_the_block_ends(world: World) -> None:
    world.join()
    world.meet("bob", "carol")
    address = world.record("bob").address
    assert address is not None
    world.members.tell(tracker.IpBlocked(ip_address(str(address.endpoint.ip)), float("inf")))
    world.simulation.settle()
    before = len(world.sent("bob"))
    world.simulation.run(for_=60)
    assert len(world.sent("bob")) == before
    assert world.peer("bob") in world.visible()
    world.members.tell(tracker.IpUnblocked(ip_address(str(address.endpoint.ip))))
    world.simulation.run_until(lambda: world.peer("bob") not in world.visible(), timeout=60)


def test_join_after_leave_without_seeds_takes_those_of_the_last_join(world: World) -> None:
    world.join("bob")
    world.members.leave().get(timeout=1)
    world.members.join().get(timeout=1)
    assert announced(world, "bob") == [2]


# Started again with an older clock, or somewhere else -----------------------------------------------------------------


def addresses(world: World, name: str) -> list[str]:
    return [
        str(sent.address) for sent in world.net.control.received(transport.SendPacket) if sent.peer == world.peer(name)
    ]


def test_member_that_presents_an_older_record_is_answered_where_that_one_says(world: World) -> None:
    world.join()
    world.packet("bob", Announce(), generation=5)
    older = world.simulation.known.record("bob", "tcp://10.9.9.9:1", generation=3)
    world.packet("bob", Announce(), records=[older], generation=3)
    assert addresses(world, "bob")[-1] == "tcp://10.9.9.9:1"
    assert world.said("bob", TurnUndead)
    world.packet("bob", Announce(), generation=6)
    assert addresses(world, "bob")[-1] == str(world.record("bob").address)


def test_forged_older_record_moves_nobody_and_is_counted(world: World) -> None:
    world.join()
    world.packet("bob", Announce(), generation=5)
    older = world.simulation.known.record("bob", "tcp://10.9.9.9:1", generation=3)
    world.packet("bob", Announce(), records=[replace(older, signature=bytes(64))], generation=3)
    assert "tcp://10.9.9.9:1" not in addresses(world, "bob")
    assert world.metric("records_total", "refused") == 1


def test_announce_brings_our_record_also_to_whom_has_had_it(world: World) -> None:
    """It may have been started again since, and would take us for a stranger."""
    world.join("bob").meet("bob")
    world.members.join([world.record("bob")]).get(timeout=1)
    world.simulation.settle()
    announces = [sent for sent in world.sent("bob") if is_announce(sent.swim)]
    assert len(announces) > 1
    assert all(sent.records == (world.me.encode(),) for sent in announces)


def test_member_that_is_told_it_is_held_dead_gets_our_record_with_it(world: World) -> None:
    world.join().meet("bob", "carol")
    world.packet("carol", Gossip(), world.left("bob"))
    world.packet("bob", Gossip(), records=[])
    told = [sent for sent in world.sent("bob") if is_turn_undead(sent.swim)]
    assert told
    assert all(sent.records == (world.me.encode(), world.record("bob").encode()) for sent in told)


def test_member_that_shows_us_a_later_life_of_ours_by_our_own_record_makes_us_go_on_above_it(world: World) -> None:
    world.join().meet("bob")
    world.packet("bob", Gossip(), records=[world.record("me", 2**62)])
    assert [event for event in world.heard() if isinstance(event, Rejoined)] == [
        Rejoined(world.record("me", 2**62 + 1))
    ]


def test_record_of_a_later_life_of_ours_that_we_did_not_sign_changes_nothing(world: World) -> None:
    world.join().meet("bob")
    signed = world.record("me", 2**62)
    forged = replace(signed, signature=bytes(len(signed.signature)))
    world.packet("bob", Gossip(), records=[forged])
    assert not [event for event in world.heard() if isinstance(event, Rejoined)]
    assert world.metric("records_total", "refused") == 1


def test_tags_that_change_all_the_time_are_changed_at_the_pace_that_others_take_in_and_the_last_ones_count(
    world: World,
) -> None:
    renewals: list[bytes | None] = []

    def renew(message: transport.Renew) -> transport.OwnRecord:
        renewals.append(message.metadata)
        return world.owned(world.tagged("me", {"load": str(len(renewals))}, message.generation + 1))

    world.net.control.answer(transport.Renew, renew)
    world.join()
    replies = [world.members.set_tags({"set": str(number)}) for number in range(20)]
    world.simulation.settle()
    assert renewals == [encode_tags({"set": str(number)}) for number in range(8)]
    assert [reply.done for reply in replies] == [True] * 8 + [False] * 12
    world.simulation.run(for_=4)
    assert renewals[8:] == [encode_tags({"set": "19"})]
    assert all(reply.done for reply in replies)
    world.simulation.run(for_=60)
    assert len(renewals) == 9


def tags_of_ours(world: World) -> bytes:
    own = world.members.members().get(timeout=1).own
    assert own is not None
    return own.metadata


class Signer:
    """Transport as far as it signs: keeps the tags of a record until there are others."""

    def __init__(self, world: World) -> None:
        self.renewals: list[bytes | None] = []
        self._world = world
        self._record = world.me
        world.net.control.answer(transport.Renew, self.sign)

    def sign(self, message: transport.Renew) -> transport.OwnRecord:
        """The next life of this node."""
        self.renewals.append(message.metadata)
        own, tags = self._record, self._record.metadata if message.metadata is None else message.metadata
        self._record = PeerRecord.sign(
            self._world.simulation.known.identity("me"),
            network=own.network,
            address=own.address,
            generation=max(message.generation, own.generation) + 1,
            metadata=tags,
        )
        return self._world.owned(self._record)


def test_tags_that_are_set_back_while_others_wait_begin_no_life(world: World) -> None:
    signer = Signer(world)
    world.join()
    for number in range(8):
        world.members.set_tags({"set": str(number)}).get(timeout=1)
    other, back = (world.members.set_tags({"set": each}) for each in ("other", "7"))
    world.simulation.run(for_=10)
    assert (other.done, back.done) == (True, True)
    assert len(signer.renewals) == 8
    assert tags_of_ours(world) == encode_tags({"set": "7"})


def test_tags_that_are_set_back_while_a_record_with_others_is_signed_are_in_the_next_one(world: World) -> None:
    signer = Signer(world)
    world.join()
    held: Held[transport.OwnRecord] = world.net.control.hold(transport.Renew)
    other, back = world.members.set_tags({"zone": "b"}), world.members.set_tags({})
    world.simulation.settle()
    assert (other.done, back.done) == (False, False)
    (message,) = held.waiting
    world.net.control.answer(transport.Renew, signer.sign)
    assert isinstance(message, transport.Renew)
    held.pop().set(signer.sign(message))
    world.simulation.settle()
    assert (other.done, back.done) == (True, True)
    assert tags_of_ours(world) == encode_tags({})


def test_tags_that_are_set_while_the_file_of_members_is_read_are_not_lost(simulation: Any, tmp_path: Path) -> None:
    world = World(simulation, snapshot=tmp_path / "members")
    Signer(world)
    held: Held[transport.OwnRecord] = world.net.control.hold(transport.GetRecord)
    world.members.join()
    simulation.settle()
    held.pop().set(world.owned(world.me))
    world.members.set_tags({"zone": "b"})
    simulation.settle()
    assert tags_of_ours(world) == encode_tags({"zone": "b"})
