"""Tables and trims against a model so simple that it is right: sets, sums, and one sort."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from rookery.actors.connections import bump, decay
from rookery.actors.connections.core.decaying_tags import DecayingTags
from rookery.actors.connections.core.peer import Peer, State
from rookery.actors.connections.core.trim import Aim, Mode, RunningTrim, Selection, Trigger
from rookery.transport.gatekeeper import Direction, Link
from tests.connections.worlds import SECRET, make_link, peer_of, table

GRACE, AGE, MOST_TEMPORARY, INTERVAL = 10.0, 25.0, 3, 4.0
NUMBERS = st.integers(0, 3)  # of peers
NAMES = st.sampled_from("ab")


@dataclass
class Known:
    """What a manager should know of a peer."""

    since: float
    tags: dict[str, int] = field(default_factory=dict)
    decaying: int | None = None
    open: list[Link] = field(default_factory=list)
    closing: list[Link] = field(default_factory=list)

    @property
    def value(self) -> int:
        return sum(self.tags.values()) + (self.decaying or 0)


class Manager(RuleBasedStateMachine):
    """Every step is done to both. Time moves in whole seconds."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0
        self.table = table(
            grace=GRACE,
            temporary_age=AGE,
            max_temporary=MOST_TEMPORARY,
            ended=lambda peer: self.decaying.forget(peer),
        )
        self.decaying = DecayingTags(self.table, resolution=1.0, now=0.0)
        self.tag_id, _ = self.decaying.register("d", INTERVAL, decay.fixed(1), bump.sum_bounded(0, 9), 0.0)
        self.known: dict[int, Known] = {}
        self.protections: dict[int, set[str]] = {}
        self.busy: dict[int, int] = {}
        self.links = 0
        self.trim: RunningTrim | None = None
        self.seen: set[Peer] = set()  # when the trim began

    # The model ----------------------------------------------------------------------------------------------------

    def entry(self, number: int) -> Known:
        if number not in self.known:
            strangers = [each for each, known in self.known.items() if not known.open and not known.closing]
            if len(strangers) >= MOST_TEMPORARY:
                del self.known[min(strangers, key=lambda each: self.known[each].since)]
            self.known[number] = Known(self.now)
        return self.known[number]

    def state(self, number: int) -> State:
        if self.protections.get(number):
            return State.PROTECTED
        return State.IN_GRACE if self.known[number].since > self.now - GRACE else State.ELIGIBLE

    def order(self, number: int, mode: Mode) -> tuple[object, ...]:
        known, busy = self.known[number], self.busy.get(number, 0)
        inbound = any(link.direction is Direction.IN for link in known.open)
        tie = hashlib.blake2b(peer_of(number), key=SECRET, digest_size=4).digest()
        last = self.state(number) is State.PROTECTED
        return (last, known.value, busy > 0, not inbound, -busy if mode.emergency else busy, -known.since, tie)

    def number_of(self, link: Link) -> int:
        return next(number for number in range(4) if peer_of(number) == link.peer)

    # Steps --------------------------------------------------------------------------------------------------------

    @initialize(ways=st.lists(st.tuples(NUMBERS, st.booleans(), st.integers(0, 3)), min_size=4, max_size=12))
    def begin(self, ways: list[tuple[int, bool, int]]) -> None:
        """Some connections, some of them old."""
        for number, inbound, seconds in ways:
            self.open(number, inbound)
            self.work(number, seconds)
            self.wait(seconds)

    @rule(number=NUMBERS, inbound=st.booleans())
    def open(self, number: int, inbound: bool) -> None:
        self.links += 1
        link = make_link(self.links, peer=number, direction=Direction.IN if inbound else Direction.OUT)
        assert self.table.opened(link, self.now)
        assert not self.table.opened(link, self.now)
        if number not in self.known:
            self.known[number] = Known(self.now)
        known = self.known[number]
        if not known.open and not known.closing:
            known.since = self.now
        known.open.append(link)

    @precondition(lambda self: any(known.open or known.closing for known in self.known.values()))
    @rule(data=st.data())
    def close(self, data: st.DataObject) -> None:
        links = [link for known in self.known.values() for link in (*known.open, *known.closing)]
        link = data.draw(st.sampled_from(sorted(links, key=lambda each: each.id)))
        assert self.table.closed(link.id) == link
        assert self.table.closed(link.id) is None
        number = self.number_of(link)
        known = self.known[number]
        for place in (known.open, known.closing):
            if link in place:
                place.remove(link)
        if not known.open and not known.closing:
            del self.known[number]
        if self.trim is not None:
            self.trim.closed(link.id)

    @rule(number=NUMBERS, name=NAMES, weight=st.integers(-3, 3))
    def tag(self, number: int, name: str, weight: int) -> None:
        self.table.tag(peer_of(number), name, weight, self.now)
        self.entry(number).tags[name] = weight

    @rule(number=NUMBERS, name=NAMES)
    def untag(self, number: int, name: str) -> None:
        had = number in self.known and self.known[number].tags.pop(name, None) is not None
        assert self.table.untag(peer_of(number), name) == had

    @rule(number=NUMBERS, delta=st.integers(-2, 6))
    def bump(self, number: int, delta: int) -> None:
        self.decaying.bump(self.tag_id, peer_of(number), delta, self.now)
        known = self.entry(number)
        known.decaying = min(9, max(0, (known.decaying or 0) + delta))

    @rule(number=NUMBERS)
    def remove(self, number: int) -> None:
        self.decaying.remove(self.tag_id, peer_of(number))
        if number in self.known:
            self.known[number].decaying = None

    @rule(number=NUMBERS, name=NAMES)
    def protect(self, number: int, name: str) -> None:
        self.table.protect(peer_of(number), name)
        self.protections.setdefault(number, set()).add(name)

    @rule(number=NUMBERS, name=NAMES)
    def unprotect(self, number: int, name: str) -> None:
        names = self.protections.get(number, set())
        names.discard(name)
        assert self.table.unprotect(peer_of(number), name) == bool(names)

    @rule(number=NUMBERS, delta=st.sampled_from([1, 2, -1]))
    def work(self, number: int, delta: int) -> None:
        now = self.busy.get(number, 0) + delta
        self.busy[number] = max(0, now)
        assert self.table.add_busy(peer_of(number), delta) == (now >= 0)

    @rule(seconds=st.integers(1, 8))
    def wait(self, seconds: int) -> None:
        """Time passes, in the model second by second."""
        for _ in range(seconds):
            self.now += 1.0
            for known in self.known.values():
                if known.decaying is not None and self.now % INTERVAL == 0:
                    known.decaying = known.decaying - 1 if known.decaying > 1 else None
        for number, known in list(self.known.items()):
            if not known.open and not known.closing and known.since <= self.now - AGE:
                del self.known[number]
        self.decaying.tick(self.now)
        while self.decaying.sweep(1):
            pass
        while self.table.expire(self.now, 1):
            pass

    @precondition(lambda self: self.trim is None or self.trim.is_over)
    @rule(left=st.integers(0, 6), eligible=st.booleans(), emergency=st.booleans(), protected=st.booleans())
    def start_trim(self, left: int, eligible: bool, emergency: bool, protected: bool) -> None:
        mode = Mode(emergency, protected)
        aim = Aim(left, Trigger.EXPLICIT, eligible=eligible and not emergency, mode=mode)
        self.trim = RunningTrim(aim, Selection(self.table, mode), self.now)
        self.seen = set(self.table.peers.values())

    @rule(left=st.integers(0, 8), emergency=st.booleans())
    def trim_at_once(self, left: int, emergency: bool) -> None:
        if self.trim is None or self.trim.is_over:
            self.start_trim(left, not emergency and left % 2 == 0, emergency, True)
        if self.trim is not None and self.trim.is_choosing:
            self.go_on_trimming()

    @precondition(lambda self: self.trim is not None and self.trim.is_choosing)
    @rule()
    def go_on_trimming(self) -> None:
        """It closes as many as are missing and were there when it began, in order, whatever happened since."""
        trim = self.trim
        assert trim is not None
        mode = trim.aim.mode
        ready = [
            number
            for number, known in self.known.items()
            if self.state(number) <= mode.least_ready and self.table.peers[peer_of(number)] in self.seen
            for _ in known.open
        ]
        open = sum(len(known.open) for known in self.known.values())
        eligible = sum(len(known.open) for n, known in self.known.items() if self.state(n) is State.ELIGIBLE)
        missing = max(0, (eligible if trim.aim.eligible else open) - trim.aim.target)
        before = {number: self.order(number, mode) for number in ready}
        victims: list[Link] = []
        while trim.is_choosing:
            victims += trim.slice(self.table)
        gone = [self.number_of(link) for link in victims]
        assert len(gone) == min(missing, len(ready))
        for link in victims:
            known = self.known[self.number_of(link)]
            assert known.open[-1] is link  # the youngest of its peer
            known.open.remove(link)
            known.closing.append(link)
        alone = [number for number in gone if ready.count(number) == 1]  # others' rank changes as they lose links
        assert [before[number] for number in alone] == sorted(before[number] for number in alone)
        kept = [before[number] for number in ready if number not in gone]
        assert not kept or not alone or max(before[number] for number in alone) < min(kept)

    # What must hold -----------------------------------------------------------------------------------------------

    @invariant()
    def both_know_the_same(self) -> None:
        assert set(self.table.peers) == {peer_of(number) for number in self.known}
        for number, known in self.known.items():
            peer = self.table.peers[peer_of(number)]
            decaying = self.decaying.weights(peer.id, self.now)
            assert (peer.first_seen, peer.tags) == (known.since, known.tags)
            assert decaying == ({} if known.decaying is None else {"d": known.decaying})
            assert peer.value == known.value
            assert (list(peer.links), set(peer.closing)) == (known.open, set(known.closing))

    @invariant()
    def counts_are_right(self) -> None:
        counts = dict.fromkeys(State, 0)
        for number, known in self.known.items():
            counts[self.state(number)] += len(known.open)
        assert {state: self.table.count(state) for state in State} == counts
        assert self.table.open == sum(counts.values())
        assert self.table.closing == sum(len(known.closing) for known in self.known.values())
        assert self.table.busy == {peer_of(number): busy for number, busy in self.busy.items() if busy}

    @invariant()
    def a_trim_reports_what_is_left(self) -> None:
        if self.trim is not None and self.trim.is_over:
            report = self.trim.report(self.table)
            assert report.short_by == max(0, self.table.open - self.trim.aim.target)
            assert len({link.id for link in report.closed}) == len(report.closed)


TestManager = Manager.TestCase
TestManager.settings = settings(max_examples=100, stateful_step_count=50, deadline=None)


@pytest.mark.full
@pytest.mark.timeout(600)
def test_manager_agrees_with_the_model_over_many_histories() -> None:
    run_state_machine_as_test(Manager, settings=settings(max_examples=1500, stateful_step_count=60, deadline=None))
