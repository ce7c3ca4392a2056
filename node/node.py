"""A node: the actors, each handed the mailboxes of the others. Copy `start` to compose a node of your own.

::

    with Node(load("node.yaml")) as node:
        key = node.blobs.put("model.bin")
        node.wait(connected=4, within=20)

* Mailboxes are made first and queue until their engine starts; every channel is registered before `listen`.
* What is wrong with the configuration's key, data folder, port or socket is a CannotStart that names the key.
* An engine that fails ends the node: all others are stopped in order, `stopped` is set, and leaving raises the failure.
* Stopping says goodbye to the membership, then stops the engines, newest first, within `STOP_WITHIN` seconds in all.
"""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Iterator
from types import TracebackType
from typing import Self

from .. import runtime, transport
from ..actors import connections, maintenance, membership, resolver, tracker
from ..config import NodeConfig, sections
from ..runtime import EngineGone, LoopRuntime, ThreadRuntime
from ..runtime.log import Log
from ..transport import keyfile
from . import blobs, control
from .errors import CannotStart
from .status import Status
from .stores import StoreError
from .stores.files import FileStore

RUNTIMES = {"loop": LoopRuntime, "threads": ThreadRuntime}
BLOBS_CHANNEL = 1
GOODBYE_WITHIN = 0.5
STOP_WITHIN = 2.5
ANSWER_WITHIN = 5.0


