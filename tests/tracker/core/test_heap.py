"""The heap from whose middle entries can be taken."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from rookery.actors.tracker.core.heap import Entry, Heap

actions = st.lists(st.one_of(st.tuples(st.just("add"), st.integers(0, 20)), st.tuples(st.just("out"), st.integers(0))))


@given(actions)
def test_heap_answers_as_a_sorted_list_does(actions: list[tuple[str, int]]) -> None:
    heap, inside = Heap[int](), list[Entry[int]]()
    for action, number in actions:
        if action == "add":
            inside.append(Entry(number, number))
            heap.add(inside[-1])
        elif inside:
            heap.remove(inside.pop(number % len(inside)))
        keys = sorted(entry.key for entry in inside)
        assert len(heap) == len(keys)
        assert (heap.first.key if heap.first else None) == (keys[0] if keys else None)
        assert [entry.key for entry in heap.in_order()] == keys
        assert {id(entry) for entry in heap.in_order()} == {id(entry) for entry in inside}


def test_heap_entry_that_is_out_may_come_again_with_another_key() -> None:
    heap = Heap[str]()
    first, second = Entry("a", 1.0), Entry("b", 2.0)
    heap.add(first)
    heap.add(second)
    heap.remove(first)
    first.key = 3.0
    heap.add(first)
    assert [entry.item for entry in heap.in_order()] == ["b", "a"]
