"""What must hold in every node of a simulation, whatever its peers and the network do.

After each message with which a dial, a handshake or a connection begins or ends, and after every sixteenth:

* The hard limits of transport are kept, counted by peers: one that dials again while its link lives, or while we dial
  it, has a place more until it is clear which of the two stays.
* No two dials, handshakes or connections hold one ticket.
* Transport has no dial, handshake, connection or packet link with whom its gate blocks: nothing of them is delivered,
  unless the block was told not to disconnect.

After each message:

* A ticket is released at most once.
* Whoever hears of links hears `Opened` of each before its `Closed`, and exactly one of each.

Whenever no message waits in the node (`check_settled`):

* Transport and tracker know the same tickets, those of replaced links too.
* Transport and connections know the same links; the peers of those are Active in the tracker, and nobody else is.
* Each dial, handshake and connection has its slot, and nobody else has one.

At the end of what a test does (`check_answered`): nobody has waited long for an answer.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Any, TypeVar

from ..actors import connections, tracker
from ..runtime import Engine, Runtime, SimulatedNode, Simulation
from ..runtime.actor.inbox import Ask
from ..transport import Closed, Direction, Opened, PeerId
from ..transport import Engine as Transport
from ..transport.mailbox import SetGate

E = TypeVar("E", bound=Engine[Any])


_EVERY = 16  # messages


class InvariantBroken(AssertionError):
    """Something that must hold does not; the text says what, in which node, and the last messages."""


class Invariants:
    """Looks at every node of a simulation that is composed as `Node` is. Changes nothing."""

    def __init__(self, simulation: Simulation) -> None:
        """Look on from now on."""
        self._simulation = simulation
        self._open: dict[Engine[Any], set[int]] = {}
        self._gone: dict[Engine[Any], set[int]] = {}
        self._released: dict[Engine[Any], set[int]] = {}
        self._looked_at: dict[Transport, tuple[object, ...]] = {}
        self._handled_since: Counter[Transport] = Counter()
        self._left: dict[Engine[Any], set[PeerId]] = {}  # blocked, and told to stay until they end
        simulation.observe(self._handled)

    # After each message ----------------------------------------------------------------------------------------------

    def _handled(self, engine: Engine[Any], item: object) -> None:
        match item:
            case Opened():
                self._hears_opened(engine, item.link.id)
            case Closed():
                self._hears_closed(engine, item.link_id)
            case Ask(message=SetGate(disconnect=False)):
                self._left.setdefault(engine, set()).update(_blocked(engine))
            case tracker.Released():
                self._hears_released(engine, item.ticket.id)
        if isinstance(engine, Transport) and self._is_due(engine):
            self._look_at(engine)

    def _is_due(self, engine: Transport) -> bool:
        """Looking takes longer than most messages do."""
        links = engine.links
        there = (engine.slots.used, len(links.dials), len(links.live), len(links.by_route), engine.gate)
        self._handled_since[engine] += 1
        if self._handled_since[engine] < _EVERY and self._looked_at.get(engine) == there:
            return False
        self._handled_since[engine], self._looked_at[engine] = 0, there
        return True

    def _hears_opened(self, engine: Engine[Any], link: int) -> None:
        opened = self._open.setdefault(engine, set())
        if link in opened or link in self._gone.get(engine, ()):
            self._broken(engine, f"heard twice that link {link} opened")
        opened.add(link)

    def _hears_closed(self, engine: Engine[Any], link: int) -> None:
        if link not in self._open.get(engine, ()):
            self._broken(engine, f"heard that link {link} closed, which was not open to it")
        self._open[engine].remove(link)
        self._gone.setdefault(engine, set()).add(link)

    def _hears_released(self, engine: Engine[Any], ticket: int) -> None:
        released = self._released.setdefault(engine, set())
        if ticket in released:
            self._broken(engine, f"ticket {ticket} was released twice")
        released.add(ticket)

    def _look_at(self, engine: Transport) -> None:
        config, links = engine.config, engine.links
        joining = {peer for peer, each in links.joining.items() if not all(one.short_lived for one in each)}
        live = {peer: live for peer, live in links.live.items() if not live.link.short_lived}
        there = len({*joining, *live, *(peer for peer, dial in links.dials.items() if not dial.short_lived)})
        if engine.slots.short_lived.used > config.short_lived_places:
            self._broken(engine, f"{engine.slots.short_lived.used} short-lived places are taken")
        if there > config.max_inbound:  # else no need to count who came in
            came_in = {peer for peer, each in live.items() if each.link.direction is Direction.IN}
            inbound = len(came_in | joining)
            if inbound > config.max_inbound:
                self._broken(engine, f"{inbound} peers came in (allowed: {config.max_inbound})")
        if there > config.max_connections:
            self._broken(engine, f"{there} peers have a link or will (allowed: {config.max_connections})")
        tickets = engine.tickets
        if len(set(tickets)) < len(tickets):
            twice = [ticket for ticket, times in Counter(tickets).items() if times > 1]
            self._broken(engine, f"two links or handshakes hold {twice}")
        blocked = _blocked(engine)
        left = self._left[engine] = self._left.get(engine, set()).intersection(blocked)
        for peer, ip in blocked.items():
            if peer not in left:
                self._broken(engine, f"there is still something of {peer.short} at {ip}, which the gate blocks")

    # When nothing waits ----------------------------------------------------------------------------------------------

    def check_settled(self, nodes: Iterable[SimulatedNode]) -> None:
        """Of those nodes in which no message waits: all that run and are not paused, after `Simulation.settle`."""
        for node in nodes:
            if not (node.crashed or node.stopped or any(engine.mailbox.inbox for engine in node.engines)):
                self._check_settled(node)

    def _check_settled(self, node: SimulatedNode) -> None:
        for engine, words in disagreements(node):
            self._broken(engine, words)

    # At the end ------------------------------------------------------------------------------------------------------

    def check_answered(self, nodes: Iterable[SimulatedNode], timeout: float) -> None:
        """Nobody waits for an answer in these nodes that was asked for `timeout` seconds ago or before.

        Lets those seconds pass, unless nobody waits at all.
        """
        engines = [engine for node in nodes for engine in node.engines]
        owed = {id(message) for engine in engines for message in engine.dispatch.owed}
        if not owed:
            return
        self._simulation.run(for_=timeout)
        for engine in engines:
            late = [message for message in engine.dispatch.owed if id(message) in owed]
            if late:
                self._broken(engine, f"owes answers to {late}")

    def _broken(self, engine: Engine[Any], words: str) -> None:
        raise InvariantBroken(f"{engine.actor_urn}: {words}\n{self._simulation.trace()}")


def disagreements(node: Runtime) -> Iterator[tuple[Engine[Any], str]]:
    """What the engines of a node do not agree on, if no message waits in it; each with the engine to look at."""
    net, peers = _only(node, Transport), _only(node, tracker.Engine)
    ours, theirs = set(net.tickets), {hold.ticket for hold in peers.held}
    if ours != theirs:
        yield net, f"tickets of transport alone: {ours - theirs}, of the tracker alone: {theirs - ours}"
    open_here = {link: live.link.peer for link, live in net.links.by_id.items()}
    conns = _only(node, connections.Engine)
    if conns.link_ids != set(open_here):
        yield conns, f"knows the links {set(conns.link_ids)}, transport has {set(open_here)}"
    active = {hold.ticket.peer for hold in peers.held if hold.opened_at is not None}
    if active != set(open_here.values()):
        yield peers, f"holds {active} for active, transport is connected to {set(open_here.values())}"
    there = len(net.links.dials) + sum(map(len, net.links.joining.values())) + len(open_here)
    if net.slots.used != there:
        yield net, f"{net.slots.used} slots are taken by {there} dials, handshakes and connections"


def _only(node: Runtime, kind: type[E]) -> E:
    (engine,) = (engine for engine in node.engines if isinstance(engine, kind))
    return engine


def _blocked(engine: Engine[Any]) -> dict[PeerId, str]:
    """With whom its gate blocks transport has something, and their IPs."""
    if not isinstance(engine, Transport) or engine.gate is None:
        return {}
    gate = engine.gate
    if not (gate.blocked or gate.blocked_ips or gate.blocked_subnets):
        return {}
    return {peer: ip for peer, key, ip in engine.links.sources() if key in gate.blocked or gate.blocks_ip(ip)}
