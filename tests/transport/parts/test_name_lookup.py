"""Look-ups of names while some are slow: who advertises a slow name waits for itself, and others get their turn."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pytest

from rookery import transport
from rookery.transport import Address, Endpoint, PeerId, Reason
from rookery.transport.parts.name_lookup import MAX_WAITING, REMEMBERED, THREADS
from tests.transport.parts.test_dialling import Answers, answer, named
from tests.transport.worlds import Node, RealWorld, SimulatedWorld, World

Names = dict[str, Callable[[], Answers]]
LONG = 60.0  # seconds that a slow name takes


@pytest.fixture
def slow(simulated: SimulatedWorld, names: Names, monkeypatch: pytest.MonkeyPatch) -> Slow:
    return Slow(simulated, names, monkeypatch)


class Slow:
    """A node whose resolver takes its time for some names, and the members that advertise them."""

    def __init__(self, world: SimulatedWorld, names: Names, monkeypatch: pytest.MonkeyPatch) -> None:
        self.world, self.names = world, names
        self.alice, self.bob = world.node("alice"), world.node("bob")
        self.seconds: dict[str, float] = {}
        self.begun: list[str] = []
        work = self.alice.engine.work

        def slow_work(function: Any, host: str, *args: Any, **options: Any) -> Any:
            self.begun.append(host)
            return work(function, host, *args, **options, cost=self.seconds.get(host, 0.0))

        monkeypatch.setattr(self.alice.engine, "work", slow_work)

    def peer(self, name: str) -> PeerId:
        return self.world.known.identity(name).peer

    def name(self, host: str, seconds: float = LONG) -> Address:
        self.seconds[host], self.names[host] = seconds, list
        return Address(Endpoint(host, 7000))

    def lie(self, number: int, host: str | None = None) -> None:
        """A packet to the member of this number, at a slow name."""
        self.alice.net.send_packet(self.peer(f"liar {number}"), self.name(host or f"slow{number}.example"), b"ping")

    def honest(self, host: str, ip: str | None = None) -> Address:
        self.names[host] = lambda: [answer(ip or self.bob.address.endpoint.host)]
        return named(self.bob, host)

    def under_way(self) -> tuple[float, float]:
        value = self.alice.runtime.registry.value
        return value("transport_look_ups", "running"), value("transport_look_ups", "waiting")

    def dialled_at_once(self, address: Address) -> bool:
        """Whether a dial of bob by this name connects within a second, and end it."""
        self.alice.dial(self.bob, address=address)
        self.world.pass_time(1.0)
        connected = bool(self.alice.links())
        self.world.get(self.alice.net.close(self.bob.peer, Reason.REQUESTED))
        self.world.pass_time(1.0)
        return connected


def test_name_waits_for_no_slow_name_of_another_peer_while_there_is_a_free_thread(slow: Slow) -> None:
    for number in range(11):
        slow.lie(number)
    slow.world.pass_time(0.1)
    assert slow.under_way() == (11, 0)
    assert slow.dialled_at_once(slow.honest("bob.example"))
    slow.alice.net.send_packet(slow.bob.peer, slow.honest("bob2.example"), b"ping")
    slow.world.until(lambda: slow.bob.receiver.control.received(transport.Packet), timeout=1.0)


def test_peer_with_many_slow_names_holds_one_thread_and_one_place_in_the_queue(slow: Slow) -> None:
    for number in range(50):
        slow.lie(0, f"slow{number}.example")
    slow.world.pass_time(0.1)
    assert slow.under_way() == (1, 1)
    assert slow.alice.counted("packets", "unresolved") == 48
    assert slow.begun == ["slow0.example"]
    slow.world.pass_time(2 * LONG)
    assert slow.begun == ["slow0.example"]  # what waited for its turn until nobody wanted it is not begun
    assert slow.under_way() == (0, 0)


def test_name_that_was_quick_before_gets_its_turn_however_many_members_come_with_slow_names(slow: Slow) -> None:
    bob = slow.honest("bob.example")
    assert slow.dialled_at_once(bob)
    for number in range(40):
        slow.lie(number)
    slow.world.pass_time(0.1)
    assert slow.under_way() == (12, 28)
    assert slow.dialled_at_once(bob)
    assert slow.alice.counted("dials", Reason.UNRESOLVED) == 0


def test_names_that_were_slow_go_behind_a_new_name_the_next_time(slow: Slow) -> None:
    for number in range(12):
        slow.lie(number)
    slow.world.pass_time(LONG)
    assert slow.under_way() == (0, 0)
    for number in range(12):
        slow.lie(number)
    slow.world.pass_time(0.1)
    assert slow.under_way() == (4, 8)
    assert slow.dialled_at_once(slow.honest("bob.example"))


def test_peer_that_had_a_slow_name_goes_behind_with_every_other_name(slow: Slow) -> None:
    for number in range(12):
        slow.lie(number)
    slow.world.pass_time(LONG)
    for number in range(12):
        slow.lie(number, f"another{number}.example")
    slow.world.pass_time(0.1)
    assert slow.under_way() == (4, 8)


def test_peer_and_name_that_are_quick_again_go_behind_no_more(slow: Slow) -> None:
    for number in range(5):
        slow.lie(number)
    slow.world.pass_time(LONG)
    for number in range(5):
        slow.alice.net.send_packet(slow.peer(f"liar {number}"), slow.name(f"slow{number}.example", 0.1), b"ping")
        slow.world.pass_time(0.5)
    slow.world.pass_time(LONG)
    for number in range(5):
        slow.lie(number)
    slow.world.pass_time(0.1)
    assert slow.under_way() == (5, 0)


def test_name_of_two_peers_is_looked_up_once_and_leads_each_to_its_own_port(slow: Slow) -> None:
    host, carol = slow.bob.address.endpoint.host, slow.peer("carol")
    address = slow.honest("both.example", host)
    slow.seconds["both.example"] = 0.5
    slow.alice.net.send_packet(carol, Address(Endpoint("both.example", 1)), b"ping")
    slow.alice.net.send_packet(slow.bob.peer, address, b"ping")
    slow.world.until(lambda: slow.bob.receiver.control.received(transport.Packet), timeout=1.0)
    assert slow.begun == ["both.example"]


def test_name_that_a_slow_peer_asked_for_first_is_not_held_up_for_who_else_has_it(slow: Slow) -> None:
    slow.lie(0)
    slow.world.pass_time(1.5)
    bob = slow.honest("bob.example")
    slow.alice.net.send_packet(slow.peer("liar 0"), bob, b"ping")
    slow.world.pass_time(0.1)
    assert slow.under_way() == (1, 1)
    assert slow.dialled_at_once(bob)


def test_slow_name_that_waits_gives_way_to_others_when_too_many_wait(slow: Slow) -> None:
    for number in range(12):
        slow.lie(number)
    slow.world.pass_time(2.0)
    slow.lie(0, "behind.example")
    for number in range(12, 12 + MAX_WAITING):
        slow.lie(number)
    slow.world.pass_time(0.1)
    assert slow.under_way() == (12, MAX_WAITING)
    assert slow.alice.counted("packets", "unresolved") == 1  # behind.example
    slow.lie(1000)
    slow.world.pass_time(0.1)
    assert slow.under_way() == (12, MAX_WAITING)
    assert slow.alice.counted("packets", "unresolved") == 2  # the last, as all are new
    slow.world.pass_time(LONG + 20)
    assert slow.under_way() == (0, 0)
    assert slow.alice.engine.packets._waiting == 0


def test_names_and_peers_that_are_remembered_as_slow_or_quick_are_bounded(slow: Slow) -> None:
    names = slow.alice.engine.names
    for number in range(0, REMEMBERED, 4):
        for offset in range(4):
            slow.alice.net.send_packet(
                slow.peer(f"liar {number + offset}"), slow.name(f"slow{number + offset}.example", 1.5), b""
            )
            slow.alice.net.send_packet(
                slow.peer(f"good {number + offset}"), slow.name(f"quick{number + offset}.example", 0.0), b""
            )
        slow.world.pass_time(1.6)
    slow.honest("bob.example")
    slow.alice.dial(slow.bob, address=named(slow.bob))
    slow.world.pass_time(1.0)
    assert len(names._quick) == len(names._slow) == REMEMBERED


def test_threads_for_names_are_bounded_and_the_stop_of_a_node_waits_for_none(names: Names) -> None:
    """What hangs ends with the test."""
    hung = threading.Event()
    real = RealWorld()
    before = set(threading.enumerate())

    def hangs() -> Answers:
        hung.wait(30)
        return []

    def held() -> list[threading.Thread]:
        return [thread for thread in set(threading.enumerate()) - before if "names" in thread.name]

    try:
        alice = real.node("alice", dial_timeout=0.3)
        for number in range(2 * THREADS):
            names[f"slow{number}.example"] = hangs
            send_to(real, alice, f"slow{number}")
        real.until(lambda: len(held()) == 12)
        real.until(lambda: alice.counted("packets", "unresolved") == 2 * THREADS)
        assert len(held()) == 12
        real.close()  # raises StopTimeout if something is waited for in vain
        assert len(held()) == 12
    finally:
        hung.set()
        for thread in held():
            thread.join(10)
        real.close()


def send_to(world: World, sender: Node, name: str) -> None:
    sender.net.send_packet(world.known.identity(name).peer, Address.parse(f"tcp://{name}.example:7000"), b"ping")
