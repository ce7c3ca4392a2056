"""The rules at the head of `node/control/protocol.py`."""

import math
from typing import Any

import msgpack
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from rookery.node.control.protocol import (
    MAX_ANSWER,
    MAX_CALL,
    VERSION,
    Answer,
    Call,
    Kind,
    ProtocolError,
    decode_answer,
    decode_call,
    encode_answer,
    encode_call,
    error_answer,
)


def nested(depth: int) -> object:
    """A list in a list in a list."""
    inner: object = []
    for _ in range(depth):
        inner = [inner]
    return inner


plain = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.floats(allow_nan=False) | st.text() | st.binary(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
numbers = st.integers(0, 2**32 - 1)


@given(number=numbers, command=st.text(max_size=20), arguments=st.dictionaries(st.text(), plain, max_size=3))
def test_call_comes_out_as_it_went_in(number: int, command: str, arguments: dict[str, object]) -> None:
    call = Call(number, command, arguments)  # type: ignore[arg-type]
    assert decode_call(encode_call(call)) == call


@given(number=numbers, kind=st.sampled_from(Kind), body=plain)
def test_answer_comes_out_as_it_went_in(number: int, kind: Kind, body: object) -> None:
    answer = Answer(number, kind, body)  # type: ignore[arg-type]
    assert decode_answer(encode_answer(answer)) == answer


@given(st.binary(max_size=200))
@example(b"\x91" * 5000)
@example(b"\xdf\xff\xff\xff\xff")
def test_bytes_that_are_no_frame_raise_nothing_but_a_protocol_error(frame: bytes) -> None:
    for decode in (decode_call, decode_answer):
        number = 0
        try:
            number = decode(frame).number
        except ProtocolError as error:
            number = error.number
        assert 0 <= number < 2**32


@pytest.mark.parametrize(
    ("parts", "why"),
    [
        ({}, "not an array"),
        ([VERSION, 1, "status"], "not an array"),
        ([VERSION, 1, "status", {}, 0], "not an array"),
        ([VERSION, -1, "status", {}], "the number is not from 0"),
        ([VERSION, 2**32, "status", {}], "the number is not from 0"),
        ([VERSION, True, "status", {}], "the number is not from 0"),
        ([VERSION, "1", "status", {}], "the number is not from 0"),
        ([VERSION + 1, 1, "status", {}], "version 2: this node speaks version 1"),
        ([True, 1, "status", {}], "version True"),
        ([VERSION, 1, b"status", {}], "the command is not a text"),
        ([VERSION, 1, "status", []], "the arguments are not a mapping"),
        ([VERSION, 1, "status", {1: 2}], "not msgpack"),
    ],
)
def test_frame_of_another_form_is_refused_with_the_reason(parts: object, why: str) -> None:
    with pytest.raises(ProtocolError, match=why):
        decode_call(msgpack.packb(parts))


def test_number_of_a_frame_of_another_version_is_kept_for_the_answer() -> None:
    with pytest.raises(ProtocolError) as raised:
        decode_call(msgpack.packb([VERSION + 1, 77, "status", {}]))
    assert raised.value.number == 77


def test_kind_of_answer_that_does_not_exist_is_refused() -> None:
    with pytest.raises(ProtocolError, match="the kind of answer is unknown"):
        decode_answer(msgpack.packb([VERSION, 1, "gossip", {}]))


def test_call_that_is_too_large_is_neither_sent_nor_read() -> None:
    with pytest.raises(ProtocolError, match=r"a call of .* bytes: allowed are 8388608"):
        encode_call(Call(1, "put", {"path": "x" * MAX_CALL}))
    with pytest.raises(ProtocolError, match="a frame of 8388609 bytes"):
        decode_call(b"\0" * (MAX_CALL + 1))


def test_answer_that_is_too_large_is_refused_with_its_size() -> None:
    with pytest.raises(ProtocolError, match=r"an answer of .* bytes: allowed are 67108864"):
        encode_answer(Answer(5, Kind.RESULT, "x" * MAX_ANSWER))


@pytest.mark.parametrize("value", [2**64, -(2**63) - 1, [[{"a": 10**5000}]], object(), {1: {2}}, nested(2000)])
def test_value_that_cannot_be_packed_is_a_protocol_error_in_calls_and_answers(value: Any) -> None:
    with pytest.raises(ProtocolError, match="cannot be packed") as refused:
        encode_answer(Answer(5, Kind.RESULT, value))
    assert refused.value.number == 5
    with pytest.raises(ProtocolError, match="an argument cannot be sent") as refused:
        encode_call(Call(6, "tag", {"weight": value}))
    assert len(str(refused.value)) < 2000


def test_error_can_be_sent_whatever_it_says() -> None:
    details = {"newest": 2**64 - 1, "id": 2**64, "text": "\udcff", "long": "x" * 10**6, "more": [1], "nan": math.nan}
    answer = decode_answer(encode_answer(error_answer(5, "Kind", "\udcff" + "x" * MAX_ANSWER, details)))
    assert (answer.number, answer.kind) == (5, Kind.ERROR)
    body: Any = answer.body
    assert body["kind"] == "Kind"
    assert body["message"].startswith("\udcffxxx")
    assert len(body["message"]) < 20_000
    assert body["details"].keys() == {"newest", "text", "nan"}


@given(st.text(st.characters(codec=None)))
def test_every_text_goes_there_and_back(text: str) -> None:
    assert decode_call(encode_call(Call(1, "put", {"path": text}))).arguments["path"] == text
    assert decode_answer(encode_answer(Answer(1, Kind.RESULT, text))).body == text
