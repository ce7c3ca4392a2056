"""Cooldown, back-off and rest."""

from __future__ import annotations

import random

import pytest

from rookery.actors.tracker import Config
from rookery.actors.tracker.core.known_peer import BRIEF, NEVER, Pace
from rookery.transport.reasons import Reason

CONFIG = Config()


def rng() -> random.Random:
    return random.Random(7)


def test_backoff_grows_by_its_factor_up_to_the_cap() -> None:
    pace, source = Pace(), rng()
    delays = []
    for _ in range(60):
        pace.dial_failed(Reason.UNREACHABLE, CONFIG, source, now=0.0)
        delays.append(pace.delay)
        assert 0.0 <= pace.retry_at <= pace.delay
    assert delays[:3] == pytest.approx([1.0, 1.2, 1.44])
    assert delays[-1] == CONFIG.backoff_cap


def test_T2_backoff_has_full_jitter_so_two_peers_that_dial_each_other_part() -> None:
    waits = set()
    for seed in range(20):
        pace = Pace()
        pace.dial_failed(Reason.TIMEOUT, CONFIG, random.Random(seed), now=0.0)
        waits.add(pace.retry_at)
    assert len(waits) == 20
    assert min(waits) < 0.2
    assert max(waits) > 0.8


@pytest.mark.parametrize("reason", [Reason.SUPERSEDED, Reason.STALE, Reason.ADDRESS_CHANGED])
def test_dial_that_failed_by_our_own_doing_costs_nothing(reason: Reason) -> None:
    pace = Pace()
    assert not pace.dial_failed(reason, CONFIG, rng(), now=3.0)
    assert pace == Pace()


@pytest.mark.parametrize("reason", [Reason.LIMIT, Reason.DUPLICATE, Reason.COOLDOWN])
def test_dial_refused_for_now_waits_but_is_no_miss(reason: Reason) -> None:
    pace = Pace()
    assert not pace.dial_failed(reason, CONFIG, rng(), now=3.0)
    assert pace.last_miss is None
    assert 3.0 < pace.retry_at <= 4.0


def test_link_that_broke_rests_and_if_it_lived_long_starts_the_delay_anew() -> None:
    pace = Pace(delay=50.0)
    pace.link_ended(Reason.LOST, CONFIG.rest_after_loss, CONFIG, rng(), now=10.0)
    assert pace.rest_until == 70.0
    assert pace.dial_at == NEVER
    assert pace.delay == 0.0


def test_link_that_broke_before_it_had_lived_long_costs_the_back_off_beside_the_rest() -> None:
    pace = Pace(delay=50.0)
    pace.link_ended(Reason.LOST, BRIEF, CONFIG, rng(), now=10.0)
    assert pace.rest_until == 70.0
    assert 10.0 < pace.dial_at <= 70.0
    assert pace.delay == 60.0


@pytest.mark.parametrize("reason", [Reason.REPLACED, Reason.TRIMMED, Reason.SHUTDOWN, Reason.DUPLICATE, Reason.REMOTE])
def test_peer_that_ends_every_link_at_once_is_dialled_ever_more_rarely_whatever_it_says(reason: Reason) -> None:
    pace, source, now, dials = Pace(), rng(), 0.0, 0
    while now < 6 * 3600.0:
        dials += now >= 5 * 3600.0
        pace.link_opened()
        pace.link_ended(reason, 0.1, CONFIG, source, now=now)
        now = max(pace.quiet_until, now + 0.1)
    assert dials < 2 * 3600.0 / CONFIG.backoff_cap * 1.5


def test_link_closed_for_an_address_that_an_operator_gave_costs_nothing() -> None:
    pace = Pace()
    pace.link_ended(Reason.ADDRESS_CHANGED, 0.1, CONFIG, rng(), now=0.0)
    assert pace == Pace()


def test_word_of_the_peer_that_it_moved_ends_the_waits_once_in_a_rest() -> None:
    pace, source = Pace(), rng()
    for now, waits in ((0.0, False), (1.0, True), (59.0, True), (60.0, False), (119.0, True)):
        pace.dial_failed(Reason.UNREACHABLE, CONFIG, source, now=now)
        pace.address_said(CONFIG, now)
        assert (pace.retry_at > now) == waits, now


