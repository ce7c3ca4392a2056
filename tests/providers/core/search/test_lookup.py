"""One search, step by step."""

from __future__ import annotations

import random
from collections.abc import Iterable

from hypothesis import given
from hypothesis import strategies as st

from rookery.actors.providers.core.ring import Ring, distance, place_of
from rookery.actors.providers.core.search.lookup import (
    CHECKS_AT_ONCE,
    MAX_CHECKS,
    MAX_MEMBERS,
    MAX_SHOWN,
    MORE_PATIENCE,
    PATIENCE,
    Ask,
    BeginSweep,
    Check,
    Effect,
    Ended,
    Found,
    Judged,
    Lookup,
    Result,
)
from rookery.transport import PeerId

ME, *OTHERS = [PeerId(random.Random(number).randbytes(32)) for number in range(100)]
KEY = bytes(16)
MEMBERS = sorted(OTHERS[:40], key=lambda peer: distance(KEY, place_of(peer)))
STRANGERS = sorted(OTHERS[40:], key=lambda peer: distance(KEY, place_of(peer)))
A, B, C, D, E = MEMBERS[:5]
HOLDERS = MEMBERS[10:]


def make(*, wanted: int = 3, may_sweep: bool = True, passed_over: Iterable[PeerId] = (), members: int = 40) -> Lookup:
    ring = Ring()
    for number, peer in enumerate(MEMBERS[:members]):
        ring.add(peer, number)
    return Lookup(KEY, ring, me=ME, wanted=wanted, may_sweep=may_sweep, passed_over=frozenset(passed_over))


def started(**how: object) -> Lookup:
    lookup = make(**how)  # type: ignore[arg-type]
    lookup.start(0.0)
    return lookup


def only(kind: type, effects: list[Effect]) -> list[PeerId]:
    return [effect.peer for effect in effects if isinstance(effect, kind)]  # type: ignore[union-attr]


def test_three_index_members_are_asked_at_once() -> None:
    assert make().start(0.0) == [Ask(A), Ask(B), Ask(C)]


def test_index_member_that_is_passed_over_is_not_asked() -> None:
    assert make(passed_over=[A]).start(0.0) == [Ask(B), Ask(C), Ask(D)]


def test_index_members_are_asked_all_the_same_if_all_are_passed_over() -> None:
    assert make(passed_over=MEMBERS).start(0.0) == [Ask(A), Ask(B), Ask(C)]


def test_holder_that_is_named_is_asked_itself_and_found_when_it_says_yes() -> None:
    lookup = started()
    assert lookup.holders(A, [(HOLDERS[0], 5.0)], (), 0.1) == [Check(HOLDERS[0])]
    assert lookup.checked(HOLDERS[0], True, 0.2) == [Judged(A, HOLDERS[0], True), Found(HOLDERS[0], 5.0)]
    assert lookup.holders(B, (), (), 0.3) == []
    (ended,) = lookup.holders(C, (), (), 0.3)
    assert ended == Ended(Result((Found(HOLDERS[0], 5.0),), 3, 3))
    assert str(Result((Found(HOLDERS[0], 5.0),), 3, 3)) == "asked 3 index members; 1 holder"


def test_search_ends_when_enough_have_said_yes() -> None:
    lookup = started(wanted=2)
    lookup.holders(A, [(peer, 1.0) for peer in HOLDERS[:6]], (), 0.1)
    lookup.checked(HOLDERS[0], True, 0.2)
    assert isinstance(lookup.checked(HOLDERS[1], True, 0.2)[-1], Ended)
    assert lookup.checked(HOLDERS[2], True, 0.3)[-1] == Found(HOLDERS[2], 1.0)


def test_holder_that_says_no_is_charged_to_all_who_named_it_and_silence_to_nobody() -> None:
    lookup = started()
    lookup.holders(A, [(HOLDERS[0], 5.0)], (), 0.1)
    lookup.holders(B, [(HOLDERS[0], 4.0), (HOLDERS[1], 4.0)], (), 0.1)
    effects = lookup.checked(HOLDERS[0], False, 0.2)
    assert effects == [Judged(A, HOLDERS[0], False), Judged(B, HOLDERS[0], False)]
    assert lookup.checked(HOLDERS[1], None, 0.2) == []


