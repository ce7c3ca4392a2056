"""The proofs of lives, by their owners' records."""

from __future__ import annotations

from rookery.actors.membership.core.proofs import NEAR, RecordProofs
from rookery.actors.membership.swim import Member, MemberId, State
from rookery.actors.membership.swim.proofs import Verdict
from rookery.testing import Peers

PEERS = Peers()


def test_life_of_ours_that_has_just_begun_has_its_proofs_before_its_record_is_signed() -> None:
    life, later = PEERS.life("me", 5), PEERS.life("me", 6)
    proofs = RecordProofs(life, lambda _peer, _generation: None, lambda _peer: None)
    me, origin = MemberId(life.peer, 6), MemberId(PEERS.record("bob").peer, 1)
    assert proofs.link(me, 1) == later.link(1) != life.link(1)
    assert proofs.farewell(me) == later.farewell
    assert proofs.check_answer(me, origin, 7, proofs.answer(me, origin, 7))
    assert proofs.check(Member(me, 1, State.SUSPECT, (), later.link(1)), None) is Verdict.PROVED
    assert proofs.check(Member(me, 1, State.SUSPECT, (), life.link(1)), None) is Verdict.FALSE


def test_earlier_life_of_ours_proves_nothing_any_more() -> None:
    life = PEERS.life("me", 5)
    proofs = RecordProofs(life, lambda _peer, _generation: None, lambda _peer: None)
    before = MemberId(life.peer, 4)
    assert (proofs.link(before, 1), proofs.farewell(before)) == (b"", b"")
    assert proofs.check(Member(before, 1, State.DOWN, (), bytes(16)), None) is Verdict.UNKNOWN


def test_links_far_from_the_last_good_one_are_followed_only_where_somebody_pays_for_them() -> None:
    life, bob = PEERS.life("me", 5), PEERS.life("bob", 1)
    asked: list[int] = []
    record = PEERS.record("bob")

    def refuse(links: int) -> bool:
        asked.append(links)
        return False

    proofs = RecordProofs(life, lambda _peer, _generation: record, lambda _peer: None, refuse)
    held = Member(MemberId(bob.peer, 1), 10, State.ALIVE, (), bob.link(10))

    def check(incarnation: int) -> Verdict:
        return proofs.check(Member(held.id, incarnation, State.ALIVE, (), bob.link(incarnation)), held)

    assert (check(10 + NEAR), check(10 - NEAR), asked) == (Verdict.PROVED, Verdict.PROVED, [])
    assert (check(11 + NEAR), asked) == (Verdict.UNKNOWN, [NEAR + 1])
    left = Member(held.id, 900, State.LEFT, (), bob.farewell)
    assert (proofs.check(left, held), len(asked)) == (Verdict.PROVED, 1)


def test_what_is_said_of_ourselves_is_compared_and_not_computed() -> None:
    life = PEERS.life("me", 5)
    proofs = RecordProofs(life, lambda _peer, _generation: None, lambda _peer: None, lambda _links: False)
    me = MemberId(life.peer, 5)
    assert proofs.check(Member(me, 1024, State.SUSPECT, (), life.link(1024)), None) is Verdict.PROVED
    assert proofs.check(Member(me, 1024, State.SUSPECT, (), life.link(1023)), None) is Verdict.FALSE
    assert proofs.check(Member(me, 0, State.LEFT, (), life.farewell), None) is Verdict.PROVED
    assert proofs.check(Member(me, 0, State.LEFT, (), bytes(16)), None) is Verdict.FALSE
