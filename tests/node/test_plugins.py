"""Actors that are not ours: the rules at the head of `config/plugins.py`, and the hook of `node/composition.py`."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from rookery.config import ConfigError, NodeConfig, load
from rookery.config.plugins import PluginError, load_plugin
from rookery.node import CannotStart, Node
from rookery.node.command import configfiles, main
from rookery.runtime import Simulation
from rookery.testing import SimulatedNodes, WholeNode

MakeFolder = Callable[..., Path]
Install = Callable[..., None]
CHAT = Path(__file__).parent.parent.parent / "examples" / "chat.py"
ALONE = 'transport: {listen: "tcp://127.0.0.1:0"}\ntracker: {source: application}\n'
MODULE = """
from dataclasses import dataclass
from rookery import runtime
from rookery.runtime.settings import Settings, option

@dataclass(frozen=True, slots=True)
class Config(Settings):
    loud: bool = option(False, "Whether to shout.")

class Mailbox(runtime.Mailbox):
    pass

class Engine(runtime.Engine[Mailbox]):
    def __init__(self, config, *, PARTS) -> None:
        super().__init__()
"""


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Install]:
    """`install("chat", text)`: a package with a module of that text, as pip would leave it."""
    before = set(sys.modules)
    monkeypatch.setattr(sys, "dont_write_bytecode", True)

    def put(name: str, text: str, *, module: str = "") -> None:
        module = module or f"plugin_{name}"
        site = tmp_path / f"site-{module}"
        info = site / f"{module}-1.0.dist-info"
        info.mkdir(parents=True)
        (site / f"{module}.py").write_text(text)
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {module}\nVersion: 1.0\n")
        (info / "entry_points.txt").write_text(f"[rookery.actors]\n{name} = {module}\n")
        monkeypatch.syspath_prepend(site)

    yield put
    for module in set(sys.modules) - before:
        if module.startswith("plugin_"):
            del sys.modules[module]


@pytest.fixture
def chat() -> Iterator[Any]:
    """The example, as a chat."""
    spec = importlib.util.spec_from_file_location("chat_example", CHAT)
    assert spec is not None
    assert spec.loader is not None
    module = sys.modules[spec.name] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    yield module
    del sys.modules[spec.name]


def mistakes(folder: Path) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        load(folder)
    return [str(mistake).removeprefix(f"{folder}/") for mistake in caught.value.mistakes]


def test_plugin_that_the_file_names_runs_in_the_node(install: Install, make_folder: MakeFolder, no_leaks: None) -> None:
    install("chat", CHAT.read_text())
    names = ("alice", "bob")
    alice, bob = (Node(load(make_folder(name, f"{ALONE}chat: {{nickname: {name}}}\n"))) for name in names)
    with alice, bob:
        alice.tracker.track(1, {bob.peer: bob.address}).get(timeout=5)
        bob.tracker.track(1, {alice.peer: alice.address}).get(timeout=5)
        for node in (alice, bob):
            node.wait(connected=1, timeout=20)
        speaker: Any = alice.plugins["chat"]
        hearer: Any = bob.plugins["chat"]
        speaker.say("hello")
        assert hearer.next_line().get(timeout=20) == "alice: hello"


def test_plugin_with_an_empty_section_has_its_defaults(install: Install, make_folder: MakeFolder) -> None:
    install("chat", CHAT.read_text())
    for written in ("chat: {}\n", "chat:\n"):
        config: Any = load(make_folder(f"with-{len(written)}", ALONE + written))
        assert config.chat.nickname == "anonymous"
        assert configfiles.complete(config)["chat"] == {"nickname": "anonymous", "longest_line": "400B"}


def test_plugin_that_no_file_names_is_not_imported(install: Install, make_folder: MakeFolder) -> None:
    install("chat", "raise SystemError('imported')")
    assert dict(load(make_folder(yaml=ALONE)).plugins) == {}
    assert "plugin_chat" not in sys.modules


def test_plugins_section_is_checked_as_ours_are(install: Install, make_folder: MakeFolder) -> None:
    install("chat", CHAT.read_text())
    folder = make_folder(yaml=ALONE + "chat:\n  nickname: [a]\n  longest_line: 0B\n  nick: x\n")
    assert [":".join(each.split(":")[:3]) for each in mistakes(folder)] == [
        "node.yaml:4: chat.nickname",
        "node.yaml:5: chat.longest_line",
        "node.yaml:6: chat.nick",
    ]
    assert "did you mean nickname?" in mistakes(folder)[2]


def test_section_that_is_spelled_wrongly_is_told_the_plugin_that_was_meant(
    install: Install, make_folder: MakeFolder
) -> None:
    install("chatter", CHAT.read_text())
    (mistake,) = mistakes(make_folder(yaml=ALONE + "chater: {}\n"))
    assert mistake.startswith("node.yaml:3: chater: unknown key; did you mean chatter?")


def test_section_of_no_package_is_an_unknown_key(make_folder: MakeFolder) -> None:
    (mistake,) = mistakes(make_folder(yaml=ALONE + "chat: {}\n"))
    assert mistake.startswith("node.yaml:3: chat: unknown key")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("raise ValueError('broken')", "cannot be imported: ValueError: broken"),
        ("raise SystemExit('enough')", "cannot be imported: SystemExit: enough"),
        ("def __getattr__(name): raise RuntimeError('no ' + name)", "cannot be imported: RuntimeError: no Config"),
        (MODULE.replace("class Mailbox", "class Letterbox").replace("[Mailbox]", ""), "has no Mailbox"),
        (MODULE.replace('option(False, "Whether to shout.")', "False"), "Config.loud is not declared with option"),
        (
            "Config = Mailbox = Engine = None",
            "has no Config, which must be a subclass of rookery.runtime.settings.Settings",
        ),
    ],
)
def test_plugin_that_is_broken_is_a_mistake_at_its_section(
    install: Install, make_folder: MakeFolder, text: str, words: str
) -> None:
    install("shout", text)
    (mistake,) = mistakes(make_folder(yaml=ALONE + "shout: {}\n"))
    assert mistake.startswith("node.yaml:3: shout: 'plugin_shout' of plugin_shout (entry point rookery.actors: shout)")
    assert words in mistake


def test_name_that_two_packages_want_is_a_mistake_that_names_both(install: Install, make_folder: MakeFolder) -> None:
    install("shout", MODULE, module="plugin_one")
    install("shout", MODULE, module="plugin_two")
    (mistake,) = mistakes(make_folder(yaml=ALONE + "shout: {}\n"))
    assert "plugin_one" in mistake
    assert "plugin_two" in mistake


def test_plugin_that_asks_for_what_no_node_has_is_found_before_the_start(
    install: Install, make_folder: MakeFolder
) -> None:
    install("shout", MODULE.replace("PARTS", "transport, orchestra, maybe=None"))
    folder = make_folder(yaml=ALONE + "shout: {}\n")
    with pytest.raises(CannotStart, match=r"shout: plugin_shout\.Engine asks for orchestra: a node has blobs, conn"):
        Node(load(folder))
    result = CliRunner().invoke(main, ["config", "check", str(folder)])
    assert result.exit_code == 2
    assert f"{folder}/node.yaml:3: shout: plugin_shout.Engine asks for orchestra" in result.stderr


def test_plugin_that_cannot_start_is_named_and_nothing_is_left_running(
    install: Install, make_folder: MakeFolder, no_leaks: None
) -> None:
    install(
        "shout", MODULE.replace("PARTS", "me") + "\n    def on_start(self) -> None:\n        raise OSError('hoarse')\n"
    )
    with pytest.raises(CannotStart, match=r"shout: plugin_shout\.Engine cannot start: OSError: hoarse"):
        Node(load(make_folder(yaml=ALONE + "shout: {}\n"))).start()


def test_plugins_may_ask_for_one_another(install: Install, make_folder: MakeFolder, no_leaks: None) -> None:
    install("one", MODULE.replace("PARTS", "two").replace("super().__init__()", "super().__init__(); self.two = two"))
    install("two", MODULE.replace("PARTS", "one, blobs, identity, me"))
    with Node(load(make_folder(yaml=ALONE + "one: {}\ntwo: {loud: true}\n"))) as node:
        assert list(node.plugins) == ["one", "two"]


def test_schema_has_what_is_installed(install: Install) -> None:
    install("chat", CHAT.read_text())
    schema: Any = configfiles.schema()
    assert schema["$defs"]["NodeConfig.chat"]["properties"]["nickname"]["default"] == "anonymous"


def test_schema_with_a_broken_package_names_it_and_is_no_traceback(install: Install) -> None:
    install("shout", "import nothing_of_that_name")
    result = CliRunner().invoke(main, ["config", "schema"])
    assert result.exit_code == 2
    assert "'plugin_shout' of plugin_shout" in result.stderr


@pytest.mark.parametrize(
    "name", ["tracker", "key", "changed", "plugins", "_hidden", "two words", "", "def", "\ufb01le", "A"]
)
def test_section_with_a_name_that_is_taken_is_refused(make_folder: MakeFolder, name: str, chat: Any) -> None:
    with pytest.raises(ValueError, match="cannot be the name of a section"):
        load(make_folder(yaml=ALONE), sections={name: chat.Config})


def test_package_whose_name_is_taken_is_a_plugin_error(install: Install, make_folder: MakeFolder) -> None:
    install("changed", MODULE.replace("PARTS", "me"))
    result = CliRunner().invoke(main, ["config", "schema"])
    assert result.exit_code == 2
    assert "'changed' cannot be the name of a section" in result.stderr
    (mistake,) = mistakes(make_folder(yaml=ALONE + "changed: {}\n"))
    assert mistake.startswith("node.yaml:3: changed: 'changed' cannot be the name")


def test_plugin_that_nobody_adds_says_so() -> None:
    with pytest.raises(PluginError, match="is added by no package"):
        load_plugin("nobody")


def test_equal_files_with_sections_of_others_are_equal_configurations(make_folder: MakeFolder, chat: Any) -> None:
    folder, kinds = make_folder(yaml=ALONE + "chat: {nickname: a}\n"), {"chat": chat.Config}
    assert load(folder, sections=kinds) == load(folder, sections=kinds)
    assert load(folder, sections=kinds).changed(runtime="threads").section_of(kinds["chat"]).nickname == "a"


def test_section_that_was_not_named_is_looked_up_in_vain(chat: Any) -> None:
    with pytest.raises(LookupError, match="no section has Config: name it in load"):
        NodeConfig().section_of(chat.Config)


def test_actors_of_ones_own_run_in_a_simulation(simulation: Simulation, chat: Any) -> None:

    class ChatNode(WholeNode):
        def add_actors(self) -> None:
            self.chat: Any = self.start_actor(chat.Engine, chat.Config(nickname=self.name))

    nodes = SimulatedNodes(simulation, kind=ChatNode)
    alice: Any = nodes.start("alice")
    bob: Any = nodes.start("bob", seeds=[alice])
    nodes.run_until(lambda: bob.is_connected_to(alice), timeout=10)
    bob.chat.say("hello")
    nodes.run(1)
    assert alice.chat.next_line().get(timeout=5) == "bob: hello"


def test_part_that_is_given_and_that_no_parameter_takes_is_an_error(simulation: Simulation, chat: Any) -> None:
    (node,) = [SimulatedNodes(simulation).start("alice")]
    with pytest.raises(TypeError, match=r"Engine takes no orchestra; it takes transport"):
        node.start_actor(chat.Engine, chat.Config(), orchestra=1)


def test_node_that_is_ended_while_its_plugins_start_blames_no_package(
    install: Install, make_folder: MakeFolder, no_leaks: None
) -> None:
    class Ending(Node):
        def start_actor(self, *arguments: Any, **parts: Any) -> Any:
            self.stop(wait=False)
            self.runtime.stop()
            return super().start_actor(*arguments, **parts)

    install("shout", MODULE.replace("PARTS", "me"))
    node = Ending(load(make_folder(yaml=ALONE + "shout: {}\n")))
    assert node.start().stopped.is_set()
