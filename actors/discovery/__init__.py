"""Finds peers that nobody has named.

* `wake()` says that connections are missing. Whatever is found goes to the tracker as a hint of signed records, never
  as a grant of trust.
"""

from .mailbox import Mailbox, Wake

__all__ = ["Mailbox", "Wake"]
