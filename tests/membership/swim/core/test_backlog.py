"""What is passed on, and how often."""

from hypothesis import given, settings
from hypothesis import strategies as st

from rookery.actors.membership.swim.core.backlog import Backlog

NAMES = [b"a", b"b", b"c", b"d"]


def test_backlog_item_is_given_out_as_often_as_it_has_copies() -> None:
    backlog = Backlog[bytes]()
    backlog.add(b"a", b"news", 3)
    assert [backlog.fill(100, 10) for _ in range(4)] == [[b"news"]] * 3 + [[]]
    assert len(backlog) == 0


def test_backlog_item_replaces_the_one_with_its_key_and_starts_anew() -> None:
    backlog = Backlog[bytes]()
    backlog.add(b"a", b"old", 2)
    backlog.fill(100, 10)
    backlog.add(b"a", b"new", 2)
    assert len(backlog) == 1
    assert [backlog.fill(100, 10) for _ in range(3)] == [[b"new"], [b"new"], []]


def test_backlog_gives_most_copies_left_first_then_what_waits_longest() -> None:
    backlog = Backlog[bytes]()
    backlog.add(b"a", b"worn", 1)
    backlog.add(b"b", b"first", 2)
    backlog.add(b"c", b"second", 2)
    assert backlog.fill(100, 10) == [b"first", b"second", b"worn"]


def test_backlog_item_that_does_not_fit_is_kept_and_costs_nothing() -> None:
    backlog = Backlog[bytes]()
    backlog.add(b"a", b"12345", 1)
    assert backlog.fill(4, 10) == []
    assert backlog.fill(5, 0) == []
    assert backlog.fill(5, 1) == [b"12345"]


def test_backlog_of_a_discarded_key_gives_nothing() -> None:
    backlog = Backlog[bytes]()
    backlog.add(b"a", b"news", 3)
    backlog.discard(b"a")
    backlog.discard(b"never there")
    assert backlog.fill(100, 10) == []


@settings(max_examples=30)
@given(
    st.lists(
        st.tuples(st.just("add"), st.sampled_from(NAMES), st.integers(1, 4))
        | st.tuples(st.just("fill"), st.just(b""), st.integers(0, 12))
        | st.tuples(st.just("discard"), st.sampled_from(NAMES), st.just(0)),
        max_size=40,
    )
)
def test_backlog_agrees_with_a_plain_list_under_any_use(steps: list[tuple[str, bytes, int]]) -> None:
    backlog, model, serial = Backlog[bytes](), dict[bytes, tuple[int, int]](), 0
    for step, key, number in steps:
        serial += 1
        if step == "add":
            backlog.add(key, key * 3, number)
            model[key] = (number, serial)
        elif step == "discard":
            backlog.discard(key)
            model.pop(key, None)
        else:
            order = sorted(model, key=lambda key: (-model[key][0], model[key][1]))
            expected = order[: number // 3]
            assert backlog.fill(number, 99) == [key * 3 for key in expected]
            for place, key_out in enumerate(expected):
                copies = model.pop(key_out)[0] - 1
                if copies:
                    model[key_out] = (copies, serial + place)
            serial += len(expected)
        assert len(backlog) == len(model)
