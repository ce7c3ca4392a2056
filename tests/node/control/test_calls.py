"""What a client is told of a file while its get is under way. The engine, its clock and its timers are the test's."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

from msgspec.structs import replace

from rookery.actors.blobs import BlobKey, BlobProgress, GetReport, NobodyHasIt
from rookery.node.control.calls import PROGRESS_EVERY, Calls
from rookery.node.control.command import Context
from rookery.node.control.protocol import Answer, Call, Kind, decode_answer, encode_call
from rookery.runtime import Reply

KEY = BlobKey(b"k" * 32)


class Told:
    """A get of one client, and what it was answered."""

    def __init__(self) -> None:
        self.now = 100.0
        self.timers: list[Any] = []
        self.answers: list[Answer] = []
        self.report: Reply[GetReport] = Reply()
        engine = SimpleNamespace(
            now=lambda: self.now,
            after=lambda _seconds, message: self.timers.append(message),
            on_reply=lambda reply, then, timeout: reply.then(lambda done: then(done.result())),
            runtime=SimpleNamespace(registry=SimpleNamespace(counter=lambda *_about: None)),
        )
        files = SimpleNamespace(get=lambda *_asked, **_how: self.report)
        context = Context(cast("Any", None), cast("Any", SimpleNamespace(files=files)), lambda: None)
        self.calls = Calls(cast("Any", engine), context, self._send, 8)
        self.calls.take(b"client", encode_call(Call(1, "get", {"key": str(KEY), "destination": "/tmp/copy"})))

    def _send(self, _client: bytes, frame: bytes) -> bool:
        self.answers.append(decode_answer(frame))
        return True

    def came(self, done: int, stage: str = "", after: float = 0.0) -> None:
        self.now += after
        self.calls.progress(BlobProgress(KEY, done, 100, stage))

    def ring(self) -> None:
        while self.timers:
            self.calls.say_progress(self.timers.pop(0).underway)

    @property
    def done(self) -> list[Any]:
        return [cast("Any", each.body)["done"] for each in self.answers if each.kind is Kind.PROGRESS]


def test_progress_that_comes_too_soon_is_told_later_and_only_the_last_of_it() -> None:
    told = Told()
    for done in (1, 2, 3):
        told.came(done)
    assert (told.done, len(told.timers)) == ([], 1)
    told.ring()
    assert told.done == [3]
    told.came(4, after=2 * PROGRESS_EVERY)
    assert (told.done, told.timers) == ([3, 4], [])


def test_another_stage_is_told_at_once_and_what_waited_is_not_told_after_it() -> None:
    told = Told()
    told.came(1)
    told.came(2, "fetching")
    told.ring()
    assert told.done == [2]


def test_last_progress_is_told_before_the_answer() -> None:
    told = Told()
    told.came(7)
    told.report.fail(NobodyHasIt(KEY, "asked 1 index member; nobody has it"))
    assert (told.done, [each.kind for each in told.answers]) == ([7], [Kind.PROGRESS, Kind.ERROR])
    told.ring()
    assert len(told.answers) == 2


def test_progress_of_another_file_is_not_told() -> None:
    told = Told()
    told.calls.progress(replace(BlobProgress(KEY, 1, 100, "fetching"), root=BlobKey(b"o" * 32)))
    told.ring()
    assert told.answers == []
