from __future__ import annotations

import copy
import pickle

import pytest
import zmq
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from rookery.transport.identity import Identity, PeerId, check_owned, curve_key, curve_text, verify

# Made with libsodium: crypto_sign_seed_keypair, crypto_sign_ed25519_pk_to_curve25519,
# crypto_sign_ed25519_sk_to_curve25519 and crypto_sign. The last seed is that of RFC 8032 section 7.1, test 1.
VECTORS = [  # seed, public key, CURVE public key, CURVE secret key, signature of b"rookery"
    (
        "0000000000000000000000000000000000000000000000000000000000000000",
        "3b6a27bcceb6a42d62a3a8d02a6f0d73653215771de243a63ac048a18b59da29",
        "5bf55c73b82ebe22be80f3430667af570fae2556a6415e6b30d4065300aa947d",
        "5046adc1dba838867b2bbbfdd0c3423e58b57970b5267a90f57960924a87f156",
        "735bc6483d6799db4189b1c40f1fba1b0312eeb32f09dfa1da9cb3e55ed03ba4d705bf4ee82c138809a6776879f141562c4ce05efda88d9efbf22fa5d8fefe07",
    ),
    (
        "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f",
        "03a107bff3ce10be1d70dd18e74bc09967e4d6309ba50d5f1ddc8664125531b8",
        "4701d08488451f545a409fb58ae3e58581ca40ac3f7f114698cd71deac73ca01",
        "3894eea49c580aef816935762be049559d6d1440dede12e6a125f1841fff8e6f",
        "7aa0278743a94286485e34f331984aadf317e2e9c51438da8b3928791ffd551596b7187185b02e1382ff520c700abea4f0515cff9dfa5a787197cd76b3e3a300",
    ),
    (
        "ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
        "76a1592044a6e4f511265bca73a604d90b0529d1df602be30a19a9257660d1f5",
        "d1fa3f01826bd8b78e057c086c7b22c7ad4358ca918099cd7b7e5d3acd7e285b",
        "20cd6935864716a79d74dd5fabbd8964304051ca41a31c4659158ebb7c3d0b57",
        "f921eaa3ac0b120ffd491a0e872dbd956403c897dccd2f4bc6b43cdfb20168c41464f144ea992c28d0330862df01edc7567ab7570494b7a5f3c2d05a2abbf10d",
    ),
    (
        "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60",
        "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a",
        "d85e07ec22b0ad881537c2f44d662d1a143cf830c57aca4305d85c7a90f6b62e",
        "307c83864f2833cb427a2ef1c00a013cfdff2768d980c0a3a520f006904de94f",
        "2638fb2d1b8af1c567b5d3b819182b916927bc49b0c369e0d78cf5566ccefa9f88bc5a46595e3a3be57a5b8a499f192a83ebd4fb36e13587f16784978c7ed404",
    ),
]
# The points of small order, by y (libsodium refuses the same), each with the sign bit clear.
SMALL_ORDER = {
    "order 1": "0100000000000000000000000000000000000000000000000000000000000000",
    "order 2": "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "order 4": "0000000000000000000000000000000000000000000000000000000000000000",
    "order 8": "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
    "order 8, the other": "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
}
seeds = st.binary(min_size=32, max_size=32)


def negative(peer: PeerId) -> PeerId:
    return PeerId(peer[:31] + bytes([peer[31] ^ 0x80]))


def test_peer_id_is_the_bytes_of_the_public_key() -> None:
    peer = PeerId(bytes(range(32)))
    assert peer == bytes(range(32))
    assert hash(peer) == hash(bytes(range(32)))
    assert {peer: 1}[PeerId(bytes(range(32)))] == 1
    assert sorted([PeerId(b"\2" * 32), PeerId(b"\1" * 32)]) == [b"\1" * 32, b"\2" * 32]


