"""What discovery cannot start with."""

from __future__ import annotations


class NoZeroconf(RuntimeError):
    """`lan` needs the package `zeroconf`: install `rookery[lan]`."""


class CannotServe(RuntimeError):
    """`record_listen` cannot be listened on; the text says why and what is allowed."""
