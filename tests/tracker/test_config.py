"""What can be configured of the tracker."""

from __future__ import annotations

import pytest

from rookery.actors.tracker import Config, StaticPeer
from rookery.runtime.settings import SettingsError
from rookery.testing import Peers

BOB = Peers().identity("bob").peer
TEXT = f"{BOB}@tcp://10.0.0.2:7000"


def test_static_peer_reads_what_it_writes() -> None:
    assert str(StaticPeer.parse(TEXT)) == TEXT
    assert StaticPeer.parse(TEXT).peer == BOB


@pytest.mark.parametrize("text", ["", "bob@tcp://10.0.0.2:7000", f"{BOB}", f"{BOB}@10.0.0.2:7000"])
def test_static_peer_that_is_none_is_refused_with_what_is_allowed(text: str) -> None:
    with pytest.raises(ValueError, match="allowed"):
        StaticPeer.parse(text)


def test_config_by_default_is_fed_by_membership_and_open_with_a_window_of_one() -> None:
    config = Config()
    assert (config.source, config.admission, config.window) == ("membership", "open", 1)
    assert Config(source="application").window == 4


def test_config_with_contradictions_names_each_field() -> None:
    bob = StaticPeer.parse(TEXT)
    with pytest.raises(SettingsError) as error:
        Config(source="application", peers=(bob, bob), backoff_initial=5.0, backoff_cap=1.0, max_peers_per_set=2)
    assert [problem.path[0] for problem in error.value.problems] == ["backoff_cap", "peers", "peers", "peers"]


def test_config_with_an_unknown_mode_says_what_is_allowed() -> None:
    with pytest.raises(SettingsError, match="open, tracked, private"):
        Config(admission="closed")  # type: ignore[arg-type]
