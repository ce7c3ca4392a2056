"""Watching the process's memory: an emergency trim while it is above the limit. Optional, and gentle.

An emergency trim down to low water on a false alarm once cut whole nodes off (go-libp2p #3216). So each check that
finds too much in use gives up a share of the connections only, none of them protected, and not below low water; the
next check sees whether it helped.
"""

from __future__ import annotations

import os
from pathlib import Path

from msgspec import Struct

from .... import runtime
from ....runtime import Message
from ..config import Config
from ..core.peer_table import PeerTable
from ..core.trim import Aim, Mode, Trigger, memory_target
from ..mailbox import Mailbox
from ..metrics import Metrics
from .trims import Trims

READ_TIMEOUT = 5.0
"""Seconds to find out how much memory is in use."""


class CheckMemory(Message, Struct, frozen=True):
    """To itself: time to check the memory."""


def resident() -> int:
    """Bytes of this process that are in memory. Raises OSError where the system does not tell (it has no /proc)."""
    return int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1]) * os.sysconf("SC_PAGE_SIZE")


class MemoryWatch:
    """Checks the memory from time to time; it is read on the pool."""

    def __init__(
        self,
        engine: runtime.Engine[Mailbox],
        config: Config,
        table: PeerTable,
        metrics: Metrics,
        *,
        trims: Trims,
    ) -> None:
        """trims: makes the emergency trims."""
        self._engine = engine
        self._config = config
        self._table = table
        self._metrics = metrics
        self._trims = trims
        self._stopped = False

    def stop(self) -> None:
        """End the checks."""
        self._stopped = True

    def start(self) -> None:
        """Check from now on, if there is a limit."""
        if self._config.memory_limit is not None and not self._stopped:
            self._engine.after(self._config.memory_interval, CheckMemory())

    def check(self) -> None:
        """Find out how much is in use."""
        self._engine.on_reply(self._engine.work(resident), self._on_read, timeout=READ_TIMEOUT)

    def _on_read(self, used: int | Exception) -> None:
        limit = self._config.memory_limit
        if self._stopped:
            return
        if isinstance(used, Exception):
            self._metrics.failures.inc("memory")
            self._engine.log.error("memory cannot be watched", error=used)
        elif limit is not None and used > limit and not self._trims.is_running:
            self._metrics.alarms.inc()
            target = memory_target(self._table.open, self._config.memory_share, self._config.low_water)
            self._engine.log.warning("too much memory in use", used=used, limit=limit, target=target)
            self._trims.request(Aim(target, Trigger.MEMORY, mode=Mode(emergency=True)))
        self.start()
