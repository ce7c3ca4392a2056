"""The rules at the head of `node/new.py`."""

import os
import stat
from pathlib import Path

import pytest

from rookery.config import ConfigError, load
from rookery.node import CannotStart, Cluster, Node, new
from rookery.node.command import configfiles
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


def test_nodes_of_a_cluster_may_take_all_inbound_slots_of_each_other_though_they_share_an_ip(tmp_path: Path) -> None:
    (file,) = Cluster.make(tmp_path / "one", 1)
    assert load(file).transport.max_inbound_share_per_ip == 1.0
    assert "max_inbound_share_per_ip: 1  # all nodes share one IP" in file.read_text()
    (other,) = Cluster.make(tmp_path / "other", 1, {"transport": {"max_inbound_share_per_ip": "0.5"}})
    assert load(other).transport.max_inbound_share_per_ip == 0.5


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


def test_files_of_a_new_node_are_its_owners_whatever_the_umask(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        new.make_node(tmp_path / "alice", "tracker: {source: static}\n")
        with Node(load(tmp_path / "alice")) as node:
            (tmp_path / "file").write_bytes(b"x" * 100_000)
            node.blobs.put(tmp_path / "file")
            node.tracker.block(Identity.generate().peer).get(timeout=5)
        made = [path for path in (tmp_path / "alice").rglob("*") if path.is_dir() or path.is_file()]
    finally:
        os.umask(before)
    open_to_others = [path.name for path in made if stat.S_IMODE(path.stat().st_mode) & 0o077]
    assert open_to_others == []
    assert {"node.yaml", "node.key", "data", "blobs", "lock", "peers.db", "generation"} <= {path.name for path in made}


def test_data_folder_that_is_open_to_others_is_left_as_it_is_with_a_warning(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    new.make_node(tmp_path, "tracker: {source: static}\n")
    (tmp_path / "data").mkdir()
    (tmp_path / "data").chmod(0o755)
    with Node(load(tmp_path)):
        pass
    assert "the data folder is open to others (mode 0755): chmod 700" in caplog.text
    assert stat.S_IMODE((tmp_path / "data").stat().st_mode) == 0o755


@pytest.mark.parametrize("name", ["blobs/lock", "peers.db", "peers.db-wal", "generation"])
def test_file_of_the_data_folder_that_is_a_link_is_refused_and_what_it_leads_to_is_left_alone(
    tmp_path: Path, name: str
) -> None:
    new.make_node(tmp_path, "tracker: {source: static}\n")
    (tmp_path / "precious").write_bytes(b"precious")
    link = tmp_path / "data" / name
    link.parent.mkdir(parents=True, mode=0o700, exist_ok=True)
    link.symlink_to(tmp_path / "precious")
    with pytest.raises(CannotStart, match=f"{link.name}.* it is a symbolic link"), Node(load(tmp_path)):
        pass
    assert (tmp_path / "precious").read_bytes() == b"precious"


def test_members_that_are_a_link_are_not_read_and_not_written_through_it(tmp_path: Path) -> None:
    new.make_node(tmp_path)
    (tmp_path / "precious").write_bytes(b"precious")
    (tmp_path / "data").mkdir(mode=0o700)
    (tmp_path / "data" / "members").symlink_to(tmp_path / "precious")
    with pytest.raises(CannotStart, match="data/members: it is a symbolic link"):
        Node(load(tmp_path)).start()
    assert (tmp_path / "precious").read_bytes() == b"precious"


def test_key_is_encrypted_with_a_passphrase_from_a_file_that_the_configuration_names(tmp_path: Path) -> None:
    (tmp_path / "passphrase").write_text("right\n")
    (tmp_path / "passphrase").chmod(0o600)
    peer = new.make_node(tmp_path / "alice", passphrase_file=tmp_path / "passphrase")
    assert b"ENCRYPTED" in (tmp_path / "alice" / "node.key").read_bytes()
    assert Node(load(tmp_path / "alice")).peer == peer
    (tmp_path / "passphrase").write_text("wrong\n")
    with pytest.raises(CannotStart, match="key: .*wrong passphrase, or the file is damaged"):
        Node(load(tmp_path / "alice"))


@pytest.mark.parametrize(
    "line",
    [
        "key_passphrase: ${PHRASE}",
        "key_passphrase_file: ${CREDENTIALS_DIRECTORY}/phrase",
        "key_passphrase_file: phrase",
    ],
)
def test_passphrase_comes_from_the_environment_a_credential_or_a_file(tmp_path: Path, line: str) -> None:
    for folder in (tmp_path / "alice", tmp_path / "credentials"):
        folder.mkdir()
        (folder / "phrase").write_text("right")
        (folder / "phrase").chmod(0o400)
    identity = Identity.generate()
    new.make_node(tmp_path / "alice", f"{line}\n", identity)
    keyfile.save(identity, tmp_path / "alice" / "node.key", "right")
    environ = {"PHRASE": "right", "CREDENTIALS_DIRECTORY": str(tmp_path / "credentials")}
    assert Node(load(tmp_path / "alice", environ=environ)).peer == identity.peer


def test_key_itself_may_be_a_credential(tmp_path: Path) -> None:
    identity = Identity.generate()
    new.make_node(tmp_path / "alice", "key: ${CREDENTIALS_DIRECTORY}/key\n")
    keyfile.save(identity, tmp_path / "key")
    assert Node(load(tmp_path / "alice", environ={"CREDENTIALS_DIRECTORY": str(tmp_path)})).peer == identity.peer


def test_encrypted_key_without_a_passphrase_is_refused_with_where_it_may_come_from(tmp_path: Path) -> None:
    new.make_node(tmp_path)
    keyfile.save(Identity.generate(), tmp_path / "node.key", "right")
    with pytest.raises(CannotStart, match=r"none was given \(allowed: key_passphrase_file, or key_passphrase with"):
        Node(load(tmp_path))


def test_passphrase_at_both_places_is_a_mistake(tmp_path: Path) -> None:
    new.make_node(tmp_path, "key_passphrase: a\nkey_passphrase_file: b\n")
    with pytest.raises(ConfigError, match="key_passphrase: is given, and so is key_passphrase_file"):
        load(tmp_path)


@pytest.mark.parametrize(
    ("yaml", "told"),
    [
        (f"transport: {{network_key: '{'ab' * 32}'}}", "transport.network_key"),
        ("key_passphrase: secret", "key_passphrase"),
        ("key_passphrase: ${PHRASE}", None),
        ("transport: {network_key: null}", None),
        ("transport:", None),
        ("", None),
    ],
)
def test_file_with_a_secret_that_others_may_read_is_told_of(tmp_path: Path, yaml: str, told: str | None) -> None:
    new.make_node(tmp_path, yaml)
    assert list(configfiles.exposed(tmp_path)) == []
    (tmp_path / "node.yaml").chmod(0o640)
    said = [
        words.partition(" holds ")[2].partition(" and is open to others")[0] for words in configfiles.exposed(tmp_path)
    ]
    assert said == ([] if told is None else [told])