@pytest.mark.parametrize("key", [b"", bytes(31), bytes(33), 32, "0" * 32, None, bytearray(32), [0] * 32])
def test_peer_id_of_another_length_or_type_is_refused(key: object) -> None:
    with pytest.raises(ValueError, match="a peer id is 32 bytes, not"):
        PeerId(key)  # type: ignore[arg-type]


def test_peer_id_text_is_64_lower_case_hex_digits_and_short_is_its_first_8() -> None:
    peer = PeerId(b"\xab\x12\xcd\x34" + bytes(28))
    assert str(peer) == f"{peer}" == "ab12cd34" + "0" * 56
    assert peer.short == "ab12cd34"
    assert repr(peer) == "PeerId(ab12cd34)"


@given(seeds)
def test_peer_id_parse_reads_what_str_wrote(seed: bytes) -> None:
    peer = Identity.from_seed(seed).peer
    assert PeerId.parse(str(peer)) == PeerId.parse(str(peer).upper()) == PeerId.fromhex(str(peer)) == peer


@pytest.mark.parametrize("nobody", ["00" * 32, "01" + "00" * 31, "02" + "00" * 31, "ff" * 32])
def test_peer_id_parse_refuses_an_id_that_nobody_can_own(nobody: str) -> None:
    with pytest.raises(ValueError, match=f"peer id {nobody}: nobody can own it .*allowed is the Ed25519 public key"):
        PeerId.parse(nobody)
    with pytest.raises(ValueError, match="nobody can own it"):
        check_owned(PeerId.fromhex(nobody))


@pytest.mark.parametrize(
    "text", ["", "0" * 63, "0" * 65, "g" * 64, " " + "0" * 63, "0" * 64 + "\n", "\u0660" * 64, "0x" + "0" * 62]
)
def test_peer_id_parse_of_anything_else_says_what_is_allowed(text: str) -> None:
    with pytest.raises(ValueError, match="allowed are exactly 64 hex digits"):
        PeerId.parse(text)


def test_peer_id_parse_of_a_huge_text_gives_a_short_error() -> None:
    with pytest.raises(ValueError, match="1000000 characters") as error:
        PeerId.parse("0" * 1_000_000)
    assert len(str(error.value)) < 200


def test_peer_id_survives_pickle_and_copy_as_a_peer_id() -> None:
    peer = PeerId(bytes(range(32)))
    for other in (pickle.loads(pickle.dumps(peer)), copy.deepcopy(peer)):
        assert other == peer
        assert type(other) is PeerId


@pytest.mark.parametrize(("seed", "public", "curve_public", "curve_secret", "signature"), VECTORS)
def test_identity_from_a_seed_agrees_with_libsodium(
    seed: str, public: str, curve_public: str, curve_secret: str, signature: str
) -> None:
    identity = Identity.from_seed(bytes.fromhex(seed))
    assert str(identity.peer) == public
    assert identity.curve_public.hex() == curve_public
    assert identity.curve_secret.hex() == curve_secret
    assert curve_key(PeerId.parse(public)).hex() == curve_public
    assert identity.sign(b"rookery").hex() == signature


@given(seeds)
def test_curve_public_is_what_zeromq_derives_from_curve_secret(seed: bytes) -> None:
    identity = Identity.from_seed(seed)
    assert zmq.curve_public(curve_text(identity.curve_secret).encode()) == curve_text(identity.curve_public).encode()


@given(seeds)
def test_curve_public_is_what_cryptography_derives_from_curve_secret(seed: bytes) -> None:
    identity = Identity.from_seed(seed)
    x25519 = X25519PrivateKey.from_private_bytes(identity.curve_secret)
    assert x25519.public_key().public_bytes_raw() == curve_key(identity.peer)


def test_curve_text_is_the_z85_of_the_zeromq_specification() -> None:
    # ZeroMQ RFC 32, test case 1 (8 bytes to "HelloWorld"), four times over.
    assert curve_text(bytes.fromhex("864fd26fb559f75b") * 4) == "HelloWorld" * 4


