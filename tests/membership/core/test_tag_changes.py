"""When this node goes over to other tags: at the pace that others take in, and not for what has been set back."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as some

from rookery.actors.membership.core.sender_limits import TAG_CHANGES
from rookery.actors.membership.core.tag_changes import Step, TagChanges

RATE, AT_ONCE = TAG_CHANGES


class Node:
    """Tags and the record that has them."""

    def __init__(self) -> None:
        self.changes = TagChanges(b"0")
        self.held = b"0"
        self.signing: bytes | None = None
        self.now = 0.0
        self.signed_at: list[float] = []

    def set(self, tags: bytes) -> Step:
        self.changes.wanted = tags
        return self.step()

    def step(self) -> Step:
        step = self.changes.step(self.held, self.now)
        if step is Step.SIGN:
            assert self.signing is None
            assert self.changes.wanted != self.held
            self.signing = self.changes.wanted
            self.signed_at.append(self.now)
        return step

    def sign(self, *, fails: bool = False) -> None:
        if self.signing is not None:
            self.held = self.held if fails else self.signing
            self.signing = None
            self.changes.signed()

    def change(self, tags: bytes) -> None:
        assert self.set(tags) is Step.SIGN
        self.sign()


def changed_as_often_as_at_once() -> Node:
    node = Node()
    for number in range(AT_ONCE):
        node.change(b"%d" % (number + 1))
    return node


def test_tags_that_the_record_has_are_done_and_take_nothing_of_the_limit() -> None:
    node = Node()
    assert {node.set(b"0") for _ in range(2 * AT_ONCE)} == {Step.DONE}
    assert node.set(b"1") is Step.SIGN


def test_tags_before_the_first_join_are_done_as_its_record_has_them() -> None:
    changes = TagChanges(b"0")
    changes.wanted = b"1"
    assert changes.step(None, 0.0) is Step.DONE
    assert changes.wanted == b"1"


def test_tags_that_change_too_often_wait_until_the_limit_allows_one_more() -> None:
    node = changed_as_often_as_at_once()
    assert node.set(b"other") is Step.PAUSE
    assert node.changes.ready_at(node.now) == node.now + 1 / RATE
    node.now += 1 / RATE
    assert node.step() is Step.SIGN


def test_tags_that_are_set_back_while_others_wait_are_done() -> None:
    node = changed_as_often_as_at_once()
    assert node.set(b"other") is Step.PAUSE
    assert node.set(node.held) is Step.DONE
    node.now += 1 / RATE
    assert node.step() is Step.DONE


def test_tags_that_are_set_while_a_record_is_signed_wait_for_it() -> None:
    node = Node()
    assert [node.set(tags) for tags in (b"1", b"2", b"0")] == [Step.SIGN, Step.SIGNING, Step.SIGNING]
    node.sign()
    assert (node.held, node.step()) == (b"1", Step.SIGN)
    node.sign()
    assert (node.held, node.step()) == (b"0", Step.DONE)


def test_tags_whose_record_cannot_be_signed_are_tried_again_when_asked() -> None:
    node = Node()
    assert node.set(b"1") is Step.SIGN
    node.sign(fails=True)
    assert node.step() is Step.SIGN


ACTIONS = some.one_of(
    some.sampled_from([b"0", b"1", b"2"]),
    some.floats(min_value=0.0, max_value=20.0),
    some.booleans(),
)


@given(some.lists(ACTIONS, max_size=60))
def test_tags_never_change_faster_than_the_limit_and_end_as_they_were_set_last(actions: list[bytes | float]) -> None:
    node = Node()
    for action in actions:
        match action:
            case bytes():
                node.set(action)
            case bool():
                node.sign(fails=action)
                node.step()
            case _:
                node.now += action
                node.step()
    for since in range(len(node.signed_at)):
        for until in range(since, len(node.signed_at)):
            seconds = node.signed_at[until] - node.signed_at[since]
            assert until - since + 1 <= AT_ONCE + RATE * seconds + 1e-6
    node.sign()
    node.now = node.changes.ready_at(node.now)
    node.step()
    node.sign()
    assert node.step() is Step.DONE
    assert node.held == node.changes.wanted
