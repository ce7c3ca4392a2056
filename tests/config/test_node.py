"""The rules at the head of `config/node.py`, and what a person who gets something wrong reads."""

from dataclasses import replace
from pathlib import Path
from textwrap import dedent

import pytest
import yaml

from rookery.actors.discovery import StaticRecord
from rookery.config import ConfigError, NodeConfig, load, written
from rookery.config.node import PARSERS
from rookery.config.schema import json_schema
from rookery.runtime.settings import Section, SettingsError
from rookery.testing import Peers
from rookery.transport import PeerId

ALICE = "11" * 32
BOB = "22" * 32


def loaded(folder: Path, text: str = "", **environ: str) -> NodeConfig:
    file = folder / "node.yaml"
    file.write_text(dedent(text))
    return load(file, environ=environ)


def mistakes(folder: Path, text: str) -> list[str]:
    with pytest.raises(ConfigError) as raised:
        loaded(folder, text)
    return [line.removeprefix(f"{folder}/") for line in str(raised.value).splitlines()]


def test_empty_file_gives_every_default(tmp_path: Path) -> None:
    config = loaded(tmp_path)
    assert (config.tracker.source, config.tracker.admission, config.transport.network) == (
        "membership",
        "open",
        "default",
    )
    assert (config.key, config.data) == (tmp_path / "node.key", tmp_path / "data")
    assert str(config.transport.listen) == "tcp://127.0.0.1:0"


def test_folder_stands_for_its_node_yaml(tmp_path: Path) -> None:
    assert loaded(tmp_path) == load(tmp_path)


def test_peers_are_read_with_their_addresses(tmp_path: Path) -> None:
    config = loaded(tmp_path, f"tracker: {{source: static, peers: ['{ALICE}@tcp://10.0.0.1:7000']}}")
    (static,) = config.tracker.peers
    assert static.peer == PeerId.parse(ALICE)
    assert str(static.address) == "tcp://10.0.0.1:7000"


def test_every_mistake_is_told_at_once_with_its_line(tmp_path: Path) -> None:
    text = """\
        transport:
          listen: localhost
          handshake_timeout: 5 parsecs
        tracker:
          sauce: static
          peers: [abcd@tcp://10.0.0.1:7000]
        """
    first, second, third, fourth = mistakes(tmp_path, text)
    assert first.startswith("node.yaml:2: transport.listen: ")
    assert "tcp://HOST:PORT" in first
    assert second.startswith("node.yaml:3: transport.handshake_timeout: 5 parsecs is not a duration")
    assert third.startswith("node.yaml:5: tracker.sauce: unknown key; did you mean source?")
    assert fourth.startswith("node.yaml:6: tracker.peers[0]: peer id 'abcd'")
    assert "64 hex digits" in fourth


@pytest.mark.parametrize(("written_at", "read_at"), [("transport", "maintenance"), ("maintenance", "transport")])
def test_number_of_connections_written_once_counts_for_both_parts(
    tmp_path: Path, written_at: str, read_at: str
) -> None:
    config = loaded(tmp_path, f"{written_at}:\n  max_connections: 60\n{read_at}:\n")
    assert config.transport.max_connections == config.maintenance.max_connections == 60


def test_number_of_connections_written_twice_differently_is_a_mistake(tmp_path: Path) -> None:
    (mistake,) = mistakes(tmp_path, "transport: {max_connections: 60}\nmaintenance:\n  max_connections: 70\n")
    assert mistake.startswith("node.yaml:3: maintenance.max_connections: 70 contradicts transport.max_connections")


def test_mistake_in_a_shared_number_is_told_once(tmp_path: Path) -> None:
    (mistake,) = mistakes(tmp_path, "transport:\n  max_connections: many\n")
    assert mistake.startswith("node.yaml:2: transport.max_connections: many is not a whole number")


def test_section_that_is_no_section_is_told_although_a_twin_belongs_there(tmp_path: Path) -> None:
    (mistake,) = mistakes(tmp_path, "transport: {max_connections: 60}\nmaintenance: lots\n")
    assert mistake.startswith("node.yaml:2: maintenance: lots is not a section")


def test_connections_that_do_not_ascend_are_a_mistake(tmp_path: Path) -> None:
    (mistake,) = mistakes(tmp_path, "maintenance:\n  expected_connections: 200\n")
    assert "maintenance.expected_connections: 200 is not between min_connections and max_connections" in mistake


