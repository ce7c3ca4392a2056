"""Who a node is: an Ed25519 key pair, and the CURVE key pair that follows from it.

* A `PeerId` is the public key: 32 bytes, written as 64 hex digits, 8 in short.
* Peer ids compare, hash and sort as the bytes they are. Hashes differ between processes: sort before iterating a set.
* The CURVE key of a peer follows from its id (`curve_key`), so knowing the id is enough to connect securely.
* Ids that are each other's negative share a CURVE key: whoever holds the secret of one can speak and sign for both, so
  a block compares CURVE keys.
* Nobody owns a key of small order: `curve_key` refuses it and `verify` is false whatever the signature.
* An identity shows its public part only, in `repr` too, and cannot be pickled.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
from functools import lru_cache
from typing import NoReturn, Self

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from ...runtime.arguments import shortened
from . import edwards

KEY_BYTES = 32
SIGNATURE_BYTES = 64
_HEX = re.compile(r"[0-9a-fA-F]{64}")
# Z85 (ZeroMQ RFC 32) is the standard library's base 85 with its digits in another order.
_Z85 = bytes.maketrans(
    b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz!#$%&()*+-;<=>?@^_`{|}~",
    b"0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ.-:+=^!/*?&<>()[]{}@%$#",
)


class PeerId(bytes):
    """The name of a peer: its Ed25519 public key."""

    __slots__ = ()

    def __new__(cls, key: bytes) -> Self:
        """Take exactly 32 bytes; `ValueError` for anything else."""
        if not isinstance(key, bytes):
            raise ValueError(f"a peer id is {KEY_BYTES} bytes, not {type(key).__name__}")  # noqa: TRY004
        if len(key) != KEY_BYTES:
            raise ValueError(f"a peer id is {KEY_BYTES} bytes, not {len(key)}")
        return super().__new__(cls, key)

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read 64 hex digits, upper or lower case, of an id that somebody can own; `ValueError` for anything else.

        It is for what people and files say; what another part of Rookery wrote is read by `fromhex`.
        """
        if not _HEX.fullmatch(text):
            raise ValueError(f"peer id {shortened(text)}: allowed are exactly 64 hex digits")
        peer = cls(bytes.fromhex(text))
        check_owned(peer)
        return peer

    parse_setting = parse

    @property
    def short(self) -> str:
        """The first 8 hex digits, for people; never to tell peers apart."""
        return self[:4].hex()

    def __str__(self) -> str:
        return self.hex()

    def __repr__(self) -> str:
        return f"PeerId({self.short})"


class Identity:
    """A node's own key pair. The CURVE secret follows from the same seed as the signing key."""

    __slots__ = ("_peer", "_private_key")

    def __init__(self, private_key: Ed25519PrivateKey) -> None:
        self._private_key = private_key
        self._peer = PeerId(private_key.public_key().public_bytes_raw())

    @classmethod
    def generate(cls) -> Self:
        """Make a new identity from the operating system's randomness."""
        return cls(Ed25519PrivateKey.generate())

    @classmethod
    def from_seed(cls, seed: bytes) -> Self:
        """Make the identity of a 32-byte seed, the same each time; for tests and simulation."""
        if len(seed) != KEY_BYTES:
            raise ValueError(f"a seed is {KEY_BYTES} bytes, not {len(seed)}")
        return cls(Ed25519PrivateKey.from_private_bytes(seed))

    @property
    def peer(self) -> PeerId:
        return self._peer

    @property
    def private_key(self) -> Ed25519PrivateKey:
        """The signing key itself; only the key file needs it."""
        return self._private_key

    @property
    def curve_public(self) -> bytes:
        """The public CURVE key, 32 raw bytes; what others compute as `curve_key(peer)`."""
        return curve_key(self._peer)

    @property
    def curve_secret(self) -> bytes:
        """The secret CURVE key, 32 raw bytes: the scalar Ed25519 itself signs with (RFC 8032 section 5.1.5)."""
        scalar = bytearray(hashlib.sha512(self._private_key.private_bytes_raw()).digest()[:KEY_BYTES])
        scalar[0] &= 0b1111_1000
        scalar[31] = scalar[31] & 0b0111_1111 | 0b0100_0000
        return bytes(scalar)

    def sign(self, data: bytes) -> bytes:
        """Return the 64-byte Ed25519 signature of `data`, equal for equal data; the caller separates domains."""
        return self._private_key.sign(data)

    def derive(self, data: bytes) -> bytes:
        """Return 32 bytes that follow from the seed and `data` and tell nothing of the seed: HMAC-SHA256 under it.

        Whoever has the key gets the same each time, and nobody else. The caller separates domains.
        """
        return hmac.digest(self._private_key.private_bytes_raw(), data, hashlib.sha256)

    def __repr__(self) -> str:
        return f"Identity({self._peer.short})"

    def __reduce__(self) -> NoReturn:
        raise TypeError("an identity is not pickled: its private key must not leave the process by accident")


def verify(peer: PeerId, signature: bytes, data: bytes) -> bool:
    """Tell whether `signature` is `peer`'s on `data`; never raises. About 0.1 ms."""
    if edwards.is_weak(peer):
        return False
    try:
        Ed25519PublicKey.from_public_bytes(peer).verify(signature, data)
    except (InvalidSignature, ValueError):
        return False
    return True


def check_owned(given: bytes) -> PeerId:
    """Return the peer id; `ValueError` if it is none, or nobody can own it, such as a mistyped one (half of them).

    For whoever is given an id by code. 0.1 µs for an id that was asked for lately; see `curve_key`.
    """
    peer = given if isinstance(given, PeerId) else PeerId(given)
    try:
        curve_key(peer)
    except ValueError as error:
        raise ValueError(
            f"peer id {peer}: nobody can own it ({error}); allowed is the Ed25519 public key of a node"
        ) from None
    return peer


@lru_cache(maxsize=16_384)
def curve_key(peer: PeerId) -> bytes:
    """Return the CURVE public key of `peer`, 32 raw bytes; `ValueError` if the id is no valid public key.

    RFC 7748 section 4.1, as libsodium's `crypto_sign_ed25519_pk_to_curve25519`. About 0.1 ms, unless it is among the
    last few thousand that were asked for. Those are peers to which we send or dial, and who ask for a handshake, of
    which each IP has few: nobody pushes out those in use by much sending.
    """
    return edwards.montgomery(peer)


def possible_curve_key(peer: PeerId) -> bytes | None:
    """As `curve_key`, and None for an id that nobody can have, such as a mistyped one (half of them)."""
    try:
        return curve_key(peer)
    except ValueError:
        return None


def curve_text(key: bytes) -> str:
    """Return the Z85 text of a raw CURVE key (40 characters), as ZeroMQ writes it in `User-Id`."""
    if len(key) != KEY_BYTES:
        raise ValueError(f"a CURVE key is {KEY_BYTES} bytes, not {len(key)}")
    return base64.b85encode(key).translate(_Z85).decode("ascii")
