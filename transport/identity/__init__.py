"""Who a node is: its keys (`keys.py`, on the curve `edwards.py`), their files, and the generation of its record.

* A key file is read and written by `keyfile.py`; the form that OpenSSL does not read, by `pkcs8.py`.
* `generation.py` keeps the newest generation where it outlives the process; `life.py` has what its owner can prove;
  `verified.py` keeps which signatures were good.
"""

from .keys import (
    KEY_BYTES,
    SIGNATURE_BYTES,
    Identity,
    PeerId,
    check_owned,
    curve_key,
    curve_text,
    possible_curve_key,
    verify,
)

__all__ = [
    "KEY_BYTES",
    "SIGNATURE_BYTES",
    "Identity",
    "PeerId",
    "check_owned",
    "curve_key",
    "curve_text",
    "possible_curve_key",
    "verify",
]
