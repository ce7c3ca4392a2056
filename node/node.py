"""A node in this process: the actors of `composition.py` with a key file, a data folder, a control socket, an end.

::

    with Node(load("node.yaml")) as node:
        key = node.blobs.put("model.bin")
        node.wait(connected=4, timeout=20)

* What is wrong with the configuration's key, data folder, port or socket is a CannotStart that names the key.
* An engine that fails ends the node: all others are stopped in order, `stopped` is set, and leaving raises the failure.
* Stopping says goodbye to the membership, then stops the engines, newest first, within `STOP_TIMEOUT` seconds in all.
"""

from __future__ import annotations

import contextlib
import errno
import os
import socket
import stat
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from ipaddress import ip_address
from pathlib import Path
from types import TracebackType
from typing import Self

from .. import runtime, transport
from ..actors import discovery, membership, tracker
from ..actors.blobs.stores import StoreError
from ..actors.blobs.stores.files import FileStore
from ..actors.discovery.parts import lan
from ..actors.membership.parts import snapshot
from ..config import NodeConfig
from ..config.node import BLOBS, GENERATION, MEMBERS
from ..config.plugins import PluginError
from ..runtime import EngineGone, LoopRuntime, ThreadRuntime
from ..runtime.arguments import shortened
from ..runtime.errors import fresh
from ..runtime.files import check_folder
from ..runtime.settings import KeyPath, Problem, SettingsError, show_path
from ..transport import Identity, descriptors, keyfile
from . import control, http
from .blobs import Blobs
from .composition import ANSWER_TIMEOUT, Actors, check_parts
from .control.status import Status
from .errors import CannotStart

RUNTIMES = {"loop": LoopRuntime, "threads": ThreadRuntime}
GOODBYE_TIMEOUT = 0.5
STOP_TIMEOUT = 2.5


class Node(Actors):
    """One node in this process. Its mailboxes are there for the application: `node.tracker.track(...)`."""

    runtime: ThreadRuntime

    def __init__(self, config: NodeConfig) -> None:
        """Read the key file, and fit the limits into the file descriptors that there may be; nothing runs yet.

        Raises CannotStart, with all of `obstacles`, and TypeError for what is no configuration.
        """
        if not isinstance(config, NodeConfig):
            raise TypeError(f"a node takes a NodeConfig, as load(...) gives it, not {shortened(config)}")
        if problems := list(obstacles(config)):
            raise CannotStart("\n".join(map(str, problems)))
        with _named():
            identity = _identity(config)
            self._asked = config
            config, self._limits = _fitted(config)
        super().__init__(RUNTIMES[config.runtime](identity.peer.short), config, identity)
        self.stopped = threading.Event()
        """Set when everything has stopped, for whatever reason."""
        self.control = self.runtime.mailbox(control.Mailbox)
        self.blobs = Blobs(self.files)
        self.http: http.HttpServer | None = None
        """What serves `http.listen`, while it does."""
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
                self._close_http()
                self.runtime.stop()
            finally:
                self._disk.close()
                self.stopped.set()
            if self.failure is not None:
                raise fresh(self.failure) from error
            if not asked:
                raise
        else:
            self.runtime.ended.then(self._supervisor.start)
        return self

    def _start(self) -> None:
        config = self.config
        tell = self.log.info if config is self._asked else self.log.warning
        tell("limits of connections, by the file descriptors that there may be", limits=self._limits)
        self._make_data_folder(config.data)
        for words in warnings(config):
            self.log.warning(words)
        store = self._disk.enter_context(contextlib.closing(FileStore(config.data / BLOBS)))
        if config.membership.snapshot:
            snapshot.check(config.data / MEMBERS)
        book = None
        if config.tracker.book is not None:
            kept = tracker.SqliteStorage(config.data / config.tracker.book, network=config.transport.network)
            book = self._disk.enter_context(contextlib.closing(kept))
        self.start_engines(
            store=store,
            book=book,
            snapshot=config.data / MEMBERS,
            generations=transport.GenerationFile(config.data / GENERATION, self.peer),
        )
        self.runtime.start(
            self.control,
            control.Engine,
            self.config.control,
            about=self._about(),
            context=control.Context(self.control, self, self.runtime.ended.set),
        )
        self.take_part()
        self._serve_http()

    def _serve_http(self) -> None:
        """Where it is configured, and nowhere else."""
        config = self.config
        if config.http.listen is not None:
            finds = config.membership.seeds or config.discovery.records or config.discovery.meets_strangers
            pages = http.Pages(self.control, self.runtime, alone_by_choice=not finds)
            self.http = http.HttpServer(config.http.listen, pages, self.runtime.registry, names=config.http.names)

    def _close_http(self) -> None:
        if self.http is not None:
            self.http.close()

    def _make_data_folder(self, folder: Path) -> None:
        """For nobody else; one that is there already is left as it is."""
        try:
            check_folder(folder)
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            raise CannotStart(f"data: {_unusable(folder, error)}") from error

    def _about(self) -> control.About:
        config = self.config
        return control.About(
            peer=self.peer,
            address=str(self.address),
            network=config.transport.network,
            pid=os.getpid(),
            source=config.tracker.source,
            admission=config.tracker.admission,
            limits=self._limits,
            short_lived_places=config.transport.short_lived_places,
        )

    def status(self) -> Status:
        """How the node is at this moment."""
        return self.control.status().get(timeout=ANSWER_TIMEOUT)

    def wait(self, *, connected: int = 0, members: int = 0, timeout: float | None = None) -> Status:
        """Return when at least so many connections are open and so many nodes, this one too, alive.

        Raises `control.NotReached` (a TimeoutError) after `timeout` seconds, or an error if the node ends meanwhile.
        """
        return self.control.wait(connected=connected, members=members, timeout=timeout).get()

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
        """See to it that the end is orderly. Its thread begins when the end does."""
        try:
            self._close_http()
            if self.failure is None:
                with contextlib.suppress(Exception):  # nobody may be left to say goodbye to
                    self.membership.leave().get(timeout=GOODBYE_TIMEOUT)
            self.runtime.stop(STOP_TIMEOUT - GOODBYE_TIMEOUT)
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


