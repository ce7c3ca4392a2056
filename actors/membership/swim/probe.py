"""The probe under way: one target, the answers that count, and the helpers that were asked.

             Ack of the target                         period over
begun ---------------------------> succeeded ------------------------> judged: fine
  | probe_rtt over                     ^
  v                ForwardedAck        |               period over
helpers asked -------------------------+    otherwise -----------------> judged: suspect
"""

from .member import Member, MemberId

__all__ = ["Probe"]


class Probe:
    """Numbers only grow, so an answer to an earlier probe never counts for this one."""

    __slots__ = ("_helpers", "number", "stage_two_reached", "succeeded", "target")

    def __init__(self) -> None:
        self.number = 0
        self.clear()

    def clear(self) -> None:
        self.target: Member | None = None
        self.succeeded = False
        self.stage_two_reached = False
        self._helpers: set[MemberId] = set()

    def begin(self, target: Member) -> None:
        self.clear()
        self.target = target
        self.number += 1

    @property
    def is_complete(self) -> bool:
        """Whether the indirect stage had its turn (or there was nothing to probe)."""
        return self.target is None or self.stage_two_reached

    def ask(self, helper: MemberId) -> None:
        self._helpers.add(helper)

    def ack(self, sender: MemberId, number: int) -> None:
        """The target itself answers."""
        if self.target is not None and (sender, number) == (self.target.id, self.number):
            self.succeeded = True

    def forwarded_ack(self, helper: MemberId, origin: MemberId, number: int) -> None:
        """A helper reports that the target answered it; only helpers that we asked are believed."""
        if self.target is not None and helper in self._helpers and (origin, number) == (self.target.id, self.number):
            self.succeeded = True