def test_who_names_a_holder_after_it_has_said_yes_is_right_too() -> None:
    lookup = started()
    lookup.holders(A, [(HOLDERS[0], 5.0)], (), 0.1)
    lookup.checked(HOLDERS[0], True, 0.2)
    assert Judged(B, HOLDERS[0], True) in lookup.holders(B, [(HOLDERS[0], 9.0)], (), 0.3)


def test_this_nodes_own_index_is_never_charged() -> None:
    ring = Ring()
    ring.add(ME, 0)
    lookup = Lookup(KEY, ring, me=ME, wanted=3, may_sweep=False, passed_over=frozenset())
    assert lookup.start(0.0) == [Ask(ME)]
    lookup.holders(ME, [(HOLDERS[0], 1.0)], (), 0.0)
    assert lookup.checked(HOLDERS[0], False, 0.1) == [Ended(Result((), 1, 1, unconfirmed=1))]


def test_holders_are_asked_in_turn_of_who_named_them() -> None:
    lookup = started()
    lies = [(peer, 0.0) for peer in HOLDERS[:16]]
    assert only(Check, lookup.holders(A, lies, (), 0.1)) == HOLDERS[:CHECKS_AT_ONCE]
    assert lookup.holders(B, [(HOLDERS[20], 0.0)], (), 0.1) == []
    first = lookup.checked(HOLDERS[0], False, 0.2)
    second = lookup.checked(HOLDERS[1], False, 0.2)
    assert HOLDERS[20] in only(Check, first + second)


def test_holders_that_are_asked_are_bounded() -> None:
    lookup = started(members=3)
    named = [(peer, 0.0) for peer in OTHERS]
    asked = only(Check, lookup.holders(A, named, (), 0.1))
    for peer in asked:
        asked += only(Check, lookup.checked(peer, False, 0.2))
    assert len(asked) == MAX_CHECKS


def test_this_node_is_not_asked_whether_it_has_the_key() -> None:
    assert started().holders(A, [(ME, 0.0)], (), 0.1) == []


def test_nearer_members_are_asked_in_a_next_round() -> None:
    rng = random.Random(2)
    drawn = [PeerId(rng.randbytes(32)) for _ in range(300)]
    nearer = [peer for peer in drawn if distance(KEY, place_of(peer)) < distance(KEY, place_of(C))]
    lookup = started()
    assert lookup.holders(A, (), nearer[:1], 0.1) == []
    lookup.holders(B, (), (), 0.1)
    assert lookup.holders(C, (), (), 0.1) == [Ask(nearer[0])]


def test_nearer_members_that_a_liar_names_take_no_place_of_those_that_others_name() -> None:
    rng = random.Random(2)
    drawn = sorted((PeerId(rng.randbytes(32)) for _ in range(400)), key=lambda peer: distance(KEY, place_of(peer)))
    lookup = started()
    lookup.holders(A, (), drawn[:3], 0.1)
    lookup.holders(B, (), drawn[3:4], 0.1)
    assert only(Ask, lookup.holders(C, (), (), 0.1)) == drawn[:3]
    for peer in drawn[:2]:
        lookup.holders(peer, (), (), 0.2)
    assert only(Ask, lookup.holders(drawn[2], (), (), 0.2)) == drawn[3:4]


def test_members_that_are_farther_than_those_asked_are_not_asked() -> None:
    lookup = started(may_sweep=False)
    for member in (A, B):
        lookup.holders(member, (), STRANGERS[-5:], 0.1)
    assert only(Ask, lookup.holders(C, (), MEMBERS[5:8], 0.1)) == []
    assert lookup.ended


