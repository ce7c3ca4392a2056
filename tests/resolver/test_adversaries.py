"""Honest resolvers among every kind of hostile peer: what an honest connected peer has arrives, and nobody honest pays.

Each scenario runs for many seeds; a seed decides who has what, the order of events, latencies, and what is lost.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest

from rookery import runtime
from rookery.actors import resolver, tracker
from rookery.actors.resolver.core import codec
from rookery.runtime import Message, Reply
from rookery.transport import mailbox as transport
from rookery.transport.errors import DecodeError
from tests.resolver.conftest import CHANNEL, HubMailbox, Verifier

KEYS = [bytes([number]) for number in range(24)]
TRUE = {key: Verifier.value_of(key) for key in KEYS}
LARGE = KEYS[12:]  # those that the staller answers never, after it earned a good name with the others
HONEST = ("alice", "bob", "carol", "dave")
WINDOW, MAX_SERVES, MAX_SERVES_PER_PEER = 4, 6, 2
SETTINGS: dict[str, Any] = {
    "fetch_timeout": 0.4,
    "request_rate": 200.0,
    "request_burst": 200,
    "max_requests_per_peer": WINDOW,
    "max_serves": MAX_SERVES,
    "max_serves_per_peer": MAX_SERVES_PER_PEER,
    "serve_timeout": 0.3,
}


@dataclass(frozen=True, slots=True)
class Again(Message):
    """To itself: the next wave of a flood."""


class VillainMailbox(runtime.Mailbox):
    pass


class Villain(runtime.Engine[VillainMailbox]):
    """A peer that is no resolver, and answers a request as its kind does."""

    def __init__(self, world: Any, name: str, answer: Callable[[Villain, int, codec.Request], None]) -> None:
        super().__init__()
        self.handlers = {
            transport.Received: self.on_received,
            transport.Opened: self.on_opened,
            transport.Closed: lambda message: self.links.remove(message.link_id),
            tracker.PeerSetUpdate: lambda _message: None,
            Again: self.on_again,
        }
        self.hub: HubMailbox = world.add_stranger(name, self.mailbox)
        self.answer = answer
        self.floods = name == "flooder"
        self.links: list[int] = []
        self.waves = 0

    def on_opened(self, message: transport.Opened) -> None:
        self.links.append(message.link.id)
        if self.floods and len(self.links) == 1:
            self.mailbox.tell(Again())

    def on_received(self, message: transport.Received) -> None:
        try:
            decoded = codec.decode(message.payload, 1)
        except DecodeError:  # of another villain
            return
        if isinstance(decoded, codec.Request):
            self.answer(self, message.link_id, decoded)

    def on_again(self, message: Again) -> None:
        """Requests to everybody, for what there is and what there is not."""
        self.waves += 1
        for link in self.links:
            for _ in range(12):
                self.send(link, codec.Request(self.rng.getrandbits(64), self.rng.randbytes(1)))
        if self.waves < 8:
            self.after(0.05, message)

    def send(self, link: int, payload: codec.Message | bytes) -> None:
        self.hub.send(link, CHANNEL, payload if isinstance(payload, bytes) else codec.encode(payload))

    def send_later(self, seconds: float, link: int, payload: codec.Message) -> None:
        self.runtime.call_after(seconds, lambda: self.send(link, payload))


# The kinds of hostile peers


def lies(me: Villain, link: int, request: codec.Request) -> None:
    me.send(link, codec.Response(request.id, b"a lie"))


def is_silent(_me: Villain, _link: int, _request: codec.Request) -> None:
    pass


def is_slow(me: Villain, link: int, request: codec.Request) -> None:
    me.send_later(me.rng.uniform(0.2, 0.35), link, codec.Response(request.id, Verifier.value_of(request.key)))


def is_late(me: Villain, link: int, request: codec.Request) -> None:
    me.send_later(me.rng.uniform(0.45, 1.5), link, codec.Response(request.id, b"late, and a lie"))


def has_nothing(me: Villain, link: int, request: codec.Request) -> None:
    me.send(link, codec.Missing(request.id))


def repeats(me: Villain, link: int, request: codec.Request) -> None:
    for value in (Verifier.value_of(request.key), b"another", Verifier.value_of(request.key)):
        me.send(link, codec.Response(request.id, value))


def guesses_ids(me: Villain, link: int, request: codec.Request) -> None:
    for guess in (0, request.id + 1, request.id + 2, request.id ^ 2**63, 2**64 - 1):
        me.send(link, codec.Response(guess, b"a lie"))
        me.send(link, codec.Missing(guess))


def talks_nonsense(me: Villain, link: int, request: codec.Request) -> None:
    encoded = codec.encode(codec.Response(request.id, b"value"))
    me.send(link, encoded[:-1])
    me.send(link, encoded + b"\x00")
    me.send(link, me.rng.randbytes(40))
    me.send(link, codec.encode(codec.Request(1, b"k" * 1000)))


def stalls_on_large(me: Villain, link: int, request: codec.Request) -> None:
    if request.key not in LARGE:
        me.send(link, codec.Response(request.id, Verifier.value_of(request.key)))


VILLAINS: dict[str, Callable[[Villain, int, codec.Request], None]] = {
    "liar": lies,
    "silent": is_silent,
    "slow": is_slow,
    "late": is_late,
    "empty": has_nothing,
    "repeater": repeats,
    "guesser": guesses_ids,
    "babbler": talks_nonsense,
    "staller": stalls_on_large,
    "flooder": has_nothing,
}
MAY_BE_BLOCKED = {"liar", "repeater", "guesser"}  # the latter when what they say beside the truth is heard before it


# The scenario


def hostile(world: Any, seed: int, *villains: str) -> Any:
    """Alice and bob want every key; each is held by an honest peer at least. The world, after all of it has come.

    In the beginning links, those of honest peers too, are lost and come back.
    """
    rng = random.Random(seed)
    net = world(seed, **SETTINGS)
    net.loss = 0.05
    stuck: list[Reply[Any]] = []

    def never() -> Reply[Any]:
        stuck.append(Reply())
        return stuck[-1]

    holders = {key: {rng.choice(HONEST[2:]), *rng.sample(HONEST[2:], rng.randrange(2))} for key in KEYS}
    for name in HONEST:
        held: dict[bytes, Any] = {key: TRUE[key] for key in KEYS if name in holders[key]}
        net.add(name, held or dict.fromkeys(KEYS, never), consumer=Verifier())
    for name in villains:
        box = net.simulation.mailbox(VillainMailbox, name)
        net.simulation.start(box, Villain, net, name, VILLAINS[name])
    net.connect_all()
    wanted = [net.nodes[name].get(key) for key in KEYS for name in HONEST[:2]]
    for turn in range(400):
        lost = rng.choice(sorted(net._links.values())) if turn < 12 else None
        if lost is not None:
            net.cut(*lost)
        net.simulation.run(for_=0.25)
        if lost is not None and not {lost, lost[::-1]} & set(net.blocks):
            net.connect(*lost)
        for name in HONEST:
            stays_bounded(net, name, 3 + len(villains))
        if all(reply.done for reply in wanted):
            break
    assert [reply.get(timeout=0) for reply in wanted] == [TRUE[key] for key in KEYS for _ in HONEST[:2]]
    assert {blocked for _, blocked in net.blocks} <= MAY_BE_BLOCKED & set(villains)
    net.simulation.run(for_=2)  # what is late comes, and what was served is given up
    for name in HONEST:
        nothing_is_left(net, name)
    return net


def engine(net: Any, name: str) -> Any:
    (found,) = [each for each in net.simulation.engines if each.mailbox is net.nodes[name]]
    return found


def stays_bounded(net: Any, name: str, peers: int) -> None:
    """What others do decides nothing about the memory that is used."""
    data = engine(net, name)
    fetcher = data.client.fetcher
    assert data.mailbox.inbox.depth < 1000
    assert fetcher.active <= WINDOW * peers
    assert len(fetcher.scores._scores) <= peers + 1
    assert data.server._active <= MAX_SERVES
    assert all(count <= MAX_SERVES_PER_PEER for count in data.server._of_peer.values())


def nothing_is_left(net: Any, name: str) -> None:
    """Of fetches that are over, and of requests that were answered or given up."""
    data = engine(net, name)
    client, fetcher = data.client, data.client.fetcher
    assert (len(client.wanted), client.wanted.delivering) == (0, 0)
    assert (fetcher.waiting, fetcher.active, len(fetcher._held)) == (0, 0, 0)
    assert (len(fetcher._rounds._failed), len(fetcher._targets._sets), len(fetcher._waiting._entries)) == (0, 0, 0)
    assert fetcher._waiting._pending._untargeted.size <= 64 * 2
    assert (client._gets._waiting, client._gets._by_key, client._verdicts._open) == ({}, {}, {})
    assert (data.server._active, dict(data.server._of_peer)) == (0, {})


@pytest.mark.parametrize("villain", VILLAINS)
def test_every_key_arrives_beside_one_hostile_peer_of_each_kind(world: Any, villain: str) -> None:
    hostile(world, 1, villain)


@pytest.mark.parametrize("first", range(0, 10, 5))
def test_every_key_arrives_among_all_hostile_peers_and_equal_seeds_do_the_same(world: Any, first: int) -> None:
    digests = set()
    for seed in range(first, first + 5):
        digest = hostile(world, seed, *VILLAINS).simulation.digest()
        assert hostile(world, seed, *VILLAINS).simulation.digest() == digest, f"seed {seed}"
        digests.add(digest)
    assert len(digests) == 5


@pytest.mark.full
@pytest.mark.parametrize("first", range(10, 200, 10))
def test_every_key_arrives_among_all_hostile_peers_for_many_seeds(world: Any, first: int) -> None:
    for seed in range(first, first + 10):
        digest = hostile(world, seed, *VILLAINS).simulation.digest()
        assert hostile(world, seed, *VILLAINS).simulation.digest() == digest, f"seed {seed}"


def test_hostile_peers_are_counted(world: Any) -> None:
    net = hostile(world, 3, *VILLAINS)
    registry = net.simulation.registry

    def counted(name: str, *labels: str) -> float:
        value: float = registry.value(f"resolver_{name}_total", "alice", *labels)
        return value

    assert counted("blocks") >= 1
    assert counted("malformed") >= 4
    assert counted("unmatched") >= 10
    assert counted("serves", "busy") > 30
    assert counted("requests", "timed out") >= 1


def test_liar_that_comes_back_under_new_names_costs_one_attempt_each_and_is_not_remembered(world: Any) -> None:
    net = world(**SETTINGS)
    net.add("alice", consumer=Verifier())
    wanted = net.nodes["alice"].get(KEYS[0])
    data = engine(net, "alice")
    for number in range(50):
        name = f"liar {number}"
        net.simulation.start(net.simulation.mailbox(VillainMailbox, name), Villain, net, name, lies)
        net.peer_set("alice", name)
        net.connect("alice", name)
        net.simulation.run_until(lambda name=name: ("alice", name) in net.blocks, timeout=2)
    assert len(net.consumers["alice"].values) == 50
    net.peer_set("alice")
    net.simulation.settle()
    fetcher = data.client.fetcher
    assert (fetcher.blocked, len(fetcher.scores._scores), len(fetcher._targets._blocks)) == (0, 0, 0)
    assert len(fetcher._rounds._failed.get(KEYS[0]) or ()) <= 1
    net.add("bob", TRUE)
    net.peer_set("alice", "bob")
    net.connect("alice", "bob")
    assert wanted.get(timeout=2) == TRUE[KEYS[0]]


def test_consumer_that_dies_with_every_verdict_open_blames_no_honest_peer(world: Any) -> None:
    class Dying(Verifier):
        def deliver(self, delivery: resolver.Delivery, value: bytes) -> Any:
            super().deliver(delivery, value)
            return Reply()  # which nobody keeps

    net = world(**SETTINGS)
    net.add("alice", consumer=Dying())
    net.add("bob", TRUE)
    net.connect_all()
    net.nodes["alice"].fetch_all(KEYS)
    net.simulation.run(for_=60)
    assert (len(net.consumers["alice"].values), net.blocks) == (len(KEYS), [])
    nothing_is_left(net, "alice")


@pytest.mark.parametrize("silent", [0, 1, 5, 15])
@pytest.mark.parametrize("seed", range(3))
def test_first_fetch_among_silent_peers_takes_a_few_round_trips_and_the_next_ones_one(
    world: Any, silent: int, seed: int
) -> None:
    """20 peers, 100 ms each way."""
    net = world(f"silent {silent} {seed}", fetch_timeout=5.0)
    net.latency = 0.1
    keys = [bytes([number]) for number in range(10)]
    net.add("alice")
    for number in range(20 - silent):
        net.add(f"bob {number}", dict.fromkeys(keys, b"value"))
    for number in range(silent):
        box = net.simulation.mailbox(VillainMailbox, f"mute {number}")
        net.simulation.start(box, Villain, net, f"mute {number}", is_silent)
    net.connect_all()
    took = []
    for key in keys:
        begun = net.simulation.time
        reply = net.nodes["alice"].get(key)
        net.simulation.run_until(lambda reply=reply: reply.done, timeout=30)
        took.append(net.simulation.time - begun)
    assert took[0] < 3.5  # 0.42 s, then 0.21 s for each further one
    assert sorted(took[1:])[4] < 0.3
    assert max(took[1:]) < 1.0
