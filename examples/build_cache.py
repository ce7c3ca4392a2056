"""A cache of build results, shared by machines of which each is connected to a few: `build_cache.py [MACHINES]`.

A machine that has to build something asks first whether anybody has built it. Whoever has says so to three members;
whoever asks finds it there, connects, and fetches. Only if nobody has it, it is built, and kept for the others.

There are 50 machines unless the argument says otherwise, whole nodes in a simulation, so that they fit into one process
and half a minute of theirs takes seconds. In a process of its own each is `class Machine(WithCache, Node)`, with a
`node.yaml` whose `tracker.source` is the membership.
"""

from __future__ import annotations

import hashlib
import hmac
import sys

from rookery.actors import resolver
from rookery.actors.resolver import Delivery
from rookery.node.composition import Actors
from rookery.runtime import Simulation
from rookery.testing import SimulatedNodes, WholeNode

CHANNEL = 16
TEAM_KEY = b"known to our machines alone"


class Cache:
    """Results by the hash of what they are made from. The hash of the sources does not prove the result, a MAC does."""

    def __init__(self) -> None:
        self.results: dict[bytes, bytes] = {}

    def keep(self, key: bytes, result: bytes) -> None:
        self.results[key] = hmac.digest(TEAM_KEY, key + result, "sha256") + result

    def result(self, key: bytes) -> bytes | None:
        sealed = self.results.get(key)
        return None if sealed is None else sealed[32:]

    # Producer: another machine asks.
    def produce(self, key: bytes) -> bytes | None:
        return self.results.get(key)

    # Consumer: what another machine sent.
    def deliver(self, delivery: Delivery, value: bytes) -> bool:
        seal, result = value[:32], value[32:]
        if not hmac.compare_digest(seal, hmac.digest(TEAM_KEY, delivery.key + result, "sha256")):
            return False  # nobody of us made this: its sender is blocked
        self.results[delivery.key] = value
        return True


class WithCache(Actors):
    """A node with the cache: a resolver of its own, which asks the members who has what nobody connected has."""

    def add_actors(self) -> None:
        """Ours run by now."""
        self.cache = Cache()
        self.builds = self.start_actor(
            resolver.Engine,
            resolver.Config(find=True),
            mailbox=self.runtime.mailbox(resolver.Mailbox, "builds"),
            channel=CHANNEL,
            producer=self.cache,
            consumer=self.cache,
        )

    def build(self, sources: bytes) -> str:
        """Have the result of these sources here; how it came."""
        key = hashlib.sha256(sources).digest()
        if self.cache.result(key) is not None:
            return "here"
        found = self.providers.find(key, CHANNEL).get(timeout=90)
        if found.holders:
            self.builds.get(key, timeout=60).get()
            how = "fetched"
        else:
            self.cache.keep(key, b"compiled " + sources)  # what takes an hour in earnest
            how = "built"
        self.providers.provide([key], CHANNEL)
        return how


class Machine(WithCache, WholeNode):
    """One of the simulation."""


def main() -> None:
    """Half of the machines need the same result, one after the other."""
    machines = int(sys.argv[1]) if len(sys.argv) > 1 else 50
    with Simulation(seed=1) as simulation:
        simulation.network.set_default(latency=0.02)
        nodes = SimulatedNodes(simulation, kind=Machine)
        upkeep = {"min_connections": 2, "expected_connections": 4, "max_connections": 6}
        there: list[Machine] = []
        print(f"{machines} machines start", flush=True)
        for number in range(machines):
            machine = nodes.start(f"machine-{number}", seeds=there[:1], maintenance=upkeep)
            assert isinstance(machine, Machine)
            there.append(machine)
        nodes.run(30)
        most = max(len(machine.connected()) for machine in there)
        print(f"they have found each other, and none has more than {most} connections")
        how = []
        for machine in there[::2]:
            how.append(machine.build(b"libfoo 1.4"))
            print(f"{machine.peer.short} has libfoo 1.4: {how[-1]}", flush=True)
        print(f"built by {how.count('built')}, fetched by {how.count('fetched')}")


if __name__ == "__main__":
    main()
