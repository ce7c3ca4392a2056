"""The dict of very many keys."""

import gc

from hypothesis import given, settings
from hypothesis import strategies as st

from rookery.actors.resolver.core.key_table import PARTS, KeyTable


@settings(max_examples=50)
@given(st.lists(st.tuples(st.sampled_from(["set", "pop"]), st.binary(max_size=2), st.integers())))
def test_table_is_a_dict(operations: list[tuple[str, bytes, int]]) -> None:
    table: KeyTable[int] = KeyTable()
    plain: dict[bytes, int] = {}
    for what, key, value in operations:
        if what == "set":
            table[key] = plain[key] = value
        else:
            assert table.pop(key) == plain.pop(key, None)
        assert (key in table, table.get(key)) == (key in plain, plain.get(key))
    assert (len(table), sorted(table)) == (len(plain), sorted(plain))
    assert all(table[key] == value for key, value in plain.items())


def test_table_sees_each_key_that_stays_exactly_once_while_others_come_and_go() -> None:
    table: KeyTable[int] = KeyTable()
    stays = [number.to_bytes(2, "big") for number in range(1000)]
    for key in stays:
        table[key] = 1
    seen = []
    for number, key in enumerate(table):
        seen.append(key)
        table[b"new" + number.to_bytes(2, "big")] = 1
        table.pop(b"new" + max(0, number - 1).to_bytes(2, "big"))
    assert sorted(key for key in seen if key in stays) == stays


def test_table_spreads_regular_keys_so_that_no_part_is_large() -> None:
    table: KeyTable[int] = KeyTable()
    for number in range(100_000):
        table[(number * 256).to_bytes(8, "big")] = 1
    assert max(map(len, table._parts)) < 2 * 100_000 / PARTS


def test_table_of_bare_tuples_costs_the_garbage_collector_nothing() -> None:
    table: KeyTable[tuple[float, tuple[tuple[int, ...], ...]]] = KeyTable()
    for number in range(10_000):
        table[number.to_bytes(8, "big")] = (float(number), ((0,),))
    gc.collect()
    assert not any(map(gc.is_tracked, table._parts))
