"""The fetcher against a naive model that scans everything, and what a great many waiting keys cost."""

import math
import random
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from rookery.actors.resolver.core.fetching.fetcher import Fetcher
from rookery.actors.resolver.core.fetching.requests import MINIMUM_REST, Attempt
from rookery.actors.resolver.core.fetching.rounds import MAX_REST, NEW_AGAIN_AFTER

TIMEOUT, DELAY, WINDOW = 5.0, 1.0, 2
NEW_AGAIN = NEW_AGAIN_AFTER * MAX_REST * DELAY
PEERS = st.sampled_from("abc")
KEYS = st.sampled_from([b"1", b"2", b"3", b"4"])


@dataclass
class ModelKey:
    targets: set[str] | None
    order: tuple[bool, float, bytes] | None  # while waiting
    requests: list[int] = field(default_factory=list)
    failed: set[str] = field(default_factory=set)
    rounds: int = 0  # in vain
    soonest: float = 0.0  # when it could be asked for without a rest

    def wake(self) -> None:
        if self.rounds and self.order is not None:
            self.order = (True, self.soonest, self.order[2])
        self.rounds = 0


@dataclass
class ModelPeer:
    link: int | None = None
    rests_until: float = -math.inf
    requests: dict[int, tuple[bytes, float]] = field(default_factory=dict)


