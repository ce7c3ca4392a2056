"""One node's configuration: `node.yaml` -> `NodeConfig`.

* Every key has a default; an empty file beside a key file is a node.
* A fact that two parts need is written once, at either of its places (`SHARED_KEYS`), or the same at both.
* `tracker.peers` are also the membership's seeds, and the other way round; the membership feeds the tracker exactly
  when it is the `tracker.source`.
* Private is one switch, at either of its places: `tracker.admission: private` or `maintenance.private_mode: true`. Its
  record then tells no address, unless the node is a member, who must be found.
* Without a `maintenance.policy` the source decides: `band` for membership, else `all`.
* With policy `all` there is room for every peer that is named.
* The water marks of connections are maintenance's `max_target` and `max_threshold`; with policy `all` there are none.
* The members are asked who has a key where the membership is the source and the node is not private; a member that is
  not asked says so in its tags.
* A block's key is a key of the resolver, a block fits one message, and what `serve_rate` holds back leaves in time.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any, ClassVar, Literal, TypeVar

from ..actors.blobs.config import Config as Blobs
from ..actors.connections.config import Config as Connections
from ..actors.discovery import HttpAddress, StaticRecord
from ..actors.discovery.config import Config as Discovery
from ..actors.maintenance.config import Config as Maintenance
from ..actors.membership.config import Config as Membership
from ..actors.membership.config import Seed
from ..actors.providers.config import Config as Providers
from ..actors.providers.core.members import NONE, TAG
from ..actors.resolver.config import Config as Resolver
from ..actors.tracker.config import Config as Tracker
from ..actors.tracker.config import StaticPeer
from ..runtime.settings import KeyPath, Problem, Section, Settings, SettingsError, declared, option, section
from ..transport.address import Address, Endpoint
from ..transport.config import Config as Transport
from ..transport.errors import DecodeError
from ..transport.identity import PeerId
from .bind import bind
from .errors import ConfigError, Mistake
from .plugins import Plugin, PluginError, installed, load_plugin, with_sections
from .scalars import Parser, Parsers
from .sections import Control, Http, Log
from .source import Scalar, Source, Tree, read

S = TypeVar("S", bound=Settings)
FILE_NAME = "node.yaml"

SHARED_KEYS: tuple[tuple[KeyPath, KeyPath], ...] = (
    (("transport", "max_connections"), ("maintenance", "max_connections")),
    (("transport", "allow_private_ips"), ("tracker", "allow_private_ips")),
    (("transport", "max_message"), ("resolver", "max_message")),
)
"""Keys that mean the same thing in two sections."""

PARSERS: Parsers = {
    PeerId: Parser(PeerId.parse, "a peer id", "64 hex digits"),
    Address: Parser(Address.parse, "an address", "tcp://HOST:PORT"),
    Endpoint: Parser(Endpoint.parse_setting, "an endpoint", "tcp://HOST:PORT"),
    StaticPeer: Parser(StaticPeer.parse, "a peer", "PEERID@tcp://HOST:PORT"),
    Seed: Parser(Seed.parse, "a peer", "PEERID@tcp://HOST:PORT"),
    StaticRecord: Parser(StaticRecord.parse, "a record", "what `rookery record` prints"),
    HttpAddress: Parser(HttpAddress.parse, "an address", "http://HOST:PORT"),
}
BLOBS, MEMBERS, GENERATION = "blobs", "members", "generation"
"""What a node keeps in its `data` folder beside the address book."""
KEY_SIZE = 32
"""Bytes in the key of a block."""


@dataclass(frozen=True, slots=True)
class NodeConfig(Settings):
    """All that can be configured of a node. Relative paths count from the folder of the file.

    It is made from what was written; its sections are what the node runs with, where the rules at the head decide
    too what was not written.
    """

    key: Path = option(Path("node.key"), "The key file, readable by its owner alone; `rookery init` makes one.")
    key_passphrase_file: Path | None = option(
        None,
        "A file with the passphrase of an encrypted key, as private as the key: ${CREDENTIALS_DIRECTORY}/NAME for a "
        "credential of systemd.",
    )
    key_passphrase: str | None = option(
        None, "The passphrase itself: ${NAME} takes it from an environment variable.", secret=True
    )
    data: Path = option(Path("data"), "Folder for what the node keeps. One node at a time uses it.")
    runtime: Literal["loop", "threads"] = option("loop", "The actors on one thread, which is faster, or on one each.")

    transport: Transport = section(Transport, "Links with other nodes: the network's name, where to listen, limits.")
    tracker: Tracker = section(Tracker, "Who may connect, and where the peers are.")
    connections: Connections = section(Connections, "Which connections are given up when there are too many.")
    maintenance: Maintenance = section(Maintenance, "How many connections there should be.")
    discovery: Discovery = section(Discovery, "Finding peers that are not named, and being found.")
    membership: Membership = section(Membership, "Who is alive.")
    providers: Providers = section(Providers, "Finding who has data, among members that are not all connected.")
    resolver: Resolver = section(Resolver, "Fetching data from the peers that have it.")
    blobs: Blobs = section(Blobs, "Files in blocks.")
    control: Control = section(Control, "The socket of the command line.")
    http: Http = section(Http, "Metrics and the state of the node, for monitoring.")
    log: Log = section(Log, "What the node tells its operator.")
    plugins: ClassVar[Mapping[str, Plugin]] = MappingProxyType({})
    """The actors of other packages that the file names, by the names of their sections."""
    _written: Mapping[str, Settings] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Check what was written, and decide the rest. Raises SettingsError."""
        Settings.__post_init__(self)
        decided = self._decided()
        object.__setattr__(self, "_written", {name: getattr(self, name) for name in decided})
        for name, settings in decided.items():
            object.__setattr__(self, name, settings)

    def changed(self, **values: Any) -> NodeConfig:
        """As if these values had been written instead, so that the rest is decided anew. Raises SettingsError."""
        return replace(self, **{**self._written, **values})

    def section_of(self, settings: type[S]) -> S:
        """The section of an actor that is not ours, by the class of its settings. LookupError if there is none."""
        for each in declared(type(self)):
            if type(value := getattr(self, each.name)) is settings:
                found: S = value
                return found
        raise LookupError(f"no section has {settings.__qualname__}: name it in load(..., sections={{NAME: CLASS}})")

    def check(self) -> Iterable[Problem]:
        """Rules between sections."""
        for first, second in SHARED_KEYS:
            one, other = _value(self, first), _value(self, second)
            if one != other:
                yield Problem(second, f"{other} contradicts {'.'.join(map(str, first))}, which is {one}", "one of them")
        is_member = self.tracker.source == "membership"
        if is_member and self.transport.advertise is None and _is_everywhere(self.transport.listen):
            yield Problem(
                ("transport", "advertise"),
                "is missing: members need to know where to find this node",
                "tcp://HOST:PORT",
            )
        if self.key_passphrase is not None and self.key_passphrase_file is not None:
            yield Problem(("key_passphrase",), "is given, and so is key_passphrase_file", "one of them")
        yield from self._check_private()
        yield from self._check_book()
        yield from self._check_peers()
        yield from self._check_discovery()
        yield from self._check_water()
        yield from self._check_blobs()

    def _check_private(self) -> Iterable[Problem]:
        if self.maintenance.private_mode and self.tracker.admission == "tracked":
            yield Problem(
                ("maintenance", "private_mode"),
                "contradicts tracker.admission, which is tracked",
                "false, or tracker.admission: private",
            )
        if self._is_concealed and self.transport.advertise is not None:
            yield Problem(
                ("transport", "advertise"), "would be told to everybody, and the node is private", "nothing there"
            )

    def _check_book(self) -> Iterable[Problem]:
        book = self.tracker.book
        if book is not None and os.path.normpath(book) in (".", "..", BLOBS, MEMBERS, GENERATION):
            yield Problem(("tracker", "book"), f"{book} is something else in the data folder", "another name")

    def _check_peers(self) -> Iterable[Problem]:
        peers, seeds = self.tracker.peers, self.membership.seeds
        if self.dials_all and len(peers) > self.maintenance.max_connections:
            yield Problem(
                ("tracker", "peers"),
                f"{len(peers)} peers, and each shall be connected",
                f"at most maintenance.max_connections, {self.maintenance.max_connections}, or maintenance.policy: band",
            )
        if peers and seeds and {str(peer) for peer in peers} != {str(seed) for seed in seeds}:
            yield Problem(("membership", "seeds"), "differ from tracker.peers", "the peers at one of the two places")
        try:
            replace(self.tracker, peers=self._known_peers)
        except SettingsError as error:  # of the seeds: the tracker's own peers have been looked at
            yield from (
                Problem(("membership", "seeds", *each.path[1:]), each.message, each.allowed) for each in error.problems
            )
        if self.tracker.source == "membership" and not self.membership.feeds_tracker:
            yield Problem(
                ("membership", "feeds_tracker"),
                "is false, so nobody says which peers are tracked",
                "true, or tracker.source: static or application",
            )

    def _check_discovery(self) -> Iterable[Problem]:
        """A record is of this network and genuine; a private node neither finds strangers nor is found by them."""
        for index, record in enumerate(self.discovery.records):
            try:
                record.decode(self.transport.network)
            except DecodeError as error:
                yield Problem(
                    ("discovery", "records", index), str(error), "a record that a peer of this network has signed"
                )
        if self.is_private and self.discovery.meets_strangers:
            yield Problem(
                ("discovery",),
                "finds strangers, and the node is private",
                "records alone, or a node that is not private",
            )

    def _check_water(self) -> Iterable[Problem]:
        """There is one set of bounds, and it is maintenance's."""
        written, bounds = self.connections, self.maintenance.bounds()
        marks = (("low_water", "max_target", bounds.max_target), ("high_water", "max_threshold", bounds.max_threshold))
        for name, bound, number in marks:
            mark = getattr(written, name)
            if mark is not None and self.dials_all:
                yield Problem(
                    ("connections", name), "trims whom maintenance.policy all dials again", "no water marks, or band"
                )
            elif mark is not None and mark != number:
                yield Problem(
                    ("connections", name),
                    f"{mark} contradicts maintenance, whose {bound} is {number}",
                    "no water marks",
                )

    def _check_blobs(self) -> Iterable[Problem]:
        if self.resolver.key_length != KEY_SIZE:
            yield Problem(
                ("resolver", "key_length"), f"{self.resolver.key_length} bytes is no key of a block", f"{KEY_SIZE}"
            )
        if self.blobs.chunk_size > self.resolver.max_value:
            yield Problem(
                ("blobs", "chunk_size"),
                f"{self.blobs.chunk_size} bytes do not fit into a message of transport.max_message",
                f"at most {self.resolver.max_value}",
            )
        if self.blobs.serve_patience >= self.resolver.serve_timeout:
            yield Problem(
                ("blobs", "serve_patience"),
                f"{self.blobs.serve_patience:g} seconds is too long",
                f"below resolver.serve_timeout, {self.resolver.serve_timeout:g} seconds",
            )

    @property
    def is_private(self) -> bool:
        """Whether only trusted peers are let in, and nothing about other peers leaves the node."""
        return self.tracker.admission == "private" or self.maintenance.private_mode

    @property
    def dials_all(self) -> bool:
        """Whether every primary peer is dialled: what was chosen, or what the source suggests."""
        policy = self.maintenance.policy
        return self.tracker.source != "membership" if policy is None else policy == "all"

    @property
    def _is_concealed(self) -> bool:
        return self.is_private and self.tracker.source != "membership"

    @property
    def _known_peers(self) -> tuple[StaticPeer, ...]:
        if self.tracker.peers or self.tracker.source == "application":
            return self.tracker.peers
        return tuple(StaticPeer(seed.peer, seed.address) for seed in self.membership.seeds)

    @property
    def _takes_part(self) -> bool:
        return self.providers.enabled and self.tracker.source == "membership" and not self.is_private

    @property
    def _tags(self) -> Mapping[str, str]:
        """Those of a member that keeps no index and is not to be asked say so."""
        tags = self.membership.tags
        return tags if self._takes_part or self.tracker.source != "membership" else {**tags, TAG: NONE}

    def _decided(self) -> dict[str, Settings]:
        """The sections in which others decide something; what they decide is allowed by the rules at the head."""
        peers, bounds = self._known_peers, self.maintenance.bounds()
        seeds = self.membership.seeds or tuple(Seed(static.peer, static.address) for static in peers)
        return {
            "transport": replace(self.transport, conceal=self.transport.conceal or self._is_concealed),
            "tracker": replace(
                self.tracker, peers=peers, admission="private" if self.is_private else self.tracker.admission
            ),
            "connections": replace(
                self.connections,
                low_water=None if self.dials_all else bounds.max_target,
                high_water=None if self.dials_all else bounds.max_threshold,
            ),
            "maintenance": replace(
                self.maintenance, policy="all" if self.dials_all else "band", private_mode=self.is_private
            ),
            "membership": replace(
                self.membership, seeds=seeds, tags=self._tags, feeds_tracker=self.tracker.source == "membership"
            ),
            "providers": replace(self.providers, enabled=self._takes_part),
        }


