"""The rules at the head of `config/bind.py` and `config/scalars.py`, on a small tree as a node's is."""

import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from ipaddress import IPv4Address
from pathlib import Path
from textwrap import dedent
from typing import Literal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rookery.config import ConfigError, Mistake, Parser, Parsers, bind, parse, read, written
from rookery.runtime.settings import LISTED, Bytes, Problem, Seconds, Section, Settings, declared, option, section


@dataclass(frozen=True, slots=True)
class Name:
    text: str

    def __str__(self) -> str:
        return self.text

    @classmethod
    def parse(cls, text: str) -> "Name":
        if not text.isalpha():
            raise ValueError
        return cls(text.lower())


@dataclass(frozen=True, slots=True)
class Transport(Settings):
    listen: IPv4Address | None = option(None, "Where to listen.")
    handshake_timeout: Seconds = option(5.0, "Longest time from connect to admitted.", above=0.0)
    max_frame: Bytes = option(1_048_576, "Largest frame.", minimum=64)
    max_connections: int = option(100, "Hard total of connections.", minimum=1)
    load: float = option(0.5, "Share of the machine.", minimum=0.0, maximum=1.0)


@dataclass(frozen=True, slots=True)
class Tracker(Settings):
    cooldown: Seconds = option(1.0, "Shortest time between two connections of a peer.")
    mode: Literal["open", "tracked", "private"] = option("open", "Who may connect.")
    peers: Mapping[Name, IPv4Address] = section(dict, "The peers and where they are.")
    delays: tuple[Seconds, ...] = option((), "Waits before the first, second, ... attempt.", minimum=1.0)
    persistent: bool = option(True, "Whether peers are remembered.")


@dataclass(frozen=True, slots=True)
class Band(Settings):
    low: int = option(3, "Fewest connections.", minimum=0)
    high: int = option(9, "Most connections.", minimum=0)

    def check(self) -> Iterator[Problem]:
        if self.low > self.high:
            yield Problem(("low",), f"{self.low} is above high ({self.high})", "at most high")


@dataclass(frozen=True, slots=True)
class Root(Settings):
    network: str = option("default", "The network; nodes of another one are refused.")
    key: Path = option(Path("key.pem"), "The key file.")
    backups: tuple[Path, ...] = option((), "More folders.")
    password: str | None = option(None, "Opens the key file.")
    workers: int = option(2, "Threads of the pool.", minimum=1)
    owner: Name = option(Name("nobody"), "Who runs it.")
    transport: Transport = section(Transport, "Links.")
    tracker: Tracker = section(Tracker, "Who may connect, and where they are.")
    band: Band = section(Band, "How many connections.")
    extra: Band | None = option(None, "A second band.")

    def check(self) -> Iterator[Problem]:
        if self.band.high > self.transport.max_connections:
            yield Problem(("band", "high"), f"{self.band.high} is above the hard total", "transport.max_connections")


PARSERS: Parsers = {
    Name: Parser(Name.parse, "a name", "letters"),
    IPv4Address: Parser(IPv4Address, "an IPv4 address", "four numbers from 0 to 255, with dots"),
}


def bound(text: str) -> Root:
    source = parse(dedent(text), name="node.yaml", folder=Path("/etc/node"))
    return bind(Root, source, parsers=PARSERS)


def mistakes(text: str) -> list[str]:
    with pytest.raises(ConfigError) as raised:
        bound(text)
    return str(raised.value).splitlines()


def only_mistake(text: str) -> str:
    (line,) = mistakes(text)
    return line


# what is right


def test_file_with_every_kind_of_value_gives_the_settings_it_describes() -> None:
    root = bound(
        """
        network: 012
        transport:
          listen: 127.0.0.1
          handshake_timeout: 500ms
          max_frame: 64 MiB
          load: .25
        tracker:
          mode: private
          peers: {Bob: 10.0.0.1, no: 10.0.0.2}
          delays: [1, 2s, "1m"]
          persistent: false
        """
    )
    assert root.network == "012"
    assert root.transport == Transport(IPv4Address("127.0.0.1"), 0.5, 64 * 1024 * 1024, 100, 0.25)
    peers = {Name("bob"): IPv4Address("10.0.0.1"), Name("no"): IPv4Address("10.0.0.2")}
    assert root.tracker == Tracker(mode="private", peers=peers, delays=(1.0, 2.0, 60.0), persistent=False)


