"""Any history of a tracker and its disk: changes, crashes, failing disks, clocks that are set; many seeds.

A plain model knows what was answered. Whatever was answered as stored is there after every restart; whatever was not
may be there or not; nothing else is.
"""

from __future__ import annotations

import contextlib
import random
from typing import Any

import pytest

from rookery.actors.tracker import NotStored
from rookery.actors.tracker.address_book.book import RETRY_LIMIT
from rookery.runtime import Simulation
from rookery.testing import Peers, mock
from rookery.transport.identity import PeerId, curve_key
from tests.tracker.address_book.books import KNOWN, peer
from tests.tracker.address_book.disk import World

NAMES = [f"peer {number}" for number in range(6)]
STEPS = 120


class Mocked(Simulation):
    """What the fixture `simulation` gives, for any seed."""

    known = KNOWN

    def mock(self, kind: Any, name: str | None = None) -> Any:
        return mock(kind, name, waits=self)

    def peers(self, *names: str) -> tuple[PeerId, ...]:
        return tuple(Peers.identity(self.known, name).peer for name in names)


class History:
    """One tracker's life, and what it must not forget. None: either may be true."""

    def __init__(self, simulation: Mocked, seed: int) -> None:
        self.world = World(simulation)
        self.simulation = simulation
        self.rng = random.Random(seed)
        self.mine = self.world.start(block_duration=1e9)
        self.blocked: dict[PeerId, float | None] = {}  # until when, in virtual seconds; None: not known
        self.trusted: dict[PeerId, bool | None] = {}
        self.hinted: dict[PeerId, float] = {}  # since when
        self.healthy_since = 0.0
        self.clock_was_set = False

    def step(self) -> None:
        deeds = [self.block, self.unblock, self.trust, self.distrust, self.hint, self.wait, self.wait]
        deeds += [self.crash, self.stop, self.break_disk, self.set_clock]
        self.rng.choice(deeds)()

    def someone(self) -> PeerId:
        return peer(self.rng.choice(NAMES))

    def block(self) -> None:
        who, seconds, now = self.someone(), self.rng.choice([3.0, 60.0, 1e6]), self.simulation.now()
        try:
            self.mine.block(who, seconds).get(timeout=10)
            self.blocked[who] = now + seconds
        except NotStored:
            self.blocked[who] = None

    def unblock(self) -> None:
        who = self.someone()
        try:
            self.mine.unblock(who).get(timeout=10)
            self.blocked[who] = 0.0
        except NotStored:
            self.blocked[who] = None

    def trust(self) -> None:
        self._trust(self.mine.trust, True)

    def distrust(self) -> None:
        self._trust(self.mine.distrust, False)

    def _trust(self, ask: Any, trusted: bool) -> None:
        who = self.someone()
        try:
            ask(who).get(timeout=10)
            self.trusted[who] = trusted
        except NotStored:
            self.trusted[who] = None

    def hint(self) -> None:
        name = self.rng.choice(NAMES)
        if peer(name) not in {block.target for block in self.mine.blocks().get(timeout=1)}:
            self.mine.hint([KNOWN.record(name, f"tcp://10.{NAMES.index(name)}.0.1:7000")])
            self.simulation.settle()
            self.hinted.setdefault(peer(name), self.simulation.now())

    def wait(self) -> None:
        self.simulation.run(for_=self.rng.choice([0.1, 1.1, 5.0, 100.0]))

    def crash(self) -> None:
        self._restart(self.world.node.crash)

    def stop(self) -> None:
        self._restart(self.world.node.stop)

    def break_disk(self) -> None:
        before, self.world.disk.broken = self.world.disk.broken, self.rng.choice([set(), set(), {"write"}])
        if before or self.world.disk.broken:  # what fails is tried again within a minute
            self.healthy_since = self.simulation.now() + RETRY_LIMIT + 1.0

    def set_clock(self) -> None:
        """Only back: a clock set forward may end blocks, as time does."""
        self.clock_was_set = True
        self.world.node.skew -= self.rng.choice([0.5, 3600.0, 86_400.0])

    def _restart(self, end: Any) -> None:
        skew, broken, now = self.world.node.skew, bool(self.world.disk.broken), self.simulation.now()
        end()
        self.world.disk.broken = set()
        self.simulation.node("me").skew = skew
        self.mine = self.world.start(block_duration=1e9)
        self.simulation.run(for_=0.5)
        self.check(now, broken)

    def check(self, ended_at: float, broken: bool) -> None:
        now = self.simulation.now()
        gate = self.world.gates[-1].blocked
        for who, until in self.blocked.items():
            if until is not None and (until > now or not self.clock_was_set):  # it may last as long as when written
                assert (curve_key(who) in gate) == (until > now), (who, until, now)
        trusted = set(self.mine.trusted().get(timeout=1))
        for who, expected in self.trusted.items():
            if expected is not None:
                assert (who in trusted) == expected, who
        known = {info.peer for info in self.mine.known().get(timeout=1) if info.address is not None}
        for who, since in list(self.hinted.items()):
            if broken or since > ended_at - 1.0 or since < self.healthy_since:
                self.hinted.pop(who)  # the last second, or a disk that did not take it
            else:
                assert who in known, (who, since, ended_at)
        assert known <= set(map(peer, NAMES))
        self.blocked = {who: self._end(who) for who in self.blocked}
        self.clock_was_set = False
        self.trusted = {who: who in trusted for who in self.trusted}

    def _end(self, who: PeerId) -> float | None:
        """When a block ends that is in force now."""
        ends = {block.target: block.until for block in self.mine.blocks().get(timeout=1)}
        return ends[who] - self.world.node.wall() + self.simulation.now() if who in ends else 0.0


def live(seed: int) -> str:
    with Mocked(seed) as simulation:
        history = History(simulation, seed)
        for _ in range(STEPS):
            history.step()
        with contextlib.suppress(NotStored):
            history.mine.block(peer("last"), 1.0).get(timeout=10)
        return simulation.digest()


@pytest.mark.parametrize("seed", range(8))
def test_history_never_loses_what_was_answered(seed: int) -> None:
    assert live(seed) == live(seed)


@pytest.mark.full
@pytest.mark.parametrize("seed", range(8, 100))
def test_more_histories_never_lose_what_was_answered(seed: int) -> None:
    assert live(seed) == live(seed)