class FetcherMachine(RuleBasedStateMachine):
    """Everything that may happen to a fetcher, in any order; the model is written for being obvious."""

    def __init__(self) -> None:
        super().__init__()
        self.fetcher: Fetcher[str] = Fetcher(
            me=None,
            fetch_timeout=TIMEOUT,
            fetch_retry_delay=DELAY,
            initial_score=0.1,
            max_requests_per_peer=WINDOW,
            rng=random.Random(0),
        )
        self.now = 0.0
        self.allowed: set[str] = set()
        self.index = 0
        self.links = 0
        self.keys: dict[bytes, ModelKey] = {}
        self.peers = {peer: ModelPeer() for peer in "abc"}
        self.left: dict[str, float] = {}

    # The model

    def ready_at(self, peer: str) -> float:
        model = self.peers[peer]
        if model.link is None or peer not in self.allowed or len(model.requests) >= WINDOW:
            return math.inf
        return model.rests_until

    def may_answer(self, key: ModelKey) -> list[str]:
        return [peer for peer in "abc" if key.targets is None or peer in key.targets]

    def waiting(self) -> list[ModelKey]:
        return [key for key in self.keys.values() if key.order is not None]

    def first_due(self) -> bytes | None:
        due = [
            key.order
            for key in self.waiting()
            if key.order is not None
            and key.order[1] <= self.now
            and any(self.ready_at(peer) <= self.now for peer in self.may_answer(key))
        ]
        return min(due)[2] if due else None

    def linked(self) -> set[str]:
        return {peer for peer in self.allowed if self.peers[peer].link is not None}

    def is_over(self, key: ModelKey) -> bool:
        mute = {peer for peer in "abc" if self.is_mute(peer)}
        candidates = (self.linked() & set(self.may_answer(key))) - mute
        return bool(candidates) and candidates <= key.failed

    def is_mute(self, peer: str) -> bool:
        return self.fetcher.scores.is_silent(peer) and len(self.peers[peer].requests) >= WINDOW

    def fail(self, peer: str, request_id: int) -> None:
        name, _ = self.peers[peer].requests.pop(request_id)
        self.keys[name].requests.remove(request_id)
        self.fail_key(name, peer)

    def fail_key(self, name: bytes, peer: str) -> None:
        key = self.keys[name]
        key.failed = {other for other in key.failed if self.peers[other].link is not None} | {peer}
        if key.requests:
            return
        is_over = self.is_over(key)
        key.soonest = self.now + DELAY
        key.order = (True, self.now + DELAY * (min(2**key.rounds, MAX_REST) if is_over else 1), name)
        key.rounds += is_over

    def fail_all(self, peer: str) -> list[int]:
        failed = sorted(self.peers[peer].requests)
        if peer in self.linked():
            self.left[peer] = self.now
        self.peers[peer].link = None
        for request_id in failed:
            self.fail(peer, request_id)
        self.peers[peer] = ModelPeer()
        return failed

    @contextmanager
    def welcomed(self) -> Iterator[None]:
        """Whoever becomes a candidate here, and was none lately, ends every rest."""
        before, stuck = self.linked(), set(self.fetcher._stuck._failed)
        yield
        came = self.linked() - before
        if not any(self.now - self.left.get(peer, -math.inf) >= NEW_AGAIN for peer in came):
            return
        for name, key in self.keys.items():
            key.wake()
            if name in stuck:
                key.failed = self.linked() & before

    def out(self) -> list[tuple[int, str]]:
        return sorted((request_id, peer) for peer in "abc" for request_id in self.peers[peer].requests)

    # What may happen

    @rule(seconds=st.sampled_from([0.0, 0.4, 1.0, 3.0, NEW_AGAIN]))
    def time_passes(self, seconds: float) -> None:
        self.now += seconds

    @rule(key=KEYS, only=st.none() | st.sets(PEERS, min_size=1))
    def fetch(self, key: bytes, only: set[str] | None) -> None:
        known = self.keys.get(key)
        if known is None:
            self.fetcher.add_ready(key, self.now, only)
            self.keys[key] = ModelKey(None if only is None else set(only), (False, self.now, key))
        elif only is None:
            self.fetcher.clear_targets(key)
            known.targets = None
            known.wake()
        else:
            self.fetcher.add_targets(key, only)
            if known.targets is not None:
                known.targets |= only
            known.wake()

    @rule(key=KEYS)
    def drop(self, key: bytes) -> None:
        dropped = self.fetcher.drop(key)
        model = self.keys.pop(key, None)
        assert [request.id for request in dropped] == (model.requests if model else [])
        for request in dropped:
            del self.peers[request.peer].requests[request.id]

    @rule(what=st.sampled_from(["sent", "limited", "refused"]))
    def send(self, what: str) -> None:
        attempt = self.fetcher.next(self.now)
        assert (attempt and attempt.key) == self.first_due()
        if attempt is not None:
            self.tried(attempt, what)

    @rule(what=st.sampled_from(["sent", "limited", "refused"]))
    def ask_another(self, what: str) -> None:
        attempt = self.fetcher.overdue(self.now)
        for name, key in self.keys.items():
            if key.requests:  # a round may have begun beside these
                key.failed = set(self.fetcher._rounds.failed(name))
                times, key.soonest = self.fetcher._rounds._in_vain.get(name) or (1, key.soonest)
                key.rounds = times.bit_length() - 1
        if attempt is None:
            assert self.fetcher.overdue_at() > self.now
            return
        assert self.keys[attempt.key].requests
        assert attempt.key not in [key for key, _ in self.peers[attempt.peer].requests.values()]
        self.tried(attempt, what)

    def tried(self, attempt: Attempt[str], what: str) -> None:
        model, key = self.peers[attempt.peer], self.keys[attempt.key]
        assert attempt.link == model.link
        assert attempt.peer in self.may_answer(key)
        assert self.ready_at(attempt.peer) <= self.now
        if what == "limited":
            self.fetcher.limited(attempt, self.now + 0.4, self.now)
            model.rests_until = self.now + 0.4
        elif what == "refused":
            self.fetcher.refused(attempt, self.now)
            model.rests_until = self.now + max(DELAY, MINIMUM_REST)
        else:
            request = self.fetcher.sent(attempt, self.now)
            if not key.requests and attempt.peer in key.failed and self.is_over(key):
                key.failed = set()
            key.order = None
            key.requests.append(request.id)
            model.requests[request.id] = (attempt.key, request.deadline)

    @precondition(lambda self: self.out())
    @rule(data=st.data(), has_data=st.booleans(), over_own_link=st.booleans())
    def answer(self, data: st.DataObject, has_data: bool, over_own_link: bool) -> None:
        request_id, peer = data.draw(st.sampled_from(self.out()))
        link = self.peers[peer].link
        assert link is not None
        if not over_own_link:
            assert self.fetcher.pop_response(request_id, link + 1000) is None
        elif has_data:
            request = self.fetcher.pop_response(request_id, link)
            assert request is not None
            del self.peers[peer].requests[request_id]
            self.keys[request.key].requests.remove(request_id)
            overtaken = self.fetcher.overtaken(request.key)
            assert [each.id for each in overtaken] == self.keys[request.key].requests
            for each in overtaken:
                del self.peers[each.peer].requests[each.id]
            self.keys[request.key].requests = []
        else:
            assert self.fetcher.pop_missing(request_id, link, self.now) is not None
            self.fail(peer, request_id)

    @rule(key=KEYS, peer=PEERS)
    def judge_badly(self, key: bytes, peer: str) -> None:
        model = self.keys.get(key)
        if model is not None and model.order is None and not model.requests:
            self.fetcher.add_retry(key, self.now, peer)
            self.fail_key(key, peer)

    @rule()
    def deadlines_come(self) -> None:
        due = [each for each in self.out() if self.peers[each[1]].requests[each[0]][1] <= self.now]
        for request_id, peer in due:
            self.fail(peer, request_id)
        assert [(request.id, request.peer) for request in self.fetcher.pop_active(self.now, 100)] == due

    @rule(peer=PEERS)
    def link_opens(self, peer: str) -> None:
        if self.peers[peer].link is None:
            self.links += 1
            with self.welcomed():
                self.fetcher.open(peer, self.links, self.now)
                self.peers[peer].link = self.links

    @rule(peer=PEERS)
    def link_closes(self, peer: str) -> None:
        link = self.peers[peer].link
        if link is not None:
            assert [request.id for request in self.fetcher.close(link, self.now)] == self.fail_all(peer)

    @rule(peer=PEERS)
    def block(self, peer: str) -> None:
        assert [request.id for request in self.fetcher.block(peer, self.now)] == self.fail_all(peer)
        for key in self.keys.values():
            (key.targets or set()).discard(peer)

    @rule(allowed=st.sets(PEERS))
    def peer_set_changes(self, allowed: set[str]) -> None:
        self.index += 1
        with self.welcomed():
            assert self.fetcher.reconcile(self.index, allowed, now=self.now)
            gone = self.linked() - allowed
            self.allowed = allowed
            self.left |= dict.fromkeys(gone, self.now)

    # What always holds

    @invariant()
    def counts_and_targets_agree(self) -> None:
        assert self.fetcher.waiting == len(self.waiting())
        assert self.fetcher.active == len(self.out())
        for key, model in self.keys.items():
            assert self.fetcher.targets(key) == model.targets

    @invariant()
    def wake_up_is_the_smallest_time_among_keys_that_have_candidates(self) -> None:
        times = [
            max(key.order[1], self.ready_at(peer))
            for key in self.waiting()
            for peer in self.may_answer(key)
            if key.order is not None
        ]
        assert self.fetcher.wake_up() == min(times, default=math.inf)

    @invariant()
    def wanted_are_the_allowed_targets_of_waiting_keys_without_a_link(self) -> None:
        named = {peer for key in self.waiting() for peer in key.targets or ()}
        assert self.fetcher.wanted() == tuple(
            peer for peer in "abc" if peer in named & self.allowed and self.peers[peer].link is None
        )

    @invariant()
    def deadline_is_the_earliest(self) -> None:
        deadlines = [deadline for peer in self.peers.values() for _, deadline in peer.requests.values()]
        assert self.fetcher.deadline() == min(deadlines, default=math.inf)


