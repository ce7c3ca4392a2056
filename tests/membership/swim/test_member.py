"""What replaces what, row by row (membership: how a death is noticed)."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rookery.actors.membership.swim.member import MAX_INCARNATION, Member, MemberId, State, is_implausible, supersedes

from .rig import ANN, alive, down, next_life, suspect

LOWER, SAME, HIGHER = 4, 5, 6
MAKE = {"alive": alive, "suspect": suspect, "down": down}

TABLE = [
    # held at 5, incoming, whether it replaces at a lower, the same, a higher incarnation
    ("alive", "alive", (False, False, True)),
    ("alive", "suspect", (False, True, True)),
    ("alive", "down", (True, True, True)),
    ("suspect", "alive", (False, False, True)),
    ("suspect", "suspect", (False, False, True)),
    ("suspect", "down", (True, True, True)),
    ("down", "alive", (False, False, False)),
    ("down", "suspect", (False, False, False)),
    ("down", "down", (False, False, False)),
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


@given(
    st.permutations([alive(ANN), suspect(ANN), alive(ANN, 1), suspect(ANN, 1), alive(ANN, 2), alive(next_life(ANN))])
)
def test_precedence_makes_every_order_of_hearing_end_alike(order: list[Member]) -> None:
    held = order[0]
    for update in order[1:]:
        held = update if supersedes(held, update) else held
    assert held == alive(next_life(ANN))


def test_jump_at_the_bound_is_plausible_and_beyond_it_is_not() -> None:
    assert not is_implausible(alive(ANN, 5), alive(ANN, 15), 10)
    assert is_implausible(alive(ANN, 5), alive(ANN, 16), 10)
    assert not is_implausible(alive(ANN, 5), alive(next_life(ANN), 16), 10)
