"""Several nodes whose blobs engines stand behind real resolvers."""

import hashlib
import random
from pathlib import Path
from typing import Any

import pytest

from .liar import LyingProducer
from .rig import CHUNK, noise, put_bytes
from .swarm import Swarm

DATA = noise(64 * 1024)
CHUNK_SIZE = 1024


@pytest.fixture
def swarm(simulation: Any) -> Swarm:
    return Swarm(simulation)


def test_file_put_on_one_node_is_got_by_another(swarm: Swarm, tmp_path: Path) -> None:
    alice, bob = swarm.add("alice", chunk_size=CHUNK_SIZE), swarm.add("bob")
    swarm.connect()
    (tmp_path / "file").write_bytes(DATA)
    key = alice.blobs.put(tmp_path / "file").get(timeout=1)
    report = bob.blobs.get(key, tmp_path / "copy").get(timeout=60)
    assert (tmp_path / "copy").read_bytes() == DATA
    assert report.served == ((alice.peer, report.fetched),)


def test_file_comes_from_every_node_that_has_it(swarm: Swarm, tmp_path: Path) -> None:
    holders = [swarm.add(name, serve_rate=64 * 1024) for name in ("alice", "bob", "carol")]
    dave = swarm.add("dave", window=32)
    for node in holders:
        key = put_bytes(DATA, node.store, CHUNK_SIZE)
    swarm.connect()
    report = dave.blobs.get(key, tmp_path / "copy").get(timeout=60)
    assert (tmp_path / "copy").read_bytes() == DATA
    assert [peer for peer, _ in report.served] == sorted(node.peer for node in holders)
    assert min(size for _, size in report.served) > len(DATA) / 10


def test_file_is_passed_on_by_nodes_that_are_still_fetching_it(swarm: Swarm, tmp_path: Path) -> None:
    origin = swarm.add("alice", serve_rate=32 * 1024)
    others = [swarm.add(name) for name in ("bob", "carol", "dave")]
    key = put_bytes(DATA, origin.store, CHUNK_SIZE)
    swarm.connect()
    gets = [node.blobs.get(key, tmp_path / str(number)) for number, node in enumerate(others)]
    reports = [get.get(timeout=120) for get in gets]
    given = sum(dict(report.served).get(origin.peer, 0) for report in reports)
    assert given < 2 * len(DATA)  # of three copies
    for number in range(3):
        assert (tmp_path / str(number)).read_bytes() == DATA


def test_eight_that_fetch_at_once_have_most_of_it_from_each_other(swarm: Swarm, tmp_path: Path) -> None:
    size, rate = 16 * 1024, 2 * 1024 * 1024
    data = noise(256 * size)
    origin = swarm.add("alice", serve_rate=rate)
    others = [swarm.add(f"node {number}", serve_rate=rate, window=32) for number in range(8)]
    key = put_bytes(data, origin.store, size)
    swarm.connect()
    gets = [node.blobs.get(key, tmp_path / str(number)) for number, node in enumerate(others)]
    reports = [get.get(timeout=120) for get in gets]
    given = sum(dict(report.served).get(origin.peer, 0) for report in reports)
    assert given < 4 * len(data)  # of eight copies; in the file's order it would be more than five


def test_file_arrives_although_a_serving_node_is_killed_in_the_middle(swarm: Swarm, tmp_path: Path) -> None:
    holders = [swarm.add(name, serve_rate=16 * 1024) for name in ("alice", "bob")]
    carol = swarm.add("carol")
    for node in holders:
        key = put_bytes(DATA, node.store, CHUNK_SIZE)
    swarm.connect()
    reply = carol.blobs.get(key, tmp_path / "copy")

    def quarter() -> bool:
        return bool(carol.blobs.progress(key).get(timeout=1).done > len(DATA) / 4)

    swarm.simulation.run_until(quarter, timeout=60)
    assert not reply.done
    swarm.kill("alice")
    report = reply.get(timeout=60)
    assert (tmp_path / "copy").read_bytes() == DATA
    served = dict(report.served)
    assert 0 < served[holders[0].peer] < served[holders[1].peer]


