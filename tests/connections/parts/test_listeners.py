"""Listeners: told of every connection in order, and harmless however slow or broken they are."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from rookery.actors import connections
from rookery.runtime import ThreadRuntime
from rookery.testing import mock
from rookery.transport import mailbox as transport
from rookery.transport.gatekeeper import Link
from rookery.transport.reasons import Reason
from tests.connections.worlds import Around, make_link


class Diary:
    """Writes down what it is told."""

    def __init__(self) -> None:
        self.entries: list[tuple[str, int]] = []

    def connected(self, link: Link) -> None:
        self.entries.append(("connected", link.id))

    def disconnected(self, link: Link, reason: Reason) -> None:
        self.entries.append((reason.value, link.id))


class Broken(Diary):
    """Raises all the same."""

    def connected(self, link: Link) -> None:
        super().connected(link)
        raise LookupError("no such thing")


class Stuck(Diary):
    """Waits until it is released."""

    def __init__(self) -> None:
        super().__init__()
        self.entered, self.released = threading.Event(), threading.Event()

    def connected(self, link: Link) -> None:
        self.entered.set()
        assert self.released.wait(timeout=30)
        super().connected(link)


@pytest.fixture
def around(simulation: Any) -> Around:
    return Around(simulation)


def test_listener_is_told_connected_before_disconnected_and_each_once(around: Around) -> None:
    diary = Diary()
    around.conns.notify(diary)
    around.conns.notify(diary)  # a second time changes nothing
    around.open(make_link(1), make_link(2, peer=1), make_link(1))
    around.close(make_link(1), make_link(1), reason=Reason.LOST)
    around.close(make_link(2, peer=1), reason=Reason.REMOTE)
    assert diary.entries == [("connected", 1), ("connected", 2), ("lost", 1), ("remote", 2)]


def test_listener_that_comes_late_is_not_told_the_end_of_what_it_did_not_see_begin(around: Around) -> None:
    diary = Diary()
    around.open(make_link(1))
    around.conns.notify(diary)
    around.open(make_link(2))
    around.close(make_link(1), make_link(2))
    assert diary.entries == [("connected", 2), ("trimmed", 2)]


def test_listener_that_was_removed_is_told_nothing_more(around: Around) -> None:
    diary, other = Diary(), Diary()
    around.conns.notify(diary)
    around.conns.notify(other)
    around.open(make_link(1))
    around.conns.stop_notify(diary)
    around.open(make_link(2))
    assert (len(diary.entries), len(other.entries)) == (1, 2)


def test_listener_that_raises_is_counted_and_hears_the_rest_as_do_the_others(around: Around) -> None:
    broken, diary = Broken(), Diary()
    around.conns.notify(broken)
    around.conns.notify(diary)
    around.open(make_link(1), make_link(2))
    around.close(make_link(1))
    assert broken.entries == diary.entries == [("connected", 1), ("connected", 2), ("trimmed", 1)]
    assert around.counted("application_failures_total", "listener") == 2


def test_C29_listener_may_ask_the_manager_and_remove_itself_in_a_callback(around: Around) -> None:
    class Busybody(Diary):
        def connected(self, link: Link) -> None:
            super().connected(link)
            around.conns.tag_peer(link.peer, "seen", 1)
            around.conns.stop_notify(self)
            around.conns.trim_open_connections(0)

    busybody = Busybody()
    around.conns.notify(busybody)
    around.open(make_link(1))
    around.open(make_link(2))
    assert busybody.entries == [("connected", 1)]
    assert around.closings() == [1]


def test_stuck_listener_delays_neither_the_engine_nor_the_others_and_is_dropped_when_too_much_waits(
    no_leaks: None,
) -> None:
    stuck, diary = Stuck(), Diary()
    with ThreadRuntime() as runtime:
        config = connections.Config(max_listener_backlog=5)
        net: Any = mock(transport.Mailbox, "net")
        conns = runtime.start(connections.Engine, config, transport=net)
        conns.notify(stuck)
        conns.tell(transport.Opened(make_link(0)))
        assert stuck.entered.wait(timeout=30)
        conns.notify(diary)
        for number in range(1, 6):
            conns.tell(transport.Opened(make_link(number)))
        assert conns.get_info().get(timeout=30).open == 6
        assert runtime.registry.value("connections_application_failures_total", "slow_listener") == 0
        conns.tell(transport.Opened(make_link(6)))
        assert conns.get_info().get(timeout=30).open == 7
        assert runtime.registry.value("connections_application_failures_total", "slow_listener") == 1
        pause = threading.Event()
        for _ in range(3000):
            if len(diary.entries) == 6:
                break
            pause.wait(0.01)
        assert len(diary.entries) == 6
        stuck.released.set()
    assert stuck.entries in ([("connected", 0)], [])