@pytest.mark.parametrize("text", ["", "# nothing\n", "tracker:\nband: ~\ntransport:\n  # load: 1\n", "extra: null\n"])
def test_file_or_section_that_is_empty_means_the_defaults(text: str) -> None:
    assert bound(text) == bound("{}")
    assert bound(text).tracker == Tracker()


def test_path_that_is_relative_counts_from_the_folder_of_the_file_even_as_default() -> None:
    root = bound("backups: [old, ../b, /c, ~/d]")
    assert root.key == Path("/etc/node/key.pem")
    assert root.backups == (Path("/etc/node/old"), Path("/etc/node/../b"), Path("/c"), Path("~/d").expanduser())


def test_path_of_a_file_that_was_read_counts_from_its_folder(tmp_path: Path) -> None:
    path = tmp_path / "node.yaml"
    path.write_text("key: keys/alice.pem\n")
    assert bind(Root, read(path), parsers=PARSERS).key == tmp_path / "keys" / "alice.pem"


@pytest.mark.parametrize(
    ("text", "number"), [("5", 5), ("+5", 5), ("0x1f", 31), ("0o17", 15), ("2147483647", 2**31 - 1)]
)
def test_whole_number_is_read(text: str, number: int) -> None:
    assert bound(f"workers: {text}").workers == number


@pytest.mark.parametrize("text", ["2147483648", "9" * 90])
def test_whole_number_beyond_what_others_can_count_is_refused(text: str) -> None:
    words = f"node.yaml:1: workers: {text[:80]}{'...' * (len(text) > 80)} is too large"
    assert only_mistake(f"workers: {text}") == f"{words} (allowed: from 1 to 2147483647)"


@pytest.mark.parametrize(("text", "value"), [("true", True), ("TRUE", True), ("false", False), ("False", False)])
def test_boolean_is_read(text: str, value: bool) -> None:
    assert bound(f"tracker: {{persistent: {text}}}").tracker.persistent is value


# what is wrong, all of it at once


def test_file_with_every_mistake_is_answered_with_all_of_them_in_its_order() -> None:
    text = """\
        netwrk: x
        transport:
          listen: 256.1.1.1
          handshake-timeout: 5
          handshake_timeout: 0s
          max_frame: 5 parsecs
          max_connections: 012
          load: 1.5
        tracker:
          cooldown: 5 parsecs
          cooldown: 5
          mode: opne
          peers: {b0b: 10.0.0.1, Carol: x, carol: 10.0.0.2}
          delays: [1s, 0, {}]
          persistent: yes
        band: {low: 10}
        extra: 5
        """
    lines = [
        (
            "1: netwrk: unknown key; did you mean network? (allowed: network, key, backups, password, workers, owner, "
            "transport, tracker, band, extra)"
        ),
        (
            "3: transport.listen: Octet 256 (> 255) not permitted in '256.1.1.1' (allowed: four numbers from 0 to 255, "
            "with dots)"
        ),
        (
            "4: transport.handshake-timeout: unknown key; did you mean handshake_timeout? (allowed: listen, "
            "handshake_timeout, max_frame, max_connections, load)"
        ),
        "5: transport.handshake_timeout: 0s is too small (allowed: above 0 seconds)",
        (
            "6: transport.max_frame: 5 parsecs is not a size "
            "(allowed: a number of bytes, or a number with B, kB, MB, GB, TB, KiB, MiB, GiB, TiB; at least 64 bytes)"
        ),
        "7: transport.max_connections: 012 is not a whole number (allowed: a whole number; at least 1)",
        "8: transport.load: 1.5 is too large (allowed: from 0 to 1)",
        (
            "10: tracker.cooldown: 5 parsecs is not a duration "
            "(allowed: a number of seconds, or a number with ms, s, m, h, d)"
        ),
        "11: tracker.cooldown: is written twice, first in line 10 (allowed: each key once)",
        "12: tracker.mode: opne is not one of the choices; did you mean open? (allowed: open, tracked, private)",
        "13: tracker.peers.b0b: b0b is not a name (allowed: letters)",
        "13: tracker.peers.Carol: Expected 4 octets in 'x' (allowed: four numbers from 0 to 255, with dots)",
        "13: tracker.peers.carol: is the same key as Carol (allowed: each key once)",
        "14: tracker.delays[1]: 0 is too small (allowed: at least 1 seconds)",
        (
            "14: tracker.delays[2]: a mapping is not a duration "
            "(allowed: a number of seconds, or a number with ms, s, m, h, d; at least 1 seconds)"
        ),
        "15: tracker.persistent: yes is not true or false (allowed: true, false)",
        "16: band.low: 10 is above high (9) (allowed: at most high)",
        "17: extra: 5 is not a section (allowed: the keys low, high)",
    ]
    assert mistakes(text) == [f"node.yaml:{line}" for line in lines]


