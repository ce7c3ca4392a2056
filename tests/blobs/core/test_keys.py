"""The rules at the head of `rookery.actors.blobs.core.keys`."""

import pytest

from rookery.actors.blobs import BlobKey

DIGITS = "0123456789abcdef" * 4


def test_key_from_bytes_and_from_hex_digits_in_either_case_is_the_same_and_prints_as_hex() -> None:
    key = BlobKey.parse(bytes.fromhex(DIGITS))
    assert key == BlobKey.parse(DIGITS) == BlobKey.parse(DIGITS.upper())
    assert f"{key}" == str(key) == DIGITS
    assert isinstance(key, bytes)


@pytest.mark.parametrize(
    ("given", "shown"),
    [
        (b"short", "not 5 bytes"),
        ("abc", "not 'abc'"),
        ("g" * 64, "not 'ggg"),
        (" " + DIGITS[1:], "not ' 123"),
        ("0x" + DIGITS[2:], "not '0x2"),
        (DIGITS + "\n", "not '0123"),
        ("\u0663" * 64, "not '\u0663"),
    ],
)
def test_key_of_another_form_is_refused_with_what_is_allowed(given: bytes | str, shown: str) -> None:
    with pytest.raises(ValueError, match=f"a key is 32 bytes or 64 hex digits, {shown}"):
        BlobKey.parse(given)