def test_contradicting_numbers_are_an_error_in_code_too() -> None:
    with pytest.raises(SettingsError, match=r"maintenance\.max_connections: 100 contradicts transport"):
        NodeConfig(transport=type(NodeConfig().transport)(max_connections=60))


@pytest.mark.parametrize(("source", "policy"), [("static", "all"), ("application", "all"), ("membership", "band")])
def test_policy_follows_the_source(tmp_path: Path, source: str, policy: str) -> None:
    assert loaded(tmp_path, f"tracker: {{source: {source}}}").maintenance.policy == policy


def test_policy_that_is_written_wins(tmp_path: Path) -> None:
    assert loaded(tmp_path, "tracker: {source: static}\nmaintenance: {policy: band}").maintenance.policy == "band"


def test_more_static_peers_than_connections_are_a_mistake(tmp_path: Path) -> None:
    text = f"""\
        maintenance: {{min_connections: 0, expected_connections: 1, max_connections: 1}}
        tracker:
          source: static
          peers: ['{ALICE}@tcp://10.0.0.1:7000', '{BOB}@tcp://10.0.0.2:7000']
        """
    (mistake,) = mistakes(tmp_path, text)
    assert mistake.startswith("node.yaml:4: tracker.peers: 2 peers, and each shall be connected")


def test_peers_of_the_tracker_are_the_seeds_of_the_membership(tmp_path: Path) -> None:
    config = loaded(tmp_path, f"tracker: {{peers: ['{ALICE}@tcp://10.0.0.1:7000']}}")
    assert [str(seed) for seed in config.membership.seeds] == [f"{ALICE}@tcp://10.0.0.1:7000"]
    assert config.membership.feeds_tracker


def test_seeds_of_the_membership_are_the_first_peers_of_the_tracker(tmp_path: Path) -> None:
    config = loaded(tmp_path, f"membership: {{seeds: ['{ALICE}@tcp://10.0.0.1:7000']}}")
    assert [str(peer) for peer in config.tracker.peers] == [f"{ALICE}@tcp://10.0.0.1:7000"]


def test_seeds_that_differ_from_the_peers_are_a_mistake(tmp_path: Path) -> None:
    text = f"""\
        tracker: {{peers: ['{ALICE}@tcp://10.0.0.1:7000']}}
        membership: {{seeds: ['{BOB}@tcp://10.0.0.2:7000']}}
        """
    (mistake,) = mistakes(tmp_path, text)
    assert mistake.startswith("node.yaml:2: membership.seeds: differ from tracker.peers")


def test_seeds_that_can_be_no_peers_of_the_tracker_are_a_mistake(tmp_path: Path) -> None:
    text = "membership:\n  seeds:\n    - {0}@tcp://10.0.0.1:7000\n    - {1}@tcp://10.0.0.2:7000\n"
    (mistake,) = mistakes(tmp_path, text.format(ALICE, ALICE))
    assert mistake == f"node.yaml:4: membership.seeds[1]: {ALICE} is listed twice (allowed: each peer once)"
    (mistake,) = mistakes(tmp_path, text.format(ALICE, BOB) + "tracker: {max_peers_per_set: 2}\n")
    assert mistake == "node.yaml:2: membership.seeds: 2 peers and this node (allowed: max_peers_per_set, 2)"


@pytest.mark.parametrize("source", ["static", "application"])
def test_membership_feeds_the_tracker_only_as_its_source(tmp_path: Path, source: str) -> None:
    assert not loaded(tmp_path, f"tracker: {{source: {source}}}").membership.feeds_tracker


def test_tracker_that_nobody_feeds_is_a_mistake(tmp_path: Path) -> None:
    (mistake,) = mistakes(tmp_path, "membership: {feeds_tracker: false}")
    assert mistake.startswith("node.yaml:1: membership.feeds_tracker: is false, so nobody says which peers")


def test_member_that_listens_everywhere_must_say_its_address(tmp_path: Path) -> None:
    (mistake,) = mistakes(tmp_path, "transport:\n  listen: tcp://0.0.0.0:7000\n")
    assert mistake.startswith("node.yaml:1: transport.advertise: is missing")
    loaded(tmp_path, "transport: {listen: 'tcp://0.0.0.0:7000', advertise: 'tcp://10.0.0.1:7000'}")
    loaded(tmp_path, "transport: {listen: 'tcp://0.0.0.0:7000'}\ntracker: {source: static}")


