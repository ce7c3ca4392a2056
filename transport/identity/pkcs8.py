"""Ed25519 private keys in PKCS#8 as RFC 5958 has it since 2010, which OpenSSL and `cryptography` do not read.

::

    OneAsymmetricKey ::= SEQUENCE {
        version    INTEGER { v1(0), v2(1) },
        algorithm  SEQUENCE { OBJECT IDENTIFIER 1.3.101.112 },    RFC 8410
        key        OCTET STRING (of an OCTET STRING of 32 bytes),
        attributes [0] OPTIONAL,
        public key [1] IMPLICIT BIT STRING OPTIONAL }             v2; some write it EXPLICIT

    EncryptedPrivateKeyInfo ::= SEQUENCE { PBES2 with PBKDF2 or scrypt and AES-CBC, OCTET STRING }    RFC 8018, RFC 7914

* DER only: definite lengths in their shortest form, nothing behind the end.
* Every failure is a ValueError, whatever the bytes; no text shows a part of them.
* What a file may ask for is bounded: `MAX_ITERATIONS`, `MAX_SCRYPT_BYTES`.
"""

from __future__ import annotations

from cryptography.hazmat.primitives import hashes, padding
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.kdf.pbkdf2 import PBKDF2HMAC
from cryptography.hazmat.primitives.kdf.scrypt import Scrypt
from msgspec import Struct

MAX_ITERATIONS = 10_000_000
MAX_SCRYPT_BYTES = 1024 * 1024 * 1024
_SEQUENCE, _INTEGER, _BIT_STRING, _OCTET_STRING, _OID, _NULL = 0x30, 0x02, 0x03, 0x04, 0x06, 0x05
_ATTRIBUTES, _PUBLIC_KEY, _PUBLIC_KEY_EXPLICIT = 0xA0, 0x81, 0xA1
_ED25519 = bytes.fromhex("2b6570")
_PBES2, _PBKDF2 = bytes.fromhex("2a864886f70d01050d"), bytes.fromhex("2a864886f70d01050c")
_SCRYPT = bytes.fromhex("2b06010401da47040b")
_HASHES: dict[bytes, hashes.HashAlgorithm] = {
    bytes.fromhex("2a864886f70d0207"): hashes.SHA1(),  # noqa: S303  # the format's default
    bytes.fromhex("2a864886f70d0209"): hashes.SHA256(),
    bytes.fromhex("2a864886f70d020b"): hashes.SHA512(),
}
_KEY_BYTES = {bytes.fromhex(f"6086480165030401{last}"): size for last, size in (("02", 16), ("16", 24), ("2a", 32))}


class WrongPublicKey(ValueError):
    """The public key in it does not belong to the private one."""


def private_key(der: bytes) -> Ed25519PrivateKey:
    """The key of a OneAsymmetricKey. Raises ValueError; WrongPublicKey if its two halves do not agree."""
    outer = _Reader(der)
    fields = outer.inside(_SEQUENCE)
    outer.end()
    if fields.take(_INTEGER) not in (b"\0", b"\1"):
        raise ValueError("a version that is neither 1 nor 2")
    algorithm = fields.inside(_SEQUENCE)
    if algorithm.take(_OID) != _ED25519:
        raise ValueError("not an Ed25519 key")
    algorithm.end()
    secret = fields.inside(_OCTET_STRING)
    seed = secret.take(_OCTET_STRING)
    secret.end()
    if len(seed) != 32:
        raise ValueError("not 32 bytes of a key")
    if fields.next == _ATTRIBUTES:
        fields.take(_ATTRIBUTES)
    public = None
    if fields.next == _PUBLIC_KEY:
        public = fields.take(_PUBLIC_KEY)
    elif fields.next == _PUBLIC_KEY_EXPLICIT:
        inner = fields.inside(_PUBLIC_KEY_EXPLICIT)
        public = inner.take(_BIT_STRING)
        inner.end()
    fields.end()
    key = Ed25519PrivateKey.from_private_bytes(seed)
    if public is not None and public != b"\0" + key.public_key().public_bytes_raw():
        raise WrongPublicKey("the public key in it does not belong to the private one")
    return key


