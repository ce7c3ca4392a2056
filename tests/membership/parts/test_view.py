"""Who is visible: random histories of SWIM's notifications and of records, against the rule said plainly."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from rookery.actors.membership import MemberDown, MemberUp, MemberUpdated
from rookery.actors.membership.core.records import Records
from rookery.actors.membership.parts.view import View
from rookery.actors.membership.swim import MemberId
from rookery.runtime import Message
from rookery.testing import NETWORK, Peers
from rookery.transport.address import Address
from rookery.transport.errors import DecodeError
from rookery.transport.identity import PeerId
from rookery.transport.record import PeerRecord

KNOWN = Peers()
NAMES = ("alice", "bob", "carol")
ME = KNOWN.identity("me").peer
RECORDS = {(name, generation): KNOWN.record(name, generation=generation) for name in NAMES for generation in range(4)}


def peer(name: str) -> PeerId:
    return KNOWN.identity(name).peer


class Histories(RuleBasedStateMachine):
    """`active` and `recorded` are SWIM's and the records' state; a model says who must be visible."""

    def __init__(self) -> None:
        super().__init__()
        self.records = Records(NETWORK, ME)
        self.view = View(self.records)
        self.generation: dict[str, int] = {}
        self.active: set[str] = set()
        self.recorded: dict[str, int] = {}
        self.visible: set[str] = set()
        self.told: set[PeerId] = set()

    def follow(self, events: list[Message]) -> None:
        """What a subscriber believes."""
        for event in events:
            match event:
                case MemberUp(up, record):
                    assert up not in self.told
                    assert record.peer == up
                    self.told.add(up)
                case MemberUpdated(moved, record):
                    assert moved in self.told
                    assert record.peer == moved
                case MemberDown(down):
                    self.told.remove(down)

    def appear(self, name: str) -> None:
        if name in self.active and self.recorded.get(name, -1) >= self.generation[name]:
            self.visible.add(name)

    @rule(name=st.sampled_from(NAMES), generation=st.integers(0, 3))
    def come_up(self, name: str, generation: int) -> None:
        if name not in self.active:
            self.active.add(name)
            self.generation[name] = generation
            self.appear(name)
            self.follow(self.view.up(MemberId(peer(name), generation), 0.0))

    @rule(name=st.sampled_from(NAMES))
    def go_down(self, name: str) -> None:
        if name in self.active:
            self.active.discard(name)
            self.visible.discard(name)
            self.follow(self.view.down(MemberId(peer(name), self.generation[name]), 0.0))

    @rule(name=st.sampled_from(NAMES), by=st.integers(1, 2))
    def rename(self, name: str, by: int) -> None:
        if name in self.generation and self.generation[name] + by < 4:
            self.generation[name] += by
            self.view.rename(MemberId(peer(name), self.generation[name]))

    @rule(name=st.sampled_from(NAMES), generation=st.integers(0, 3))
    def receive(self, name: str, generation: int) -> None:
        record = RECORDS[name, generation]
        is_new = self.records.add(record)
        assert is_new == (generation > self.recorded.get(name, -1))
        if is_new:
            self.recorded[name] = generation
            self.appear(name)
            self.follow(self.view.record_added(record))

    @rule(name=st.sampled_from(NAMES))
    def be_forgotten(self, name: str) -> None:
        known = name in self.generation and name not in self.active
        was_there = peer(name) in self.view
        self.view.forget(MemberId(peer(name), self.generation.get(name, 0)))
        assert (peer(name) in self.view) is (was_there and not known)
        if known:
            del self.generation[name]
            self.records.forget(peer(name))
            self.recorded.pop(name, None)

    @invariant()
    def shows_those_of_the_model(self) -> None:
        assert {record.peer for record in self.view.visible} == {peer(name) for name in self.visible} == self.told
        assert self.view.num_visible == len(self.visible)
        assert [self.view.is_active(peer(name)) for name in NAMES] == [name in self.active for name in NAMES]

    @invariant()
    def asks_for_what_is_missing(self) -> None:
        missing = {name for name in self.active if self.recorded.get(name, -1) < self.generation[name]}
        assert self.view.num_missing == len(missing)
        assert set(self.view.take_missing(10)) == {peer(name) for name in missing}


TestHistories = Histories.TestCase
TestHistories.settings = settings(max_examples=30, stateful_step_count=25, deadline=None)


def test_missing_ones_are_asked_for_in_turn() -> None:
    view = View(Records(NETWORK, ME))
    ids = [peer(name) for name in NAMES]
    for one in ids:
        view.up(MemberId(one, 1), 0.0)
    assert [view.take_missing(2) for _ in range(3)] == [(ids[0], ids[1]), (ids[2], ids[0]), (ids[1], ids[2])]


def test_since_is_when_a_member_came_up_or_went_down() -> None:
    view = View(Records(NETWORK, ME))
    bob = MemberId(peer("bob"), 1)
    assert view.since(peer("bob")) is None
    view.up(bob, 10.0)
    assert view.since(peer("bob")) == 10.0
    view.down(bob, 20.0)
    assert view.since(peer("bob")) == 20.0


# Records -------------------------------------------------------------------------------------------------------------


def test_records_keep_the_newest_and_say_where_to_send() -> None:
    records = Records(NETWORK, ME)
    seed, old, new = (Address.parse(f"tcp://10.0.0.{number}:1") for number in (1, 2, 3))
    records.set_seeds({peer("bob"): seed})
    assert records.address(peer("bob")) == seed
    assert records.is_seed(peer("bob"))
    assert records.add(KNOWN.record("bob", str(old), generation=1))
    assert records.add(KNOWN.record("bob", str(new), generation=2))
    assert not records.add(KNOWN.record("bob", str(old), generation=1))
    assert records.address(peer("bob")) == new
    records.forget(peer("bob"))
    assert records.address(peer("bob")) == seed
    assert records.address(peer("carol")) is None


def test_own_record_is_never_among_those_of_others() -> None:
    records = Records(NETWORK, ME)
    assert not records.add(KNOWN.record("me", generation=9))
    assert len(records) == 0


@pytest.mark.parametrize(
    ("record", "why"),
    [
        (replace(RECORDS["bob", 1], generation=2), "signature is not that peer's"),
        (
            PeerRecord.sign(KNOWN.identity("bob"), network=NETWORK, address=None, generation=1),
            "a member has an address",
        ),
        (KNOWN.record("bob", generation=2**63), "not below 2\\^63"),
    ],
)
def test_record_that_no_member_can_have_is_refused(record: PeerRecord, why: str) -> None:
    records = Records(NETWORK, ME)
    with pytest.raises(DecodeError, match=why):
        records.add(record)
    assert len(records) == 0


def test_record_of_another_network_is_not_even_read() -> None:
    foreign = PeerRecord.sign(
        KNOWN.identity("bob"), network="other", address=Address.parse("tcp://10.0.0.1:1"), generation=1
    )
    with pytest.raises(DecodeError, match="network 'other'"):
        Records(NETWORK, ME).read(foreign.encode())


def test_records_are_encoded_as_far_as_they_are_held_and_wanted() -> None:
    records = Records(NETWORK, ME)
    for name in NAMES:
        records.add(RECORDS[name, 1])
    wanted = [peer("nobody"), *map(peer, NAMES)]
    assert records.encoded(wanted, 2) == [RECORDS["alice", 1].encode(), RECORDS["bob", 1].encode()]
