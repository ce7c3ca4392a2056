"""Files as blocks: cut, described, fetched from many peers, and put together again. An application of the resolver.

`put_file` cuts a file into chunks and stores them under their SHA-256, with a tree of manifests whose root names the
file (`manifest`). `Download` says which blocks of a file are wanted next (`download`), and `assemble` writes the file
once they are all in the store (`writing`). None of this knows a network or an actor.

The actor stands behind a resolver whose producer and consumer its mailbox is. Its rules, each with a test in
`tests/blobs/test_engine.py`, `test_serving.py` or `test_swarm.py`:

**Getting.** `get` asks for at most `window` blocks at a time, of whoever has them, and for nothing the store has: so it
goes on after an interruption. Gets of one key share one download, and a block that two files have in common is asked
for once. It waits for peers as long as it takes, for its `timeout`, or until `cancel`; what came stays. The file is
written when every block is there, and `get` answers who served how much. A place that cannot be written is refused at
once.

**Judging.** Each block is checked against its key before it is stored. A false one is `INVALID`: the resolver has its
sender blocked and asks another. Blocks that are true and make no file are their maker's fault: `BrokenFile`.

**Giving.** `produce` gives every block in the store, also of files still on their way in, at most `serve_rate` bytes
per second to all peers together. Held back answers leave in order; one that would wait longer than `serve_patience` is
"no data" at once.

**Finding.** Where the members are asked who has a file (`providers`), they are told of each file that is here as a
whole, also after a restart, and asked for each that is wanted, until it is here.

**Failing.** Errors are `BlobError`s, and answers. A store that fails ends the get, blames no peer, and loses nothing. A
block that the store loses while the file is written is fetched again, once. Stopping ends every get and closes the
store.

Outside engines `rookery.node.blobs.Blobs` stands on the mailbox, and blocks.
"""

from .config import Config
from .core.download import Accepted, Download, Progress, Reason, Rejected
from .core.keys import BlobKey
from .core.manifest import DEFAULT_CHUNK_SIZE, MAX_BLOCK_SIZE, MIN_CHUNK_SIZE, Manifest, ManifestError, Place
from .engine import Engine
from .errors import (
    BlobError,
    BrokenFile,
    DestinationError,
    GetCancelled,
    GetTimedOut,
    MissingBlock,
    NobodyHasIt,
    SourceError,
    StorageFailed,
)
from .mailbox import (
    BlobProgress,
    Cancel,
    Deliver,
    Get,
    GetProgress,
    GetReport,
    Has,
    Mailbox,
    Produce,
    Put,
)
from .parts.chunking import TreeBuilder, check_source, put_file
from .parts.paths import FileId, absolute
from .parts.work import resume
from .parts.writing import FileWriter, assemble, check_destination, read_chunks, read_root

__all__ = [
    "DEFAULT_CHUNK_SIZE",
    "MAX_BLOCK_SIZE",
    "MIN_CHUNK_SIZE",
    "Accepted",
    "BlobError",
    "BlobKey",
    "BlobProgress",
    "BrokenFile",
    "Cancel",
    "Config",
    "Deliver",
    "DestinationError",
    "Download",
    "Engine",
    "FileId",
    "FileWriter",
    "Get",
    "GetCancelled",
    "GetProgress",
    "GetReport",
    "GetTimedOut",
    "Has",
    "Mailbox",
    "Manifest",
    "ManifestError",
    "MissingBlock",
    "NobodyHasIt",
    "Place",
    "Produce",
    "Progress",
    "Put",
    "Reason",
    "Rejected",
    "SourceError",
    "StorageFailed",
    "TreeBuilder",
    "absolute",
    "assemble",
    "check_destination",
    "check_source",
    "put_file",
    "read_chunks",
    "read_root",
    "resume",
]
