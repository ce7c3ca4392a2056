"""`rookery run`: a node until a signal, the end of standard input, or its own end."""

from __future__ import annotations

import contextlib
import os
import select
import sys
import threading
from collections.abc import Callable, Iterable, Iterator

from ..config import NodeConfig
from ..runtime import EngineFailed, collector
from ..transport import descriptors
from ..transport.identity import PeerId
from . import logs, signals
from .errors import CannotStart
from .node import Node


class NodeFailed(Exception):
    """An engine failed, so the node has stopped."""


def run(
    config: NodeConfig,
    *,
    while_stdin: bool,
    make: Callable[[NodeConfig], Node] = Node,
    warnings: Iterable[str] = (),
) -> PeerId:
    """Run a node to its end; its id. while_stdin: the end of standard input ends it too. make: a node of your own.

    warnings: of its configuration file, for its log. The process allows itself the file descriptors that the settings
    need, where the system lets it.
    Raises CannotStart before anything runs, NodeFailed after everything has stopped.
    """
    descriptors.raise_limit(descriptors.needed(config.transport))
    node = make(config)
    handler = logs.configure(config.log, sys.stderr)
    for words in warnings:
        node.log.warning(words)
    try:
        with collector.short_pauses(), _ended_by_signals(node, while_stdin):
            try:
                with node:
                    node.stopped.wait()
            except Exception as error:
                if isinstance(error, EngineFailed):
                    raise NodeFailed(f"the node failed and has stopped; its log says more: {error!s:.300}") from error
                raise
    finally:
        logs.end(handler)
    return node.peer


@contextlib.contextmanager
def _ended_by_signals(node: Node, while_stdin: bool) -> Iterator[None]:
    stdin = [_stdin()] if while_stdin else []
    caught = signals.caught()
    watched = [caught.read_end, *stdin]
    watcher = threading.Thread(target=_watch, args=(node, watched), name="signals", daemon=True)
    watcher.start()
    ended_well = False
    try:
        yield
        ended_well = True  # and nobody can change that any more
    finally:
        caught.wake()
        watcher.join()
        caught.restore(ignore=ended_well)


def _stdin() -> int:
    """Its descriptor, if it was open when the process began; else its number may be of anything."""
    if sys.stdin is None:
        raise CannotStart(
            "--while-stdin: standard input is closed (allowed: one that is open as long as the node runs)"
        )
    return sys.stdin.fileno()


def _watch(node: Node, watched: list[int]) -> None:
    poller = select.poll()
    for each in watched:
        poller.register(each, select.POLLIN)
    while True:
        readable = [descriptor for descriptor, _ in poller.poll()]
        if watched[0] in readable or any(not _read(each) for each in readable):
            node.stop(wait=False)
            return


def _read(descriptor: int) -> bytes:
    try:
        return os.read(descriptor, 4096)
    except OSError:  # as good as its end
        return b""