def test_liars_that_name_ever_nearer_members_are_followed_for_three_rounds() -> None:
    rng = random.Random(3)
    lookup = started(may_sweep=False)
    asked, turns = [A, B, C], 0
    while not lookup.ended:
        turns += 1
        new: list[PeerId] = []
        for member in asked:
            invented = [PeerId(rng.randbytes(32)) for _ in range(300)]
            invented.sort(key=lambda peer: distance(KEY, place_of(peer)))
            new += only(Ask, lookup.holders(member, (), invented[:3], 0.1))
        asked = new
    assert turns == 3
    assert lookup.result().index_asked <= MAX_MEMBERS


def test_follower_of_a_silent_index_member_is_asked() -> None:
    lookup = started()
    lookup.holders(A, (), (), 0.1)
    lookup.holders(C, (), (), 0.1)
    assert lookup.silent(B, 1.0) == [Ask(D)]
    assert lookup.result().index_answered == 2


def test_sweep_begins_at_once_when_the_index_knows_nobody() -> None:
    lookup = started()
    lookup.holders(A, (), (), 0.1)
    lookup.holders(B, (), (), 0.1)
    assert lookup.holders(C, (), (), 0.2) == [BeginSweep()]


def test_sweep_does_not_wait_longer_than_its_patience_for_silent_index_members() -> None:
    lookup = started()
    assert lookup.deadline == PATIENCE
    assert lookup.tick(PATIENCE - 0.1) == []
    assert lookup.tick(PATIENCE) == [BeginSweep()]
    assert lookup.deadline is None


def test_sweep_waits_a_second_more_for_holders_that_were_named() -> None:
    lookup = started()
    lookup.holders(A, [(HOLDERS[0], 0.0)], (), 0.1)
    assert lookup.tick(PATIENCE) == []
    assert lookup.tick(MORE_PATIENCE) == [BeginSweep()]


def test_member_of_the_sweep_that_has_the_key_ends_the_search() -> None:
    lookup = started()
    lookup.tick(PATIENCE)
    lookup.sweep_progress(7, 40)
    assert lookup.swept(HOLDERS[0], False, 2.1) == []
    found, ended = lookup.swept(HOLDERS[1], True, 2.2)
    assert found == Found(HOLDERS[1], None)
    assert ended == Ended(Result((Found(HOLDERS[1], None),), 3, 0, 7, 2, 40))


def test_sweep_in_which_nobody_has_it_ends_the_search_and_says_what_was_done() -> None:
    lookup = started()
    for member in (A, B, C):
        lookup.holders(member, (), (), 0.1)
    lookup.sweep_progress(40, 40)
    for peer in MEMBERS:
        lookup.swept(peer, False, 1.0)
    (ended,) = lookup.sweep_over(1.0)
    assert str(lookup.result()) == "asked 3 index members and 40 of 40 members; nobody has it"
    assert ended == Ended(lookup.result())


def test_result_says_how_many_did_not_answer() -> None:
    assert str(Result((), 3, 2, 120, 118, 120)) == (
        "asked 3 index members and 120 of 120 members (3 did not answer); nobody has it"
    )
    assert str(Result((), 1, 1, 1, 1, 1)) == "asked 1 index member and 1 of 1 member; nobody has it"


def test_holder_that_answers_late_counts_while_members_are_swept() -> None:
    lookup = started()
    lookup.holders(A, [(HOLDERS[0], 0.0)], (), 0.1)
    lookup.tick(MORE_PATIENCE)
    assert isinstance(lookup.checked(HOLDERS[0], True, 3.1)[-1], Ended)


def test_search_that_may_not_sweep_ends_without() -> None:
    lookup = started(may_sweep=False)
    assert lookup.deadline is None
    lookup.holders(A, (), (), 0.1)
    lookup.holders(B, (), (), 0.1)
    assert lookup.holders(C, (), (), 0.1) == [Ended(Result((), 3, 3))]


def test_node_without_members_sweeps_at_once() -> None:
    assert make(members=0).start(0.0) == [BeginSweep()]
    assert make(members=0, may_sweep=False).start(0.0) == [Ended(Result())]


