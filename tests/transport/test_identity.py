from __future__ import annotations

import copy
import pickle

import pytest
import zmq
from hypothesis import given, settings
from hypothesis import strategies as st

from rookery.transport.identity import Identity, PeerId, curve_key, curve_text, verify

# seed, public key, CURVE public, CURVE secret, signature of b"rookery": made with libsodium 1.0.20 (crypto_sign_seed_keypair,
# crypto_sign_ed25519_pk_to_curve25519, crypto_sign_ed25519_sk_to_curve25519, crypto_sign). The fourth is RFC 8032's test 1.
VECTORS = [
@@VEC@@
]
P = 2**255 - 19
NEGATIVE_ZERO = 1 << 255
ORDER_8 = 2707385501144840649318225287225658788936804267575313519463743609750303021540_0  # replaced below
keys = st.binary(min_size=32, max_size=32)