def test_liar_is_blocked_and_named_and_the_file_still_arrives(swarm: Swarm, tmp_path: Path) -> None:
    honest = swarm.add("alice")
    liar = swarm.add("mallory", LyingProducer)
    bob = swarm.add("bob")
    for node in (honest, liar):
        key = put_bytes(DATA, node.store, CHUNK_SIZE)
    swarm.connect()
    report = bob.blobs.get(key, tmp_path / "copy").get(timeout=60)
    assert (tmp_path / "copy").read_bytes() == DATA
    assert swarm.blocked == [("bob", "mallory")]
    assert [peer for peer, _ in report.false] == [liar.peer]
    assert [peer for peer, _ in report.served] == [honest.peer]


def test_cap_of_the_serving_rate_bounds_how_soon_a_file_can_be_there(swarm: Swarm, tmp_path: Path) -> None:
    rate = 16 * 1024
    alice, bob = swarm.add("alice", serve_rate=rate), swarm.add("bob")
    key = put_bytes(DATA, alice.store, CHUNK_SIZE)
    swarm.connect()
    report = bob.blobs.get(key, tmp_path / "copy").get(timeout=60)
    ideal = report.fetched / rate
    assert ideal - 0.5 <= report.seconds <= 1.5 * ideal


def test_swarm_run_again_with_the_same_seed_does_the_same(simulation: Any, tmp_path: Path) -> None:
    digests = set()
    for number in range(2):
        with type(simulation)("seed") as world:
            again = Swarm(world)
            again.add("alice", serve_rate=64 * CHUNK)
            again.add("mallory", LyingProducer)
            carol = again.add("carol")
            for name in ("alice", "mallory"):
                key = put_bytes(noise(4000), again.nodes[name].store)
            again.connect()
            carol.blobs.get(key, tmp_path / str(number)).get(timeout=60)
            digests.add(world.digest())
    assert len(digests) == 1


@pytest.mark.parametrize("seed", range(8))
def test_gets_and_cancels_in_any_order_leave_no_wish_behind_and_the_last_gets_succeed(
    simulation: Any, tmp_path: Path, seed: int
) -> None:
    rng = random.Random(seed)
    with type(simulation)(seed) as world:
        swarm = Swarm(world)
        work = world.work  # the disk takes its time, so things happen meanwhile
        world.work = lambda *call, cost, **named: work(*call, cost=rng.uniform(0, 0.01), **named)
        holders = [swarm.add("alice", serve_rate=64 * 1024), swarm.add("bob", serve_rate=64 * 1024)]
        holders.append(swarm.add("mallory", LyingProducer))
        dave = swarm.add("dave", window=4)
        files = [noise(2000) + noise(1000, b"%d" % number) for number in range(4)]  # with blocks in common
        keys, *_ = [[put_bytes(data, node.store) for data in files] for node in holders]
        *_, rare = keys
        for node in holders:  # nobody can complete this one, so a wish for it would stay
            node.store.delete(hashlib.sha256(files[-1][-(3000 % CHUNK) :]).digest())
        swarm.connect()
        for step in range(25):
            key = rng.choice(keys)
            match rng.randrange(4):
                case 0:
                    dave.blobs.cancel(key)
                case 1:
                    dave.blobs.get(key, tmp_path / "hurried", timeout=rng.uniform(0.001, 0.05))
                case _:
                    dave.blobs.get(key, tmp_path / f"{step}")
            world.run(for_=rng.choice([0.0, 0.004, 0.02]))
        dave.blobs.cancel(rare)
        last = [dave.blobs.get(key, tmp_path / f"last-{number}") for number, key in enumerate(keys[:-1])]
        for number, reply in enumerate(last):
            reply.get(timeout=60)
            assert (tmp_path / f"last-{number}").read_bytes() == files[number]
        world.run(for_=5)
        assert world.registry.value("blobs_wanted_blocks") == world.registry.value("blobs_downloads") == 0
        assert world.registry.value("resolver_keys", "resolver-dave") == 0
