"""The rules at the head of `runtime/settings.py`."""

from collections.abc import Iterator, Mapping
from dataclasses import FrozenInstanceError, dataclass, field
from pathlib import Path
from typing import Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rookery.runtime.settings import (
    LISTED,
    Bytes,
    Problem,
    Seconds,
    Settings,
    SettingsError,
    declared,
    option,
    required,
    section,
    show_path,
)


@dataclass(frozen=True, slots=True)
class Band(Settings):
    low: int = option(3, "Fewest connections.", minimum=0)
    high: int = option(9, "Most connections.", minimum=0)

    def check(self) -> Iterator[Problem]:
        if self.low > self.high:
            yield Problem(("low",), f"{self.low} is above high ({self.high})", "at most high")


@dataclass(frozen=True, slots=True)
class Config(Settings):
    name: str = required("What this is called.")
    timeout: Seconds = option(5.0, "Longest wait.", above=0.0)
    frame: Bytes = option(1024, "Largest frame.", minimum=64, maximum=1_048_576)
    ratio: float = option(0.5, "Some share.", maximum=1.0)
    limit: int | None = option(None, "Most of them; None for no limit.", minimum=1)
    mode: Literal["open", "private"] = option("open", "Who may come.")
    eager: bool = option(True, "Whether to hurry.")
    folder: Path = option(Path("data"), "Where files are.")
    delays: tuple[Seconds, ...] = option((), "Waits, one after another.", minimum=0.0)
    quotas: Mapping[str, Bytes] = section(dict, "Bytes for each name.")
    band: Band = section(Band, "How many.")


def problems(**values: object) -> list[str]:
    with pytest.raises(SettingsError) as raised:
        Config(**{"name": "x", **values})  # type: ignore[arg-type]  # wrong values are the subject
    return str(raised.value).splitlines()


def test_settings_with_defaults_are_valid_frozen_and_without_a_dict() -> None:
    config = Config(name="x")
    assert (config.timeout, config.quotas, config.band) == (5.0, {}, Band(3, 9))
    assert not hasattr(config, "__dict__")
    with pytest.raises(FrozenInstanceError):
        config.timeout = 1.0  # type: ignore[misc]


def test_settings_with_several_wrong_fields_raise_one_error_that_lists_all() -> None:
    assert problems(timeout=0, frame=2**30, mode="opne", eager=1, folder="data") == [
        "timeout: 0 is too small (allowed: above 0 seconds)",
        "frame: 1073741824 is too large (allowed: from 64 to 1048576 bytes)",
        "mode: 'opne' is not one of the choices (allowed: open, private)",
        "eager: 1 is not true or false (allowed: true or false)",
        "folder: 'data' is not a path (allowed: a path)",
    ]


def test_settings_error_gives_path_message_and_allowed_apart() -> None:
    with pytest.raises(SettingsError) as raised:
        Config(name="x", ratio=1.5)
    assert raised.value.problems == (Problem(("ratio",), "1.5 is too large", "at most 1"),)


@pytest.mark.parametrize("value", [True, "5", None, float("nan"), float("inf"), float("-inf")])
def test_settings_number_that_is_no_finite_number_is_refused(value: object) -> None:
    assert problems(timeout=value) == [f"timeout: {value!r} is not a number of seconds (allowed: above 0 seconds)"]


def test_settings_whole_number_that_is_a_float_is_refused() -> None:
    assert problems(limit=2.0) == ["limit: 2.0 is not a whole number (allowed: at least 1)"]


def test_settings_whole_number_beyond_every_float_is_compared_exactly() -> None:
    words = "(a number of 1329 bits) is too large (allowed: from 1 to 2147483647)"
    assert problems(limit=10**400) == [f"limit: {words}"]


def test_settings_number_without_a_declared_bound_has_the_outermost_of_its_kind() -> None:
    assert problems(delays=(4e9,), quotas={"a": 2**63, "b": -1}, timeout=1e300, ratio=-1e10, limit=2**31) == [
        "timeout: 1e+300 is too large (allowed: above 0 and at most 3153600000 seconds)",
        "ratio: -10000000000.0 is too small (allowed: from -1000000000 to 1)",
        "limit: 2147483648 is too large (allowed: from 1 to 2147483647)",
        "delays[0]: 4000000000.0 is too large (allowed: from 0 to 3153600000 seconds)",
        "quotas.a: 9223372036854775808 is too large (allowed: from 0 to 9223372036854775807 bytes)",
        "quotas.b: -1 is too small (allowed: from 0 to 9223372036854775807 bytes)",
    ]