def test_chunk_that_fits_no_message_is_a_mistake(tmp_path: Path) -> None:
    (mistake,) = mistakes(tmp_path, "transport: {max_message: 100KiB}\nblobs:\n  chunk_size: 128KiB\n")
    assert mistake.startswith("node.yaml:3: blobs.chunk_size: 131072 bytes do not fit into a message")


def test_patience_beyond_the_resolvers_is_a_mistake(tmp_path: Path) -> None:
    (mistake,) = mistakes(tmp_path, "blobs: {serve_patience: 4s}")
    assert "blobs.serve_patience: 4 seconds is too long (allowed: below resolver.serve_timeout, 4 seconds)" in mistake


def test_key_length_that_is_no_blocks_key_is_a_mistake(tmp_path: Path) -> None:
    (mistake,) = mistakes(tmp_path, "resolver: {key_length: 20}")
    assert mistake.startswith("node.yaml:1: resolver.key_length: 20 bytes is no key of a block")


def test_file_that_is_no_yaml_is_one_mistake_with_its_line(tmp_path: Path) -> None:
    (mistake,) = mistakes(tmp_path, "transport: [\n")
    assert mistake.startswith("node.yaml:2: not valid YAML")


def test_file_that_is_missing_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"missing\.yaml: cannot be read: No such file"):
        load(tmp_path / "missing.yaml")


def test_what_is_in_effect_can_be_written_and_read_again(tmp_path: Path) -> None:
    config = loaded(tmp_path, f"tracker: {{source: static, peers: ['{ALICE}@tcp://10.0.0.1:7000']}}")
    again = tmp_path / "again.yaml"
    again.write_text(yaml.safe_dump(written(config, Section(NodeConfig))))
    assert load(again) == config


@pytest.mark.parametrize("name", ["node.yaml", "static.yaml"])
def test_example_has_no_mistake(name: str) -> None:
    example = Path(__file__).parents[2] / "config" / "examples" / name
    assert load(example).transport.network


def test_file_of_the_page_about_kubernetes_takes_the_address_of_its_pod(tmp_path: Path) -> None:
    page = (Path(__file__).parents[2] / "docs" / "discovery.md").read_text()
    text = page.partition("```yaml\n")[2].partition("```")[0]
    for ip, host in (("10.1.2.3", "10.1.2.3"), ("fd00::7", "[fd00::7]")):
        config = loaded(tmp_path, text.replace("${POD_IP}", "[${POD_IP}]" if ":" in ip else "${POD_IP}"), POD_IP=ip)
        assert str(config.transport.advertise) == f"tcp://{host}:7000"
    (mistake,) = mistakes(tmp_path, text)
    assert mistake.startswith("node.yaml:3: transport.advertise: the environment variable POD_IP is not set")


def test_schema_documents_every_section() -> None:
    schema = json_schema(NodeConfig, PARSERS)
    assert set(schema["properties"]) == {
        "key", "key_passphrase", "key_passphrase_file", "data", "runtime", "transport", "tracker", "connections",
        "maintenance", "discovery", "membership", "providers", "resolver", "blobs", "control", "http", "log",
    }  # fmt: skip
    assert all(part["description"] for part in schema["properties"].values())


@pytest.mark.parametrize("text", ["tracker: {admission: private}", "maintenance: {private_mode: true}"])
def test_private_is_one_switch_for_the_whole_node(tmp_path: Path, text: str) -> None:
    config = loaded(tmp_path, f"{text}\ntracker: {{source: static}}" if "tracker" not in text else text)
    assert config.tracker.admission == "private"
    assert config.maintenance.private_mode


WRITTEN = [
    "",
    "tracker: {source: static}",
    "tracker: {source: application, admission: tracked}\nmaintenance: {policy: band}",
    "maintenance: {private_mode: true, max_connections: 60}",
    "tracker: {admission: private, source: static}",
    f"membership: {{seeds: ['{ALICE}@tcp://10.0.0.1:7000']}}",
    f"tracker: {{peers: ['{ALICE}@tcp://10.0.0.1:7000']}}\nmaintenance: {{policy: all}}",
]


@pytest.mark.parametrize("text", WRITTEN)
def test_what_runs_is_made_of_itself(tmp_path: Path, text: str) -> None:
    config = loaded(tmp_path, text)
    assert replace(config) == config == config.changed()
    again = tmp_path / "again.yaml"
    again.write_text(yaml.safe_dump(written(config, Section(NodeConfig))))
    assert load(again) == config