def load(
    path: str | os.PathLike[str],
    *,
    environ: Mapping[str, str] | None = None,
    sections: Mapping[str, type[Settings]] = MappingProxyType({}),
) -> NodeConfig:
    """The configuration in a YAML file; a folder stands for its `node.yaml`.

    environ: what `${NAME}` is looked up in, None for the process's environment. sections: of the application's own
    actors, by name; `section_of` has their settings. What installed packages add is found by itself.
    Raises ConfigError with all mistakes, ValueError for a section's name that is taken.
    """
    file = config_file(path)
    source, copied = _with_shared_keys(read(file))
    others = _others(source, sections)
    there = installed() if others else frozenset()
    root = _with_plugins(source, sections, there & others)
    try:
        return bind(
            root,
            source,
            parsers=PARSERS,
            environ=os.environ if environ is None else environ,
            words=tuple(sorted(there)),
        )
    except ConfigError as error:
        told = [mistake for mistake in error.mistakes if mistake.path not in copied]
        raise ConfigError(told or error.mistakes, error.more) from None


def _others(source: Source, sections: Mapping[str, type[Settings]]) -> frozenset[str]:
    """The sections in a file that are neither ours nor among these."""
    ours = {each.name for each in declared(NodeConfig)}.union(sections)
    return frozenset(source.tree) - ours if isinstance(source.tree, dict) else frozenset()


