"""How a file is described: a small hash tree of manifests over its chunks.

A block is a chunk (level 0) or a manifest (level 1 and up). A manifest of level 1 lists chunks, one of level n lists
manifests of level n - 1. The key of every block is its SHA-256, and the key of the topmost manifest, the root, is the
key of the file. A manifest is a msgpack array `[version, level, size, chunk_size, digests]`; `digests` are the
children's keys, one after the other, and `size` is how many bytes of the file are below it.

                      root, level 2                 size 1 TiB
                    /       |        \\
            level 1      level 1      level 1       size 1 GiB each, the last one the rest
           /   |   \\
      chunk  chunk  chunk                           256 KiB each, the last one the rest

Rules, each with a test in `tests/blobs/test_manifest.py`:

* Every block fits one message: at most `MAX_BLOCK_SIZE`. A manifest has at most `fanout(chunk_size)` children, so
  it is never more than about half as large as a chunk.
* Shape follows from size alone: children are full except the last, the count of digests must match the size, and the
  root is the lowest manifest that can cover the file. So one file and one chunk size give exactly one key.
* An empty file is a manifest of level 1 without children.
* Decoding untrusted bytes raises `ManifestError` and nothing else, allocates no more than the input's size, and
  accepts only the one encoding that `encode` writes.
"""

from collections.abc import Iterator
from itertools import islice

import msgpack
from msgspec import Struct

from .keys import KEY_SIZE

VERSION = 1
MIN_CHUNK_SIZE = 128
"""Bytes; with fewer a manifest could not have two children."""
MAX_BLOCK_SIZE = 1024 * 1024
"""Bytes in the largest chunk, and more than in the largest manifest: what a message must be able to carry."""
DEFAULT_CHUNK_SIZE = 256 * 1024
MAX_FILE_SIZE = 2**63 - 1
"""Bytes; what a file offset can express."""
_MAX_LEVEL = 63
_FIELDS = 5
_ARRAY_OF_FIELDS = 0x90 | _FIELDS
"""A msgpack array of five elements."""


class ManifestError(ValueError):
    """A manifest, or a block at its place in one, breaks a rule; the text says which."""


def check_chunk_size(chunk_size: int) -> None:
    """Raises ValueError unless chunks may be of `chunk_size` bytes."""
    if not MIN_CHUNK_SIZE <= chunk_size <= MAX_BLOCK_SIZE:
        raise ValueError(f"a chunk size is {MIN_CHUNK_SIZE} to {MAX_BLOCK_SIZE} bytes, not {chunk_size}")


def fanout(chunk_size: int) -> int:
    """The most children one manifest has; at the default chunk size 4096, which is 128 KiB of digests."""
    return chunk_size // (2 * KEY_SIZE)


def span(level: int, chunk_size: int) -> int:
    """How many bytes of a file a full block of `level` covers."""
    return int(chunk_size * fanout(chunk_size) ** level)


def root_level(size: int, chunk_size: int) -> int:
    """The level of the root of a file of `size` bytes: the lowest that covers it."""
    level = 1
    while span(level, chunk_size) < size:
        level += 1
    return level


class Place(Struct, frozen=True):
    """What a tree says about a block before it is there: its level and how many bytes of the file it covers."""

    level: int
    size: int
    chunk_size: int

    def read(self, value: bytes) -> "Manifest | None":
        """The manifest in `value`, or None if this is the place of a chunk.

        Raises `ManifestError` when the block does not fit this place. Its digest is not looked at: a block that has
        the right digest and does not fit shows that who made the file, not who sent the block, is at fault.
        """
        if self.level == 0:
            if len(value) != self.size:
                raise ManifestError(f"a chunk has {len(value)} bytes where its manifest says {self.size}")
            return None
        manifest = Manifest.decode(value)
        if manifest.place != self:
            raise ManifestError(f"a manifest is for {manifest.place} where its parent says {self}")
        return manifest


