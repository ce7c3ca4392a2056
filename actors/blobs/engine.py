"""The blobs engine: who asks for what. Getting and giving are in `getting` and `serving`."""

from __future__ import annotations

from ... import runtime
from ...runtime import Reply, Subscribe, Subscribers
from ..providers.mailbox import BLOBS, SearchEnded, SearchProgress
from ..providers.mailbox import Mailbox as Providers
from ..resolver import mailbox as resolver
from ..resolver.core.decisions import Outcome
from ..resolver.mailbox import FetchFailed
from .config import Config
from .core.download import Progress
from .core.keys import BlobKey
from .mailbox import Cancel, Deliver, Get, GetProgress, GetReport, Has, Mailbox, Produce, Put
from .metrics import Metrics
from .parts import work
from .parts.getting import Again, Expired, Getting
from .parts.roots import Roots
from .parts.serving import Give, Serving
from .parts.work import WORK_TIMEOUT, ending
from .stores import Store


class Engine(runtime.Engine[Mailbox]):
    """Handlers."""

    def __init__(
        self, config: Config, *, store: Store, resolver: resolver.Mailbox, providers: Providers | None = None
    ) -> None:
        """store: this engine's own from now on; closed when it stops. resolver: whose producer and consumer it is.

        providers: told which files are here, and asked who has those that are not.
        """
        super().__init__()
        self._subscribers = Subscribers()
        self.handlers = {
            Put: self.on_put,
            Get: self.on_get,
            Cancel: self.on_cancel,
            GetProgress: self.on_get_progress,
            Has: self.on_has,
            Subscribe: self._subscribers.add,
            # from the resolver
            Produce: self.on_produce,
            Deliver: self.on_deliver,
            FetchFailed: self.on_fetch_failed,
            # from the providers
            SearchEnded: self.on_search_ended,
            SearchProgress: self.on_search_progress,
            # from itself
            Give: self.on_give,
            Expired: self.on_expired,
            Again: self.on_again,
        }
        self._config = config
        self._store = store
        self._resolver = resolver
        self._metrics = Metrics(self.runtime.registry)
        self._providers = providers
        self._roots = Roots(self, store, providers, config.window, self._metrics)
        self._serving = Serving(self, store, config, self._metrics, roots=self._roots)
        self._getting = Getting(
            self, store, resolver, config.window, self._metrics, self._subscribers.tell, roots=self._roots
        )

    def on_start(self) -> None:
        """Hear of blocks that the resolver gives up."""
        self._resolver.subscribe(self.mailbox, FetchFailed)
        if self._providers is not None:
            self._providers.subscribe(self.mailbox, SearchEnded, SearchProgress)
        self._roots.tell_all()

    def on_stop(self) -> None:
        """End every get. Closing the store also ends what the pool is doing with it."""
        try:
            self._getting.stop()
        finally:
            self._store.close()

    def on_put(self, message: Put) -> Reply[BlobKey]:
        """Cut a file, one after the other: large ones would take the whole pool, and nobody be served."""
        put = self.work(work.put, message.path, self._store, self._config.chunk_size, message.seen, serial="blobs-put")
        counted: Reply[BlobKey] = Reply()

        def count(result: BlobKey | Exception) -> None:
            self._metrics.puts.inc(ending(result))
            if not isinstance(result, Exception):
                self._roots.add(result)
            counted.resolve(result)

        self.on_reply(put, count, timeout=WORK_TIMEOUT)
        return counted

    def on_get(self, message: Get) -> Reply[GetReport]:
        """Fetch a file."""
        return self._getting.join(message)

    def on_cancel(self, message: Cancel) -> int:
        """End the gets of a file."""
        return self._getting.cancel(message.root)

    def on_expired(self, message: Expired) -> None:
        """The time of a get is over."""
        self._getting.expire(message)

    def on_again(self, message: Again) -> None:
        """Go on with a download."""
        self._getting.again(message.root)

    def on_get_progress(self, message: GetProgress) -> Progress | Reply[Progress]:
        """Of the download, or of the store."""
        progress = self._getting.progress(message.root)
        return progress or self.work(work.look, message.root, self._store, self._config.window)

    def on_has(self, message: Has) -> Reply[bool]:
        """Ask the store."""
        return self.work(work.has, message.root, self._store, self._config.window)

    def on_produce(self, message: Produce) -> Reply[bytes | None]:
        """Another node asks for a block."""
        return self._serving.produce(message.block)

    def on_give(self, message: Give) -> None:
        """A block was held back long enough."""
        self._serving.give(message)

    def on_deliver(self, message: Deliver) -> Reply[Outcome]:
        """A block that was asked for."""
        return self._getting.deliver(message.delivery.key, message.value, message.delivery.peer)

    def on_search_ended(self, message: SearchEnded) -> None:
        """All that were to be asked who has a file have been asked."""
        if message.channel == BLOBS:
            searched = message.result
            nobody = searched.asked > 0 and not searched.holders
            self._getting.search_ended(message.data_key, str(searched), nobody=nobody, whole=searched.whole)

    def on_search_progress(self, message: SearchProgress) -> None:
        """The search for who has a file goes on."""
        if message.channel == BLOBS:
            self._getting.search_progress(message.data_key, str(message.progress), message.progress.why)

    def on_fetch_failed(self, message: FetchFailed) -> None:
        """The resolver gave a block up."""
        self._getting.fetch_failed(message.data_key)