def test_settings_error_lists_the_first_problems_and_counts_the_others() -> None:
    lines = problems(delays=(-1.0,) * 20_000)
    assert (len(lines), lines[-1]) == (LISTED + 1, "and 19,950 more")


def test_settings_elements_of_tuple_and_mapping_are_checked_each_at_its_path() -> None:
    assert problems(delays=(1.0, -1.0), quotas={"a b": "x"}) == [
        "delays[1]: -1.0 is too small (allowed: at least 0 seconds)",
        "quotas['a b']: 'x' is not a number of bytes (allowed: a number of bytes)",
    ]


def test_settings_container_of_the_wrong_kind_is_refused() -> None:
    assert problems(delays=[1.0], quotas=(), band=None) == [
        "delays: [1.0] is not a tuple (allowed: a tuple)",
        "quotas: () is not a mapping (allowed: a mapping)",
        "band: None is not an instance of Band (allowed: an instance of Band)",
    ]


def test_settings_rule_between_fields_is_checked_when_each_field_is_right() -> None:
    with pytest.raises(SettingsError, match=r"^low: 9 is above high \(3\) \(allowed: at most high\)$"):
        Band(low=9, high=3)
    with pytest.raises(SettingsError, match=r"^high: -1 is too small \(allowed: at least 0\)$"):
        Band(low=9, high=-1)


@given(st.integers(), st.integers())
def test_settings_are_constructed_exactly_when_all_rules_hold(low: int, high: int) -> None:
    if 0 <= low <= high < 2**31:
        assert Band(low, high).low == low
    else:
        with pytest.raises(SettingsError):
            Band(low, high)


def test_declared_tells_name_documentation_default_and_env_in_order() -> None:
    found = {each.name: each for each in declared(Config)}
    assert list(found)[:3] == ["name", "timeout", "frame"]
    assert found["name"].default is None
    assert found["timeout"].option.doc == "Longest wait."
    assert [make() for each in ("timeout", "quotas", "band") if (make := found[each].default)] == [5.0, {}, Band()]


def test_field_without_option_is_a_declaration_error() -> None:
    @dataclass(frozen=True, slots=True)
    class Plain(Settings):
        count: int = field(default=1)

    with pytest.raises(TypeError, match=r"Plain\.count is not declared with option"):
        Plain()


def test_field_with_bounds_but_no_number_is_a_declaration_error() -> None:
    @dataclass(frozen=True, slots=True)
    class Bounded(Settings):
        name: str = option("x", "A name.", minimum=1)

    with pytest.raises(TypeError, match=r"Bounded\.name has bounds but no number"):
        Bounded()


def test_field_of_an_unsupported_type_is_a_declaration_error() -> None:
    @dataclass(frozen=True, slots=True)
    class Listed(Settings):
        names: int | str = option(1, "Either.")

    with pytest.raises(TypeError, match=r"Listed\.names: settings cannot have the type int \| str"):
        Listed()


def test_section_whose_default_is_not_its_class_is_a_declaration_error() -> None:
    @dataclass(frozen=True, slots=True)
    class Outer(Settings):
        band: Band = section(lambda: Band(1, 2), "How many.")

    with pytest.raises(TypeError, match=r"Outer\.band: the default of a section is its class, section\(Band"):
        Outer()


def test_settings_class_that_is_no_dataclass_is_a_declaration_error() -> None:
    class Bare(Settings):
        __slots__ = ()

    with pytest.raises(TypeError, match="Bare is not a dataclass"):
        declared(Bare)


def test_path_with_parts_without_end_is_short() -> None:
    assert show_path(("a", "x" * 100_000, "\x1b" * 100_000, 2)) == f"a['{'x' * 80}...']['{chr(92)}x1b" + (
        rf"{chr(92)}x1b" * 79 + "...'][2]"
    )


def test_path_with_odd_parts_is_shown_unambiguously() -> None:
    assert show_path(("tracker", "seeds", 2, "max-age", "a.b", "\x1b")) == r"tracker.seeds[2].max-age['a.b']['\x1b']"