class Manifest(Struct, frozen=True):
    """One manifest. Raises `ManifestError` when the fields contradict each other or a limit."""

    level: int
    size: int
    chunk_size: int
    digests: bytes

    def __post_init__(self) -> None:
        if not MIN_CHUNK_SIZE <= self.chunk_size <= MAX_BLOCK_SIZE:
            raise ManifestError(f"chunk size {self.chunk_size} is not in {MIN_CHUNK_SIZE} to {MAX_BLOCK_SIZE}")
        if not 0 <= self.size <= MAX_FILE_SIZE:
            raise ManifestError(f"size {self.size} is not in 0 to {MAX_FILE_SIZE}")
        if not 1 <= self.level <= _MAX_LEVEL:
            raise ManifestError(f"level {self.level} is not in 1 to {_MAX_LEVEL}")
        if self.size == 0 and self.level != 1:
            raise ManifestError(f"an empty manifest has level 1, not {self.level}")
        if self.size > span(self.level, self.chunk_size):
            raise ManifestError(f"size {self.size} is more than a manifest of level {self.level} can cover")
        expected = -(-self.size // span(self.level - 1, self.chunk_size))
        if len(self.digests) != expected * KEY_SIZE:
            raise ManifestError(f"{len(self.digests)} bytes of digests where the size asks for {expected} digests")

    def __len__(self) -> int:
        """How many children there are."""
        return len(self.digests) // KEY_SIZE

    @property
    def place(self) -> Place:
        """Where this manifest belongs."""
        return Place(self.level, self.size, self.chunk_size)

    def child(self, index: int) -> tuple[bytes, Place]:
        """Key and place of one child; raises IndexError."""
        if not 0 <= index < len(self):
            raise IndexError(f"child {index} of {len(self)}")
        full = span(self.level - 1, self.chunk_size)
        size = min(full, self.size - index * full)
        key = self.digests[index * KEY_SIZE : (index + 1) * KEY_SIZE]
        return key, Place(self.level - 1, size, self.chunk_size)

    def children(self) -> Iterator[tuple[bytes, Place]]:
        """Key and place of each child, in the order of the file."""
        return map(self.child, range(len(self)))

    def encode(self) -> bytes:
        """The bytes of this block; their SHA-256 is its key."""
        packed: bytes = msgpack.packb([VERSION, self.level, self.size, self.chunk_size, self.digests])
        return packed

    @classmethod
    def decode(cls, data: bytes) -> "Manifest":
        """The manifest in untrusted bytes; raises `ManifestError`."""
        if len(data) > MAX_BLOCK_SIZE:
            raise ManifestError(f"a manifest has at most {MAX_BLOCK_SIZE} bytes, not {len(data)}")
        level, size, chunk_size, digests = _fields(data)
        manifest = cls(level, size, chunk_size, digests)
        if manifest.encode() != data:
            raise ManifestError("a manifest is not in its one encoding")
        return manifest

    @classmethod
    def decode_root(cls, data: bytes) -> "Manifest":
        """The root of a file in untrusted bytes; raises `ManifestError`."""
        manifest = cls.decode(data)
        level = root_level(manifest.size, manifest.chunk_size)
        if manifest.level != level:
            raise ManifestError(f"a root for {manifest.size} bytes has level {level}, not {manifest.level}")
        return manifest


def _fields(data: bytes) -> tuple[int, int, int, bytes]:
    if data[:1] != bytes([_ARRAY_OF_FIELDS]):
        raise ManifestError(f"a manifest is a msgpack array of {_FIELDS}")
    # The elements are read one by one with no nesting allowed, so hostile bytes cannot grow into many objects.
    unpacker = msgpack.Unpacker(max_buffer_size=len(data), max_array_len=0, max_map_len=0, max_str_len=0, max_ext_len=0)
    try:
        unpacker.feed(data[1:])
        fields = list(islice(unpacker, _FIELDS))
    except (ValueError, msgpack.UnpackException) as error:
        raise ManifestError(f"a manifest is not msgpack: {error or type(error).__name__}") from error
    if [type(field) for field in fields] != [int, int, int, int, bytes]:
        raise ManifestError("a manifest is [version, level, size, chunk_size, digests]")
    if fields[0] != VERSION:
        raise ManifestError(f"a manifest has version {fields[0]}; this program knows {VERSION}")
    return fields[1], fields[2], fields[3], fields[4]
