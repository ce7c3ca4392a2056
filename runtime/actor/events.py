"""Events: what an engine tells to whoever subscribed to them.

A mailbox that has events lists them in `events`; its engine has a handler for `Subscribe` and a `Subscribers`, which it
tells. A subscriber whose engine is gone is dropped at the next event.
"""

from __future__ import annotations

from typing import ClassVar

from msgspec import Struct

from .mailbox import Mailbox
from .message import Feedback, Message


class Subscribe(Message, Struct, frozen=True):
    """Tell `subscriber` the events of these kinds from now on, beside those that it is told already."""

    subscriber: Mailbox
    kinds: tuple[type[Message], ...]


class EventMailbox(Mailbox):
    """Base of the mailbox of an actor that has events."""

    events: ClassVar[tuple[type[Message], ...]] = ()

    def subscribe(self, subscriber: Mailbox, *kinds: type[Message]) -> Feedback:
        """Tell `subscriber` the events of these kinds, of all kinds if none is named; twice the same changes nothing.

        Raises ValueError for a kind that is not among `events`, `UnhandledMessage` if the subscriber's engine has no
        handler for one.
        """
        unknown = [kind.__name__ for kind in kinds if kind not in self.events]
        if unknown:
            allowed = ", ".join(kind.__name__ for kind in self.events)
            raise ValueError(f"{self.name} has no event {', '.join(unknown)}; it has {allowed}")
        wanted = kinds or self.events
        subscriber.require(*wanted)
        return self.tell(Subscribe(subscriber, wanted))


class Subscribers:
    """Mailboxes and the events each one wants, in the order in which they subscribed."""

    def __init__(self) -> None:
        self._kinds: dict[Mailbox, frozenset[type[Message]]] = {}

    def __len__(self) -> int:
        return len(self._kinds)

    def add(self, message: Subscribe) -> None:
        """These kinds too, from now on: an engine's handler of `Subscribe`, or the beginning of it."""
        mailbox = message.subscriber
        self._kinds[mailbox] = self._kinds.get(mailbox, frozenset()) | set(message.kinds)

    def tell(self, event: Message) -> None:
        """Tell an event to those who want its kind."""
        gone = [
            mailbox
            for mailbox, kinds in self._kinds.items()
            if type(event) in kinds and mailbox.tell(event) is Feedback.CLOSED
        ]
        for mailbox in gone:
            del self._kinds[mailbox]
