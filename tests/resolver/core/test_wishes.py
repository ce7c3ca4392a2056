"""How often somebody is wished for whom stuck keys need."""

import math

from rookery.actors.resolver.core.wishes import MAX_PROMPT, PROMPT_SHARE, Wishes

INTERVAL = 10.0
PROMPT = INTERVAL * PROMPT_SHARE
MANY = 100


def wish(wishes: Wishes[int], now: float, *, peers: int = MANY) -> float:
    """The next peer is wished for, of so many that the set has, none of them connected; the pause after it."""
    assert wishes.is_due(now, (), peers)
    wishes.wished(int(1000 * now), now, peers, peers)
    return round(wishes.until - now, 9)


def over(wishes: Wishes[int], *, is_stuck: bool = True) -> float:
    """The pause ends; when."""
    now = wishes.until
    wishes.over(is_stuck=is_stuck)
    return now


def in_vain(wishes: Wishes[int], number: int, *, peers: int = MANY, now: float = 0.0) -> list[float]:
    """The pauses after so many wishes, none of which comes."""
    pauses = []
    for _ in range(number):
        pauses.append(wish(wishes, now, peers=peers))
        now = over(wishes)
    return pauses


def test_first_wish_is_due_at_once_and_the_next_after_the_prompt_pause_and_not_before() -> None:
    wishes: Wishes[int] = Wishes(INTERVAL)
    assert wish(wishes, 5) == PROMPT
    assert not wishes.is_due(5 + PROMPT - 1e-6, (), MANY)
    assert wishes.is_due(5 + PROMPT, (), MANY)


def test_pause_is_the_interval_once_so_many_were_wished_for_in_vain() -> None:
    assert in_vain(Wishes(INTERVAL), MAX_PROMPT + 1) == [PROMPT] * (MAX_PROMPT - 1) + [INTERVAL] * 2


def test_pause_is_the_interval_once_each_of_a_few_was_wished_for() -> None:
    assert in_vain(Wishes(INTERVAL), 4, peers=3) == [PROMPT, PROMPT, INTERVAL, INTERVAL]


def test_wish_is_due_at_once_when_the_last_one_came_and_is_no_help_and_the_count_begins_anew() -> None:
    wishes: Wishes[int] = Wishes(INTERVAL)
    in_vain(wishes, MAX_PROMPT)
    now = 3 * INTERVAL
    wishes.wished(7, now, MANY, MANY)
    assert not wishes.is_due(now + 1, (6,), MANY)
    assert wishes.is_due(now + 1, (7,), MANY)
    assert wish(wishes, now + 1) == PROMPT


def test_pause_is_kept_though_the_last_one_came_once_as_many_were_wished_for_as_the_set_has() -> None:
    wishes: Wishes[int] = Wishes(INTERVAL)
    now = 0.0
    for peer in range(3):
        wishes.wished(peer, now, 2, 3)
        assert wishes.is_due(now, (peer,), 3) == (peer < 2)
    assert wishes.until == now + INTERVAL
    over(wishes)
    assert wish(wishes, INTERVAL, peers=3) == INTERVAL


def test_long_pause_becomes_a_prompt_one_when_the_set_has_somebody_new_and_a_prompt_one_stays() -> None:
    wishes: Wishes[int] = Wishes(INTERVAL)
    wishes.wished(1, 0, 1, 1)
    assert wishes.until == INTERVAL
    wishes.somebody_new(2)
    assert wishes.until == 2 + PROMPT
    wishes.somebody_new(2.1)
    assert wishes.until == 2 + PROMPT
    assert in_vain(wishes, 2, now=over(wishes)) == [PROMPT, PROMPT]


def test_nothing_is_due_while_there_is_nobody_until_there_may_be() -> None:
    wishes: Wishes[int] = Wishes(INTERVAL)
    wishes.wished(1, 0, 1, 1)
    over(wishes)
    wishes.nobody()
    assert not wishes.is_due(1e9, (1,), 1)
    assert wishes.until == math.inf
    wishes.may_wish()
    assert wishes.is_due(INTERVAL, (), 1)


def test_that_there_may_be_somebody_ends_no_pause() -> None:
    wishes: Wishes[int] = Wishes(INTERVAL)
    wish(wishes, 0)
    wishes.may_wish()
    assert not wishes.is_due(PROMPT / 2, (), MANY)


def test_count_begins_anew_after_a_pause_at_whose_end_nobody_is_needed() -> None:
    wishes: Wishes[int] = Wishes(INTERVAL)
    in_vain(wishes, MAX_PROMPT)
    wish(wishes, INTERVAL)
    now = over(wishes, is_stuck=False)
    assert wish(wishes, now) == PROMPT


def test_turn_through_the_set_begins_anew_after_two_intervals_without_a_wish() -> None:
    wishes: Wishes[int] = Wishes(INTERVAL)
    for peer in range(3):
        wishes.wished(peer, 0, 9, 3)
    assert wishes.until == INTERVAL
    over(wishes, is_stuck=False)
    wishes.wished(3, 2 * INTERVAL, 9, 3)
    assert wishes.until == 3 * INTERVAL
    over(wishes, is_stuck=False)
    wishes.wished(4, 4 * INTERVAL + 1, 9, 3)
    assert wishes.until == 4 * INTERVAL + 1 + PROMPT
