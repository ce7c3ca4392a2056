"""Members as a node has them, in virtual time: the membership's engine over transport's, signed records, proofs.

Only the tracker is a mock. What is lost, by chance, in a partition or on its way to a deaf member, is lost before it
reaches transport: on a stream a lost packet is only late, and what a partition holds back comes when it heals.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from unittest.mock import patch

from rookery import transport
from rookery.actors import membership, tracker
from rookery.actors.membership.core.proofs import RecordProofs
from rookery.runtime import Feedback, Message, Simulation
from rookery.simulate import LAN, Views
from rookery.testing import NETWORK, Peers, mock
from rookery.transport import Address, Endpoint, Gate, PeerId, PeerRecord
from rookery.transport.wire.simulated_wire import SimulatedInternet, SimulatedWire

JOIN_EVERY = 0.038
WARM_UP, MINUTE = 40.0, 60.0
DEAF = 3

Measured = dict[str, float | None]
"""Figures of one run by name; None for what should have happened and did not."""


class LossyTransport(transport.Mailbox):
    """A transport that loses what its cluster says."""

    cluster: EngineCluster
    number: int

    def send_packet(
        self, peer: PeerId, address: Address, payload: bytes, kind: int = 0, *, answer: bool = False
    ) -> Feedback:
        """As if it were sent."""
        if self.cluster.loses(self.number, peer):
            return Feedback.OK
        return super().send_packet(peer, address, payload, kind, answer=answer)


class Listener(membership.Mailbox):
    """What one member is told of the others."""

    cluster: EngineCluster
    number: int

    def tell(self, message: Message) -> Feedback:
        """Note it."""
        self.cluster.note(self.number, message)
        return Feedback.OK


class EngineCluster:
    """Members numbered from 0, which join through the first."""

    def __init__(self, simulation: Simulation, seed: int, *, latency: float | None = None) -> None:
        """latency: in seconds, of every packet; by default what `LAN` says."""
        self.simulation = simulation
        self.loss = 0.0
        self.cuts: Callable[[int, int], bool] = lambda sender, receiver: False
        """Whether nothing gets from the one to the other."""
        self.views = Views()
        self.excused: set[int] = set()
        """Whose death would be no false one, and whose new life no needless one."""
        self._rng = random.Random(f"{seed}/loss")
        if latency is None:
            simulation.network.set_default(latency=LAN.latency, jitter=LAN.jitter)
        else:
            simulation.network.set_default(latency=latency)
        self._internet = SimulatedInternet(simulation)
        self._known = Peers()
        self._numbers: dict[PeerId, int] = {}
        self._seed: tuple[PeerId, Address] | None = None
        self._hosts: list[Any] = []

    def start(self, count: int) -> None:
        """So many members, one after the other."""
        for _ in range(count):
            self._add(len(self._hosts))
            self.simulation.run(for_=JOIN_EVERY)

    def _add(self, number: int) -> None:
        name = f"member-{number}"
        identity, ip = self._known.identity(name), f"10.{number >> 8}.{number & 255}.1"
        host = self.simulation.node(name)
        answers: Any = mock(tracker.Mailbox, f"tracker-{number}", waits=self.simulation)
        answers.control.answer(tracker.Track, None)
        answers.control.answer(tracker.Block, tracker.Blocked(0.0))
        net, members = host.mailbox(LossyTransport), host.mailbox(membership.Mailbox)
        net.cluster, net.number = self, number

        def wire(identity: Any, _config: Any, announce: Callable[[], object]) -> SimulatedWire:
            return SimulatedWire(self._internet, identity, node=name, ip=ip, announce=announce)

        settings = transport.Config(network=NETWORK, listen=Endpoint(ip, 0))
        host.start(
            net, transport.Engine, settings, identity=identity, gatekeeper=answers, observers=(members,), wire=wire
        )
        host.start(members, membership.Engine, membership.Config(), transport=net, tracker=answers)
        listener = Listener(f"listener-{number}")
        listener.cluster, listener.number = self, number
        members.subscribe(listener)
        net.set_gate(Gate(1)).get(timeout=1)
        address = net.listen().get(timeout=1)
        self._numbers[identity.peer] = number
        self._hosts.append(host)
        self.views.started(number)
        members.join(self._seed)
        self._seed = self._seed or (identity.peer, address)

    def note(self, observer: int, event: Message) -> None:
        """One member has been told this."""
        match event:
            case membership.MemberUp(peer, _):
                self.views.up(observer, self._numbers[peer])
            case membership.MemberDown(peer):
                subject = self._numbers[peer]
                false = subject in self.views.running and subject not in self.excused
                self.views.down(self.simulation.time, observer, subject, is_false=false)
            case membership.Rejoined() if observer not in self.excused:
                self.views.rejoins.append((self.simulation.time, observer))
            case _:
                pass

    def crash(self, number: int) -> None:
        """As `kill -9`."""
        self._hosts[number].crash()
        self.views.ended(number)

    def loses(self, sender: int, peer: PeerId) -> bool:
        """Whether a packet gets lost."""
        return self.cuts(sender, self._numbers[peer]) or (self.loss > 0 and self._rng.random() < self.loss)

    def until_exact(self, timeout: float) -> float | None:
        """Seconds until all see all, to 50 ms; None if that takes too long."""
        begun = self.simulation.time
        while not self.views.is_exact:
            if self.simulation.time - begun >= timeout:
                return None
            self.simulation.run(for_=0.05)
        return self.simulation.time - begun

    @property
    def sent(self) -> tuple[float, float]:
        """Packets and bytes that the members have given to transport."""
        running = [self._hosts[number].registry.value for number in self.views.running]
        packets = sum(value("membership_packets_total", "sent") for value in running)
        return packets, sum(value("membership_sent_bytes_total") for value in running)


@contextmanager
def cluster_of(size: int, seed: int, *, warm_up: float = WARM_UP) -> Iterator[EngineCluster]:
    """A cluster that has come to rest."""
    with Simulation(seed) as simulation:
        cluster = EngineCluster(simulation, seed)
        cluster.start(size)
        simulation.run(for_=warm_up)
        yield cluster


@contextmanager
def counted_checks() -> Iterator[dict[str, int]]:
    """How many proofs (links, farewells, answers) and signatures of records the members check meanwhile.

    Each check counts, also of what another member of this process has checked before.
    """
    found = {"proofs": 0, "signatures": 0}
    check, check_answer, verify = RecordProofs.check, RecordProofs.check_answer, PeerRecord.verify

    def counted_check(self: RecordProofs, *what: Any) -> Any:
        found["proofs"] += 1
        return check(self, *what)

    def counted_answer(self: RecordProofs, *what: Any) -> bool:
        found["proofs"] += 1
        return check_answer(self, *what)

    def counted_verify(self: PeerRecord, *, source: PeerId | None = None) -> bool:
        found["signatures"] += source is not None  # without one it is of a handshake
        return verify(self, source=source)

    with (
        patch.object(RecordProofs, "check", counted_check),
        patch.object(RecordProofs, "check_answer", counted_answer),
        patch.object(PeerRecord, "verify", counted_verify),
    ):
        yield found


def minute(size: int, seed: int, loss: float = 0.0) -> Measured:
    """A minute in which nothing happens, or so many packets are lost."""
    with cluster_of(size, seed) as cluster, counted_checks() as checks:
        cluster.loss = loss
        packets, sizes = cluster.sent
        downs, rejoins = len(cluster.views.downs), len(cluster.views.rejoins)
        cluster.simulation.run(for_=MINUTE)
        after = cluster.sent
        return {
            "packets": (after[0] - packets) / size / MINUTE,
            "bytes": (after[1] - sizes) / size / MINUTE,
            "proofs": checks["proofs"] / size,
            "signatures": checks["signatures"] / size,
            "downs": len(cluster.views.downs) - downs,
            "rejoins": len(cluster.views.rejoins) - rejoins,
        }


def death(size: int, seed: int) -> Measured:
    """One member crashes."""
    with cluster_of(size, seed) as cluster:
        cluster.simulation.run(for_=5.0)
        victim, crashed = random.Random(f"{seed}/victim").randrange(1, size), cluster.simulation.time
        cluster.crash(victim)
        told_all = cluster.until_exact(40.0)
        told = [down.time - crashed for down in cluster.views.downs if down.subject == victim and down.time >= crashed]
        first = min(told, default=None)
        spread = None if told_all is None or first is None else max(told) - first
        return {"first": first, "spread": spread}


def joining(size: int, seed: int, latency: float | None = None) -> Measured:
    """All start, one after the other."""
    with Simulation(seed) as simulation, counted_checks() as checks:
        cluster = EngineCluster(simulation, seed, latency=latency)
        cluster.start(size)
        rest = cluster.until_exact(60.0)
        return {
            "joined": None if rest is None else simulation.time,
            "proofs": checks["proofs"] / size,
            "signatures": checks["signatures"] / size,
            "bytes": cluster.sent[1] / size,
        }


def deafness(size: int, seed: int) -> Measured:
    """One member hears nothing for two minutes, and is heard. How many of the others begin another life."""
    with cluster_of(size, seed) as cluster:
        before = len(cluster.views.rejoins)
        cluster.excused.add(DEAF)
        cluster.cuts = lambda _, receiver: receiver == DEAF
        cluster.simulation.run(for_=2 * MINUTE)
        false = [down for down in cluster.views.downs if down.is_false and down.observer != DEAF]
        return {"rejoins": len(cluster.views.rejoins) - before, "downs": len(false)}


def healing(size: int, seed: int) -> Measured:
    """A minute in two halves, then until all see all."""
    with cluster_of(size, seed) as cluster:
        half = size // 2
        cluster.cuts = lambda sender, receiver: (sender < half) != (receiver < half)
        cluster.simulation.run(for_=MINUTE)
        if any(len(seen) not in (half - 1, size - half - 1) for seen in cluster.views.sees.values()):
            raise RuntimeError(f"the halves still see each other after a minute (seed {seed})")
        cluster.cuts = lambda sender, receiver: False
        return {"healed": cluster.until_exact(120.0)}
