"""`rookery run`: a node until a signal, the end of standard input, or its own end."""

from __future__ import annotations

import contextlib
import os
import select
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from ..config import NodeConfig
from ..runtime import EngineFailed
from ..transport import descriptors
from ..transport.identity import PeerId
from . import collector, logs
from .node import Node

if TYPE_CHECKING:
    from types import FrameType

_SIGNALS = (signal.SIGTERM, signal.SIGINT)


class NodeFailed(Exception):
    """An engine failed, so the node has stopped."""


def run(
    config: NodeConfig,
    *,
    while_stdin: bool,
    make: Callable[[NodeConfig], Node] = Node,
    warning: str | None = None,
) -> PeerId:
    """Run a node to its end; its id. while_stdin: the end of standard input ends it too. make: a node of your own.

    warning: of its configuration, for its log. The process allows itself the file descriptors that the settings need,
    where the system lets it.
    Raises CannotStart before anything runs, NodeFailed after everything has stopped.
    """
    descriptors.raise_limit(descriptors.needed(config.transport))
    node = make(config)
    handler = logs.configure(config.log, sys.stderr)
    if warning is not None:
        node.log.warning(warning)
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
    """A handler only writes to a pipe: it may run at any point of the main thread, where no lock can be taken."""
    read_end, write_end = os.pipe()
    os.set_blocking(write_end, False)

    def handle(_number: int, _frame: FrameType | None) -> None:
        with contextlib.suppress(BlockingIOError):
            os.write(write_end, b"\0")

    before = {number: signal.signal(number, handle) for number in _SIGNALS}
    watched = [read_end, sys.stdin.fileno()] if while_stdin else [read_end]
    watcher = threading.Thread(target=_watch, args=(node, watched), name="signals", daemon=True)
    watcher.start()
    after: dict[signal.Signals, Any] = dict(before)
    try:
        yield
        after = dict.fromkeys(_SIGNALS, signal.SIG_IGN)  # the process ends well, and nobody can change that any more
    finally:
        for number, handler in after.items():
            signal.signal(number, handler)
        os.write(write_end, b"\0")
        watcher.join()
        os.close(read_end)
        os.close(write_end)


def _watch(node: Node, watched: list[int]) -> None:
    signals = watched[0]
    while True:
        readable, _, _ = select.select(watched, [], [])
        if signals in readable or any(not os.read(each, 4096) for each in readable):
            node.stop(wait=False)
            return
