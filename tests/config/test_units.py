"""The rules at the head of `config/units.py`."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rookery.config import ConfigError, format_duration, format_size, load, parse_duration, parse_size


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("500ms", 0.5),
        ("5s", 5.0),
        ("2m", 120.0),
        ("1h", 3600.0),
        ("1d", 86400.0),
        ("1.5 h", 5400.0),
        ("0.25", 0.25),
        ("7", 7.0),
        ("0", 0.0),
        ("1.1ms", 0.0011),
        ("1e-3", 0.001),
    ],
)
def test_duration_with_a_unit_or_bare_is_read_as_seconds(text: str, seconds: float) -> None:
    assert parse_duration(text) == seconds


@pytest.mark.parametrize(
    "text",
    ["", "5 parsecs", "-1s", "1h30m", "1,5s", "5S", "inf", "nan", " 5s", "5s\n", "\u0665s", "ms", "1_0"],
)
def test_duration_that_is_none_is_refused_with_what_is_allowed(text: str) -> None:
    with pytest.raises(
        ValueError, match=r"is not a duration \(allowed: a number of seconds, or a number with ms, s, m"
    ):
        parse_duration(text)


@pytest.mark.parametrize("text", ["1e999", "1e308 d", "1" * 400, f"{'1' * 5000}d", "1e1000", f"{'9' * 100_000}.5 h"])
def test_duration_that_is_too_long_for_a_number_is_called_that_and_not_repeated_whole(text: str) -> None:
    with pytest.raises(
        ValueError, match=r"is too long for a duration \(allowed: at most 1.79e308 seconds\)$"
    ) as raised:
        parse_duration(text)
    assert len(str(raised.value)) < 200


@pytest.mark.parametrize("text", ["3000000d", "1" * 21, f"{'0' * 50}1h", f"0.{'3' * 50}s"])
def test_duration_of_any_number_of_digits_is_read(text: str) -> None:
    assert parse_duration(text) > 0


@pytest.mark.parametrize("text", ["9" * 26 + "B", "1" * 5000, f"{'9' * 100_000}.5 GiB"])
def test_size_that_is_too_large_is_called_that_and_not_repeated_whole(text: str) -> None:
    with pytest.raises(ValueError, match=r"is too large for a size \(allowed: less than 10\*\*25 bytes\)$") as raised:
        parse_size(text)
    assert len(str(raised.value)) < 200


@pytest.mark.parametrize(
    ("key", "value", "allowed"),
    [
        ("tracker.cooldown", "9" * 400 + "d", "from 0 to 3153600000 seconds"),
        ("transport.max_message", "9" * 5000, "from 1024 to "),
        ("tracker.max_peers_per_set", "9" * 200, "from 1 to 2147483647"),
        ("tracker.backoff_factor", "9" * 400, "from 1 to 1000000000"),
        ("membership.sync", "1e400", "from 0 to 3153600000 seconds"),
    ],
)
def test_setting_with_more_digits_than_a_number_can_have_is_too_large(
    tmp_path: Path, key: str, value: str, allowed: str
) -> None:
    section, name = key.split(".")
    (tmp_path / "node.yaml").write_text(f"{section}: {{{name}: {value}}}")
    with pytest.raises(ConfigError, match=rf"{key}: \S+ is too large \(allowed: {allowed}"):
        load(tmp_path)


@given(st.floats(min_value=0, allow_infinity=False, allow_nan=False))
def test_duration_written_and_read_again_is_the_same(seconds: float) -> None:
    assert parse_duration(format_duration(seconds)) == seconds


@given(st.integers(0, 10**6), st.sampled_from(["ms", "s", "m", "h", "d"]))
def test_duration_of_whole_units_is_written_without_a_fraction(count: int, unit: str) -> None:
    text = format_duration(parse_duration(f"{count}{unit}"))
    assert parse_duration(text) == parse_duration(f"{count}{unit}")
    assert text.rstrip("mshd").isdigit()


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.5, "500ms"), (5400.0, "90m"), (86400.0, "1d"), (0.0, "0s"), (5, "5s")]
)
def test_duration_is_written_with_the_largest_unit_that_fits(seconds: float, text: str) -> None:
    assert format_duration(seconds) == text


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("64KiB", 65_536),
        ("64 MiB", 67_108_864),
        ("10MB", 10_000_000),
        ("1kB", 1_000),
        ("1KB", 1_000),
        ("1.5GiB", 1_610_612_736),
        ("2TB", 2 * 10**12),
        ("7B", 7),
        ("1024", 1024),
    ],
)
def test_size_with_a_unit_or_bare_is_read_as_bytes(text: str, size: int) -> None:
    assert parse_size(text) == size


@pytest.mark.parametrize("text", ["", "64 parsecs", "-1", "1mb", "1Mb", "0.5B", "1.0001KiB", "1e3", "KiB", "1 GiB "])
def test_size_that_is_none_is_refused_with_what_is_allowed(text: str) -> None:
    with pytest.raises(ValueError, match=r"is not a size \(allowed: a number of bytes, or a number with B, kB, MB"):
        parse_size(text)


@given(st.integers(0, 10**20 - 1))
def test_size_written_and_read_again_is_the_same(size: int) -> None:
    assert parse_size(format_size(size)) == size


@pytest.mark.parametrize(("size", "text"), [(65_536, "64KiB"), (1_500_000, "1500kB"), (7, "7B"), (0, "0B")])
def test_size_is_written_with_the_largest_unit_that_fits(size: int, text: str) -> None:
    assert format_size(size) == text