def decrypt(der: bytes, passphrase: bytes) -> bytes:
    """What an EncryptedPrivateKeyInfo holds. Raises ValueError, also for a wrong passphrase."""
    outer = _Reader(der)
    fields = outer.inside(_SEQUENCE)
    outer.end()
    scheme = fields.inside(_SEQUENCE)
    ciphertext = fields.take(_OCTET_STRING)
    fields.end()
    if scheme.take(_OID) != _PBES2:
        raise ValueError("not encrypted by PBES2")
    parameters = scheme.inside(_SEQUENCE)
    derivation, encryption = parameters.inside(_SEQUENCE), parameters.inside(_SEQUENCE)
    size = _KEY_BYTES.get(encryption.take(_OID))
    if size is None:
        raise ValueError("not encrypted by AES-CBC")
    vector = encryption.take(_OCTET_STRING)
    key = _derived(derivation, passphrase, size)
    if len(vector) != 16 or not ciphertext or len(ciphertext) % 16:
        raise ValueError("not whole blocks")
    decryptor = Cipher(algorithms.AES(key), modes.CBC(vector)).decryptor()
    unpadder = padding.PKCS7(128).unpadder()
    return unpadder.update(decryptor.update(ciphertext) + decryptor.finalize()) + unpadder.finalize()


def _derived(derivation: _Reader, passphrase: bytes, size: int) -> bytes:
    kind, settings = derivation.take(_OID), derivation.inside(_SEQUENCE)
    salt = settings.take(_OCTET_STRING)
    if kind == _SCRYPT:
        cost, block, parallel = settings.number(), settings.number(), settings.number()
        if not 0 < 128 * cost * block * parallel <= MAX_SCRYPT_BYTES:
            raise ValueError(f"scrypt would take more than {MAX_SCRYPT_BYTES} bytes")
        return Scrypt(salt=salt, length=size, n=cost, r=block, p=parallel).derive(passphrase)
    if kind != _PBKDF2:
        raise ValueError("a key made by neither PBKDF2 nor scrypt")
    iterations = settings.number()
    if not 0 < iterations <= MAX_ITERATIONS:
        raise ValueError(f"more than {MAX_ITERATIONS} iterations")
    if settings.next == _INTEGER and settings.number() != size:
        raise ValueError("a key of another length")
    algorithm = next(iter(_HASHES.values()))
    if settings.next == _SEQUENCE:
        found = _HASHES.get(settings.inside(_SEQUENCE).take(_OID))
        if found is None:
            raise ValueError("a hash that is not known")
        algorithm = found
    return PBKDF2HMAC(algorithm=algorithm, length=size, salt=salt, iterations=iterations).derive(passphrase)


class _Reader(Struct):
    """The values of a DER encoding, one after the other."""

    data: bytes
    at: int = 0

    @property
    def next(self) -> int | None:
        """The tag of the next value; None at the end."""
        return self.data[self.at] if self.at < len(self.data) else None

    def take(self, tag: int) -> bytes:
        """The content of the next value, which has this tag."""
        if self.next != tag:
            raise ValueError("another value than expected")
        length, start = self._length()
        if start + length > len(self.data):
            raise ValueError("cut short")
        self.at = start + length
        return self.data[start : self.at]

    def inside(self, tag: int) -> _Reader:
        """The values in the next one."""
        return _Reader(self.take(tag))

    def number(self) -> int:
        """The next value, a number that is not negative."""
        content = self.take(_INTEGER)
        if not 1 <= len(content) <= 8 or content[0] & 0x80:
            raise ValueError("a number out of bounds")
        return int.from_bytes(content)

    def end(self) -> None:
        """There is nothing more."""
        if self.next is not None:
            raise ValueError("something behind the end")

    def _length(self) -> tuple[int, int]:
        head = self.data[self.at + 1 : self.at + 4]
        if not head:
            raise ValueError("cut short")
        if head[0] < 0x80:
            return head[0], self.at + 2
        count = head[0] - 0x80
        digits = head[1 : 1 + count]
        if count not in (1, 2) or len(digits) != count or digits[0] == 0 or (count == 1 and digits[0] < 0x80):
            raise ValueError("not the shortest length, or too long")
        return int.from_bytes(digits), self.at + 2 + count
