"""One world from its beginning to its end, and what did not hold in it."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence

from tests.liars import world as scenes
from tests.liars.invariants import Broken, Invariants
from tests.liars.liar import Strategy
from tests.liars.world import World

Fault = Callable[[World], object]


class _Seen(Exception):
    """What the trial was to see has come."""


def run(
    seed: int | str,
    size: int,
    strategies: Sequence[Callable[[], Strategy]],
    *,
    fault: Fault = lambda _world: None,
    until: Collection[str] = (),
) -> dict[str, Broken]:
    """The broken invariants by name.

    strategies: of each liar. fault: done to the world when the liars come. until: invariants; the trial ends as soon as
    all of them are broken.
    """
    world = World(seed, size, strategies)
    look_on = Invariants(world)

    def look() -> None:
        look_on.look()
        if until and look_on.broken.keys() >= set(until):
            raise _Seen

    try:
        _live(world, look_on, fault, look)
    except _Seen:
        pass
    finally:
        world.close()
    return look_on.broken


def _live(world: World, look_on: Invariants, fault: Fault, look: Callable[[], None]) -> None:
    for number in range(world.honest_size):
        world.start(f"n{number}")
        world.run(0.2)
    world.run(20 - world.now)
    look_on.measure_before()
    world.run(scenes.LIARS_COME - world.now)
    world.fetching = True
    world.admit_liars()
    fault(world)
    victim, *_ = world.rng.sample([node for node in world.honest if not world.has_all(node)], 1)
    world.run(scenes.CRASH - world.now, look)
    world.crash(victim)
    world.run(scenes.NEWCOMER - world.now, look)
    newcomer = world.start("newcomer")
    world.tell_liars("joined", newcomer)
    world.run(scenes.PARTITION - world.now, look)
    look_on.look_at_newcomer(newcomer, "newcomer")
    world.part(world.rng.sample(world.honest, 2))
    world.run(scenes.HEAL - world.now, look)
    world.heal()
    world.run(scenes.RESTART - world.now, look)
    world.restart(victim)
    world.run(scenes.LIARS_GO - world.now, look)
    look_on.look_at_caught()
    for liar in world.liars:
        liar.close()
    world.fetching = False
    for when, node in zip(scenes.RESTARTS_AFTERWARDS, world.rng.sample(world.honest, 2), strict=True):
        world.run(when - world.now)
        world.restart(node)
    world.run(scenes.LATECOMER - world.now)
    latecomer = world.start("latecomer")
    world.run(scenes.END - world.now)
    look_on.look_at_newcomer(latecomer, "after: newcomer")
    look_on.look_afterwards()
