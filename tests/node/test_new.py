"""The rules at the head of `node/new.py`."""

from pathlib import Path

import pytest

from rookery.config import load
from rookery.node import Cluster, new
from rookery.transport import Identity, keyfile


def test_new_node_has_a_key_of_its_own_and_a_file_without_mistakes(tmp_path: Path) -> None:
    peer = new.make_node(tmp_path / "alice")
    assert (tmp_path / "alice" / "node.key").stat().st_mode & 0o777 == 0o600
    assert keyfile.load(tmp_path / "alice" / "node.key").peer == peer
    assert load(tmp_path / "alice").tracker.source == "membership"


@pytest.mark.parametrize("name", ["node.key", "node.yaml"])
def test_what_exists_is_not_overwritten(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text("precious")
    with pytest.raises(new.AlreadyThere, match=f"{name} exists: nothing was written"):
        new.make_node(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == [name]
    assert (tmp_path / name).read_text() == "precious"


@pytest.mark.parametrize("name", ["node.key", "node.yaml"])
def test_link_that_leads_nowhere_is_not_followed(tmp_path: Path, name: str) -> None:
    (tmp_path / name).symlink_to("nowhere")
    with pytest.raises(new.AlreadyThere, match=f"{name} exists: nothing was written"):
        new.make_node(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == [name]


def test_given_identity_is_used(tmp_path: Path) -> None:
    identity = Identity.generate()
    assert new.make_node(tmp_path, identity=identity) == identity.peer


def test_nodes_of_a_cluster_list_each_other_and_not_themselves(tmp_path: Path) -> None:
    files = Cluster.make(tmp_path, 3)
    assert [file.parent.name for file in files] == ["a", "b", "c"]
    peers = {keyfile.load(file.parent / "node.key").peer: load(file).transport.listen for file in files}
    assert len(peers) == 3
    for file in files:
        me = keyfile.load(file.parent / "node.key").peer
        listed = {static.peer: static.address.endpoint for static in load(file).tracker.peers}
        assert listed == {peer: endpoint for peer, endpoint in peers.items() if peer != me}


def test_nodes_of_a_cluster_with_one_seed_list_the_first_alone(tmp_path: Path) -> None:
    first, *others = Cluster.make(tmp_path, 3, one_seed=True)
    seed = keyfile.load(first.parent / "node.key").peer
    assert load(first).tracker.peers == ()
    for file in others:
        config = load(file)
        assert config.tracker.source == "membership"
        assert [static.peer for static in config.tracker.peers] == [seed]


def test_settings_of_a_cluster_are_added_to_every_node(tmp_path: Path) -> None:
    settings = {"blobs": {"serve_rate": "8MiB"}, "transport": {"network": "mine"}}
    for file in Cluster.make(tmp_path, 2, settings):
        config = load(file)
        assert (config.blobs.serve_rate, config.transport.network) == (8 * 2**20, "mine")


def test_cluster_of_one_has_no_peers(tmp_path: Path) -> None:
    (file,) = Cluster.make(tmp_path, 1)
    assert load(file).tracker.peers == ()


def test_cluster_beyond_the_alphabet_is_numbered(tmp_path: Path) -> None:
    files = Cluster.make(tmp_path, 27)
    assert [files[0].parent.name, files[-1].parent.name] == ["n001", "n027"]


def test_free_ports_are_different_and_below_those_of_outgoing_connections() -> None:
    ports = new.free_ports(50)
    assert len(set(ports)) == 50
    assert all(20_000 <= port < 32_000 for port in ports)