_KEYS: Mapping[type[Exception], KeyPath] = {
    keyfile.KeyFileError: ("key",),
    StoreError: ("data",),
    transport.GenerationError: ("data",),
    membership.SnapshotError: ("data",),
    tracker.BookUnusable: ("tracker", "book"),
    transport.BindError: ("transport", "listen"),
    discovery.CannotServe: ("discovery", "record_listen"),
    http.CannotListen: ("http", "listen"),
    discovery.NoZeroconf: ("discovery", "lan"),
    membership.NoAddress: ("transport", "advertise"),
    control.SocketTaken: ("control", "socket"),
    PluginError: (),  # its own section
}
"""Errors that the operator can mend, and the key of the configuration to look at."""


def obstacles(config: NodeConfig) -> Iterator[Problem]:
    """What keeps this machine from running the node, each under its key, as far as it can be seen before it listens.

    Nothing is changed. A folder, a socket or a port in use is none: the node that uses it may be this one.
    """
    data, book = config.data, config.tracker.book
    looks: list[Callable[[], object]] = [lambda: _identity(config)]
    try:
        check_folder(data)
    except OSError as error:
        yield Problem(("data",), _unusable(data, error))
    else:
        looks += [
            lambda: FileStore.check(data / BLOBS),
            lambda: transport.GenerationFile.check(data / GENERATION),
            lambda: snapshot.check(data / MEMBERS) if config.membership.snapshot else None,
            lambda: None if book is None else tracker.SqliteStorage.check(data / book),
        ]
    looks += [
        lambda: _check_listen(config.transport.listen, transport.BindError),
        lambda: (
            None
            if config.discovery.record_listen is None
            else _check_listen(config.discovery.record_listen, discovery.CannotServe)
        ),
        lambda: None if config.http.listen is None else _check_listen(config.http.listen, http.CannotListen),
        lambda: lan.packages() if config.discovery.lan else None,
        lambda: control.socket_path.check(config.control.socket),
    ]
    for name, plugin in config.plugins.items():
        try:
            check_parts(plugin.Engine, config.plugins)
        except TypeError as error:
            yield Problem((name,), str(error))
    for look in looks:
        try:
            look()
        except tuple(_KEYS) as error:
            yield Problem(_key_of(error), _words(error))


