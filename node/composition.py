"""The actors of a node, each handed the mailboxes of the others. Copy this to compose a node of your own.

`Node` runs it in a process, `rookery.node.testing` in a simulation: it is the same text for every runtime.

* Mailboxes are made first and queue until their engine starts; every channel is registered before `listen`.
* Whatever touches the machine comes from outside: the runtime, the wire, the store, the files of members and of
  the generation.
"""

from __future__ import annotations

from pathlib import Path

from .. import transport
from ..actors import connections, discovery, maintenance, membership, resolver, tracker
from ..config import NodeConfig
from ..runtime import Runtime
from ..runtime.log import Log
from ..transport import Address, Identity, zmq_wire
from ..transport.core import WireFactory
from . import blobs
from .stores import Store

BLOBS_CHANNEL = 1
ANSWER_WITHIN = 5.0


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
        self.resolver = runtime.mailbox(resolver.Mailbox)
        self.files = runtime.mailbox(blobs.Mailbox)

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
        )
        start(self.files, blobs.Engine, config.blobs, store=store, resolver=self.resolver)
        self.address = net.listen().get(timeout=ANSWER_WITHIN)
        start(self.discovery, discovery.Engine, config.discovery, transport=net, tracker=peers, membership=members)
        return self.address

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
            self.membership.join().get(timeout=ANSWER_WITHIN)
        except membership.NoAddress:
            if self.config.membership.feeds_tracker:
                raise
            if not self.config.is_private:
                self.log.warning("nobody is told where this node is, so it is no member: set transport.advertise")
        self.maintenance.activate()
