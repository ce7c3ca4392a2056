"""Keys of PKCS#8 version 2, and what OpenSSL has encrypted."""

from __future__ import annotations

import base64
from pathlib import Path
from unittest.mock import patch

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.kdf.pbkdf2 import PBKDF2HMAC
from hypothesis import given, settings
from hypothesis import strategies as st

from rookery.transport.identity import Identity, pkcs8
from rookery.transport.identity.keyfile import KeyFileError, load

SEED = b"k" * 32
IDENTITY = Identity.from_seed(SEED)
PUBLIC = IDENTITY.private_key.public_key().public_bytes_raw()
V1, V2 = b"\x02\x01\x00", b"\x02\x01\x01"
REST = bytes.fromhex("300506032b6570") + bytes.fromhex("04220420") + SEED
ATTRIBUTES = bytes.fromhex("a01f301d060a2a864886f70d01090914310f0c0d") + b"Curdle Chairs"  # RFC 8410 section 10.3

BY_OPENSSL = {
    "scrypt": "MIGTME8GCSqGSIb3DQEFDTBCMCEGCSsGAQQB2kcECzAUBAgMD3ODiIjf8AICBAACAQgCAQEwHQYJYIZIAWUDBAEqBBCXwo997JfP"
    "NnRumIBTcTiZBEAwhEsCry4I89CzZVxTad+HaDLjhotqHla6oOMGOBXjmyO0pJbIWAp301dgE/3y5sg8k9I8xIm9OKktPvtC6Ytd",
    "sha1": "MIGNMEkGCSqGSIb3DQEFDTA8MBsGCSqGSIb3DQEFDDAOBAg46VYNGzFOIAICA+gwHQYJYIZIAWUDBAECBBAUOzEMyaJDdunAOwoJ"
    "rpM/BEDqM0Hz0LZhOYf2lzJKjG1fLtjapaVy2hCRmToKottbD0JzNtedFZBUB1kyiBePIevbjAZN/jI+i3EmQMSDK2xo",
    "sha512": "MIGbMFcGCSqGSIb3DQEFDTBKMCkGCSqGSIb3DQEFDDAcBAgrNJ5HnifQ9wICA+gwDAYIKoZIhvcNAgsFADAdBglghkgBZQMEARYE"
    "EAKjr34WzuZxf8hsnmNinL4EQFIiYnf6pcg77ov8ymA9L9iLbwT7fkVUyYZBCS0ZOQzQHAj4cPsMyq5VbqtOwqhCSdnoxV+S9eJA"
    "ySEHd38hp6o=",
    "sha256": "MIGbMFcGCSqGSIb3DQEFDTBKMCkGCSqGSIb3DQEFDDAcBAjfmYf+ZB5NlgICA+gwDAYIKoZIhvcNAgkFADAdBglghkgBZQMEASoE"
    "EJgK/GZkFLFQF6tPwd3jrAEEQMQwTcwWhkuQ2XkhTUDMd1Au1y5WtoZKVScqEKGdLH39QUy9LGPL9D+HCoRBxyTr7BDmdGdnODdN"
    "4gSyhE67JtQ=",
}
"""`openssl pkcs8 -topk8 -passout pass:right`, with -scrypt, and with -v2prf and AES of 128, 192 and 256 bits."""


def sequence(*parts: bytes, tag: int = 0x30) -> bytes:
    content = b"".join(parts)
    length = bytes([len(content)]) if len(content) < 128 else bytes([0x81, len(content)])
    return bytes([tag]) + length + content


def key(*, version: bytes = V2, attributes: bytes = b"", public: bytes = b"\x81\x21\x00" + PUBLIC) -> bytes:
    return sequence(version, REST, attributes, public)


def encrypted(der: bytes, passphrase: bytes) -> bytes:
    derived = PBKDF2HMAC(hashes.SHA256(), 32, b"saltsalt", 1000).derive(passphrase)
    fill = 16 - len(der) % 16
    encryptor = Cipher(algorithms.AES(derived), modes.CBC(bytes(16))).encryptor()
    sha256 = sequence(bytes.fromhex("06082a864886f70d0209"), b"\x05\x00")
    settings = sequence(b"\x04\x08saltsalt", b"\x02\x02\x03\xe8", sha256)
    derivation = sequence(bytes.fromhex("06092a864886f70d01050c"), settings)
    encryption = sequence(bytes.fromhex("060960864801650304012a"), b"\x04\x10" + bytes(16))
    scheme = sequence(bytes.fromhex("06092a864886f70d01050d"), sequence(derivation, encryption))
    return sequence(scheme, sequence(encryptor.update(der + bytes([fill]) * fill) + encryptor.finalize(), tag=4))


