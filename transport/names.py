"""Network names: what keeps two networks apart that can reach each other.

* A network name has 1 to 64 characters, each printable ASCII (space to tilde).
"""

from __future__ import annotations

from ..runtime.arguments import shortened

MAX_NETWORK_NAME = 64


def check_network(name: str) -> str:
    """Return `name` if it may name a network; `ValueError` says what is allowed."""
    if not (1 <= len(name) <= MAX_NETWORK_NAME and name.isascii() and name.isprintable()):
        raise ValueError(
            f"network name {shortened(name)}: allowed are 1 to {MAX_NETWORK_NAME} printable ASCII characters"
        )
    return name