def test_config_error_gives_each_mistake_in_parts() -> None:
    with pytest.raises(ConfigError) as raised:
        bound("\nband:\n  low: -1\n")
    assert raised.value.mistakes == (Mistake("node.yaml", 3, 3, ("band", "low"), "-1 is too small", "at least 0"),)


def test_unknown_key_near_nothing_gets_no_suggestion() -> None:
    assert only_mistake("band: {zzz: 1}") == "node.yaml:1: band.zzz: unknown key (allowed: low, high)"


def test_rule_between_sections_is_reported_at_the_key_it_names() -> None:
    text = "transport:\n  max_connections: 5\nband:\n  high: 6\n"
    allowed = "(allowed: transport.max_connections)"
    assert only_mistake(text) == f"node.yaml:4: band.high: 6 is above the hard total {allowed}"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("- a", "node.yaml:1: a list is not a section"),
        ("text", "node.yaml:1: text is not a section"),
        ("tracker: [1]", "node.yaml:1: tracker: a list is not a section"),
        ("tracker: {peers: [1]}", "node.yaml:1: tracker.peers: a list is not a mapping"),
        ("tracker: {delays: 5}", "node.yaml:1: tracker.delays: 5 is not a list"),
        ("network: [a]", "node.yaml:1: network: a list is not text"),
        ("network:", "node.yaml:1: network: has no value (allowed: text in UTF-8)"),
        ('key: ""', "node.yaml:1: key: '' is not a path"),
        ('key: "a\\0b"', "node.yaml:1: key: 'a\\x00b' is not a path"),
        ("key: ~nobody-of-that-name/x", "node.yaml:1: key: ~nobody-of-that-name/x is not a path"),
        ('workers: "5"', 'node.yaml:1: workers: "5" is in quotes, so it is not a whole number'),
        ("workers: 1.0", "node.yaml:1: workers: 1.0 is not a whole number"),
        ("workers: 1_000", "node.yaml:1: workers: 1_000 is not a whole number"),
        ("workers: 12:30", "node.yaml:1: workers: 12:30 is not a whole number"),
        ("transport: {load: .inf}", "node.yaml:1: transport.load: .inf is not a number"),
        ("transport: {load: 1e999}", "node.yaml:1: transport.load: 1e999 is too large"),
        ("tracker: {persistent: 'true'}", 'node.yaml:1: tracker.persistent: "true" is in quotes'),
        ("tracker: {'[key]': 1}", "node.yaml:1: tracker['[key]']: unknown key"),
        ("tracker: {peers: {'[key]': 1.1.1.1}}", "node.yaml:1: tracker.peers['[key]']: [key] is not a name"),
    ],
)
def test_value_of_the_wrong_kind_is_refused(text: str, words: str) -> None:
    assert only_mistake(text).startswith(words)


def test_value_that_would_disturb_a_terminal_is_escaped_and_cut() -> None:
    line = only_mistake('workers: "' + "\\e[2J" * 100 + '"')
    assert line.isprintable()
    assert len(line) < 500


