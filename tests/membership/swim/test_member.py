"""What replaces what, row by row (membership: how a death is noticed)."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rookery.actors.membership.swim.member import MAX_INCARNATION, Member, MemberId, State, supersedes

from .rig import ANN, alive, down, left, next_life, suspect

LOWER, SAME, HIGHER = 4, 5, 6
MAKE = {"alive": alive, "suspect": suspect, "down": down, "left": left}

TABLE = [
    # held at 5, incoming, whether it replaces at a lower, the same, a higher incarnation
    ("alive", "alive", (False, False, True)),
    ("alive", "suspect", (False, True, True)),
    ("alive", "down", (False, True, True)),
    ("alive", "left", (True, True, True)),
    ("suspect", "alive", (False, False, True)),
    ("suspect", "suspect", (False, False, True)),
    ("suspect", "down", (False, True, True)),
    ("suspect", "left", (True, True, True)),
    ("down", "alive", (False, False, True)),
    ("down", "suspect", (False, False, True)),
    ("down", "down", (False, False, True)),
    ("down", "left", (True, True, True)),
    ("left", "alive", (False, False, False)),
    ("left", "suspect", (False, False, False)),
    ("left", "down", (False, False, False)),
    ("left", "left", (False, False, False)),
]

members = st.builds(
    Member,
    id=st.builds(MemberId, key=st.just(ANN.key), generation=st.integers(0, 3)),
    incarnation=st.integers(0, 3) | st.just(MAX_INCARNATION),
    state=st.sampled_from(State),
)


@pytest.mark.parametrize(("held", "incoming", "expected"), TABLE)
def test_precedence_of_one_identity_follows_the_table(held: str, incoming: str, expected: tuple[bool, ...]) -> None:
    answers = tuple(supersedes(MAKE[held](ANN, SAME), MAKE[incoming](ANN, j)) for j in (LOWER, SAME, HIGHER))
    assert answers == expected


@pytest.mark.parametrize("held", MAKE)
@pytest.mark.parametrize("incoming", MAKE)
def test_precedence_between_generations_goes_by_the_generation_alone(held: str, incoming: str) -> None:
    assert supersedes(MAKE[held](ANN, HIGHER), MAKE[incoming](next_life(ANN), LOWER))
    assert not supersedes(MAKE[held](next_life(ANN), LOWER), MAKE[incoming](ANN, HIGHER))


@given(members)
def test_precedence_never_replaces_an_update_by_itself(member: Member) -> None:
    assert not supersedes(member, member)


@given(members, members)
def test_precedence_never_lets_two_updates_replace_each_other(one: Member, other: Member) -> None:
    assert not (supersedes(one, other) and supersedes(other, one))


@given(st.lists(members, min_size=1, max_size=6), st.randoms(use_true_random=False))
def test_precedence_makes_every_order_of_hearing_end_alike(heard: list[Member], rng: random.Random) -> None:
    ends = set()
    for _ in range(4):
        held = heard[0]
        for update in heard:
            held = update if supersedes(held, update) else held
        ends.add((held.id, held.state, held.state is not State.LEFT and held.incarnation))
        rng.shuffle(heard)
    assert len(ends) == 1
