"""Files as blocks: cut, described, fetched from many peers, and put together again.

`put_file` cuts a file into chunks and stores them under their SHA-256, with a tree of manifests whose root names the
file (`manifest`). `Download` says which blocks of a file are wanted next (`download`), and `assemble` writes the file
once they are all in the store (`writing`). None of this knows a network or an actor.
"""

from .chunking import TreeBuilder, put_file
from .download import Accepted, Download, Progress, Reason, Rejected, resume
from .errors import BlobError, DestinationError, MissingBlock, SourceError
from .manifest import DEFAULT_CHUNK_SIZE, MAX_BLOCK_SIZE, MIN_CHUNK_SIZE, Manifest, ManifestError, Place
from .writing import FileWriter, assemble, read_chunks, read_root

__all__ = [
    "DEFAULT_CHUNK_SIZE",
    "MAX_BLOCK_SIZE",
    "MIN_CHUNK_SIZE",
    "Accepted",
    "BlobError",
    "DestinationError",
    "Download",
    "FileWriter",
    "Manifest",
    "ManifestError",
    "MissingBlock",
    "Place",
    "Progress",
    "Reason",
    "Rejected",
    "SourceError",
    "TreeBuilder",
    "assemble",
    "put_file",
    "read_chunks",
    "read_root",
    "resume",
]
