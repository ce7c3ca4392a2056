"""Whatever liars say, alone or a third of all: who answers is not held Down, and who is dead is."""

import random
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rookery.actors.membership.swim import Config, Member, MemberDown, Rejoin, State
from rookery.actors.membership.swim.codec import decode_packet
from rookery.actors.membership.swim.messages import (
    Ack,
    Feed,
    ForwardedAck,
    Gossip,
    Message,
    Nack,
    PingReq,
    SyncPart,
    TurnUndead,
)

from ..chains import Chains, proved
from ..rig import name
from .cluster import Cluster
from .test_cluster import own_verdict_bound

CONFIG = replace(Config.new_lan(6), sync=5.0)
SIZE, LIARS = 6, 2  # a third: the last two
HONEST = SIZE - LIARS
MOMENT = 5.0
"""Seconds for which a lie may be believed."""


def formed(seed: int, loss: float = 0.0) -> Cluster:
    cluster = Cluster(SIZE, CONFIG, seed, loss=loss, proofs=Chains())
    cluster.run_until(cluster.is_full, timeout=60)
    return cluster


def lie_about(cluster: Cluster, subject: int, state: State, ahead: int, forged: bool) -> Member:
    """At its incarnation, or so many above or below it; with the proof that everybody has seen, or a false one."""
    swim = cluster.peers[subject].swim
    incarnation = min(1_024, max(0, swim.incarnation + ahead))
    shown = ahead <= 0 and state is not State.LEFT
    said = Member(swim.identity, incarnation, state)
    if shown and not forged:
        return proved(said)
    return replace(said, proof=bytes([7]) * 16 if forged else b"")


lies = st.lists(
    st.tuples(
        st.floats(0.0, 1.5),  # seconds to wait before it
        st.integers(HONEST, SIZE - 1),  # who lies
        st.integers(0, HONEST - 1),  # to whom
        st.integers(0, HONEST - 1),  # about whom
        st.sampled_from([State.SUSPECT, State.DOWN, State.DOWN, State.LEFT, State.ALIVE]),
        st.integers(-2, 3),
        st.booleans(),
        st.sampled_from([Gossip(), Feed(), SyncPart(0), SyncPart(1), Ack(1)]),
        st.integers(1, 20),  # how often
    ),
    min_size=1,
    max_size=40,
)


def watch(cluster: Cluster, seconds: float, since: dict[tuple[int, int], float]) -> None:
    """Let time pass; fail if an honest member is held Down by another for longer than a moment."""
    end = cluster.now + seconds
    while cluster.now < end:
        cluster.run(min(0.25, end - cluster.now))
        held = {pair for pair in cluster.held_down() if max(pair) < HONEST}
        for pair in list(since):
            if pair not in held:
                del since[pair]
        for pair in held:
            assert cluster.now - since.setdefault(pair, cluster.now) <= MOMENT, pair


@settings(max_examples=15, deadline=None)
@given(lies, st.integers(0, 5))
def test_no_lies_make_a_member_that_answers_us_down_for_more_than_a_moment_or_begin_another_life(
    told: list[tuple[float, int, int, int, State, int, bool, Message, int]], seed: int
) -> None:
    cluster = formed(seed)
    since: dict[tuple[int, int], float] = {}
    for wait, liar, to, about, state, ahead, forged, message, times in told:
        watch(cluster, wait, since)
        said = lie_about(cluster, about, state, ahead, forged)
        for _ in range(times):
            cluster.inject(liar, to, message, [said])
            if to == about:
                cluster.inject(liar, to, TurnUndead(said, 5))
    watch(cluster, 20.0, since)
    assert cluster.held_down() == set()
    assert not [note for _, _, note in cluster.log if isinstance(note, Rejoin)]
    assert not [note for _, who, note in cluster.log if isinstance(note, MemberDown) and who < HONEST], "nor told"


@pytest.mark.parametrize("loss", [0.0, pytest.param(0.1, marks=pytest.mark.full)])
@pytest.mark.parametrize("seed", [0, *(pytest.param(seed, marks=pytest.mark.full) for seed in range(1, 10))])
def test_liars_that_accuse_everybody_all_the_time_bring_nobody_down(seed: int, loss: float) -> None:
    cluster, rng = formed(seed, loss), random.Random(seed)
    since: dict[tuple[int, int], float] = {}
    for _ in range(150):
        watch(cluster, 0.2, since)
        for liar in range(HONEST, SIZE):
            about = rng.randrange(HONEST)
            for to in range(HONEST):
                said = lie_about(cluster, about, rng.choice([State.SUSPECT, State.DOWN]), 0, forged=False)
                cluster.inject(liar, to, Gossip(), [said])
    watch(cluster, 20.0, since)
    assert not [note for _, _, note in cluster.log if isinstance(note, Rejoin)]
    assert max(cluster.peers[number].swim.incarnation for number in range(HONEST)) < 40


@pytest.mark.parametrize("seed", [0, *(pytest.param(seed, marks=pytest.mark.full) for seed in range(1, 10))])
@pytest.mark.parametrize("answers", ["none", "false", "old"])
def test_dead_member_is_down_in_time_although_a_third_vouch_for_it(seed: int, answers: str) -> None:
    cluster = formed(seed)
    dead = 0
    seen: list[bytes] = [b""]

    def vouch(number: int, data: bytes) -> None:
        packet = decode_packet(data)
        if isinstance(packet.header.message, ForwardedAck):
            seen.append(packet.header.message.answer)
        asked = packet.header.message
        if number < HONEST or not isinstance(asked, PingReq) or asked.target != name(dead):
            return
        answer = {"none": b"", "false": b"\1" * 64, "old": seen[-1]}[answers]
        origin = next(place for place, peer in enumerate(cluster.peers) if peer.swim.identity == packet.header.src)
        cluster.inject(number, origin, Nack(asked.target, asked.number))
        cluster.inject(number, origin, ForwardedAck(asked.target, asked.number, answer))

    cluster.overhear = vouch
    cluster.run(3)
    last = Member(cluster.peers[dead].swim.identity, cluster.peers[dead].swim.incarnation)
    cluster.kill(dead)
    bound = own_verdict_bound(SIZE, CONFIG)
    killed = cluster.now
    while set(cluster.deaths_told(dead)) < set(range(1, HONEST)):
        assert cluster.now - killed < bound
        cluster.run(0.2)
        for liar in range(HONEST, SIZE):
            for to in range(1, HONEST):
                cluster.inject(liar, to, Gossip(), [proved(last)])
