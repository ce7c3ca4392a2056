"""A node in this process: the actors of `composition.py` with a key file, a data folder, a control socket, an end.

::

    with Node(load("node.yaml")) as node:
        key = node.blobs.put("model.bin")
        node.wait(connected=4, within=20)

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
from ..actors import discovery, membership, tracker
from ..config import NodeConfig
from ..runtime import EngineGone, LoopRuntime, ThreadRuntime
from ..runtime.errors import fresh
from ..transport import keyfile
from . import blobs, control
from .composition import ANSWER_WITHIN, Actors
from .errors import CannotStart
from .status import Status
from .stores import StoreError
from .stores.files import FileStore

RUNTIMES = {"loop": LoopRuntime, "threads": ThreadRuntime}
GOODBYE_WITHIN = 0.5
STOP_WITHIN = 2.5


class Node(Actors):
    """One node in this process. Its mailboxes are there for the application: `node.tracker.track(...)`."""

    runtime: ThreadRuntime

    def __init__(self, config: NodeConfig) -> None:
        """Read the key file; nothing runs yet. Raises CannotStart."""
        with _named():
            identity = keyfile.load(config.key)
        super().__init__(RUNTIMES[config.runtime](identity.peer.short), config, identity)
        self.stopped = threading.Event()
        """Set when everything has stopped, for whatever reason."""
        self.control = self.runtime.mailbox(control.Mailbox)
        self.blobs = blobs.Blobs(self.files)
        self._disk = contextlib.ExitStack()  # what its engines close, if they come to it
        self._supervisor = threading.Thread(target=self._supervise, name=f"{self.peer.short}-supervisor", daemon=True)

    def start(self) -> Self:
        """Start every engine and listen. Raises CannotStart or the failure of an engine, with nothing left running.

        If somebody asks for the end meanwhile, it returns, and `stopped` is set.
        """
        try:
            with _named():
                self._start()
        except BaseException as error:
            asked = isinstance(error, EngineGone) and self.runtime.ended.is_set() and self.failure is None
            try:
                self.runtime.stop()
            finally:
                self._disk.close()
                self.stopped.set()
            if self.failure is not None:
                raise fresh(self.failure) from error
            if not asked:
                raise
        else:
            self._supervisor.start()
        return self

    def _start(self) -> None:
        config = self.config
        store = self._disk.enter_context(contextlib.closing(FileStore(config.data / "blobs")))
        book = None
        if config.tracker.book is not None:
            kept = tracker.SqliteStorage(config.data / config.tracker.book, network=config.transport.network)
            book = self._disk.enter_context(contextlib.closing(kept))
        self.start_engines(
            store=store,
            book=book,
            snapshot=config.data / "members",
            generations=transport.GenerationFile(config.data / "generation", self.peer),
        )
        self.runtime.start(
            self.control,
            control.Engine,
            self.config.control,
            about=self._about(),
            parts=control.Parts(self.control, self, self.runtime.ended.set),
        )
        self.take_part()

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
            admission=config.tracking.admission,
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
            self._disk.close()  # again, for an engine that failed at it
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
            raise fresh(self.failure)


@contextlib.contextmanager
def _named() -> Iterator[None]:
    """Errors that the operator can mend, with the key of the configuration to look at."""
    try:
        yield
    except keyfile.KeyFileError as error:
        raise CannotStart(f"key: {error}") from error
    except (StoreError, transport.GenerationError) as error:
        raise CannotStart(f"data: {error}") from error
    except tracker.BookUnusable as error:
        raise CannotStart(f"tracker.book: {error}") from error
    except transport.BindError as error:
        raise CannotStart(f"transport.listen: {error}") from error
    except discovery.CannotServe as error:
        raise CannotStart(f"discovery.record_listen: {error}") from error
    except discovery.NoZeroconf as error:
        raise CannotStart(f"discovery.lan: {error}") from error
    except membership.NoAddress as error:
        raise CannotStart(f"transport.advertise: {error}") from error
    except control.SocketTaken as error:
        raise CannotStart(f"control.socket: {error}") from error
