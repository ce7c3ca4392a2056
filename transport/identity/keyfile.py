"""The file that keeps a node's identity: PKCS#8 PEM (RFC 5958, RFC 7468), with or without a passphrase.

* A key file is written with mode 0600, whatever the umask and whatever stood there before.
* Saving replaces a file in one step: a crash leaves the old key or the new one, never half of one.
* A file that its group or others may read, write or execute is not loaded, nor is such a passphrase. But what root owns
  and nobody may write, mode 0440, is: that is how Kubernetes (a secret, with fsGroup) and systemd (a credential) hand
  secrets to a process that is not root, by its group or an access list that root alone can have made.
* Both versions of PKCS#8 are read. A public key in the file has to be that of the private one.
* A file that is missing, irregular, no PKCS#8 PEM, not Ed25519 or under another passphrase is an error of its own.
* Every error names the file and what is allowed; none shows a part of the key.
"""

from __future__ import annotations

import binascii
import os
import re
import stat
from pathlib import Path

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from ...runtime.files import replace_file
from .keys import Identity

MODE = 0o600
PASSPHRASE_FILE = "passphrase file"  # noqa: S105  # what it is, in words
MAX_PASSPHRASE_BYTES = 1023  # OpenSSL's limit
_MAX_FILE_BYTES = 16 * 1024
_PLAIN = b"-----BEGIN PRIVATE KEY-----"
_BODY = re.compile(rb"-----BEGIN ((?:ENCRYPTED )?PRIVATE KEY)-----([A-Za-z0-9+/=\s]*)-----END \1-----")
_ENCRYPTED = b"-----BEGIN ENCRYPTED PRIVATE KEY-----"
_USUAL = re.compile(rb"-----BEGIN PRIVATE KEY-----\n([A-Za-z0-9+/]{64})\n-----END PRIVATE KEY-----\n?")
_USUAL_HEAD = bytes.fromhex("302e020100300506032b657004220420")
"""An Ed25519 key without anything else, as `save` writes it: the 32 bytes of the key follow (RFC 8410, section 7)."""


class KeyFileError(Exception):
    """A key file cannot be used; the text names the file, what is wrong and what is allowed."""

    def __init__(self, path: Path, problem: str, what: str = "key file") -> None:
        super().__init__(f"{what} {path}: {problem}")
        self.path = path
        self.problem = problem
        self.what = what


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


def read_passphrase(path: str | os.PathLike[str]) -> str:
    """The passphrase in a file, which is as private as a key: UTF-8, without the end of its line. `KeyFileError`."""
    path, what = Path(path), PASSPHRASE_FILE
    try:
        text = _read(path, what).decode()
    except OSError as error:
        raise KeyFileError(path, f"cannot be read: {error.strerror}", what) from error
    except UnicodeDecodeError as error:
        raise KeyFileError(path, "is not UTF-8", what) from error
    passphrase = text.removesuffix("\n").removesuffix("\r")
    if not 1 <= len(passphrase.encode()) <= MAX_PASSPHRASE_BYTES or "\n" in passphrase:
        raise KeyFileError(path, f"does not hold one line of 1 to {MAX_PASSPHRASE_BYTES} bytes", what)
    return passphrase


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


def _read(path: Path, what: str = "key file") -> bytes:
    """Judge kind and mode on the open descriptor, so that what was judged is what is read."""
    # Looked at before too: a socket cannot be opened, and of a device that alone can do something. Without O_NONBLOCK a
    # named pipe would hold the start of the node for ever.
    _check_regular(path, os.stat(path), what)
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    try:
        status = os.fstat(descriptor)
        _check_regular(path, status, what)
        mode = stat.S_IMODE(status.st_mode)
        if mode & 0o077 and (mode & ~0o440 or status.st_uid != 0):
            raise KeyFileError(
                path,
                f"has mode {mode:04o}, open to group or others; allowed is 0600 or stricter: chmod 600 {path} "
                "(or 0440 where root owns it, as of a mounted secret)",
                what,
            )
        if status.st_size > _MAX_FILE_BYTES:
            raise KeyFileError(path, f"has {status.st_size} bytes; a {what} has at most {_MAX_FILE_BYTES}", what)
        return os.read(descriptor, _MAX_FILE_BYTES)
    finally:
        os.close(descriptor)


def _check_regular(path: Path, status: os.stat_result, what: str) -> None:
    if not stat.S_ISREG(status.st_mode):
        raise KeyFileError(path, "is not a regular file", what)


def _parse(path: Path, pem: bytes, secret: bytes | None) -> Ed25519PrivateKey:
    encrypted = _ENCRYPTED in pem
    if not encrypted and _PLAIN not in pem:
        raise KeyFileError(path, "is no private key in PKCS#8 PEM; allowed is an Ed25519 key in that form")
    if encrypted and secret is None:
        raise KeyFileError(
            path,
            "is protected by a passphrase and none was given (allowed: key_passphrase_file, or key_passphrase with an "
            "environment variable)",
        )
    if secret is not None and not encrypted:
        raise KeyFileError(path, "is not protected by a passphrase, yet one was given; leave it out")
    if (usual := _USUAL.fullmatch(pem)) is not None:  # a megabyte less than with all formats
        der = binascii.a2b_base64(usual[1])
        if der.startswith(_USUAL_HEAD):
            return Ed25519PrivateKey.from_private_bytes(der[len(_USUAL_HEAD) :])
    from cryptography.hazmat.primitives import serialization  # late, as above

    try:
        key = serialization.load_pem_private_key(pem, secret)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        return _of_version_2(path, pem, secret, error)
    if not isinstance(key, Ed25519PrivateKey):
        kind = type(key).__name__.lstrip("_").removesuffix("PrivateKey")
        raise KeyFileError(path, f"holds a key of kind {kind}; allowed is Ed25519")
    return key


def _of_version_2(path: Path, pem: bytes, secret: bytes | None, error: Exception) -> Ed25519PrivateKey:
    """What `cryptography` does not read, if it is that. error: what it said."""
    from . import pkcs8  # late: hardly any file needs it

    try:
        lines = _BODY.search(pem)
        der = binascii.a2b_base64(b"".join(lines[2].split()) if lines else b"", strict_mode=True)
        return pkcs8.private_key(der if secret is None else pkcs8.decrypt(der, secret))
    except pkcs8.WrongPublicKey as wrong:
        raise KeyFileError(path, "holds a public key that does not belong to its private one") from wrong
    except (ValueError, UnsupportedAlgorithm):
        problem = "the PEM is damaged" if secret is None else "wrong passphrase, or the file is damaged"
        raise KeyFileError(path, problem) from error
