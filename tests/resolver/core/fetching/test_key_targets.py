"""The sets of targets by themselves (`test_targeting.py` has the table of what happens to them)."""

from rookery.actors.resolver.core.fetching.key_targets import KeyTargets

KEYS = [number.to_bytes(2, "big") for number in range(100)]


def test_blocked_peer_leaves_every_set_and_can_be_named_anew() -> None:
    targets: KeyTargets[str] = KeyTargets()
    for key in KEYS:
        targets.restrict(key, ["a", "b"])
    targets.block("a")
    assert all(targets.of(key) == ["b"] for key in KEYS)
    assert targets.widen(KEYS[0], ["a", "b"]) == ["a"]
    assert (targets.of(KEYS[0]), targets.of(KEYS[1])) == (["a", "b"], ["b"])


def test_nothing_is_remembered_of_a_blocked_peer_that_no_set_names() -> None:
    targets: KeyTargets[str] = KeyTargets()
    for number, key in enumerate(KEYS):
        peer = f"liar {number}"
        targets.block(peer)  # named nowhere yet
        targets.restrict(key, [peer])
        targets.block(peer)
        targets.widen(key, [peer])
        targets.block(peer)
        assert targets.of(key) == []
        targets.forget(key)
    assert (targets._naming, targets._blocks, len(targets._sets)) == ({}, {}, 0)
