"""Tags: short texts by name that a member publishes in the metadata of its signed record.

* At most 512 bytes in all, as msgpack with the names in order, so that equal tags are equal bytes.
* Metadata that cannot be read as tags count as no tags; nothing is raised for what other peers wrote.
* `role: secondary` makes a member a secondary peer of the tracker: accepted and served, never dialled. Any other
  role, or none, makes it a primary.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

import msgpack

from ....transport.record import MAX_METADATA_BYTES, PeerRecord

ROLE = "role"
SECONDARY = "secondary"
_MAX_TAGS = 64
_NONE: Mapping[str, str] = MappingProxyType({})


def encode_tags(tags: Mapping[str, str]) -> bytes:
    """The metadata for a record; empty for no tags. Raises ValueError if they do not fit."""
    if not tags:
        return b""
    if not all(isinstance(text, str) for pair in tags.items() for text in pair):
        raise ValueError("tags are texts by name")
    packed: bytes = msgpack.packb({name: tags[name] for name in sorted(tags)})
    if len(packed) > MAX_METADATA_BYTES or len(tags) > _MAX_TAGS:
        raise ValueError(
            f"{len(tags)} tags of {len(packed)} bytes: at most {_MAX_TAGS} and {MAX_METADATA_BYTES} bytes are allowed"
        )
    return packed


def tags_of(record: PeerRecord) -> Mapping[str, str]:
    """The tags in a record; empty for metadata that cannot be read as tags."""
    if not record.metadata:
        return _NONE
    try:
        tags = msgpack.unpackb(record.metadata, max_map_len=_MAX_TAGS, max_bin_len=0, max_array_len=0, max_ext_len=0)
    except (ValueError, msgpack.UnpackException):
        return _NONE
    if not isinstance(tags, dict) or not all(isinstance(text, str) for pair in tags.items() for text in pair):
        return _NONE
    return MappingProxyType(tags)


def is_secondary(record: PeerRecord) -> bool:
    """Whether the member asks not to be dialled."""
    return tags_of(record).get(ROLE) == SECONDARY
