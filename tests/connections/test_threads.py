"""Many threads at one manager: each call is a message, so there is nothing to lock."""

from __future__ import annotations

import threading
from typing import Any

from rookery.actors import connections
from rookery.runtime import ThreadRuntime
from rookery.testing import mock
from rookery.transport import mailbox as transport
from rookery.transport.reasons import Reason
from tests.connections.worlds import make_link, peer_of


def test_threads_that_tag_open_close_and_trim_at_once_lose_nothing(no_leaks: None) -> None:
    net: Any = mock(transport.Mailbox, "net")
    failures: list[BaseException] = []
    with ThreadRuntime() as runtime:
        config = connections.Config(grace_period=0.0, close_timeout=0.01)
        conns = runtime.start(connections.Engine, config, transport=net)

        def work(first: int) -> None:
            try:
                for number in range(first, first + 100):
                    conns.tag_peer(peer_of(number), "a", 1)
                    conns.tell(transport.Opened(make_link(number)))
                    conns.upsert_tag(peer_of(number), "a", lambda weight: weight + 1).get(timeout=30)
                    conns.protect(peer_of(number), "a")
                    conns.unprotect(peer_of(number), "a").get(timeout=30)
                    if number % 10 == 0:
                        conns.tell(transport.Closed(number, peer_of(number), Reason.LOST))
                conns.trim_open_connections(300).get(timeout=30)
            except BaseException as error:
                failures.append(error)

        threads = [threading.Thread(target=work, args=(first,)) for first in range(0, 1000, 100)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(timeout=60)
        info = conns.get_info().get(timeout=30)
        assert failures == []
        assert info.open + info.closing == 900
        assert info.open == info.eligible == 300
        values = {each.value for each in conns.connections().get(timeout=30)}
        assert values == {2}
