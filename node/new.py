"""New nodes on disk: a folder with a key and a commented `node.yaml`; also whole clusters that know each other.

* A key file that exists is never overwritten, nor is a YAML file; nothing is written if one of them exists.
* Both are for their owner alone, as a `node.yaml` may hold secrets.
* A cluster's nodes have fixed ports on loopback, free when they are chosen and outside the range from which operating
  systems take the ports of outgoing connections, so that none is lost before its node starts.
"""

from __future__ import annotations

import json
import os
import random
import socket
from collections.abc import Mapping, Sequence
from pathlib import Path

from ..config.node import FILE_NAME
from ..runtime.files import replace_file
from ..transport import Address, Endpoint, Identity, PeerId, format_peer, keyfile

KEY_NAME = "node.key"
_PORTS = range(20_000, 32_000)


class AlreadyThere(Exception):
    """The folder holds a node already; the text names the file."""


def make_node(
    folder: Path,
    yaml: str | None = None,
    identity: Identity | None = None,
    *,
    passphrase_file: Path | None = None,
) -> PeerId:
    """Make a node in `folder`, which may exist; its id. yaml: the text of `node.yaml`, by default the example.

    passphrase_file: holds what the key is encrypted with; `node.yaml` will say where it is. Raises AlreadyThere,
    `keyfile.KeyFileError` or OSError.
    """
    yaml = example() if yaml is None else yaml
    passphrase = None
    if passphrase_file is not None:
        passphrase = keyfile.read_passphrase(passphrase_file)
        where = json.dumps(str(passphrase_file.absolute()).replace("${", "$${"))
        yaml = f"{yaml.rstrip()}\n\nkey_passphrase_file: {where}\n"
    identity = identity or Identity.generate()
    for name in (KEY_NAME, FILE_NAME):
        if os.path.lexists(folder / name):  # also a link that leads nowhere: it would be followed
            raise AlreadyThere(f"{folder / name} exists: nothing was written")
    folder.mkdir(parents=True, exist_ok=True)
    keyfile.save(identity, folder / KEY_NAME, passphrase)
    replace_file(folder / FILE_NAME, yaml.encode())
    return identity.peer


def example() -> str:
    """The `node.yaml` that explains itself."""
    from importlib import resources  # late: only `rookery init` needs it

    return resources.files("rookery.config").joinpath("examples/node.yaml").read_text(encoding="utf-8")


Values = Mapping[str, Mapping[str, str]]
"""Section, key, value as it stands in YAML: `{"blobs": {"serve_rate": "8MiB"}}`."""
_ONE_IP = {"max_inbound_share_per_ip": "1  # all nodes share one IP, which else has a quarter of the inbound slots"}


def make_cluster(folder: Path, names: Sequence[str], settings: Values, *, one_seed: bool = False) -> list[Path]:
    """Make nodes in `folder/NAME`; their YAML files. settings: of every node.

    They list each other as static peers; with one_seed, all find each other through the first.
    """
    identities = [Identity.generate() for _ in names]
    addresses = [Address(Endpoint("127.0.0.1", port)) for port in free_ports(len(names))]
    peers = [format_peer(each.peer, address) for each, address in zip(identities, addresses, strict=True)]
    for name, identity, address in zip(names, identities, addresses, strict=True):
        known = peers[:1] if one_seed else peers
        others = [peer for peer in known if not peer.startswith(str(identity.peer))]
        source = {"source": "membership"} if one_seed else {"source": "static", "admission": "tracked"}
        own: Values = {
            "transport": {"network": "cluster", "listen": str(address), **_ONE_IP},
            "tracker": {**source, "peers": f"[{', '.join(others)}]"},
        }
        sections = {section: {**own.get(section, {}), **settings.get(section, {})} for section in {**own, **settings}}
        make_node(folder / name, _yaml(f"Node {name} of a cluster on this machine.", sections), identity)
    return [folder / name / FILE_NAME for name in names]


def free_ports(count: int) -> list[int]:
    """Ports of loopback on which nobody listens now. Raises OSError if there are not enough."""
    found: list[int] = []
    for port in random.sample(_PORTS, len(_PORTS)):  # noqa: TID251  # before any node runs
        if len(found) == count:
            return found
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
        found.append(port)
    raise OSError(f"fewer than {count} ports of 127.0.0.1 are free between {_PORTS.start} and {_PORTS.stop}")


def _yaml(comment: str, sections: Values) -> str:
    lines = [f"# {comment}"]
    for section, values in sections.items():
        lines += [f"{section}:", *(f"  {key}: {value}" for key, value in values.items())]
    return "\n".join(lines) + "\n"
