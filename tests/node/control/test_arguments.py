"""The rules at the head of `node/control/arguments.py`."""

import math

import pytest

from rookery.node.control.arguments import Arguments, BadArguments
from rookery.node.control.protocol import Plain
from rookery.transport import PeerId


def given(**arguments: Plain) -> Arguments:
    return Arguments(arguments, ("value",))


def test_argument_that_is_not_known_is_named_with_those_that_are() -> None:
    with pytest.raises(BadArguments, match=r"unknown argument 'valeu' \(allowed: value\)"):
        given(valeu=1)


def test_arguments_of_the_right_type_are_read() -> None:
    assert given(value="x").text("value") == "x"
    assert given(value="/a/b").path("value") == "/a/b"
    assert given(value="11" * 32).peer("value") == PeerId.parse("11" * 32)
    assert given(value=math.inf).seconds("value") == math.inf
    assert given().seconds("value") is None
    assert given(value=3).count("value") == 3
    assert given().count("value") == 0


def test_file_id_is_two_whole_numbers_or_not_given() -> None:
    assert given(value=[3, 2**64 - 1]).file_id("value") == (3, 2**64 - 1)
    assert given().file_id("value") is None
    wrong: list[Plain] = [[3], [3, 4, 5], [3, True], [3, "4"], "34", 3]
    for value in wrong:
        with pytest.raises(BadArguments, match="value must be the numbers of a device and an inode"):
            given(value=value).file_id("value")


@pytest.mark.parametrize("value", [None, 1, b"x", ["x"]])
def test_text_of_another_type_is_refused(value: Plain) -> None:
    with pytest.raises(BadArguments, match="value must be a text"):
        given(value=value).text("value")


@pytest.mark.parametrize("value", ["a/b", "", "/a\0b"])
def test_path_that_is_not_absolute_is_refused(value: str) -> None:
    with pytest.raises(BadArguments, match="value must be an absolute path"):
        given(value=value).path("value")


@pytest.mark.parametrize("value", [0, -1.0, math.nan, True, "5s"])
def test_time_that_is_none_is_refused(value: Plain) -> None:
    with pytest.raises(BadArguments, match="value must be a number of seconds above 0"):
        given(value=value).seconds("value")


@pytest.mark.parametrize("value", [-1, 1.0, True, "1"])
def test_count_that_is_none_is_refused(value: Plain) -> None:
    with pytest.raises(BadArguments, match="value must be a whole number, at least 0"):
        given(value=value).count("value")


def test_peer_that_is_no_key_is_refused() -> None:
    with pytest.raises(BadArguments, match=r"value: .*64 hex digits"):
        given(value="abc").peer("value")
