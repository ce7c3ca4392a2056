"""What others tell of: updates that wait, and members that have not answered yet."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from rookery.actors.membership.core.newcomers import (
    AGAIN_AFTER,
    FIRST_GREETINGS,
    FIRST_GREETINGS_OF_SEEDS,
    LONGEST_PAUSE,
    PATIENCE,
    PER_INTRODUCER,
    PER_SEED,
    SILENT_FOR,
    Turns,
    Unproved,
)
from rookery.actors.membership.core.waiting import WAITING_TIME, Waiting
from rookery.actors.membership.swim import Member, MemberId, State
from rookery.testing import Peers
from rookery.transport import Address, Endpoint, PeerId

PEERS = Peers()
BOB, CAROL, DAVE, ERIN = (PEERS.identity(name).peer for name in ("bob", "carol", "dave", "erin"))


def key(number: int) -> PeerId:
    return PeerId(b"%032d" % number)


def update(peer: PeerId, incarnation: int = 0, state: State = State.ALIVE, generation: int = 1) -> Member:
    return Member(MemberId(peer, generation), incarnation, state)


def at(host: str) -> Address:
    return Address(Endpoint(host, 7000))


# Waiting -------------------------------------------------------------------------------------------------------------


def test_oldest_update_of_a_sender_goes_first_and_none_of_another() -> None:
    waiting = Waiting(1.0)
    waiting.add(CAROL, update(key(0)), 0, 3)
    dropped = [waiting.add(BOB, update(key(number)), 0, 3) for number in range(1, 6)]
    assert dropped == [0, 0, 0, 1, 1]
    assert [key(number) in waiting for number in range(6)] == [True, False, False, True, True, True]


def test_update_of_a_key_replaces_only_an_older_one_of_the_same_sender() -> None:
    waiting = Waiting(1.0)
    for incarnation in (3, 5, 4):
        assert waiting.add(BOB, update(DAVE, incarnation), 0, 1) == 0
    waiting.add(CAROL, update(DAVE, 5, State.DOWN), 0, 1)
    assert waiting.take(DAVE, 1) == [(BOB, update(DAVE, 5)), (CAROL, update(DAVE, 5, State.DOWN))]
    assert DAVE not in waiting
    assert waiting.senders == ()


def test_record_takes_no_update_of_a_later_life() -> None:
    waiting = Waiting(1.0)
    waiting.add(BOB, update(DAVE, generation=9), 0, 4)
    assert waiting.take(DAVE, 8) == []
    assert DAVE in waiting
    assert waiting.take(DAVE, 9) == [(BOB, update(DAVE, generation=9))]


def test_updates_are_forgotten_when_their_time_is_over() -> None:
    waiting = Waiting(1.0)
    waiting.add(BOB, update(DAVE), 0, 4)
    waiting.add(BOB, update(ERIN), 5, 4)
    assert waiting.expire(WAITING_TIME - 0.1) == 0
    assert waiting.expire(WAITING_TIME) == 1
    assert (DAVE in waiting, ERIN in waiting) == (False, True)


def test_record_is_asked_for_again_after_the_wait_and_never_of_a_dead_member() -> None:
    waiting = Waiting(1.0)
    waiting.add(BOB, update(DAVE), 0, 4)
    waiting.add(BOB, update(ERIN, state=State.LEFT), 0, 4)
    waiting.add(CAROL, update(DAVE), 0, 4)
    assert waiting.ask(CAROL, 0, 31) == ()
    assert waiting.ask(BOB, 0, 31) == (DAVE,)
    assert waiting.ask(CAROL, 0.9, 31) == ()
    assert waiting.ask(BOB, 1.0, 31) == (), "it is another's turn"
    assert waiting.ask(CAROL, 1.0, 31) == (DAVE,)
    assert waiting.ask(PeerId(bytes(31) + b"7"), 9, 31) == ()


@given(
    st.lists(
        st.tuples(st.sampled_from([BOB, CAROL]), st.integers(0, 5), st.integers(0, 2), st.integers(0, 12)), max_size=40
    )
)
@settings(max_examples=60, deadline=None)
def test_waiting_holds_no_more_than_each_sender_may_have(told: list[tuple[PeerId, int, int, int]]) -> None:
    waiting, now = Waiting(1.0), 0
    for sender, number, generation, later in told:
        now += later
        waiting.expire(now)
        waiting.add(sender, update(key(number), generation=generation), now, 2)
        if later % 3 == 0:
            waiting.take(key(number), generation)
        assert len(waiting) <= 4
        assert all(len(updates) <= 2 for updates in waiting._by_sender.values())
        keys = {peer for updates in waiting._by_sender.values() for peer in updates}
        assert keys == {peer for peer in map(key, range(6)) if peer in waiting}
        assert set(waiting._asked) <= keys
    waiting.expire(now + WAITING_TIME)
    assert (len(waiting), waiting.senders) == (0, ())


# Unproved ------------------------------------------------------------------------------------------------------------


def add(
    unproved: Unproved, number: int, introducer: PeerId, host: str = "10.0.0.1", *, now: float = 0, **options: bool
) -> list[PeerId]:
    told, seed, scarce = update(key(number)), options.get("seed", False), options.get("scarce", False)
    return [each.peer for each in unproved.add(told, introducer, at(host), now, seed=seed, scarce=scarce)]


def turns(unproved: Unproved, now: float, *, judge: bool = True) -> Turns:
    return unproved.take_turns(now, lambda _peer: True, judge=judge)


def greeted(unproved: Unproved, now: float) -> list[PeerId]:
    return [each.peer for each in turns(unproved, now).greet]


def test_oldest_of_an_introducer_goes_for_one_too_many() -> None:
    unproved = Unproved(1.0)
    add(unproved, 1000, CAROL)
    gone = [add(unproved, number, BOB) for number in range(PER_INTRODUCER + 2)]
    assert gone[-3:] == [[], [key(0)], [key(1)]]
    assert key(1000) in unproved
    assert len(unproved) == PER_INTRODUCER + 1


def test_seed_has_a_larger_share() -> None:
    unproved = Unproved(1.0)
    gone = [add(unproved, number, BOB, seed=True) for number in range(PER_SEED + 1)]
    assert gone[-2:] == [[], [key(0)]]


def test_member_that_answers_counts_no_more() -> None:
    unproved = Unproved(1.0)
    for number in range(PER_INTRODUCER):
        add(unproved, number, BOB)
    assert unproved.discard(key(0))
    assert not unproved.discard(key(0))
    assert add(unproved, 500, BOB) == []
    assert next(iter(unproved)).peer == key(1)


def test_subnet_has_a_limit_only_where_room_is_scarce() -> None:
    unproved = Unproved(1.0)
    for number in range(PER_INTRODUCER):
        add(unproved, number, BOB, f"10.0.0.{number + 1}")
    assert add(unproved, 500, CAROL, "10.0.0.200") == []
    assert add(unproved, 501, CAROL, "10.0.1.1", scarce=True) == []
    assert add(unproved, 502, CAROL, "10.0.0.201", scarce=True) == [key(0)]
    for number in range(600, 600 + PER_INTRODUCER):
        add(unproved, number, PeerId(b"%032d" % (5000 + number)), f"[2001:db8:1:{number:x}::1]"[1:-1])
    assert add(unproved, 700, CAROL, "2001:db8:1:ffff::1", scarce=True) == [key(600)]
    assert add(unproved, 701, CAROL, "2001:db8:2::1", scarce=True) == []


def test_introducer_brings_its_share_at_once_and_then_at_its_pace_and_a_seed_more() -> None:
    unproved = Unproved(1.0)
    assert sum(unproved.may_add(BOB, 0, seed=False) for _ in range(1000)) == PER_INTRODUCER
    assert sum(unproved.may_add(BOB, 30, seed=False) for _ in range(1000)) == PER_INTRODUCER // 2
    assert sum(unproved.may_add(CAROL, 30, seed=True) for _ in range(2000)) == PER_SEED


# Greetings -----------------------------------------------------------------------------------------------------------


def test_unproved_member_is_greeted_four_times_and_hidden_after_six_periods() -> None:
    unproved = Unproved(2.0)
    add(unproved, 0, BOB)
    told = {now: turns(unproved, now) for now in range(13)}
    assert [now for now, each in told.items() if each.greet] == [0, 2, 4, 8]
    assert [now for now, each in told.items() if each.silent] == [12]
    assert (unproved.is_hidden(key(0)), unproved.num_visible) == (True, 0)


def test_helpers_are_asked_with_the_third_greeting() -> None:
    unproved = Unproved(1.0)
    add(unproved, 0, BOB)
    assert [[each.needs_helpers for each in turns(unproved, now).greet] for now in (0, 1, 2, 4)] == [
        [False], [False], [True], [True],
    ]  # fmt: skip


def hide(unproved: Unproved) -> None:
    """The first one is told of at 0 and has not answered at 6."""
    add(unproved, 0, BOB)
    for now in (0, 1, 2, 4, 6):
        turns(unproved, now)


def test_hidden_one_that_nobody_tells_of_is_not_greeted_and_is_forgotten() -> None:
    unproved = Unproved(1.0)
    hide(unproved)
    assert turns(unproved, 6 + SILENT_FOR - 0.1) == Turns()
    assert unproved.is_hidden(key(0))
    assert [each.peer for each in turns(unproved, 6 + SILENT_FOR).again] == [key(0)]
    assert len(unproved) == 0


def test_hidden_one_is_greeted_again_for_who_tells_of_it_and_stays_hidden() -> None:
    unproved = Unproved(1.0)
    hide(unproved)
    assert add(unproved, 0, CAROL, now=20) == []
    (newcomer,) = turns(unproved, 20).greet
    assert (newcomer.introducer, newcomer.hidden, newcomer.needs_helpers) == (CAROL, True, False)
    assert [turns(unproved, now).silent for now in (21, 22, 24)] == [[], [], []]
    last = turns(unproved, 26)
    assert (last.silent, [each.peer for each in last.again]) == ([], [key(0)])
    assert unproved.is_hidden(key(0))


def test_hidden_one_that_is_told_of_all_the_time_is_greeted_ever_more_rarely_and_never_shown() -> None:
    unproved, rounds = Unproved(1.0), list[int]()
    hide(unproved)
    for now in range(7, 1000):
        newcomer = unproved.get(key(0))
        assert newcomer is not None
        if newcomer.resting is not None:
            add(unproved, 0, BOB, now=now)
        rounds += [now for each in turns(unproved, now).greet if each.greeted == 1]
        assert unproved.is_hidden(key(0))
    pauses = [after - before - 6 for before, after in zip([0, *rounds], rounds, strict=False)]
    assert pauses[:4] == [AGAIN_AFTER, 2 * AGAIN_AFTER, 4 * AGAIN_AFTER, 8 * AGAIN_AFTER]
    assert set(pauses[4:]) == {LONGEST_PAUSE}


def test_hidden_one_that_waits_in_vain_for_its_greeting_stays_hidden() -> None:
    unproved = Unproved(1.0)
    hide(unproved)
    for number in range(1, 1 + FIRST_GREETINGS[1]):
        add(unproved, number, DAVE, now=20)
    add(unproved, 0, BOB, now=20)
    for now in (20.0, 20 + PATIENCE):
        with_others = turns(unproved, now, judge=now > 20)
        assert key(0) not in [each.peer for each in with_others.unasked]
        for number in range(100, 100 + FIRST_GREETINGS[1]):
            add(unproved, number, DAVE, now=now)
    assert unproved.is_hidden(key(0))


def test_later_life_of_a_hidden_one_is_news() -> None:
    unproved = Unproved(1.0)
    hide(unproved)
    unproved.add(update(key(0), generation=2), CAROL, at("10.0.0.1"), 7, seed=False, scarce=False)
    assert not unproved.is_hidden(key(0))
    assert greeted(unproved, 7) == [key(0)]
    assert len(unproved) == 1


def test_hidden_ones_take_the_places_of_who_told_of_them() -> None:
    unproved = Unproved(1.0)
    hide(unproved)
    add(unproved, 500, CAROL, now=7)
    gone = [add(unproved, number, BOB, now=7) for number in range(1, PER_INTRODUCER + 1)]
    assert gone[-2:] == [[], [key(0)]]
    assert key(500) in unproved


def test_nobody_is_gone_while_answers_may_be_waiting_unread() -> None:
    unproved = Unproved(1.0)
    add(unproved, 0, BOB)
    for now in (0, 1, 2, 4):
        turns(unproved, now)
    assert turns(unproved, 6, judge=False).silent == []
    assert not unproved.is_hidden(key(0))
    assert [each.peer for each in turns(unproved, 7).silent] == [key(0)]


def test_first_greetings_have_a_pace_and_introducers_take_turns() -> None:
    rate, burst = FIRST_GREETINGS
    unproved = Unproved(1000.0)
    for number in range(PER_INTRODUCER):
        add(unproved, number, BOB)
    add(unproved, 100, CAROL)
    add(unproved, 101, CAROL)
    assert greeted(unproved, 0) == [key(0), key(100), key(1), key(101), *map(key, range(2, burst - 2))]
    assert greeted(unproved, 0.1) == []
    assert greeted(unproved, 1) == [key(number) for number in range(burst - 2, burst - 2 + int(rate))]


def test_whom_a_seed_told_of_has_a_pace_of_its_own_and_any_patience() -> None:
    unproved = Unproved(1000.0)
    for number in range(PER_SEED):
        add(unproved, number, BOB, seed=True)
    for number in range(2000, 2000 + PER_INTRODUCER):
        add(unproved, number, CAROL)
    assert len(greeted(unproved, 0)) == FIRST_GREETINGS[1] + FIRST_GREETINGS_OF_SEEDS[1]
    later = turns(unproved, PATIENCE)
    assert {each.introducer for each in later.unasked} == {CAROL}
    assert len(later.unasked) == PER_INTRODUCER - FIRST_GREETINGS[1]
    assert len(later.greet) == FIRST_GREETINGS_OF_SEEDS[1]


def test_member_that_is_blocked_here_is_not_greeted_and_not_gone_before_it_may_be() -> None:
    unproved = Unproved(1.0)
    add(unproved, 0, BOB)
    for now in range(100):
        assert unproved.take_turns(now, lambda _peer: False) == Turns()
    assert [now for now in range(100, 130) if greeted(unproved, now)][:2] == [100, 101]


def test_turns_that_are_no_time_to_judge_put_nobodys_end_off() -> None:
    """Each new life of a newcomer is such a turn, so whoever has them often could keep a dead one visible."""
    unproved = Unproved(1.0)
    add(unproved, 0, BOB)
    for now in (0, 1, 2, 4):
        turns(unproved, now)
    for hundredth in range(600, 610):
        assert turns(unproved, hundredth / 100, judge=False).silent == []
    assert [each.peer for each in turns(unproved, 6.1).silent] == [key(0)]


def test_new_life_of_an_unproved_member_is_greeted_anew_and_a_higher_incarnation_is_not() -> None:
    unproved = Unproved(1.0)
    add(unproved, 0, BOB)
    assert greeted(unproved, 0) == [key(0)]
    assert unproved.learn(update(key(0), 5, State.SUSPECT), 0) is None
    assert [(each.told, each.told.state) for each in unproved] == [(update(key(0), 5), State.ALIVE)]
    assert unproved.learn(update(key(0), 4), 0) is None
    assert greeted(unproved, 0.5) == []
    before = unproved.learn(update(key(0), generation=2), 0.5)
    assert before is not None
    assert before.told == update(key(0), 5)
    assert greeted(unproved, 0.5) == [key(0)]
    assert greeted(unproved, 1.0) == []  # the turn of the life before
    assert add(unproved, 1, BOB) == []
    assert len(unproved) == 2


@given(
    st.lists(
        st.tuples(st.integers(0, 5), st.sampled_from([BOB, CAROL]), st.integers(0, 3), st.floats(0, 9)), max_size=40
    )
)
@settings(max_examples=60, deadline=None)
def test_whoever_is_unproved_is_greeted_or_gone_in_time(told: list[tuple[int, PeerId, int, float]]) -> None:
    unproved, now, since = Unproved(1.0), 0.0, dict[PeerId, float]()
    for number, introducer, what, later in told:
        now += later
        peer = key(number)
        if what == 0:
            unproved.discard(peer)
        elif peer not in unproved:
            add(unproved, number, introducer, now=now)
            since[peer] = now
        elif what == 1:
            unproved.learn(update(peer, generation=round(1000 * now) + 2), now)
            since[peer] = now
        turns(unproved, now)
        assert all(each.hidden or now - since[each.peer] <= 60 for each in unproved)  # five turns, nine seconds apart
    for _ in range(40 + round(SILENT_FOR)):
        now += 1
        turns(unproved, now)
    assert (len(unproved), unproved._fresh, unproved._due, unproved._of_introducer, unproved._of_subnet) == (
        0, {}, [], {}, {},
    )  # fmt: skip