@pytest.mark.parametrize("reason", [Reason.LOST, Reason.DEAD])
@pytest.mark.parametrize("lived", [0.0, 0.003, BRIEF - 0.1])
def test_link_that_broke_in_its_first_seconds_is_tried_again_soon(reason: Reason, lived: float) -> None:
    pace = Pace()
    pace.link_ended(reason, lived, CONFIG, rng(), now=10.0)
    assert pace.rest_until == NEVER
    assert 10.0 < pace.quiet_until <= 10.0 + CONFIG.backoff_initial


def test_peer_that_accepts_and_breaks_every_link_at_once_is_dialled_ever_more_rarely() -> None:
    pace, source, now, dials = Pace(), rng(), 0.0, list[float]()
    while now < 24 * 3600.0:
        dials.append(now)
        pace.link_opened()
        pace.link_ended(Reason.LOST, 0.003, CONFIG, source, now=now)
        assert pace.delay <= CONFIG.backoff_cap
        now = pace.quiet_until
    assert len([at for at in dials if at < 60.0]) < 30
    assert len([at for at in dials if at >= 12 * 3600.0]) < 2 * 12 * 3600.0 / CONFIG.backoff_cap * 1.5


@pytest.mark.parametrize("reason", [reason for reason in Reason if reason not in (Reason.LOST, Reason.DEAD)])
def test_link_that_a_side_closed_never_rests(reason: Reason) -> None:
    pace = Pace()
    pace.link_ended(reason, 1.0, CONFIG, rng(), now=10.0)
    assert pace.rest_until == NEVER
    assert pace.quiet_until <= 11.0


@pytest.mark.parametrize("reason", [Reason.IDLE, Reason.TURN_OVER])
def test_short_lived_link_whose_time_is_over_costs_nothing_but_one_that_had_none_does(reason: Reason) -> None:
    done, brief, lasting = Pace(), Pace(), Pace()
    done.link_ended(reason, 2.0, CONFIG, rng(), now=10.0, short_lived=True)
    assert done.is_fresh
    brief.link_ended(reason, 0.1, CONFIG, rng(), now=10.0, short_lived=True)
    lasting.link_ended(reason, 2.0, CONFIG, rng(), now=10.0)
    assert brief.delay == lasting.delay == CONFIG.backoff_initial


def test_trimmed_link_cools_down_in_both_directions() -> None:
    pace = Pace()
    pace.link_ended(Reason.TRIMMED, 1.0, CONFIG, rng(), now=10.0)
    assert pace.reservable_at == pace.dial_at == 11.0


def test_peer_that_keeps_closing_young_links_is_backed_off_and_an_old_link_forgives() -> None:
    pace, source = Pace(), rng()
    for _ in range(5):
        pace.link_ended(Reason.REMOTE, 0.1, CONFIG, source, now=0.0)
    assert pace.delay == pytest.approx(1.2**4)
    pace.link_ended(Reason.REMOTE, CONFIG.rest_after_loss, CONFIG, source, now=0.0)
    assert pace.delay == CONFIG.backoff_initial


def test_T15_link_that_was_opened_is_no_miss_however_it_ends() -> None:
    for reason in Reason:
        pace = Pace(last_miss=1.0)
        pace.link_opened()
        pace.link_ended(reason, 0.0, CONFIG, rng(), now=10.0)
        assert pace.last_miss is None


def test_peer_that_has_no_room_is_left_alone_but_for_a_short_lived_connection() -> None:
    pace, source = Pace(), rng()
    for _ in range(20):
        assert pace.dial_failed(Reason.TOO_MANY, CONFIG, source, now=0.0)
    assert pace.dial_at > 0.0
    assert pace.short_lived_at == NEVER
    pace.dial_failed(Reason.TOO_MANY, CONFIG, source, now=0.0, short_lived=True)
    assert pace.short_lived_at > 0.0
    pace.address_given()
    assert pace.dial_at == NEVER
