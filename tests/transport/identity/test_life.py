"""What only the owner of a life can show of it: its links, its farewell and its answers, and who would fake them."""

from __future__ import annotations

import hashlib
import hmac
import pickle
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rookery.transport.identity import Identity, PeerId
from rookery.transport.identity.life import (
    LINKS,
    PROOF_BYTES,
    Life,
    verify_answer,
    verify_farewell,
    verify_link,
)

SEED = bytes(range(32))
IDENTITY = Identity.from_seed(SEED)
OTHER = Identity.from_seed(b"o" * 32)
GENERATION = 1_700_000_000
LIFE = Life(IDENTITY, GENERATION)
ORIGIN = PeerId(b"\1" * 32)
ANSWER = LIFE.answer(ORIGIN, 7, 9)

incarnations = st.integers(0, LINKS)
numbers = st.integers(0, 2**64 - 1)


def test_life_has_its_golden_proofs() -> None:
    assert LIFE.chain.hex() == "cf967b8475645b21db9062fb5844adc8"
    assert LIFE.link(1).hex() == "8a40527f8dd221e3f32cb42eb93259ed"
    assert LIFE.link(LINKS).hex() == "804f2b7a238cfbd2ff58f7c3cd8253ea"
    assert LIFE.farewell.hex() == "e77d9532dea7b8dee0235649bdc99cff"
    assert LIFE.farewell_hash.hex() == "e9bdc3aacec8942913629408e46a25e5"
    assert ANSWER.hex() == (
        "25e9592be0e8bc5b812eb1dbe372a44b083f025433d48c6647f557ddf8ea40c4"
        "beb0e8397e329e0f73f4271012e5509cf320fddabb555906ae437fd0a4b24f07"
    )


def test_life_follows_from_seed_and_generation_as_its_rules_say() -> None:
    number = struct.pack(">Q", GENERATION)
    link = hmac.digest(SEED, b"rookery-life-2\0" + number, "sha256")[:16]
    assert LIFE.link(1024) == link
    for incarnation in reversed(range(1024)):
        link = hashlib.sha256(link).digest()[:16]
        assert LIFE.link(incarnation) == link
    assert LIFE.chain == link
    assert LIFE.farewell == hmac.digest(SEED, b"rookery-farewell-2\0" + number, "sha256")[:16]
    assert LIFE.farewell_hash == hashlib.sha256(LIFE.farewell).digest()[:16]


def test_life_made_again_says_the_same_and_another_nothing_of_it() -> None:
    again = Life(Identity.from_seed(SEED), GENERATION)
    assert [again.link(number) for number in range(LINKS + 1)] == [LIFE.link(number) for number in range(LINKS + 1)]
    assert (again.farewell, again.answer(ORIGIN, 7, 9)) == (LIFE.farewell, ANSWER)
    for other in (Life(IDENTITY, GENERATION + 1), Life(OTHER, GENERATION)):
        own = {LIFE.link(number) for number in range(LINKS + 1)} | {LIFE.farewell, LIFE.farewell_hash}
        assert own.isdisjoint({other.link(number) for number in range(LINKS + 1)} | {other.farewell})


@pytest.mark.parametrize("generation", [-1, 2**64, True])
def test_life_of_a_generation_out_of_bounds_says_what_is_allowed(generation: int) -> None:
    with pytest.raises(ValueError, match=r"allowed is 0 to 2\^64 - 1"):
        Life(IDENTITY, generation)


def test_life_of_the_greatest_generation_and_of_the_least_has_proofs() -> None:
    for generation in (0, 2**64 - 1):
        life = Life(IDENTITY, generation)
        assert verify_link(life.chain, LINKS, life.link(LINKS))
        assert verify_answer(IDENTITY.peer, generation, ORIGIN, 0, 0, life.answer(ORIGIN, 0, 0))


@pytest.mark.parametrize("incarnation", [-1, LINKS + 1, 2**40, True])
def test_link_out_of_the_chain_says_what_is_allowed(incarnation: int) -> None:
    with pytest.raises(ValueError, match="allowed is 0 to 1024"):
        LIFE.link(incarnation)
    assert not verify_link(LIFE.chain, incarnation, LIFE.chain)


@given(incarnations, incarnations)
def test_link_is_good_for_its_incarnation_whatever_is_known_and_for_no_other(incarnation: int, known: int) -> None:
    link, base = LIFE.link(incarnation), (known, LIFE.link(known))
    assert verify_link(LIFE.chain, incarnation, link)
    assert verify_link(LIFE.chain, incarnation, link, known=base)
    for other in {incarnation - 1, incarnation + 1, known} - {incarnation}:
        assert not verify_link(LIFE.chain, other, link)
        assert not verify_link(LIFE.chain, other, link, known=base)


@given(incarnations, incarnations, st.binary(max_size=40))
def test_link_that_the_owner_did_not_show_is_false(incarnation: int, known: int, link: bytes) -> None:
    true = link == LIFE.link(incarnation)
    assert verify_link(LIFE.chain, incarnation, link) is true
    assert verify_link(LIFE.chain, incarnation, link, known=(known, LIFE.link(known))) is true


@given(st.integers(0, LINKS - 1), st.integers(0, 127))
def test_link_with_a_bit_changed_is_false(incarnation: int, bit: int) -> None:
    changed = (int.from_bytes(LIFE.link(incarnation), "big") ^ 1 << bit).to_bytes(PROOF_BYTES, "big")
    assert not verify_link(LIFE.chain, incarnation, changed)


