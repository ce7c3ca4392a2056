"""Who wants to hear of what. A subscriber whose engine is gone is dropped at the next event."""

from __future__ import annotations

from .mailbox import Mailbox
from .message import Feedback, Message


class Subscribers:
    """Mailboxes and the events each one wants, in the order in which they subscribed."""

    def __init__(self) -> None:
        self._kinds: dict[Mailbox, frozenset[type[Message]]] = {}

    def __len__(self) -> int:
        return len(self._kinds)

    def add(self, mailbox: Mailbox, kinds: tuple[type[Message], ...]) -> None:
        """These kinds too, from now on."""
        self._kinds[mailbox] = self._kinds.get(mailbox, frozenset()) | set(kinds)

    def tell(self, event: Message) -> None:
        """Tell an event to those who want its kind."""
        gone = [
            mailbox
            for mailbox, kinds in self._kinds.items()
            if type(event) in kinds and mailbox.tell(event) is Feedback.CLOSED
        ]
        for mailbox in gone:
            del self._kinds[mailbox]
