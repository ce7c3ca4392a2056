"""Settings of blobs."""

from __future__ import annotations

from dataclasses import dataclass

from ...runtime.settings import MILLISECOND, Bytes, Seconds, Settings, option


@dataclass(frozen=True, slots=True)
class Config(Settings):
    """Files in blocks. Nodes need not agree on any of these: a file's chunk size is in its manifest."""

    chunk_size: Bytes = option(
        256 * 1024,
        "Size of the chunks that `put` cuts files into. The same file with another chunk size has another key.",
        minimum=128,
        maximum=1023 * 1024,  # a block of at most 1 MiB, beside what a message needs
    )
    window: int = option(
        32,
        "Blocks of one file that are asked for at the same time; each may be held in memory.",
        minimum=1,
        maximum=4096,
    )
    serve_rate: Bytes | None = option(
        None,
        "Bytes of blocks per second that this node gives to all others together. By default as fast as it can.",
        minimum=1,
    )
    serve_patience: Seconds = option(
        3.0,
        "Longest time an answer is held back for `serve_rate`; who would wait longer is told at once that there is no "
        "data here now, and asks elsewhere. Below the resolver's serve_timeout.",
        minimum=MILLISECOND,
    )