def test_answer_that_comes_twice_or_was_not_asked_for_changes_nothing() -> None:
    lookup = started()
    lookup.holders(A, (), (), 0.1)
    assert lookup.holders(A, [(HOLDERS[0], 0.0)], (), 0.1) == []
    assert lookup.holders(D, [(HOLDERS[0], 0.0)], (), 0.1) == []
    assert lookup.silent(A, 0.1) == []
    assert lookup.checked(HOLDERS[0], True, 0.1) == []


@given(data=st.data())
def test_search_ends_once_whatever_is_answered_and_asks_nobody_twice(data: st.DataObject) -> None:
    lookup = make(wanted=data.draw(st.integers(1, 5)), may_sweep=data.draw(st.booleans()))
    peers = st.sampled_from(OTHERS)
    waiting, now = lookup.start(0.0), 0.0
    asked, checked, ends = only(Ask, waiting), only(Check, waiting), 0
    swept = False
    for _ in range(200):
        if lookup.ended:
            break
        now += data.draw(st.sampled_from([0.0, 0.1, 1.0]))
        question = waiting.pop(0) if waiting else None
        match question:
            case Ask(peer) if data.draw(st.booleans()):
                named = [(each, 1.0) for each in data.draw(st.lists(peers, max_size=4))]
                new = lookup.holders(peer, named, data.draw(st.lists(peers, max_size=3)), now)
            case Ask(peer):
                new = lookup.silent(peer, now)
            case Check(peer):
                new = lookup.checked(peer, data.draw(st.sampled_from([True, False, None])), now)
            case BeginSweep():
                swept, new = True, lookup.swept(data.draw(peers), data.draw(st.booleans()), now)
            case None if swept:
                new = lookup.sweep_over(now)
            case None:
                new = lookup.tick(now)
            case _:
                new = []
        asked += only(Ask, new)
        checked += only(Check, new)
        ends += sum(isinstance(effect, Ended) for effect in new)
        waiting += [effect for effect in new if isinstance(effect, Ask | Check | BeginSweep)]
    assert lookup.ended
    assert ends == 1
    assert len(asked) == len(set(asked)) <= MAX_MEMBERS
    assert len(checked) == len(set(checked)) <= MAX_CHECKS


def test_holder_that_was_named_and_is_silent_is_in_the_result_and_one_that_says_no_is_not() -> None:
    lookup = started(members=1, may_sweep=False)
    lookup.holders(A, [(peer, 1.0) for peer in HOLDERS[:3]], (), 0.1)
    lookup.checked(HOLDERS[0], False, 0.2)
    lookup.checked(HOLDERS[1], None, 0.2)
    (ended,) = lookup.checked(HOLDERS[2], None, 0.2)
    assert ended == Ended(Result((), 1, 1, unconfirmed=3, silent=tuple(HOLDERS[1:3])))


def test_holder_that_is_being_asked_when_the_sweep_is_over_is_in_the_result_too() -> None:
    lookup = started(members=1)
    lookup.holders(A, [(HOLDERS[0], 1.0)], (), 0.1)
    lookup.tick(MORE_PATIENCE)
    (ended,) = lookup.sweep_over(5.0)
    assert ended == Ended(Result((), 1, 1, whole=True, silent=(HOLDERS[0],)))


def test_only_the_first_that_did_not_answer_are_named_in_words() -> None:
    names = [peer.short for peer in HOLDERS]
    assert str(Result((), 1, 1, silent=tuple(HOLDERS[:2]))) == (
        f"asked 1 index member; nobody that answered has it; {names[0]} and {names[1]} were named and did not answer"
    )
    said = str(Result((Found(A, 1.0),), 1, 1, silent=tuple(HOLDERS[: MAX_SHOWN + 5])))
    named = ", ".join(names[:MAX_SHOWN])
    assert said == f"asked 1 index member; 1 holder; {named} and 5 others were named and did not answer"
