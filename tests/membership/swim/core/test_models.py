"""Against naive models, by any sequence of calls: the list of members, and the backlog."""

import functools
import operator
import random

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from rookery.actors.membership.swim import Member, State
from rookery.actors.membership.swim.codec import digest, items_of
from rookery.actors.membership.swim.core.backlog import Backlog
from rookery.actors.membership.swim.core.member_list import MemberList

from ..rig import name

FEW = settings(max_examples=25, stateful_step_count=30, deadline=None)
MANY = settings(max_examples=400, stateful_step_count=60, deadline=None)

numbers = st.integers(1, 3)
updates = st.builds(
    lambda number, generation, incarnation, state: Member(name(number, generation), incarnation, state),
    numbers,
    st.integers(1, 2),
    st.integers(0, 2),
    st.sampled_from(State),
)


def replaces(held: Member | None, said: Member) -> bool:
    """What replaces what, cell by cell (membership: how a death is noticed)."""
    if held is None or said.id.generation > held.id.generation:
        return True
    if said.id.generation < held.id.generation:
        return False
    higher, equal = said.incarnation > held.incarnation, said.incarnation == held.incarnation
    row = {
        State.ALIVE: (higher, higher or equal, higher or equal, True),
        State.SUSPECT: (higher, higher, higher or equal, True),
        State.DOWN: (higher, higher, higher, True),
        State.LEFT: (False, False, False, False),
    }
    return row[held.state][said.state]


class MembersMachine(RuleBasedStateMachine):
    """What is held is what the table says, and the choices are made among those it should be made among."""

    def __init__(self) -> None:
        super().__init__()
        self.members, self.model, self.rng = MemberList(), dict[bytes, Member](), random.Random(0)
        self.claims = dict[bytes, Member]()
        self.unprobed: set[bytes] = set()

    @rule(said=updates)
    def apply(self, said: Member) -> None:
        key = said.id.key
        held = self.model.get(key)
        change = self.members.apply(said)
        assert (change is not None) == replaces(held, said)
        if change is None:
            return
        was_active = held is not None and held.is_active
        assert (change.previous, change.was_active) == (held, was_active)
        assert change.replaced == (held.id if held is not None and held.id != said.id else None)
        self.model[key] = said
        if key in self.claims and not replaces(said, self.claims[key]):
            del self.claims[key]
        if said.is_active and not was_active:
            self.unprobed.add(key)
        elif not said.is_active:
            self.unprobed.discard(key)

    @rule(said=updates)
    def claim(self, said: Member) -> None:
        key = said.id.key
        if key in self.model:
            more = replaces(self.claims.get(key, self.model[key]), said)
            assert self.members.claim(said) == more
            if more:
                self.claims[key] = said

    @rule(number=numbers)
    def vouch(self, number: int) -> None:
        key = name(number).key
        held = self.model.get(key)
        if held is None:
            return
        change = self.members.vouch(key)
        assert (change is not None) == (held.state in (State.SUSPECT, State.DOWN))
        if change is not None:
            assert (change.previous, change.update) == (held, Member(held.id, held.incarnation))
            self.claims.setdefault(key, held)
            self.model[key] = change.update
            if held.state is State.DOWN:
                self.unprobed.add(key)

    @rule(number=numbers)
    def forget(self, number: int) -> None:
        key = name(number).key
        self.members.forget(key)
        self.model.pop(key, None)
        self.claims.pop(key, None)
        self.unprobed.discard(key)

    @rule(blocked=st.sets(numbers))
    def probe(self, blocked: set[int]) -> None:
        keys = {name(number).key for number in blocked}
        target = self.members.next_target(self.rng, lambda key: key not in keys)
        if not self.unprobed - keys:  # a new round
            self.unprobed = {key for key, held in self.model.items() if held.is_active}
        if target is None:
            assert not self.unprobed - keys
        else:
            assert target.id.key in self.unprobed - keys
            self.unprobed.remove(target.id.key)

    @invariant()
    def holds_what_the_model_holds(self) -> None:
        active = [held for held in self.model.values() if held.is_active]
        assert {held.id.key: held for held in self.members} == self.model
        said = [self.claims.get(key, held) for key, held in self.model.items()]
        shared = [digest(each) for each in said if each.is_active]
        assert self.members.digest == functools.reduce(operator.xor, shared, 0)
        assert self.members.claims == self.claims
        known = {items_of(held): held for held in self.members if held.state is not State.SUSPECT}
        assert self.members.known == known
        assert all(self.members.get(held.id.key) is held for held in self.members.known.values())
        assert all(replaces(self.model[key], claim) for key, claim in self.claims.items())
        assert self.members.num_active == len(active) == len(self.members.active_keys)
        chosen = self.members.choose_active(99, self.rng, lambda key: True)
        assert sorted(held.id for held in chosen) == sorted(held.id for held in active)
        others = self.members.choose_down(99, self.rng, lambda key: True)
        assert sorted(held.id for held in others) == sorted(
            held.id for held in self.model.values() if held.state is State.DOWN
        )


class BacklogMachine(RuleBasedStateMachine):
    """Copies are spent one by one, most left first, oldest first; nothing is lost or doubled."""

    def __init__(self) -> None:
        super().__init__()
        self.backlog, self.model, self.serial = Backlog[bytes](), dict[bytes, tuple[int, int, bytes]](), 0

    @rule(key=st.sampled_from([b"a", b"b", b"c", b"d"]), size=st.integers(1, 30), copies=st.integers(1, 4))
    def add(self, key: bytes, size: int, copies: int) -> None:
        self.serial += 1
        self.backlog.add(key, key * size, copies)
        self.model[key] = (copies, self.serial, key * size)

    @rule(key=st.sampled_from([b"a", b"b", b"e"]))
    def discard(self, key: bytes) -> None:
        self.backlog.discard(key)
        self.model.pop(key, None)

    @rule(room=st.integers(0, 60), limit=st.integers(0, 3))
    def fill(self, room: int, limit: int) -> None:
        expected: list[bytes] = []
        for key in sorted(self.model, key=lambda key: (-self.model[key][0], self.model[key][1])):
            encoded = self.model[key][2]
            if len(expected) < limit and len(encoded) <= room:
                room -= len(encoded)
                expected.append(key)
        assert self.backlog.fill(room + sum(len(self.model[key][2]) for key in expected), limit) == [
            self.model[key][2] for key in expected
        ]
        for key in expected:
            copies, _, encoded = self.model.pop(key)
            self.serial += 1
            if copies > 1:
                self.model[key] = (copies - 1, self.serial, encoded)

    @invariant()
    def holds_what_the_model_holds(self) -> None:
        assert set(self.backlog) == set(self.model)
        assert self.backlog.size == sum(len(encoded) for _, _, encoded in self.model.values())
        if self.model:
            oldest = min(self.model, key=lambda key: self.model[key][:2])
            assert self.backlog.most_sent() == oldest


@pytest.mark.full
class TestManyMembers(MembersMachine.TestCase):  # type: ignore[misc,valid-type]
    settings = MANY


@pytest.mark.full
class TestManyBacklogs(BacklogMachine.TestCase):  # type: ignore[misc,valid-type]
    settings = MANY


class TestMembers(MembersMachine.TestCase):  # type: ignore[misc,valid-type]
    settings = FEW


class TestBacklog(BacklogMachine.TestCase):  # type: ignore[misc,valid-type]
    settings = FEW
