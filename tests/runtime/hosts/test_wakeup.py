"""No wake-up is ever lost: an engine parks and is woken by several threads, as often as a test may take."""

from __future__ import annotations

import threading

import pytest

from rookery.runtime import Feedback
from tests.runtime.runtime_kit import Ask, Note, RealHost


def ping_pong(real: RealHost, rounds: int) -> None:
    """Each round trip parks and wakes the engine; a lost wake-up would end in the time-out."""
    recorder = real.recorder()
    senders = 4
    start = threading.Barrier(senders)
    failures: list[BaseException] = []

    def send() -> None:
        start.wait(10)
        try:
            for _ in range(rounds):
                assert recorder.note("wake") is Feedback.OK
                assert recorder.ask(Ask(lambda _engine: 1)).get(timeout=20) == 1
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=send) for _ in range(senders)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert recorder.run(lambda engine: engine.journal.count(Note("wake"))).get(timeout=20) == senders * rounds


def test_wakeup_is_never_lost(real: RealHost) -> None:
    ping_pong(real, 500)


@pytest.mark.full
@pytest.mark.timeout(600)
def test_wakeup_is_never_lost_in_a_hundred_thousand_rounds(real: RealHost) -> None:
    ping_pong(real, 25_000)


def test_messages_of_several_threads_keep_each_senders_order(real: RealHost) -> None:
    journal: list[object] = []
    recorder = real.recorder(journal)
    threads = [
        threading.Thread(target=lambda who=who: [recorder.note(f"{who} {n:05}") for n in range(2000)]) for who in "abc"
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    real.settle()
    texts = [note.text for note in journal]  # type: ignore[attr-defined]
    assert len(texts) == 6000
    for who in "abc":
        own = [text for text in texts if text.startswith(who)]
        assert own == sorted(own)


def test_death_among_senders_leaves_every_message_handled_or_counted(real: RealHost) -> None:
    journal: list[object] = []
    recorder = real.recorder(journal)
    told = [0, 0, 0]

    def flood(index: int) -> None:
        while recorder.note("flood") is not Feedback.CLOSED:
            told[index] += 1
        told[index] += 1  # the closed one is a dead letter too

    threads = [threading.Thread(target=flood, args=(index,)) for index in range(3)]
    for thread in threads:
        thread.start()
    real.until(lambda: len(journal) > 1000)
    recorder.do(lambda engine: engine.stop())
    for thread in threads:
        thread.join()
    real.until(lambda: recorder.termination.ended)
    assert len(journal) + recorder.inbox.dead_letters == sum(told)
    assert recorder.inbox.depth == 0
