"""The file that keeps a node's identity: PKCS#8 PEM (RFC 5958, RFC 7468), with or without a passphrase.

* A key file is readable by its owner alone, mode 0600, whatever the umask and whatever stood there before.
* Saving replaces a file in one step: a crash leaves the old key or the new one, never half of one.
* A file that its group or others may read, write or execute is not loaded.
* A file that is missing, irregular, no PKCS#8 PEM, not Ed25519 or under another passphrase is an error of its own.
* Every error names the file and what is allowed; none shows a part of the key.
"""

from __future__ import annotations

import os
import stat
from pathlib import Path

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from ..runtime.files import replace_file
from .identity import Identity

MODE = 0o600
MAX_PASSPHRASE_BYTES = 1023  # OpenSSL's limit
_MAX_FILE_BYTES = 16 * 1024
_PLAIN = b"-----BEGIN PRIVATE KEY-----"
_ENCRYPTED = b"-----BEGIN ENCRYPTED PRIVATE KEY-----"


class KeyFileError(Exception):
    """A key file cannot be used; the text names the file, what is wrong and what is allowed."""

    def __init__(self, path: Path, problem: str) -> None:
        super().__init__(f"key file {path}: {problem}")
        self.path = path
        self.problem = problem


def save(identity: Identity, path: str | os.PathLike[str], passphrase: str | None = None) -> None:
    """Write `identity` to `path`, replacing what is there; `KeyFileError` if that fails.

    A symbolic link at `path` is replaced, not followed. The folder must exist. Returns when the file is on disk.
    """
    path = Path(path)
    pem = _pem(identity, None if passphrase is None else _passphrase_bytes(path, passphrase))
    try:
        replace_file(path, pem, mode=MODE)
    except OSError as error:
        raise KeyFileError(path, f"cannot be written: {error.strerror}") from error


def load(path: str | os.PathLike[str], passphrase: str | None = None) -> Identity:
    """Read the identity kept in `path`; `KeyFileError` says why it cannot be used."""
    path = Path(path)
    secret = None if passphrase is None else _passphrase_bytes(path, passphrase)
    try:
        pem = _read(path)
    except OSError as error:
        raise KeyFileError(path, f"cannot be read: {error.strerror}") from error
    return Identity(_parse(path, pem, secret))


def _passphrase_bytes(path: Path, passphrase: str) -> bytes:
    secret = passphrase.encode()
    if not 1 <= len(secret) <= MAX_PASSPHRASE_BYTES:
        raise KeyFileError(
            path,
            f"a passphrase of {len(secret)} bytes: allowed are 1 to {MAX_PASSPHRASE_BYTES}, or no passphrase at all",
        )
    return secret


def _pem(identity: Identity, secret: bytes | None) -> bytes:
    from cryptography.hazmat.primitives import serialization  # late: it loads the SSH formats too

    return identity.private_key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption() if secret is None else serialization.BestAvailableEncryption(secret),
    )


def _read(path: Path) -> bytes:
    """Judge kind and mode on the open descriptor, so that what was judged is what is read."""
    # Without O_NONBLOCK a named pipe would hold the start of the node for ever.
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    try:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            raise KeyFileError(path, "is not a regular file")
        mode = stat.S_IMODE(status.st_mode)
        if mode & 0o077:
            raise KeyFileError(
                path, f"has mode {mode:04o}, open to group or others; allowed is 0600 or stricter: chmod 600 {path}"
            )
        if status.st_size > _MAX_FILE_BYTES:
            raise KeyFileError(path, f"has {status.st_size} bytes; a key file has at most {_MAX_FILE_BYTES}")
        return os.read(descriptor, _MAX_FILE_BYTES)
    finally:
        os.close(descriptor)


def _parse(path: Path, pem: bytes, secret: bytes | None) -> Ed25519PrivateKey:
    encrypted = _ENCRYPTED in pem
    if not encrypted and _PLAIN not in pem:
        raise KeyFileError(path, "is no private key in PKCS#8 PEM; allowed is an Ed25519 key in that form")
    if encrypted and secret is None:
        raise KeyFileError(path, "is protected by a passphrase and none was given")
    if secret is not None and not encrypted:
        raise KeyFileError(path, "is not protected by a passphrase, yet one was given; leave it out")
    from cryptography.hazmat.primitives import serialization  # late, as above

    try:
        key = serialization.load_pem_private_key(pem, secret)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        problem = "wrong passphrase, or the file is damaged" if encrypted else "the PEM is damaged"
        raise KeyFileError(path, problem) from error
    if not isinstance(key, Ed25519PrivateKey):
        kind = type(key).__name__.lstrip("_").removesuffix("PrivateKey")
        raise KeyFileError(path, f"holds a key of kind {kind}; allowed is Ed25519")
    return key
