"""Who becomes a member, without an engine: what SWIM is told, and what follows."""

from __future__ import annotations

import random
from collections import Counter

import pytest

from rookery.actors.membership.core.admission import Admission
from rookery.actors.membership.core.proofs import RecordProofs
from rookery.actors.membership.core.records import Records
from rookery.actors.membership.core.sender_limits import SenderLimits
from rookery.actors.membership.core.unsettled import (
    BROUGHT_BY_NEW,
    CHECKED_FOR_NEW,
    SETTLED_AFTER,
    SETTLED_AT_LEAST_AFTER,
)
from rookery.actors.membership.swim import Config, Member, MemberDown, MemberId, MemberUp, Outbox, Rename, State, Swim
from rookery.testing import NETWORK, Peers
from rookery.transport import PeerId
from rookery.transport.record import PeerRecord

PEERS = Peers()


def record(name: str, generation: int = 1) -> PeerRecord:
    return PEERS.record(name, "tcp://10.0.0.1:7000", generation=generation)


def peer(name: str) -> PeerId:
    return record(name).peer


class Here:
    """A node called "me" that is told things."""

    def __init__(self) -> None:
        self.counted: Counter[str] = Counter()
        config = Config.new_lan()
        self.records = Records(NETWORK, peer("me"))
        self.admission = Admission(
            peer("me"),
            self.records,
            SenderLimits(config),
            period=config.probe_period,
            ask_again=1.0,
            hides=lambda peer: False,
            count=lambda outcome, by: self.counted.update({outcome: by}),
            count_record=lambda _outcome: None,
        )
        life = PEERS.life("me", 1)
        self.swim = Swim.new(
            MemberId(peer("me"), 1),
            config,
            random.Random(1),
            admits=self.admission.admits,
            proofs=RecordProofs(life, self.admission.record_of, self.admission.told_of, self.admission.may_follow),
            settled=self.admission.settled,
        )
        self.admission.use(self.swim)
        self.outbox = Outbox()

    def tell(self, by: str, *names: str, now: float = 0.0, state: State = State.ALIVE, generation: int = 1) -> None:
        """With the records beside."""
        updates = [Member(MemberId(peer(name), generation), 0, state) for name in names]
        beside = {peer(name): record(name, generation) for name in names}
        with self.admission.tell(peer(by), now, beside):
            self.swim.apply_many(updates, True, now, self.outbox, source=peer(by))

    def show(self, *names: str, now: float = 0.0) -> None:
        """Each of these shows itself."""
        for name in names:
            self.tell(name, name, now=now)

    def is_settled(self, name: str) -> bool:
        settled = self.admission.settled()
        return settled is None or settled(peer(name))


def test_who_shows_itself_is_a_member_of_swim_and_of_whom_it_tells_is_not() -> None:
    here = Here()
    here.tell("bob", "bob", "carol")
    assert [member.id.key for member in here.swim.iter_members()] == [peer("bob")]
    assert [newcomer.peer for newcomer in here.admission.unproved] == [peer("carol")]
    assert here.admission.take_changes().members == [MemberUp(MemberId(peer("carol"), 1))]


def test_new_life_of_an_unproved_member_is_a_rename_and_stays_unproved() -> None:
    here = Here()
    here.tell("bob", "carol")
    here.admission.take_changes()
    here.tell("bob", "carol", generation=2)
    assert here.admission.take_changes().members == [Rename(MemberId(peer("carol"), 1), MemberId(peer("carol"), 2))]
    assert here.admission.told_of(peer("carol")) == Member(MemberId(peer("carol"), 2))


def test_accusation_of_an_unproved_member_changes_nothing() -> None:
    here = Here()
    here.tell("bob", "carol")
    before = here.admission.take_changes()
    here.tell("bob", "carol", state=State.SUSPECT)
    here.tell("dave", "carol", state=State.DOWN)
    assert before.members
    assert here.admission.take_changes().members == []
    assert here.admission.told_of(peer("carol")) == Member(MemberId(peer("carol"), 1))


