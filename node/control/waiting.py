"""Who waits for numbers: of open connections, of members. Pure; the engine says when the numbers change."""

from __future__ import annotations

from dataclasses import dataclass

from ... import runtime
from ...runtime import Reply, Timer
from ..status import Status
from .mailbox import WaitFor


class NotReached(runtime.Declined, TimeoutError):
    """The numbers were not reached in time; the text says how far it came."""


@dataclass(slots=True, eq=False)
class Wish:
    """One who waits. timer: ends it."""

    wanted: WaitFor
    reply: Reply[Status]
    timer: Timer | None = None


class Waiting:
    """All who wait, in the order in which they came."""

    def __init__(self) -> None:
        self._wishes: dict[int, Wish] = {}
        self._next = 0

    def __len__(self) -> int:
        return len(self._wishes)

    def add(self, wish: Wish) -> int:
        """Its number."""
        self._next += 1
        self._wishes[self._next] = wish
        return self._next

    def look(self, status: Status) -> None:
        """Answer those whose numbers are reached."""
        for number, wish in list(self._wishes.items()):
            if status.connected >= wish.wanted.connected and status.members >= wish.wanted.members:
                del self._wishes[number]
                if wish.timer is not None:
                    wish.timer.cancel()
                wish.reply.set(status)

    def over(self, number: int, status: Status) -> None:
        """The time of one is over."""
        wish = self._wishes.pop(number, None)
        if wish is not None:
            wanted = wish.wanted
            wish.reply.fail(
                NotReached(
                    f"not within {wanted.within:g} s: {status.connected} of {wanted.connected} connections and "
                    f"{status.members} of {wanted.members} members"
                )
            )
