"""Asks the providers who has the keys that nobody connected can answer (flows: fetch 2).

It takes the place of wishing for connections at random. Three peers that have not got a key are enough, be there more.
Whoever has it is connected by the providers, and then is the first to be asked for it. A search lasts until the key is
not wanted any more.
"""

from __future__ import annotations

from ....transport.identity import PeerId
from ...providers.mailbox import Mailbox as Providers
from ..core.fetching.fetcher import Fetcher

SEARCHES_PER_TURN = 64


class Finding:
    """The keys that are searched for."""

    def __init__(self, fetcher: Fetcher[PeerId], providers: Providers, channel: int) -> None:
        """channel: of this resolver, whose keys are provided and searched for under it."""
        self._fetcher = fetcher
        self._providers = providers
        self._channel = channel
        self._searched: set[bytes] = set()
        fetcher.watch_stuck()

    def consider(self) -> bool:
        """Search for what nobody connected has, however much that is; whether there may be more of it."""
        taken = self._fetcher.take_stuck(SEARCHES_PER_TURN)
        for key in taken:
            if key not in self._searched:
                self._searched.add(key)
                self._providers.search(key, self._channel)
        return len(taken) == SEARCHES_PER_TURN

    def found(self, channel: int, key: bytes, peer: PeerId) -> None:
        """A peer says that it has a key of this channel."""
        if channel == self._channel and key in self._searched:
            self._fetcher.prefer(key, peer)

    def retired(self, key: bytes) -> None:
        """A key is here, or not wanted any more."""
        if key in self._searched:
            self._searched.discard(key)
            self._providers.end_search(key, self._channel)
