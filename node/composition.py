"""The actors of a node, each handed the mailboxes of the others.

`Node` runs it in a process, `rookery.testing` in a simulation: it is the same text for every runtime. A node with
one actor more overrides `add_actors`, and what packages add (`rookery.config.plugins`) is started by itself. To compose
a node without some of ours, start the others as `start_engines` does; `examples/compose.py` is such a program.

* Mailboxes are made first and queue until their engine starts; every channel is registered before `listen`.
* Whatever touches the machine comes from outside: the runtime, the wire, the store, the files of members and of
  the generation.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterable
from pathlib import Path
from typing import TypeVar

from .. import transport
from ..actors import blobs, connections, discovery, maintenance, membership, providers, resolver, tracker
from ..actors.blobs.stores import Store
from ..config import NodeConfig
from ..config.plugins import PluginError
from ..runtime import Engine, EngineGone, Mailbox, Runtime
from ..runtime.log import Log
from ..transport import Address, Identity, zmq_wire
from ..transport.engine import WireFactory

M = TypeVar("M", bound=Mailbox)
BLOBS_CHANNEL = 1
MAILBOXES = (
    *("transport", "tracker", "connections", "maintenance"),
    *("discovery", "membership", "providers", "resolver"),
)
"""The actors that another may ask for by these names; `blobs` is one more."""
ANSWER_TIMEOUT = 5.0


class Actors:
    """One node's actors, by their mailboxes: `node.tracker.track(...)`."""

    def __init__(self, runtime: Runtime, config: NodeConfig, identity: Identity) -> None:
        """Make the mailboxes; nothing runs yet."""
        self.runtime = runtime
        self.config = config
        self.identity = identity
        self.peer = identity.peer
        self.log = Log("node")
        self.transport = runtime.mailbox(transport.Mailbox)
        self.tracker = runtime.mailbox(tracker.Mailbox)
        self.connections = runtime.mailbox(connections.Mailbox)
        self.maintenance = runtime.mailbox(maintenance.Mailbox)
        self.discovery = runtime.mailbox(discovery.Mailbox)
        self.membership = runtime.mailbox(membership.Mailbox)
        self.providers = runtime.mailbox(providers.Mailbox)
        self.resolver = runtime.mailbox(resolver.Mailbox)
        self.files = runtime.mailbox(blobs.Mailbox)
        self.plugins: dict[str, Mailbox] = {}
        """The actors that other packages add, by the names of their sections."""

    def start_engines(
        self,
        *,
        store: Store,
        book: tracker.Storage | None,
        wire: WireFactory = zmq_wire,
        snapshot: Path | None = None,
        generations: transport.Generations | None = None,
    ) -> Address:
        """Start every engine and listen; where others may dial. Raises what an engine cannot start with.

        store: of blocks of files. book: of addresses, blocks and trust; None keeps none. snapshot: the file in which
        the members outlive the node; None for none. generations: where the newest generation of its record does.
        """
        config, start = self.config, self.runtime.start
        net, peers, conns, members = self.transport, self.tracker, self.connections, self.membership
        observers = (conns, peers, members)
        start(
            net,
            transport.Engine,
            config.transport,
            identity=self.identity,
            gatekeeper=peers,
            observers=observers,
            wire=wire,
            generations=generations,
        )
        start(
            peers,
            tracker.Engine,
            config.tracker,
            transport=net,
            me=self.peer,
            storage=book,
            gater=self.gater(),
        )
        start(
            conns,
            connections.Engine,
            config.connections,
            transport=net,
            tracker=peers,
            max_connections=config.transport.max_connections,
            max_inbound=config.transport.max_inbound,
            share_per_ip=config.transport.max_inbound_share_per_ip,
            me=self.peer,
        )
        start(
            self.maintenance,
            maintenance.Engine,
            config.maintenance,
            tracker=peers,
            connections=conns,
            transport=net,
            channel=maintenance.CHANNEL,
            discovery=self.discovery,
            secondary=config.resolver.ask == "all",
        )
        start(members, membership.Engine, config.membership, transport=net, tracker=peers, snapshot=snapshot)
        start(
            self.providers,
            providers.Engine,
            config.providers,
            me=self.peer,
            transport=net,
            membership=members,
            maintenance=self.maintenance,
            connections=conns,
        )
        asked = self.providers if config.providers.enabled else None
        start(
            self.resolver,
            resolver.Engine,
            config.resolver,
            transport=net,
            tracker=peers,
            maintenance=self.maintenance,
            connections=conns,
            channel=BLOBS_CHANNEL,
            producer=self.producer(),
            consumer=self.files,
            me=self.peer,
            providers=asked,
        )
        start(self.files, blobs.Engine, config.blobs, store=store, resolver=self.resolver, providers=asked)
        self._start_plugins()
        self.add_actors()
        self.address = net.listen().get(timeout=ANSWER_TIMEOUT)
        start(self.discovery, discovery.Engine, config.discovery, transport=net, tracker=peers, membership=members)
        return self.address

    def add_actors(self) -> None:
        """Start actors of the application's own: a subclass overrides this, and there is nothing to call in it.

        Ours run by then, apart from discovery, and nobody is connected yet: a channel that is registered here misses
        no message. What it raises ends the start. ::

            class ChatNode(Node):
                def add_actors(self) -> None:
                    self.chat = self.start_actor(chat.Engine, self.config.section_of(chat.Config))
        """

    def start_actor(self, engine: type[Engine[M]], config: object, *, mailbox: M | None = None, **parts: object) -> M:
        """Start an engine, and give its constructor, by their names, the parts of this node that it asks for.

        They are the mailboxes `transport`, `tracker`, `connections`, `maintenance`, `discovery`, `membership`,
        `providers`, `resolver` and `blobs`, the node's `identity`, its own peer id as `me`, and what packages add, by
        their sections' names. parts: others. mailbox: of the engine, by default a new one. Where the node does not take
        part in the providers, only who cannot do without gets that mailbox. Raises TypeError, with the
        names that there are, for a parameter without default that is none of them, and for a part that no parameter
        takes; and what the engine cannot start with.
        """
        there = {**self.plugins, **{name: getattr(self, name) for name in MAILBOXES}}
        there |= {"blobs": self.files, "identity": self.identity, "me": self.peer, **parts}
        check_parts(engine, there)
        asked = _asked(engine)
        if unknown := [name for name in parts if name not in asked]:
            raise TypeError(f"{engine.__qualname__} takes no {', '.join(unknown)}; it takes {', '.join(asked)}")
        given = {name: there[name] for name in asked if name in there}
        if not self.config.providers.enabled and "providers" not in parts:  # then they find nothing
            given = {name: part for name, part in given.items() if name != "providers" or _is_needed(asked[name])}
        if mailbox is None:
            return self.runtime.start(engine, config, **given)
        return self.runtime.start(mailbox, engine, config, **given)

    def _start_plugins(self) -> None:
        """Every mailbox first, as with ours: they may ask for one another."""
        loaded = self.config.plugins
        self.plugins |= {name: self.runtime.mailbox(plugin.Mailbox, name) for name, plugin in loaded.items()}
        for name, plugin in loaded.items():
            try:
                self.start_actor(plugin.Engine, getattr(self.config, name), mailbox=self.plugins[name])
            except EngineGone:
                raise  # the node is ending: no fault of the package
            except Exception as error:  # code of others may do anything
                words = f"{plugin.Engine.__module__}.Engine cannot start: {type(error).__name__}: {error}"
                raise PluginError(name, words) from error

    def gater(self) -> transport.Gater | None:
        """The application's own say in who may connect; a subclass may have one."""
        return None

    def producer(self) -> resolver.Producer:
        """What answers other nodes' requests; a subclass may put something of its own in front."""
        return self.files

    def take_part(self) -> None:
        """Join the membership and dial. Without an address that others may dial nobody can be a member.

        Only a node whose tracker the membership feeds must be one; there it raises NoAddress.
        """
        try:
            self.membership.join().get(timeout=ANSWER_TIMEOUT)
        except membership.NoAddress:
            if self.config.membership.feeds_tracker:
                raise
            if not self.config.is_private:
                self.log.warning("nobody is told where this node is, so it is no member: set transport.advertise")
        self.maintenance.activate()


def check_parts(engine: type[Engine[M]], there: Iterable[str] = ()) -> None:
    """Raises TypeError if an engine asks for what is neither a part of every node nor `there`."""
    names = {*MAILBOXES, "blobs", "identity", "me", *there}
    unknown = [name for name, each in _asked(engine).items() if each.default is each.empty and name not in names]
    if unknown:
        asks = f"{engine.__module__}.{engine.__qualname__} asks for {', '.join(unknown)}"
        raise TypeError(f"{asks}: a node has {', '.join(sorted(names))}")


def _is_needed(parameter: inspect.Parameter) -> bool:
    return parameter.default is parameter.empty


def _asked(engine: type[Engine[M]]) -> dict[str, inspect.Parameter]:
    """The parameters of an engine's constructor after the configuration."""
    _, *asked = inspect.signature(engine).parameters.values()
    return {each.name: each for each in asked}