FetcherMachine.TestCase.settings = settings(max_examples=15, stateful_step_count=40, deadline=None)
TestFetcherAgreesWithTheModel = FetcherMachine.TestCase


class CountedKey(bytes):
    """A key that counts how often any of them is looked up or compared."""

    operations = 0

    def __hash__(self) -> int:
        CountedKey.operations += 1
        return super().__hash__()

    def __eq__(self, other: object) -> bool:
        CountedKey.operations += 1
        return super().__eq__(other)

    def __lt__(self, other: bytes) -> bool:
        CountedKey.operations += 1
        return super().__lt__(other)


def operations() -> int:
    count, CountedKey.operations = CountedKey.operations, 0
    return count


def crowded(keys: int) -> Fetcher[str]:
    """Half of the keys may be asked of anybody, half wait for a peer that is not there; all of one time."""
    made: Fetcher[str] = Fetcher(
        me=None,
        fetch_timeout=TIMEOUT,
        fetch_retry_delay=DELAY,
        initial_score=0.1,
        max_requests_per_peer=keys,
        rng=random.Random(0),
    )
    made.reconcile(0, {"a", "absent"}, now=0)
    order = list(range(keys))
    random.Random(1).shuffle(order)
    for number in order:
        made.add_ready(CountedKey(number.to_bytes(8, "big")), 0, ["absent"] if number % 2 else None)
    return made