def _with_plugins(source: Source, sections: Mapping[str, type[Settings]], names: Iterable[str]) -> type[NodeConfig]:
    """The class with all sections of a file. Raises ConfigError for the one of a package that is broken."""
    try:
        return with_sections(NodeConfig, sections, {name: load_plugin(name) for name in sorted(names)})
    except PluginError as error:
        mistake = Mistake(source.name, *source.position((error.name,)), (error.name,), str(error), "")
        raise ConfigError([mistake]) from error


def located(path: str | os.PathLike[str], problems: Iterable[Problem]) -> ConfigError:
    """Problems that were found in what was loaded from a file, each at its key there."""
    source = read(config_file(path))
    return ConfigError(
        Mistake(source.name, *source.position(each.path), each.path, each.message, each.allowed) for each in problems
    )


def _is_everywhere(listen: Endpoint) -> bool:
    return listen.ip is not None and listen.ip.is_unspecified


def config_file(path: str | os.PathLike[str]) -> Path:
    """The file that `path` means."""
    return Path(path) / FILE_NAME if Path(path).is_dir() else Path(path)


def _value(settings: object, path: KeyPath) -> object:
    for part in path:
        settings = getattr(settings, str(part))
    return settings


def _with_shared_keys(source: Source) -> tuple[Source, frozenset[KeyPath]]:
    """The source with each fact at both of its places, and the places that were added."""
    if not isinstance(source.tree, dict):
        return source, frozenset()
    sections = {each.name for each in declared(NodeConfig) if isinstance(each.shape, Section)}
    tree = {name: _section(part) if name in sections else part for name, part in source.tree.items()}
    positions, copied = dict(source.positions), set[KeyPath]()
    for written, missing in (*SHARED_KEYS, *(pair[::-1] for pair in SHARED_KEYS)):
        value = _written(source.tree, written)
        section = tree.setdefault(str(missing[0]), {}) if value is not None else None
        if value is not None and isinstance(section, dict) and missing[1] not in section:
            section[str(missing[1])] = value
            positions[missing] = source.position(written)
            copied.add(missing)
    return replace(source, tree=tree, positions=positions), frozenset(copied)


def _section(part: Tree) -> Tree:
    """A section to be added to: a copy; an empty one also where every line under its name is commented out."""
    if isinstance(part, Scalar) and part.is_null:
        return {}
    return dict(part) if isinstance(part, dict) else part


def _written(tree: Tree, path: KeyPath) -> Tree | None:
    for part in path:
        if not isinstance(tree, dict) or part not in tree:
            return None
        tree = tree[str(part)]
    return tree