@given(seeds)
def test_curve_text_agrees_with_pyzmq(key: bytes) -> None:
    from zmq.utils import z85

    assert curve_text(key).encode() == z85.encode(key)


def test_curve_text_of_another_length_is_refused() -> None:
    with pytest.raises(ValueError, match="a CURVE key is 32 bytes, not 4"):
        curve_text(b"1234")


@given(seeds)
def test_curve_key_of_a_negative_is_the_same_so_blocks_compare_it(seed: bytes) -> None:
    peer = Identity.from_seed(seed).peer
    assert negative(peer) != peer
    assert curve_key(negative(peer)) == curve_key(peer)


def test_signature_of_an_identity_is_not_valid_for_its_negative() -> None:
    identity = Identity.from_seed(bytes(32))
    assert not verify(negative(identity.peer), identity.sign(b"data"), b"data")


@pytest.mark.parametrize("text", SMALL_ORDER.values(), ids=SMALL_ORDER)
def test_curve_key_of_a_point_of_small_order_is_refused(text: str) -> None:
    for peer in (PeerId.fromhex(text), negative(PeerId.fromhex(text))):
        with pytest.raises(ValueError, match="small order"):
            curve_key(peer)


@pytest.mark.parametrize("y", [2**255 - 19, 2**255 - 18, 2**255 - 1])
def test_curve_key_of_a_y_that_is_not_reduced_is_refused(y: int) -> None:
    peer = PeerId(y.to_bytes(32, "little"))
    for each in (peer, negative(peer)):
        with pytest.raises(ValueError, match="y is not below"):
            curve_key(each)


def test_curve_key_of_a_point_off_the_curve_is_refused() -> None:
    with pytest.raises(ValueError, match="not on the curve"):
        curve_key(PeerId((2).to_bytes(32, "little")))  # no point of the curve has y = 2


@given(seeds, st.binary(max_size=100))
def test_verify_of_what_was_signed_is_true_and_of_other_data_false(seed: bytes, data: bytes) -> None:
    identity = Identity.from_seed(seed)
    signature = identity.sign(data)
    assert verify(identity.peer, signature, data)
    assert not verify(identity.peer, signature, data + b"\0")
    assert not verify(Identity.from_seed(bytes(31) + b"x").peer, signature, data) or seed == bytes(31) + b"x"


@pytest.mark.parametrize("signature", [b"", bytes(63), bytes(64), bytes(65), b"\xff" * 64])
def test_verify_of_malformed_signatures_is_false(signature: bytes) -> None:
    assert not verify(Identity.from_seed(bytes(32)).peer, signature, b"data")


def test_verify_for_a_key_nobody_owns_is_false_even_where_the_equation_holds() -> None:
    # With the neutral point as key and as R, S = 0 satisfies the equation for whatever data.
    nobody = PeerId.fromhex(SMALL_ORDER["order 1"])
    assert not verify(nobody, bytes(nobody) + bytes(32), b"data")


@given(seeds, st.binary(min_size=64, max_size=64))
def test_verify_with_any_key_and_signature_never_raises(key: bytes, signature: bytes) -> None:
    assert not verify(PeerId(key), signature, b"data")


def test_identity_generate_makes_a_new_one_each_time() -> None:
    assert Identity.generate().peer != Identity.generate().peer


def test_identity_from_a_seed_of_another_length_is_refused() -> None:
    with pytest.raises(ValueError, match="a seed is 32 bytes, not 31"):
        Identity.from_seed(bytes(31))


def test_identity_shows_and_pickles_no_private_key() -> None:
    identity = Identity.from_seed(b"s" * 32)
    assert repr(identity) == str(identity) == f"Identity({identity.peer.short})"
    with pytest.raises(TypeError, match="not pickled"):
        pickle.dumps(identity)
