"""Tags: in the record's metadata, or none."""

from __future__ import annotations

import msgpack
import pytest
from hypothesis import given
from hypothesis import strategies as some

from rookery.actors import membership
from rookery.actors.membership.core.tags import encode_tags, is_secondary, tags_of
from rookery.runtime.settings import SettingsError
from rookery.testing import NETWORK, Peers
from rookery.transport import PeerRecord

ANN = Peers().identity("ann")


def record(metadata: bytes) -> PeerRecord:
    return PeerRecord.sign(ANN, network=NETWORK, address=None, generation=1, metadata=metadata)


@given(some.dictionaries(some.text(max_size=8), some.text(max_size=8), max_size=6))
def test_tags_are_read_as_they_were_written(tags: dict[str, str]) -> None:
    assert tags_of(record(encode_tags(tags))) == tags


def test_equal_tags_are_equal_bytes_and_none_are_none() -> None:
    assert encode_tags({"a": "1", "b": "2"}) == encode_tags({"b": "2", "a": "1"})
    assert encode_tags({}) == b""


@given(some.binary(max_size=512))
def test_metadata_of_others_never_raise(metadata: bytes) -> None:
    assert all(isinstance(text, str) for pair in tags_of(record(metadata)).items() for text in pair)


@pytest.mark.parametrize("value", [5, [1], {"a": 1}, {1: "a"}, {b"a": "b"}])
def test_metadata_that_are_no_tags_have_none(value: object) -> None:
    assert tags_of(record(msgpack.packb(value))) == {}


@pytest.mark.parametrize("tags", [{"a": "x" * 512}, {str(number): "" for number in range(65)}, {"a": 5}])
def test_tags_that_do_not_fit_are_refused(tags: dict[str, str]) -> None:
    with pytest.raises(ValueError, match="tags"):
        encode_tags(tags)


def test_tags_of_the_configuration_that_do_not_fit_are_a_mistake() -> None:
    with pytest.raises(SettingsError, match="tags: .* at most 64 and 512 bytes"):
        membership.Config(tags={"a": "x" * 512})


def test_only_the_role_secondary_makes_a_secondary() -> None:
    assert is_secondary(record(encode_tags({"role": "secondary"})))
    assert not is_secondary(record(encode_tags({"role": "primary"})))
    assert not is_secondary(record(b""))
    assert not is_secondary(record(b"secondary"))
