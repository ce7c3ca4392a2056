"""Writes the members to a file after changes, and reads them when the node starts again.

* A change is written at the latest `snapshot_every` after it, together with everything that changed meanwhile.
* One write is under way at a time. A write that fails is logged and counted, and tried again after the next change.
* The pool reads and writes the file, so a slow disk delays no message.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from pathlib import Path
from typing import Any

from msgspec import Struct

from .... import runtime
from ....runtime import Message, Reply, Slices
from ....transport.record import PeerRecord
from ..config import Config
from ..core.records import MAX_DISCOVERED
from ..metrics import Metrics
from .session import Session
from .snapshot import NOT_LOADED, Snapshot, UnusableSnapshot, load, save

_DISK_TIMEOUT = 30.0  # seconds
_SERIES = "membership-snapshot"
_SLICE = 100  # members restored per turn of the engine


class Save(Message, Struct, frozen=True):
    """Timer: write the members to the file."""


class Persistence:
    """Part of the engine: reads and writes the file. Without a path it does nothing."""

    def __init__(
        self,
        engine: runtime.Engine[Any],
        config: Config,
        path: Path | None,
        metrics: Metrics,
        *,
        members: Callable[[], Reply[Snapshot] | None],
    ) -> None:
        """members: called for the snapshot to write; gives None before the first `join`."""
        self._engine = engine
        self._slices = Slices(engine, _SLICE)
        self._config = config
        self._path = path if config.snapshot else None
        self._metrics = metrics
        self._members = members
        self._due = self._under_way = False

    def load(self, own: PeerRecord, then: Callable[[Snapshot | None], object]) -> None:
        """Read the file and call `then` with the snapshot in it, or with None if there is none for this node."""
        if self._path is None:
            then(None)
            return

        def loaded(answer: Snapshot | UnusableSnapshot | Exception | None) -> None:
            self._metrics.snapshots.inc(_outcome(answer))
            if isinstance(answer, Exception):
                self._engine.log.warning(NOT_LOADED, file=str(self._path), error=answer)
            then(answer if isinstance(answer, Snapshot) else None)

        read = self._engine.work(_load, self._path, own, serial=_SERIES)
        self._engine.on_reply(read, loaded, timeout=_DISK_TIMEOUT)

    def restore(self, known: Snapshot, session: Session) -> Reply[None]:
        """Make some of the members seeds; unless the snapshot is older than `snapshot_age`, restore all of them too.

        Not whom this node blocks: they may have cheated after the file was written.
        """
        engine = self._engine
        members = [each for each in known.members if not session.was_blocked(each.record.peer)]
        age = engine.wall() - known.at
        active = [each.record for each in members if each.state.is_active]
        likely = active or [each.record for each in members]
        engine.log.info("members remembered", active=len(active), seconds=round(age, 1))
        session.add_discovered(engine.rng.sample(likely, min(len(likely), MAX_DISCOVERED // 2)))
        if age > self._config.snapshot_age:
            return Reply.of(None)

        def restore() -> Generator[int, None, None]:
            for begin in range(0, len(members), _SLICE):
                some = members[begin : begin + _SLICE]
                session.restore(some)
                yield len(some)

        return self._slices.run(restore(), lambda _none: session.announce_to_some())

    def changed(self) -> None:
        """The visible members have changed: write them `snapshot_every` from now, unless that is due already."""
        if self._path is not None and not self._due:
            self._due = True
            self._engine.after(self._config.snapshot_every, Save())

    def on_save(self, _message: Save) -> None:
        """Begin a write; while another is under way, try again after `snapshot_every`."""
        if self._under_way:
            self._engine.after(self._config.snapshot_every, Save())
            return
        self._due = False
        members = self._members()
        if members is not None:
            self._under_way = True
            self._engine.on_reply(members, self._write, timeout=_DISK_TIMEOUT)

    def _write(self, snapshot: Snapshot | Exception) -> None:
        if isinstance(snapshot, Exception) or self._path is None:
            self._under_way = False
            return
        written: Reply[int] = self._engine.work(save, self._path, snapshot, serial=_SERIES)
        self._engine.on_reply(written, self._on_saved, timeout=_DISK_TIMEOUT)

    def _on_saved(self, answer: int | Exception) -> None:
        self._under_way = False
        if isinstance(answer, Exception):
            self._metrics.snapshots.inc("not_saved")
            self._engine.log.warning("members not saved", file=str(self._path), error=answer)
        else:
            self._metrics.snapshots.inc("saved")


def _load(path: Path, own: PeerRecord) -> Snapshot | UnusableSnapshot | None:
    return load(path, network=own.network, own=own.peer)


def _outcome(answer: Snapshot | UnusableSnapshot | Exception | None) -> str:
    match answer:
        case Snapshot():
            return "loaded"
        case UnusableSnapshot():
            return "unusable"
        case None:
            return "none"
        case _:
            return "not_loaded"
