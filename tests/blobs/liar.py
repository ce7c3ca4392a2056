"""A peer that serves false blocks."""

from rookery.actors.blobs import Mailbox
from rookery.runtime import Reply


class LyingProducer:
    """Stands before a blobs mailbox as a resolver's producer, and changes one bit of each block it gives."""

    def __init__(self, blobs: Mailbox) -> None:
        self._blobs = blobs

    def produce(self, key: bytes) -> Reply[bytes | None]:
        """The block, falsified."""
        return self._blobs.produce(key).map(_falsified)


def _falsified(value: bytes | None) -> bytes | None:
    return None if value is None else bytes([value[0] ^ 1]) + value[1:]