class Node:
    """One node in this process. Its mailboxes are there for the application: `node.tracker.track(...)`."""

    def __init__(self, config: NodeConfig) -> None:
        """Read the key file; nothing runs yet. Raises CannotStart."""
        with _named():
            self._identity = keyfile.load(config.key)
        self.config = config
        self.peer = self._identity.peer
        self.stopped = threading.Event()
        """Set when everything has stopped, for whatever reason."""
        self.runtime: ThreadRuntime = RUNTIMES[config.runtime](self.peer.short)
        self.log = Log("node")
        self.transport = self.runtime.mailbox(transport.Mailbox)
        self.tracker = self.runtime.mailbox(tracker.Mailbox)
        self.connections = self.runtime.mailbox(connections.Mailbox)
        self.maintenance = self.runtime.mailbox(maintenance.Mailbox)
        self.membership = self.runtime.mailbox(membership.Mailbox)
        self.resolver = self.runtime.mailbox(resolver.Mailbox)
        self.files = self.runtime.mailbox(blobs.Mailbox)
        self.control = self.runtime.mailbox(control.Mailbox)
        self.blobs = blobs.Blobs(self.files)
        self._supervisor = threading.Thread(target=self._supervise, name=f"{self.peer.short}-supervisor", daemon=True)

    def start(self) -> Self:
        """Start every engine and listen. Raises CannotStart or the failure of an engine, with nothing left running.

        If somebody asks for the end meanwhile, it returns, and `stopped` is set.
        """
        try:
            with _named():
                self._start_engines()
        except BaseException as error:
            asked = isinstance(error, EngineGone) and self.runtime.ended.is_set() and self.failure is None
            self.runtime.stop()
            self.stopped.set()
            if self.failure is not None:
                raise self.failure from error
            if not asked:
                raise
        else:
            self._supervisor.start()
        return self

    def _start_engines(self) -> None:
        config, start = self.config, self.runtime.start
        net, peers, conns, members = self.transport, self.tracker, self.connections, self.membership
        observers = (conns, peers, members)
        start(net, transport.Engine, config.transport, identity=self._identity, gatekeeper=peers, observers=observers)
        start(peers, tracker.Engine, config.tracking, transport=net, me=self.peer)
        start(conns, connections.Engine, config.connections, transport=net)
        start(self.maintenance, maintenance.Engine, config.upkeep, tracker=peers, connections=conns, transport=net)
        start(members, membership.Engine, config.gossip, transport=net, tracker=peers)
        start(
            self.resolver,
            resolver.Engine,
            config.resolver,
            transport=net,
            tracker=peers,
            maintenance=self.maintenance,
            channel=BLOBS_CHANNEL,
            producer=self.producer(),
            consumer=self.files,
        )
        store = FileStore(config.data / "blobs")
        start(self.files, blobs.Engine, _settings(config.blobs), store=store, resolver=self.resolver)
        self.address = net.listen().get(timeout=ANSWER_WITHIN)
        start(
            self.control,
            control.Engine,
            config.control,
            about=self._about(),
            tracker=peers,
            connections=conns,
            membership=members,
            blobs=self.files,
            stop=self.runtime.ended.set,
        )
        self._join()
        self.maintenance.activate()

    def producer(self) -> resolver.Producer:
        """What answers other nodes' requests; a subclass may put something of its own in front."""
        return self.files

    def _join(self) -> None:
        """Without an address that others may dial nobody can be a member; only a node fed by the membership must be."""
        try:
            self.membership.join().get(timeout=ANSWER_WITHIN)
        except membership.NoAddress:
            if self.config.gossip.feeds_tracker:
                raise
            self.log.warning("nobody is told where this node is, so it is no member: set transport.advertise")

    def _about(self) -> control.About:
        config = self.config
        if config.transport.listen == transport.Config().listen:
            self.log.warning("only this machine can reach the node: set transport.listen", listen=str(self.address))
        return control.About(
            peer=self.peer,
            address=str(self.address),
            network=config.transport.network,
            pid=os.getpid(),
            source=config.tracker.source,
            admission=config.tracker.admission,
        )

    def status(self) -> Status:
        """How the node is at this moment."""
        return self.control.status().get(timeout=ANSWER_WITHIN)

    def wait(self, *, connected: int = 0, members: int = 0, within: float | None = None) -> Status:
        """Return when at least so many connections are open and so many nodes, this one too, alive.

        Raises `control.NotReached` (a TimeoutError) after `within` seconds, or an error if the node ends meanwhile.
        """
        return self.control.wait(connected=connected, members=members, within=within).get()

    @property
    def failure(self) -> BaseException | None:
        """What ended the node, if an engine failed."""
        return self.runtime.failure

    def stop(self, *, wait: bool = True) -> None:
        """Stop everything; may be called twice, and without `wait` from anywhere, also in an engine."""
        self.runtime.ended.set()
        if wait and self._supervisor.ident is not None:
            self._supervisor.join()

    def _supervise(self) -> None:
        """Wait for the end, and see to it that it is orderly."""
        self.runtime.ended.wait()
        try:
            if self.failure is None:
                with contextlib.suppress(Exception):  # nobody may be left to say goodbye to
                    self.membership.leave().get(timeout=GOODBYE_WITHIN)
            self.runtime.stop(STOP_WITHIN - GOODBYE_WITHIN)
        except runtime.StopTimeout as error:
            self.log.error("the node did not stop in time", error=error)
        finally:
            self.log.info("stopped", peer=self.peer, failed=self.failure is not None)
            self.stopped.set()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop; then raise the failure of an engine, if one failed and nothing else is being raised."""
        self.stop()
        if error is None and self.failure is not None:
            raise self.failure


def _settings(section: sections.Blobs) -> blobs.Config:
    return blobs.Config(section.chunk_size, section.window, section.serve_rate, section.serve_patience)


@contextlib.contextmanager
def _named() -> Iterator[None]:
    """Errors that the operator can mend, with the key of the configuration to look at."""
    try:
        yield
    except keyfile.KeyFileError as error:
        raise CannotStart(f"key: {error}") from error
    except StoreError as error:
        raise CannotStart(f"data: {error}") from error
    except transport.BindError as error:
        raise CannotStart(f"transport.listen: {error}") from error
    except membership.NoAddress as error:
        raise CannotStart(f"transport.advertise: {error}") from error
    except control.SocketTaken as error:
        raise CannotStart(f"control.socket: {error}") from error
