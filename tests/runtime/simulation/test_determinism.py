"""Equal seeds give equal runs, in any process; other seeds give others."""

from __future__ import annotations

import os
import subprocess
import sys

from rookery.runtime import Simulation
from tests.runtime.runtime_kit import Data, Note, Recorder

PROGRAM = """
import sys
sys.path[:0] = {path!r}
from tests.runtime.simulation.test_determinism import gossip
print(gossip(int(sys.argv[1])))
"""


def gossip(seed: int, rounds: float = 5.0) -> str:
    """Ten nodes tell each other numbers over a bad network, from sets and by random choice; the digest."""
    with Simulation(seed) as world:
        network = world.network
        network.set_default(latency=0.05, jitter=0.1, loss=0.2)
        names = {f"node-{number}" for number in range(10)}
        mailboxes = {name: world.node(name).start(Recorder) for name in sorted(names)}

        def spread(engine: object, name: str) -> None:
            target = engine.rng.choice(sorted(names - {name}))  # type: ignore[attr-defined]
            number = engine.rng.randrange(1000)  # type: ignore[attr-defined]
            network.cast(name, target, number, lambda: mailboxes[target].tell(Data(number)))
            engine.mailbox.note("sent")  # type: ignore[attr-defined]
            engine.after(0.1, Note("tick"))  # type: ignore[attr-defined]

        for _ in range(int(rounds)):
            for name, mailbox in mailboxes.items():
                mailbox.do(lambda engine, name=name: spread(engine, name))  # type: ignore[misc]
            world.run(for_=1.0)
        world.node("node-3").crash()
        world.run(for_=1.0)
        return world.digest()


def run(seed: int, hash_seed: str) -> str:
    program = PROGRAM.format(path=sys.path)
    environment = {**os.environ, "PYTHONHASHSEED": hash_seed}
    done = subprocess.run(
        [sys.executable, "-c", program, str(seed)], env=environment, capture_output=True, text=True, check=True
    )
    return done.stdout.strip()


def test_digest_of_equal_seeds_is_equal_across_processes_and_hash_seeds() -> None:
    assert run(7, "1") == run(7, "2") == gossip(7)


def test_digest_of_other_seeds_is_another() -> None:
    assert len({gossip(seed, rounds=1) for seed in range(10)}) == 10


def test_digest_tells_which_node_handled_a_message() -> None:
    digests = set()
    for told in ("alice", "bob"):
        with Simulation(1) as world:
            recorders = {name: world.node(name).start(Recorder) for name in ("alice", "bob")}
            recorders[told].note("same")
            world.settle()
            digests.add(world.digest())
    assert len(digests) == 2


def test_order_of_ready_engines_comes_from_the_seed() -> None:
    orders = set()
    for seed in range(20):
        journal: list[object] = []
        with Simulation(seed) as world:
            for text in "abc":
                world.start(Recorder, journal).note(text)
            world.settle()
        orders.add(tuple(map(str, journal)))
    assert len(orders) > 3