def warnings(config: NodeConfig) -> Iterator[str]:
    """What an operator should know of a node that can run all the same: `config check` says it, a start logs it."""
    with contextlib.suppress(OSError):  # it is yet to be made
        mode = stat.S_IMODE(config.data.stat().st_mode)
        if mode & 0o077:
            yield f"the data folder is open to others (mode {mode:04o}): chmod 700 {config.data}"
    if config.transport.listen == transport.Config().listen:
        yield "only this machine can reach the node: set transport.listen"


def losses(config: NodeConfig) -> Iterator[str]:
    """What a start will log of files in the data folder that are damaged, and that it begins anew. Changes nothing.

    It is for a configuration without `obstacles`.
    """
    data, network, book = config.data, config.transport.network, config.tracker.book
    found = [transport.GenerationFile.foresee(data / GENERATION)]
    if book is not None:
        found.append(tracker.SqliteStorage.foresee(data / book, network=network))
    if config.membership.snapshot:
        found.append(snapshot.foresee(data / MEMBERS, network=network, own=_identity(config).peer))
    yield from (words for words in found if words is not None)


@contextlib.contextmanager
def _named() -> Iterator[None]:
    """Errors that the operator can mend as CannotStart."""
    try:
        yield
    except descriptors.NoDescriptors as error:
        raise CannotStart(f"file descriptors: {error}") from error
    except tuple(_KEYS) as error:
        raise CannotStart(f"{show_path(_key_of(error))}: {_words(error)}") from error


def _unusable(folder: Path, error: OSError) -> str:
    return f"cannot use the folder {folder}: {error.strerror}"


def _key_of(error: Exception) -> KeyPath:
    if isinstance(error, PluginError):
        return (error.name,)
    if isinstance(error, keyfile.KeyFileError) and error.what == keyfile.PASSPHRASE_FILE:
        return ("key_passphrase_file",)
    return next(key for kind, key in _KEYS.items() if isinstance(error, kind))


def _words(error: Exception) -> str:
    """Behind the name of the key it need not be said what file it is."""
    return str(error).removeprefix("key file ").removeprefix(f"{keyfile.PASSPHRASE_FILE} ")


def _check_listen(address: transport.Endpoint | discovery.HttpAddress, refusal: type[Exception]) -> None:
    """See that its IP is of this machine, by a port that nobody uses. Raises the refusal."""
    try:
        ip = ip_address(address.host)
    except ValueError:
        return  # a name: who it is may change
    family = socket.AF_INET if ip.version == 4 else socket.AF_INET6
    try:
        with socket.socket(family, socket.SOCK_DGRAM) as probe:
            probe.bind((str(ip), 0))
    except OSError as error:
        if error.errno not in (errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT):
            return  # says nothing about the address: the start finds out
        raise refusal(
            f"cannot listen on {address}: {error.strerror} (allowed: an address of this machine with a free port)"
        ) from error


def _identity(config: NodeConfig) -> Identity:
    """From the key file. Raises KeyFileError."""
    passphrase = config.key_passphrase
    if config.key_passphrase_file is not None:
        passphrase = keyfile.read_passphrase(config.key_passphrase_file)
    return keyfile.load(config.key, passphrase)


def _fitted(config: NodeConfig) -> tuple[NodeConfig, str]:
    """With limits for which there are file descriptors, and one line about them. Raises NoDescriptors, CannotStart.

    Who wants as many as configured has `run` raise the limit, or does so before.
    """
    there, asked = descriptors.limit(), config.transport
    fitting, upkeep = descriptors.fitted(asked, there), config.maintenance
    allowed = fitting.max_connections
    words = (
        f"{allowed} connections, {fitting.max_packet_links} packet links and {fitting.max_pending_handshakes} silent "
        f"connections, in {there} file descriptors"
    )
    if fitting == asked:
        return config, words
    upkeep = replace(
        upkeep,
        max_connections=allowed,
        expected_connections=min(upkeep.expected_connections, allowed),
        min_connections=min(upkeep.min_connections, allowed),
    )
    wanted = descriptors.needed(asked)
    try:
        return config.changed(transport=fitting, maintenance=upkeep), f"{words}; as configured it would be {wanted}"
    except SettingsError as error:
        raise CannotStart(
            f"file descriptors: {there} allow {allowed} connections: {error} (or {wanted} descriptors)"
        ) from error
