"""Subscribing to an actor's events: the same for every actor that has some."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import pytest

from rookery.runtime import (
    Engine,
    EventMailbox,
    Feedback,
    Mailbox,
    Message,
    Simulation,
    Subscribe,
    Subscribers,
    UnhandledMessage,
)


@dataclass(frozen=True, slots=True)
class Opened(Message):
    number: int


@dataclass(frozen=True, slots=True)
class Shut(Message):
    number: int


@dataclass(frozen=True, slots=True)
class Other(Message):
    """No event."""


class ShopMailbox(EventMailbox):
    events: ClassVar = (Opened, Shut)


class Shop(Engine[ShopMailbox]):
    def __init__(self) -> None:
        super().__init__()
        self.subscribers = Subscribers()
        told = self.subscribers.tell
        self.handlers = {Subscribe: self.subscribers.add, Opened: told, Shut: told, Other: told}


class OnlyOpened(Engine[Mailbox]):
    def __init__(self) -> None:
        super().__init__()
        self.handlers = {Opened: lambda _event: None}


def heard(simulation: Simulation, *kinds: type[Message], times: int = 1) -> list[Message]:
    """What a subscriber of these kinds is told of one event of each."""
    shop, listener = simulation.start(Shop), simulation.mailbox(Mailbox)
    told: list[Message] = []

    class Listener(Engine[Mailbox]):
        def __init__(self) -> None:
            super().__init__()
            self.handlers = dict.fromkeys((Opened, Shut, Other), told.append)

    simulation.start(listener, Listener)
    for _ in range(times):
        assert shop.subscribe(listener, *kinds) is Feedback.OK
    for event in (Opened(1), Other(), Shut(1)):
        simulation.settle()
        shop.tell(event)
    simulation.settle()
    return told


def test_subscriber_that_names_no_kind_is_told_every_event(simulated: Simulation) -> None:
    assert heard(simulated) == [Opened(1), Shut(1)]


def test_subscriber_is_told_only_the_kinds_it_named(simulated: Simulation) -> None:
    assert heard(simulated, Shut) == [Shut(1)]


def test_subscription_made_twice_tells_each_event_once(simulated: Simulation) -> None:
    assert heard(simulated, Opened, times=2) == [Opened(1)]


def test_subscriptions_to_several_kinds_add_up(simulated: Simulation) -> None:
    shop, listener = simulated.start(Shop), simulated.start(OnlyOpened)
    shop.subscribe(listener, Opened)
    simulated.settle()
    (engine,) = (each for each in simulated.engines if isinstance(each, Shop))
    engine.subscribers.add(Subscribe(listener, (Shut,)))
    assert engine.subscribers._kinds[listener] == {Opened, Shut}


def test_subscription_to_what_is_no_event_is_refused_with_the_events_there_are(simulated: Simulation) -> None:
    shop, listener = simulated.start(Shop), simulated.start(OnlyOpened)
    with pytest.raises(ValueError, match="shop has no event Other; it has Opened, Shut"):
        shop.subscribe(listener, Opened, Other)


def test_subscriber_that_cannot_handle_an_event_is_refused(simulated: Simulation) -> None:
    shop, listener = simulated.start(Shop), simulated.start(OnlyOpened)
    with pytest.raises(UnhandledMessage, match="Shut"):
        shop.subscribe(listener)


def test_subscriber_that_is_gone_is_forgotten_at_the_next_event(simulated: Simulation) -> None:
    shop, listener = simulated.start(Shop), simulated.start(OnlyOpened)
    shop.subscribe(listener, Opened)
    simulated.settle()
    (engine,) = (each for each in simulated.engines if isinstance(each, Shop))
    assert len(engine.subscribers) == 1
    listener.inbox.stop()
    simulated.settle()
    shop.tell(Opened(2))
    simulated.settle()
    assert len(engine.subscribers) == 0