def test_link_is_checked_with_the_hashes_from_the_known_one_only(monkeypatch: pytest.MonkeyPatch) -> None:
    from rookery.transport.identity import life

    made: list[bytes] = []

    def counted(data: bytes) -> bytes:
        made.append(data)
        return hashlib.sha256(data).digest()[:16]

    monkeypatch.setattr(life, "_hash", counted)
    for incarnation, known, hashes in ((1000, 998, 2), (998, 1000, 2), (1000, 1000, 0), (LINKS, 0, LINKS)):
        made.clear()
        assert verify_link(LIFE.chain, incarnation, LIFE.link(incarnation), known=(known, LIFE.link(known)))
        assert len(made) == hashes
    made.clear()
    assert not verify_link(LIFE.chain, 2**40, LIFE.chain)
    assert not verify_link(LIFE.chain, LINKS, bytes(17))
    assert made == []


@given(st.binary(max_size=40))
def test_farewell_is_known_by_its_hash_alone(farewell: bytes) -> None:
    assert verify_farewell(LIFE.farewell_hash, LIFE.farewell)
    assert verify_farewell(LIFE.farewell_hash, farewell) is (farewell == LIFE.farewell)


def test_farewell_of_another_length_is_false_even_with_its_own_hash() -> None:
    for farewell in (b"", bytes(15), bytes(17)):
        assert not verify_farewell(hashlib.sha256(farewell).digest()[:16], farewell)


def test_farewell_and_links_do_not_stand_for_each_other() -> None:
    assert not verify_farewell(LIFE.chain, LIFE.farewell)
    assert not verify_farewell(LIFE.farewell_hash, LIFE.link(1))
    assert not verify_link(LIFE.chain, 1, LIFE.farewell)


@given(numbers, numbers, numbers)
def test_answer_is_good_for_what_was_signed(generation: int, origin_generation: int, number: int) -> None:
    life = LIFE if generation == GENERATION else Life(IDENTITY, generation)
    answer = life.answer(ORIGIN, origin_generation, number)
    assert len(answer) == 64
    assert verify_answer(IDENTITY.peer, generation, ORIGIN, origin_generation, number, answer)


@pytest.mark.parametrize(
    ("peer", "generation", "origin", "origin_generation", "number"),
    [
        (OTHER.peer, GENERATION, ORIGIN, 7, 9),
        (IDENTITY.peer, GENERATION + 1, ORIGIN, 7, 9),
        (IDENTITY.peer, GENERATION, OTHER.peer, 7, 9),
        (IDENTITY.peer, GENERATION, ORIGIN, 8, 9),
        (IDENTITY.peer, GENERATION, ORIGIN, 7, 10),
        (IDENTITY.peer, 7, ORIGIN, GENERATION, 9),
        (IDENTITY.peer, GENERATION, ORIGIN, 9, 7),
    ],
)
def test_answer_to_another_probe_or_of_another_life_is_false(
    peer: PeerId, generation: int, origin: PeerId, origin_generation: int, number: int
) -> None:
    assert verify_answer(IDENTITY.peer, GENERATION, ORIGIN, 7, 9, ANSWER)
    assert not verify_answer(peer, generation, origin, origin_generation, number, ANSWER)


@given(st.binary(max_size=70))
def test_answer_of_any_other_bytes_is_false(answer: bytes) -> None:
    assert verify_answer(IDENTITY.peer, GENERATION, ORIGIN, 7, 9, answer) is (answer == ANSWER)


@pytest.mark.parametrize("wrong", [-1, 2**64, True])
def test_answer_with_a_number_out_of_bounds_is_not_signed_and_false(wrong: int) -> None:
    for origin_generation, number in ((wrong, 9), (7, wrong)):
        with pytest.raises(ValueError, match=r"allowed is 0 to 2\^64 - 1"):
            LIFE.answer(ORIGIN, origin_generation, number)
        assert not verify_answer(IDENTITY.peer, GENERATION, ORIGIN, origin_generation, number, ANSWER)
    assert not verify_answer(IDENTITY.peer, wrong, ORIGIN, 7, 9, ANSWER)


def test_answer_is_of_its_own_domain() -> None:
    said = struct.pack(">Q32sQQ", GENERATION, ORIGIN, 7, 9)
    assert IDENTITY.sign(b"rookery-answer-2\0" + said) == ANSWER
    assert not verify_answer(IDENTITY.peer, GENERATION, ORIGIN, 7, 9, IDENTITY.sign(said))


def test_life_shows_no_secret_and_is_not_pickled() -> None:
    shown = repr(LIFE) + str(LIFE) + repr(LIFE.__slots__)
    assert repr(LIFE) == f"Life({IDENTITY.peer.short}, {GENERATION})"
    for secret in (SEED, LIFE.farewell, LIFE.link(1), LIFE.link(LINKS)):
        assert secret.hex() not in shown
        assert repr(secret) not in shown
    with pytest.raises(TypeError, match="not pickled"):
        pickle.dumps(LIFE)


def test_identity_derives_the_same_for_the_same_and_shows_no_seed() -> None:
    assert IDENTITY.derive(b"one") == hmac.digest(SEED, b"one", "sha256") == Identity.from_seed(SEED).derive(b"one")
    assert len({IDENTITY.derive(b"one"), IDENTITY.derive(b"two"), OTHER.derive(b"one"), SEED}) == 4
    assert SEED.hex() not in repr(IDENTITY)
