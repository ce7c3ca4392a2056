"""What was found good is not checked again, and nobody can have it forgotten for the others."""

from __future__ import annotations

from dataclasses import replace

import pytest

from rookery.transport import record as record_module
from rookery.transport.identity import Identity, PeerId, verify
from rookery.transport.identity.verified import FairCache
from rookery.transport.record import PeerRecord

IDENTITY = Identity.from_seed(b"r" * 32)
OTHER = Identity.from_seed(b"o" * 32)
RECORD = PeerRecord.sign(IDENTITY, network="net", address=None, generation=1_700_000_000, metadata=b"meta")
ENCODED = RECORD.encode()


@pytest.fixture
def checks(monkeypatch: pytest.MonkeyPatch) -> list[PeerId]:
    """Count real signature checks, starting from an empty cache for three records."""
    made: list[PeerId] = []

    def counted(peer: PeerId, signature: bytes, data: bytes) -> bool:
        made.append(peer)
        return verify(peer, signature, data)

    monkeypatch.setattr(record_module, "_verified", FairCache(3))
    monkeypatch.setattr(record_module, "verify_signature", counted)
    return made


def test_record_signature_is_checked_once_per_process(checks: list[PeerId]) -> None:
    for _ in range(3):
        PeerRecord.decode(ENCODED, network="net")
    assert RECORD.verify()
    assert checks == [IDENTITY.peer]


def test_record_forged_after_a_good_one_is_checked_and_refused_each_time(checks: list[PeerId]) -> None:
    PeerRecord.decode(ENCODED, network="net")
    forged = replace(RECORD, metadata=b"forged")
    assert not forged.verify()
    assert not forged.verify()
    assert len(checks) == 3


def test_record_cache_forgets_the_least_recently_used_and_nothing_for_bad_ones(checks: list[PeerId]) -> None:
    first, second, third, fourth = (
        PeerRecord.sign(IDENTITY, network="net", address=None, generation=generation) for generation in range(4)
    )
    for record in (first, second, third, first):
        assert record.verify()
    for generation in range(10):
        assert not replace(RECORD, generation=generation).verify()
    checks.clear()
    assert all(record.verify() for record in (first, third, second, first))  # in an order that uses all three
    assert checks == []
    assert fourth.verify()  # pushes out the third, used longest ago
    checks.clear()
    assert first.verify()
    assert second.verify()
    assert checks == []
    assert third.verify()
    assert len(checks) == 1


def test_verified_cache_never_holds_more_than_its_capacity() -> None:
    cache: FairCache[bool] = FairCache(2)
    for number in range(10):
        cache.add(bytes([number]), True)
        assert len(cache) <= 2
    assert bytes([9]) in cache
    assert bytes([8]) in cache
    assert bytes([7]) not in cache


def test_source_that_brings_very_many_pushes_out_only_its_own() -> None:
    cache: FairCache[bool] = FairCache(100)
    honest = [b"honest %d" % number for number in range(30)]
    for key in honest:
        cache.add(key, True, b"seed")
    for number in range(20):
        cache.add(b"other %d" % number, True, b"source %d" % number)
    for number in range(10_000):
        cache.add(b"%d" % number, True, b"liar")
        assert len(cache) <= 100
    assert all(key in cache for key in honest)
    assert all(b"other %d" % number in cache for number in range(20))
    assert b"9999" in cache
    assert b"9900" not in cache


def test_source_that_comes_late_gets_its_share_of_a_full_cache() -> None:
    cache: FairCache[bool] = FairCache(100)
    for number in range(100):
        cache.add(b"%d" % number, True, b"liar")
    for number in range(50):
        cache.add(b"honest %d" % number, True, b"honest")
    assert all(b"honest %d" % number in cache for number in range(50))
    assert len(cache) == 100


def test_flood_of_genuine_records_makes_no_other_record_be_checked_anew(
    checks: list[PeerId], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(record_module, "_verified", FairCache[bool](20))
    liar, seed = OTHER.peer, IDENTITY.peer
    honest, flood = (
        [
            PeerRecord.sign(identity, network="net", address=None, generation=generation, metadata=b"x")
            for generation in range(count)
        ]
        for identity, count in ((IDENTITY, 8), (OTHER, 50))
    )
    assert all(record.verify(source=seed) for record in honest)
    assert all(record.verify(source=liar) for record in flood)
    checks.clear()
    assert all(record.verify(source=PeerId(bytes(31) + b"1")) for record in honest)  # whoever brings them now
    assert checks == []
