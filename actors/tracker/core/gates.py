"""The gate as it should be now: what transport refuses by itself, and what it tells peers that it turns away.

A new version is made only when something in it is another now, and then of the parts that are: the marks of change
say where to look, and what is equal there is no change.
"""

from __future__ import annotations

from dataclasses import replace
from types import MappingProxyType

from ....transport.gatekeeper import Gate
from ....transport.gater import Gaters
from ....transport.identity import PeerId
from ....transport.record import PeerRecord
from ..config import Config
from .known_peers import Table


class Gates:
    """Makes the gates of one table."""

    def __init__(self, config: Config, table: Table, gaters: Gaters) -> None:
        """gaters: the application's own, which judge addresses inside transport."""
        self._table = table
        self._registers_ips = config.registers_ips
        self._gate = Gate(0, gater=gaters or None)

    def current(self, now: float, *, told: bool = False) -> Gate:
        """The newest gate; the same value as before unless its content has changed.

        told: also a new one where only what peers are told has changed: who has to wait, and whom they may ask instead.
        """
        table, gate, first = self._table, self._gate, self._gate.version == 0
        if table.blocks.changed or first:
            blocks = table.blocks
            gate = replace(gate, blocked=blocks.curve_keys, blocked_ips=blocks.ips, blocked_subnets=blocks.subnets)
        if table.register.changed or first:
            gate = replace(gate, registered_ips=table.register.ips if self._registers_ips else None)
        if table.trust_changed or first:
            gate = replace(gate, packets=table.packet_keys)
        table.blocks.changed = table.register.changed = table.trust_changed = False
        if first or self._differs(gate) or (told and table.told.changed):
            cooling = MappingProxyType(table.told.cooling(now))
            gate = replace(gate, cooling=cooling, alternatives=table.alternatives(now))
            table.told.changed = False
        if first or self._differs(gate):
            self._gate = replace(gate, version=gate.version + 1)
        return self._gate

    def _differs(self, gate: Gate) -> bool:
        return gate is not self._gate and gate != self._gate

    def alternatives(self, peer: PeerId) -> tuple[PeerRecord, ...]:
        """Whom the gate names to a peer that is turned away."""
        return tuple(each for each in self._gate.alternatives if each.peer != peer)
