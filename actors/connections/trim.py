"""One trim under way: whom it waits for, what is gone, and who wants to know."""

from __future__ import annotations

from dataclasses import dataclass, field

from ...runtime import Reply
from ...transport.mailbox import Link
from .mailbox import TrimReport


@dataclass(slots=True)
class RunningTrim:
    """Victims are waited for until each is closed. next_target: the strictest target asked for meanwhile."""

    target: int
    waiting: dict[int, Link]
    gone: list[Link] = field(default_factory=list)
    replies: list[Reply[TrimReport]] = field(default_factory=list)
    next_target: int | None = None

    def share(self, target: int) -> Reply[TrimReport]:
        """One more asks while this trim runs: it gets this trim's report."""
        if target < self.target:
            self.next_target = target if self.next_target is None else min(target, self.next_target)
        return self.expect()

    def expect(self) -> Reply[TrimReport]:
        """The report, when the trim ends."""
        reply: Reply[TrimReport] = Reply()
        self.replies.append(reply)
        return reply

    def closed(self, link_id: int) -> bool:
        """A link is gone; True if it was the last this trim waited for."""
        link = self.waiting.pop(link_id, None)
        if link is None:
            return False
        self.gone.append(link)
        return not self.waiting

    def end(self) -> TrimReport:
        """Tell everybody who shares this trim."""
        report = TrimReport(tuple(self.gone), short_by=len(self.waiting))
        for reply in self.replies:
            reply.set(report)
        return report