def test_R2_cost_of_each_event_grows_with_the_logarithm_of_the_waiting_keys() -> None:
    keys = 10_000
    budget = 8 * math.ceil(math.log2(keys))
    known = crowded(keys)
    operations()

    def costs_little(what: str) -> None:
        assert operations() <= budget, what

    known.wake_up()
    costs_little("wake-up while nobody can be asked")
    known.open("a", 1, 0)
    known.wake_up()
    costs_little("the first peer connects")
    for number in range(0, 200, 2):
        attempt = known.next(0)
        assert attempt is not None
        assert attempt.key == number.to_bytes(8, "big")
        request = known.sent(attempt, 0)
        costs_little("a send")
        known.pop_missing(request.id, 1, 0)
        known.wake_up()
        costs_little("no data")
    known.add_ready(CountedKey(b"new"), 0)
    costs_little("a new key")
    known.clear_targets(CountedKey((1).to_bytes(8, "big")))
    costs_little("a key opens to all")
    known.drop(CountedKey((8_000).to_bytes(8, "big")))
    costs_little("a key is dropped")
    known.block("absent", 0)
    known.wake_up()
    costs_little("a target of half the keys is blocked")
    known.reconcile(1, {"a"}, now=0)
    known.next(0)
    costs_little("a new peer set")


def dropped(keys: int, order: list[int]) -> Fetcher[str]:
    """All but the last ten of so many keys were dropped in this order, and no drop cost more than a constant."""
    known = crowded(keys)
    operations()
    for number in order:
        known.drop(CountedKey(number.to_bytes(8, "big")))
        assert operations() <= 16 * math.ceil(math.log2(keys)), number
    return known


@pytest.mark.parametrize("order", ["ascending", "descending", "shuffled"])
def test_dropping_most_keys_costs_a_constant_each_and_leaves_no_leftovers_behind(order: str) -> None:
    keys = 5_000
    numbers = list(range(keys - 10))
    if order == "descending":
        numbers.reverse()
    elif order == "shuffled":
        random.Random(2).shuffle(numbers)
    known = dropped(keys, numbers)
    queues = [known._waiting._pending._untargeted, *known._waiting._pending._targeted.values()]
    assert [len(queue) for queue in queues] == [5, 5]
    assert sum(queue.size for queue in queues) <= 2 * (2 * 5 + 64)


def test_next_after_very_many_keys_before_it_were_dropped_comes_to_it_in_steps_of_bounded_cost() -> None:
    keys = 5_000
    known = dropped(keys, list(range(2_000, -1, -1)))  # what is left behind stands first, and is less than half
    known.open("a", 1, 0)
    operations()
    steps = 0
    while (attempt := known.next(0)) is None:
        steps += 1
        assert known.wake_up() <= 0
        assert operations() <= 4 * 256 * math.ceil(math.log2(keys))
        assert steps < 10
    assert steps > 0
    assert attempt.key == (2_002).to_bytes(8, "big")
