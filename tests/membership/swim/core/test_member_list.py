"""Storing, drawing and taking turns."""

import random
from collections import Counter

from hypothesis import given, settings
from hypothesis import strategies as st

from rookery.actors.membership.swim.core.member_list import MemberList, Pool

from ..rig import ANN, BOB, CAROL, alive, down, left, name, next_life, suspect

KEYS = [bytes([number]) for number in range(8)]


def everybody(key: bytes) -> bool:
    return True


def members_of(count: int) -> MemberList:
    members = MemberList()
    for number in range(1, count + 1):
        members.apply(alive(name(number)))
    return members


@settings(max_examples=30)
@given(st.lists(st.tuples(st.booleans(), st.sampled_from(KEYS)), max_size=40), st.integers(0, 9), st.integers(0, 99))
def test_pool_holds_what_was_added_and_draws_distinct_accepted_keys(
    steps: list[tuple[bool, bytes]], count: int, seed: int
) -> None:
    pool, model = Pool(), set[bytes]()
    for is_add, key in steps:
        (pool.add if is_add else pool.discard)(key)
        (model.add if is_add else model.discard)(key)
    accepted = {key for key in model if key[0] % 2}
    drawn = pool.sample(count, random.Random(seed), lambda key: bool(key[0] % 2))
    assert len(drawn) == len(set(drawn)) == min(count, len(accepted))
    assert set(drawn) <= accepted
    assert {key for key in KEYS if key in pool} == model
    assert len(pool) == len(model)


def test_pool_draws_every_key_about_equally_often() -> None:
    pool, rng = Pool(KEYS), random.Random(1)
    drawn = Counter(key for _ in range(4_000) for key in pool.sample(2, rng, everybody))
    assert all(850 < drawn[key] < 1_150 for key in KEYS)


def test_round_probes_each_member_once_before_any_again() -> None:
    members, rng = members_of(5), random.Random(3)
    order = []
    for _ in range(3):
        targets = [members.next_target(rng, everybody) for _ in range(5)]
        order.append([target.id for target in targets if target is not None])
    assert all(sorted(turn) == [name(number) for number in range(1, 6)] for turn in order)
    assert order[0] != order[1]


def test_round_includes_members_that_join_during_it_and_skips_those_that_go_down() -> None:
    members, rng = members_of(4), random.Random(3)
    first = members.next_target(rng, everybody)
    gone = next(member for member in members if first is not None and member.id != first.id)
    members.apply(down(gone.id))
    members.apply(alive(name(9)))
    rest = [members.next_target(rng, everybody) for _ in range(3)]
    probed = {member.id for member in (first, *rest) if member is not None}
    assert probed == {name(number) for number in (1, 2, 3, 4, 9)} - {gone.id}


def test_round_with_nobody_to_probe_gives_none() -> None:
    members, rng = members_of(2), random.Random(0)
    assert members.next_target(rng, lambda key: False) is None
    members.apply(down(ANN))
    members.apply(down(BOB))
    assert members.next_target(rng, everybody) is None


def test_round_with_one_active_member_repeats_it() -> None:
    members, rng = members_of(1), random.Random(0)
    assert [members.next_target(rng, everybody) for _ in range(3)] == [alive(ANN)] * 3


def test_requested_member_is_probed_next() -> None:
    for seed in range(10):
        members = members_of(8)
        members.probe_next(CAROL.key)
        assert members.next_target(random.Random(seed), everybody) == alive(CAROL)


def test_requested_members_never_take_two_turns_in_a_row() -> None:
    members, rng = members_of(6), random.Random(0)
    seen = Counter[bytes]()
    for _ in range(30):
        members.probe_next(ANN.key)
        target = members.next_target(rng, everybody)
        assert target is not None
        seen[target.id.key] += 1
    assert len(seen) == 6


def test_request_for_somebody_unknown_down_or_not_probeable_is_ignored() -> None:
    members, rng = members_of(2), random.Random(0)
    members.apply(down(BOB))
    for key in (BOB.key, CAROL.key):
        members.probe_next(key)
    assert members.next_target(rng, everybody) == alive(ANN)
    members.probe_next(ANN.key)
    assert members.next_target(rng, lambda key: key != ANN.key) is None


def test_request_for_a_member_that_went_down_since_is_ignored() -> None:
    members = members_of(2)
    members.probe_next(ANN.key)
    members.apply(down(ANN))
    assert members.next_target(random.Random(0), everybody) == alive(BOB)


def test_apply_reports_insertion_replacement_and_refusal() -> None:
    members = MemberList()
    inserted = members.apply(alive(ANN))
    assert inserted is not None
    assert (inserted.was_active, inserted.replaced) == (False, None)
    assert members.apply(alive(ANN)) is None
    replaced = members.apply(suspect(next_life(ANN)))
    assert replaced is not None
    assert (replaced.was_active, replaced.replaced) == (True, ANN)
    assert members.holds(ANN) is None
    assert members.holds(next_life(ANN)) == suspect(next_life(ANN))


def test_member_that_we_vouch_for_is_active_and_what_is_said_of_it_stays_in_the_digest() -> None:
    ours, theirs = members_of(2), members_of(2)
    for members in (ours, theirs):
        members.apply(down(BOB))
    ours.vouch(BOB.key)
    assert (ours.get(BOB.key), ours.claims) == (alive(BOB), {BOB.key: down(BOB)})
    assert BOB.key in ours.active_keys
    assert ours.digest == theirs.digest
    for members in (ours, theirs):
        members.apply(alive(BOB, 1))
    assert (ours.digest, ours.claims) == (theirs.digest, {})


def test_choice_of_active_and_down_members_keeps_them_apart() -> None:
    members, rng = members_of(6), random.Random(0)
    for number in (1, 2):
        members.apply(down(name(number)))
    members.apply(suspect(name(3)))
    active = members.choose_active(9, rng, everybody)
    assert sorted(member.id for member in active) == [name(number) for number in (3, 4, 5, 6)]
    assert sorted(member.id for member in members.choose_down(9, rng, everybody)) == [ANN, BOB]
    assert len(members.choose_active(2, rng, everybody)) == 2


def test_choice_of_down_members_leaves_out_those_that_left_even_in_a_later_life() -> None:
    members, rng = members_of(3), random.Random(0)
    for update in (left(name(1)), down(name(2)), left(next_life(name(2))), down(name(3))):
        members.apply(update)
    assert [member.id for member in members.choose_down(9, rng, everybody)] == [name(3)]
