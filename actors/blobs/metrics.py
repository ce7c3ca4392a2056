"""Every metric of the blobs actor."""

from __future__ import annotations

from ...runtime import Registry


class Metrics:
    """Counters and gauges, by name."""

    def __init__(self, registry: Registry) -> None:
        """Declare them in the node's registry."""
        self.downloads = registry.gauge("blobs_downloads", "Files on their way in.")
        self.wanted = registry.gauge("blobs_wanted_blocks", "Blocks asked for and not here yet.")
        self.gets = registry.counter("blobs_gets_total", "Gets that ended, by how.", labels=("result",))
        self.puts = registry.counter(
            "blobs_puts_total", "Files cut into blocks, by how that ended.", labels=("result",)
        )
        self.blocks = registry.counter("blobs_blocks_total", "Blocks that came, by verdict.", labels=("verdict",))
        self.fetched_bytes = registry.counter("blobs_fetched_bytes_total", "Bytes of the blocks that were accepted.")
        self.lost = registry.counter("blobs_lost_blocks_total", "Blocks the store lost while a file was written.")
        self.lost_files = registry.counter(
            "blobs_lost_files_total", "Files that were here as a whole, of which a part was missing or damaged later."
        )
        self.serves = registry.counter("blobs_serves_total", "Blocks others asked for, by answer.", labels=("result",))
        self.served_bytes = registry.counter("blobs_served_bytes_total", "Bytes of the blocks given to others.")