def test_alias_is_the_only_mistake_about_its_value() -> None:
    words = "node.yaml:2: band.low: *a is an alias (allowed: the value itself, written out)"
    assert only_mistake("workers: &a 5\nband: {low: *a}") == words


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("".join(f"newtork{number}: 1\n" for number in range(3000)), 3000),
        (f"tracker: {{delays: [{', '.join(['x'] * 3000)}]}}", 3000),
        (f"tracker: {{peers: {{{', '.join(f'a{n}: 1.1.1.1' for n in range(1000))}}}, mode: [], cooldown: []}}", 1002),
        ("network: a\n" * 1001, 1000),
    ],
)
def test_mistakes_without_end_are_counted_and_only_the_first_described(
    text: str, count: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    described: list[str] = []

    def counted(word: str, known: tuple[str, ...], n: int) -> list[str]:
        described.append(word)
        return get_close_matches(word, known, n)

    monkeypatch.setattr("rookery.config.scalars.get_close_matches", counted)
    with pytest.raises(ConfigError) as raised:
        bound(text)
    *lines, rest = str(raised.value).splitlines()
    assert (len(lines), raised.value.more, rest) == (LISTED, count - LISTED, f"and {count - LISTED:,} more")
    assert len(described) <= LISTED
    positions = [(mistake.line, mistake.column) for mistake in raised.value.mistakes]
    assert positions == sorted(positions)


@pytest.mark.parametrize(
    "text",
    [
        f"? {'x' * 100_000}\n: 1",
        f"tracker: {{peers: {{? {'x' * 100_000} : y}}}}",
        f"tracker: {{peers: {{? {'x' * 100_000} : 1.1.1.1, ? {'X' * 100_000} : 1.1.1.1}}}}",
        f"tracker: {{mode: {'x' * 100_000}}}",
        f"transport: {{listen: {'x' * 100_000}}}",
        f"transport: {{max_connections: {'9' * 100_000}}}",
        f"network: '${{{'X' * 100_000}}}'",
        f"network: {'x' * 100_000}${{ }}",
        f"network: !{'x' * 900} a",
        f"network: *{'x' * 100_000}",
    ],
)
def test_mistake_is_short_however_long_what_is_wrong(text: str) -> None:
    assert len(only_mistake(text)) < 1000


# the tree as a whole


def test_class_without_a_parser_is_an_error_of_the_program() -> None:
    with pytest.raises(TypeError, match=r"no parser is registered for .*Name"):
        bind(Root, parse("", name="n.yaml", folder=Path("/")))


def test_settings_written_and_bound_again_are_the_same() -> None:
    root = bound("transport: {handshake_timeout: 90s, listen: 1.2.3.4}\ntracker: {peers: {a: 1.1.1.1}, delays: [1.5]}")
    json = written(root, Section(Root))
    assert isinstance(json, dict)
    assert json["transport"] == {
        "listen": "1.2.3.4",
        "handshake_timeout": "90s",
        "max_frame": "1MiB",
        "max_connections": 100,
        "load": 0.5,
    }
    assert bound(repr(json).replace("None", "null").replace("True", "true")) == root


KEYS = sorted({setting.name for kind in (Root, Transport, Tracker, Band) for setting in declared(kind)})
LEAVES = st.sampled_from(
    ["5", "-1", "1s", "5 parsecs", "x", "", "~", "'5'", "true", "1.1.1.1", "1e9", "${X}", "*a", "0x1"]
)
VALUES = st.recursive(
    LEAVES,
    lambda inner: (
        st.lists(inner, max_size=3).map(lambda items: f"[{', '.join(items)}]")
        | st.lists(st.tuples(st.sampled_from(KEYS) | LEAVES, inner), max_size=4).map(
            lambda pairs: "{" + ", ".join(f"{key}: {value}" for key, value in pairs) + "}"
        )
    ),
    max_leaves=12,
)
TEXTS = st.lists(st.tuples(st.sampled_from(KEYS), VALUES), max_size=5).map(
    lambda pairs: "".join(f"{key}: {value}\n" for key, value in pairs)
)


@settings(max_examples=150)
@given(TEXTS | VALUES | st.text())
def test_any_text_gives_settings_or_a_config_error_and_nothing_else(text: str) -> None:
    errors: list[ConfigError] = []
    try:
        source = parse(text, name="node.yaml", folder=Path("/etc"))
        root = bind(Root, source, parsers=PARSERS)
        assert root.transport.max_connections >= root.band.high
    except ConfigError as error:
        errors.append(error)
    for line in "\n".join(map(str, errors)).splitlines():
        assert line.startswith("node.yaml")
        assert line.isprintable()


def test_reading_a_file_and_describing_files_loads_nothing_more_of_others(tmp_path: Path) -> None:
    (tmp_path / "node.yaml").write_text("tracker: {source: static}")
    program = f"""if True:
        import rookery.config, sys
        before = set(sys.modules)
        import rookery.config.schema, rookery.config.node
        rookery.config.load({str(tmp_path)!r})
        rookery.config.schema.json_schema(rookery.config.NodeConfig, rookery.config.node.PARSERS)
        later = {{name.partition(".")[0] for name in set(sys.modules) - before}}
        sys.exit(", ".join(later - set(sys.stdlib_module_names) - {{"rookery"}}) or 0)
    """
    run = subprocess.run([sys.executable, "-c", program], env=dict(os.environ), timeout=30, capture_output=True)
    assert (run.returncode, run.stderr) == (0, b"")