def test_what_was_not_written_is_decided_anew_when_something_changes(tmp_path: Path) -> None:
    config = loaded(tmp_path)
    changed = config.changed(tracker=replace(config.tracker, source="static"))
    assert changed == loaded(tmp_path, "tracker: {source: static}")
    assert (config.maintenance.policy, changed.maintenance.policy) == ("band", "all")
    maintenance = replace(config.maintenance, expected_connections=30, max_connections=40)
    fewer = config.changed(maintenance=maintenance, transport=replace(config.transport, max_connections=40))
    assert fewer.connections.high_water == 37


def test_private_node_tells_its_address_only_if_it_is_a_member(tmp_path: Path) -> None:
    assert loaded(tmp_path, "tracker: {admission: private, source: static}").transport.conceal
    assert not loaded(tmp_path, "tracker: {admission: private, source: membership}").transport.conceal
    assert not loaded(tmp_path, "tracker: {source: static}").transport.conceal


def test_private_node_that_contradicts_itself_is_told(tmp_path: Path) -> None:
    (mistake,) = mistakes(tmp_path, "tracker: {admission: tracked}\nmaintenance: {private_mode: true}")
    assert "contradicts tracker.admission, which is tracked" in mistake
    text = "tracker: {admission: private, source: static}\ntransport: {advertise: 'tcp://192.0.2.1:7000'}"
    (mistake,) = mistakes(tmp_path, text)
    assert "would be told to everybody, and the node is private" in mistake


def test_records_of_another_network_and_no_records_are_mistakes_with_their_lines(tmp_path: Path) -> None:
    record = StaticRecord.of(Peers().record("alice", "tcp://10.0.0.1:7000"))  # of the network "test"
    written = f"discovery:\n  records:\n    - {record}\n"
    assert loaded(tmp_path, "transport: {network: test}\n" + written).discovery.records == (record,)
    (mistake,) = mistakes(tmp_path, written)
    assert mistake.startswith("node.yaml:3: discovery.records[0]: record of network 'test': allowed is 'default'")
    assert mistakes(tmp_path, "discovery: {records: ['no!']}")[0].endswith("allowed is what `rookery record` prints")


@pytest.mark.parametrize("strangers", ["lan: true", "dns: ['http://a.example:1']", "record_listen: 'http://[::1]:0'"])
def test_private_node_that_would_find_strangers_is_a_mistake(tmp_path: Path, strangers: str) -> None:
    (mistake,) = mistakes(tmp_path, f"tracker: {{admission: private}}\ndiscovery: {{{strangers}}}")
    assert "discovery: finds strangers, and the node is private" in mistake


def test_address_of_records_that_is_none_is_a_mistake(tmp_path: Path) -> None:
    (mistake,) = mistakes(tmp_path, "discovery: {dns: [peers.example]}")
    assert mistake.startswith("node.yaml:1: discovery.dns[0]:")
    assert "http://HOST:PORT" in mistake


@pytest.mark.parametrize(
    ("yaml", "told"),
    [
        (
            "transport: {max_connections: 10}",
            "50 is not between min_connections and max_connections; it is the default",
        ),
        (
            "maintenance: {expected_connections: 50, max_connections: 10}",
            "50 is not between min_connections and max_conn",
        ),
    ],
)
def test_number_that_nobody_wrote_is_told_as_the_default(tmp_path: Path, yaml: str, told: str) -> None:
    (tmp_path / "node.yaml").write_text(yaml)
    with pytest.raises(ConfigError) as raised:
        load(tmp_path)
    (mistake,) = raised.value.mistakes
    assert told in str(mistake)
    assert ("default" in str(mistake)) == ("default" in told)


def test_rule_between_fields_tells_a_variable_and_never_what_it_says(tmp_path: Path) -> None:
    (tmp_path / "node.yaml").write_text(
        "tracker: {book: '${BOOK}'}\nmaintenance: {expected_connections: '${MANY}'}\ntransport: {max_connections: 10}"
    )
    with pytest.raises(ConfigError) as raised:
        load(tmp_path, environ={"BOOK": "generation", "MANY": "4711"})
    (first,) = raised.value.mistakes
    assert "${MANY} is not between" in str(first)
    assert "4711" not in str(first)
    (tmp_path / "node.yaml").write_text("tracker: {book: '${BOOK}'}")
    with pytest.raises(ConfigError) as raised:
        load(tmp_path, environ={"BOOK": "generation"})
    assert "${BOOK} is something else in the data folder" in str(raised.value)
    assert "generation" not in str(raised.value)