def file_of(folder: Path, der: bytes, label: bytes = b"PRIVATE KEY") -> Path:
    path = folder / "node.key"
    path.write_bytes(b"-----BEGIN %s-----\n%s-----END %s-----\n" % (label, base64.encodebytes(der), label))
    path.chmod(0o600)
    return path


@pytest.mark.parametrize(
    "der",
    [
        key(),
        key(attributes=ATTRIBUTES),
        key(public=b"\xa1\x23\x03\x21\x00" + PUBLIC),
        key(public=b""),
        key(version=V1),
        key(version=V1, attributes=ATTRIBUTES, public=b""),
    ],
    ids=["v2", "attributes", "explicit", "no public key", "v1 with a public key", "v1 with attributes"],
)
def test_key_of_either_version_is_loaded(tmp_path: Path, der: bytes) -> None:
    assert load(file_of(tmp_path, der)).peer == IDENTITY.peer


def test_key_of_version_2_under_a_passphrase_is_loaded_with_it_alone(tmp_path: Path) -> None:
    path = file_of(tmp_path, encrypted(key(), b"right"), b"ENCRYPTED PRIVATE KEY")
    assert load(path, "right").peer == IDENTITY.peer
    with pytest.raises(KeyFileError, match="wrong passphrase, or the file is damaged"):
        load(path, "wrong")


@pytest.mark.parametrize("public", [bytes(32), PUBLIC[:31], PUBLIC + b"\0"])
def test_key_whose_public_half_is_anothers_is_refused(tmp_path: Path, public: bytes) -> None:
    path = file_of(tmp_path, key(public=sequence(b"\0" + public, tag=0x81)))
    with pytest.raises(KeyFileError, match=r"node\.key: holds a public key that does not belong to its private one"):
        load(path)


@pytest.mark.parametrize(
    "der",
    [
        key() + b"\0",
        key()[:-1],
        key(version=b"\x02\x01\x02"),
        key(public=b"\x81\x21\x00" + PUBLIC + b"\x05\x00"),
        sequence(V2, REST[:-1]),
        b"\x30\x80" + V2 + REST + b"\0\0",
        b"\x30\x82\x00\x30" + V2 + REST[:-1],
    ],
    ids=["more", "less", "version 3", "a field more", "31 bytes", "indefinite", "long length"],
)
def test_key_that_is_not_what_the_format_allows_is_damaged(tmp_path: Path, der: bytes) -> None:
    with pytest.raises(KeyFileError, match="the PEM is damaged"):
        load(file_of(tmp_path, der))


@pytest.mark.parametrize("name", BY_OPENSSL)
def test_what_openssl_encrypts_is_decrypted(name: str) -> None:
    der = base64.b64decode(BY_OPENSSL[name])
    assert pkcs8.decrypt(der, b"right") == key(version=V1, public=b"")
    with pytest.raises(ValueError, match=r"."):
        pkcs8.private_key(pkcs8.decrypt(der, b"wrong"))


def test_costs_beyond_bounds_are_refused_before_they_are_paid() -> None:
    dear = base64.b64decode(BY_OPENSSL["scrypt"]).replace(
        bytes.fromhex("02020400020108020101"), bytes.fromhex("0202400002017f020108")
    )
    with pytest.raises(ValueError, match="scrypt would take more than"):
        pkcs8.decrypt(dear, b"right")
    slow = encrypted(key(), b"right").replace(
        b"\x04\x08saltsalt\x02\x02\x03\xe8", b"\x04\x06saltsa\x02\x04\x7f\xff\xff\xff"
    )
    with pytest.raises(ValueError, match="more than 10000000 iterations"):
        pkcs8.decrypt(slow, b"right")


@settings(deadline=None)  # a damaged number of iterations takes its time
@given(st.data())
def test_damaged_bytes_are_value_errors_and_nothing_else(data: st.DataObject) -> None:
    good = data.draw(st.sampled_from([key(), encrypted(key(), b"right")]))
    at = data.draw(st.integers(0, len(good) - 1))
    bad = good[:at] + data.draw(st.binary(max_size=3)) + good[at + data.draw(st.integers(0, 3)) :]
    with patch.object(pkcs8, "MAX_ITERATIONS", 10_000):
        for read in (pkcs8.private_key, lambda der: pkcs8.decrypt(der, b"right")):
            try:
                read(bad)
            except ValueError:
                pass