def test_who_was_greeted_in_vain_is_gone_and_counted() -> None:
    here = Here()
    here.tell("bob", "carol")
    here.admission.take_changes()
    for now in (0, 1, 2, 4, 6):
        here.admission.take_turns(now, lambda _peer: True, judge=True)
    assert here.admission.take_changes().members == [MemberDown(MemberId(peer("carol"), 1))]
    assert here.counted["silent"] == 1


def test_member_settles_when_it_is_heard_long_after_it_came_and_not_by_time_alone() -> None:
    here = Here()
    here.show("bob", "carol")
    here.admission.unsettled.hear(peer("bob"), SETTLED_AT_LEAST_AFTER - 0.1)
    assert here.admission.settled() is None  # nobody has
    here.admission.unsettled.hear(peer("bob"), SETTLED_AT_LEAST_AFTER)
    assert (here.is_settled("bob"), here.is_settled("carol")) == (True, False)
    here.admission.unsettled.hear(peer("carol"), SETTLED_AFTER + 1)
    assert here.admission.settled() is None  # all have
    here.show("dave", now=SETTLED_AFTER + 1)
    assert (here.is_settled("bob"), here.is_settled("dave")) == (True, False)
    here.admission.unsettled.forget(peer("dave"))
    assert here.admission.settled() is None


@pytest.mark.parametrize(("came", "settles"), [(5.0, 10.0), (10.0, 20.0), (25.0, 50.0), (100.0, 100.0 + SETTLED_AFTER)])
def test_member_settles_sooner_in_a_young_cluster(came: float, settles: float) -> None:
    here = Here()
    here.show("bob")
    here.admission.unsettled.hear(peer("bob"), came)
    here.show("carol", now=came)
    here.admission.unsettled.hear(peer("carol"), settles - 0.01)
    assert not here.is_settled("carol")
    here.admission.unsettled.hear(peer("carol"), settles)
    assert here.is_settled("carol")


def test_who_passes_on_proofs_that_take_long_pays_for_them_and_nobody_else_does() -> None:
    here = Here()
    here.show("bob", "carol", "mallory")
    bob, life = MemberId(peer("bob"), 1), PEERS.life("bob", 1)

    def tell(by: str, *updates: Member) -> None:
        with here.admission.tell(peer(by), 0.0, {}):
            here.swim.apply_many(updates, True, 0.0, here.outbox, source=peer(by))

    for number in range(100):
        tell("mallory", Member(bob, 1024, State.SUSPECT, (), bytes([number]) * 16))
    assert here.counted["not_followed"] == 100 - 127 // 4  # one check was for its record
    tell("carol", Member(bob, 700, State.ALIVE, (), life.link(700)))
    held = here.swim.get(bob.key)
    assert held is not None
    assert held.incarnation == 700


def test_members_that_have_not_settled_bring_few_newcomers_together_and_settled_ones_have_their_own_share() -> None:
    here = Here()
    here.show("bob")
    here.admission.unsettled.hear(peer("bob"), SETTLED_AFTER)
    fresh = [f"fresh {number}" for number in range(20)]
    here.show(*fresh, now=SETTLED_AFTER)
    for each in fresh:
        here.tell(each, *(f"{each} {number}" for number in range(40)), now=SETTLED_AFTER)
    assert len(here.admission.unproved) == BROUGHT_BY_NEW[1]
    here.tell("bob", "carol", now=SETTLED_AFTER)
    assert peer("carol") in here.admission.unproved


def test_who_is_beyond_its_own_limits_takes_nothing_of_what_the_unsettled_share() -> None:
    here = Here()
    here.show("bob", "mallory")
    for number in range(2 * BROUGHT_BY_NEW[1]):
        here.tell("mallory", f"ghost {number}")
    for _number in range(2 * CHECKED_FOR_NEW[1]):
        here.admission.may_check(peer("mallory"), 0.0)
    assert here.admission.may_check(peer("bob"), 0.0)
    here.tell("bob", "carol")
    assert peer("carol") in here.admission.unproved
