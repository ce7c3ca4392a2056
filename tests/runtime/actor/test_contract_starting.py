"""What every runtime does when an engine starts."""

from __future__ import annotations

from typing import Any

import pytest

from rookery.runtime import Engine, EngineGone, Feedback, Mailbox, Terminated, UnhandledMessage
from tests.runtime.runtime_kit import Host, Note, Recorder, RecorderMailbox, raises


def test_start_returns_when_on_start_is_done(host: Host) -> None:
    done: list[str] = []
    host.recorder(starting=lambda engine: done.append(engine.name))
    assert done == ["recorder"]


def test_start_raises_what_on_start_raised_after_cleaning_up(host: Host) -> None:
    journal: list[object] = []
    mailbox = host.runtime.mailbox(RecorderMailbox)
    asked = mailbox.run(lambda _engine: "too early")
    with pytest.raises(OSError, match="no disk"):
        host.runtime.start(
            mailbox,
            Recorder,
            journal,
            starting=raises(OSError("no disk")),
            stopping=lambda e: e.journal.append("stopped"),
        )
    assert journal == ["stopped"]
    assert mailbox.note("late") is Feedback.CLOSED
    with pytest.raises(EngineGone) as gone:
        asked.get(timeout=10)
    assert isinstance(gone.value.__cause__, OSError)


def test_start_when_on_start_exits_the_process_raises_an_ordinary_error(host: Host) -> None:
    with pytest.raises(Exception, match="SystemExit"):
        host.recorder(starting=raises(SystemExit(3)))


def test_start_raises_what_the_constructor_raised_and_the_mailbox_can_be_used_again(host: Host) -> None:
    mailbox = host.runtime.mailbox(RecorderMailbox)
    mailbox.note("early")
    with pytest.raises(TypeError, match="unexpected"):
        host.runtime.start(mailbox, Recorder, unexpected=1)
    journal: list[object] = []
    host.runtime.start(mailbox, Recorder, journal)
    host.settle()
    assert journal == [Note("early")]


class StrictMailbox(Mailbox):
    """Checks what it is called with by what its engine says."""

    longest: object = "not bound"

    def bind(self, handled: frozenset[type], facts: object) -> None:
        super().bind(handled, facts)
        self.longest = facts


class Strict(Engine[StrictMailbox]):
    def __init__(self, longest: int) -> None:
        super().__init__()
        self.facts = longest


def test_start_gives_the_mailbox_the_facts_of_its_engine_and_what_it_handles(host: Host) -> None:
    mailbox = host.runtime.mailbox(StrictMailbox)
    assert mailbox.longest == "not bound"
    host.runtime.start(mailbox, Strict, 3)
    assert mailbox.longest == 3
    assert not mailbox.handles(Note)


def test_start_behind_a_mailbox_that_has_an_engine_is_refused(host: Host) -> None:
    with pytest.raises(ValueError, match="has an engine already"):
        host.runtime.start(host.recorder(), Recorder)


def test_start_behind_a_mailbox_of_another_runtime_is_refused(host: Host) -> None:
    with pytest.raises(ValueError, match="is not of this runtime"):
        host.runtime.start(RecorderMailbox("stranger"), Recorder)


def test_start_behind_a_mailbox_of_another_kind_is_refused(host: Host) -> None:
    with pytest.raises(TypeError, match="serves a RecorderMailbox"):
        host.runtime.start(host.runtime.mailbox(Mailbox), Recorder)


def test_start_after_the_runtime_has_stopped_is_refused(host: Host) -> None:
    host.runtime.stop()
    with pytest.raises(EngineGone):
        host.recorder()


def test_start_pykkas_way_is_refused_with_a_hint() -> None:
    with pytest.raises(TypeError, match=r"use runtime\.start\(mailbox, Recorder"):
        Recorder.start()
    with pytest.raises(TypeError, match=r"runtime\.start"):
        Recorder()


def test_start_inside_a_handler_works(host: Host) -> None:
    recorder = host.recorder()
    started = recorder.run(lambda engine: engine.runtime.start(Recorder)).get(timeout=10)
    assert started.run(lambda engine: engine.name).get(timeout=10) == "recorder-2"


def test_engines_are_named_after_their_mailboxes_and_counted(host: Host) -> None:
    assert [host.recorder().name, host.recorder().name] == ["recorder", "recorder-2"]
    assert host.runtime.mailbox(RecorderMailbox, "recorder-3").name == "recorder-3"
    assert host.recorder().name == "recorder-4"
    with pytest.raises(ValueError, match="a mailbox named 'recorder' already"):
        host.runtime.mailbox(RecorderMailbox, "recorder")


def test_engine_is_not_in_pykkas_global_registry(host: Host) -> None:
    from pykka import ActorRegistry

    host.recorder()
    assert ActorRegistry.get_all() == []


def test_subscriber_that_could_not_listen_is_refused_where_it_subscribes(host: Host) -> None:
    class Deaf(Engine[RecorderMailbox]):
        pass

    deaf: Any = host.runtime.start(Deaf)
    with pytest.raises(UnhandledMessage, match="recorder has no handler for Terminated"):
        deaf.require(Terminated)
