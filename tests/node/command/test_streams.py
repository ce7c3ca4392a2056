"""What a command reads and prints where the standard streams, the files it is given or the working folder are odd."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from rookery.node import Node, new
from rookery.node.command import main

pytestmark = pytest.mark.processes
WITHIN = 60.0
KEY = "ab" * 32
REDIRECTED = """
import os, sys
for name, where in zip(("0", "1", "2"), sys.argv[1:4]):
    if where == "closed":
        os.close(int(name))
    elif where != "kept":
        os.dup2(os.open(where, os.O_WRONLY), int(name))
os.execv(sys.executable, [sys.executable, "-m", "rookery.node", *sys.argv[4:]])
"""


def process(
    *arguments: object, stdin: str = "kept", stdout: str = "kept", stderr: str = "kept"
) -> subprocess.CompletedProcess[str]:
    """A command with those standard streams: `closed`, `kept`, or a file that is opened for writing."""
    how = [sys.executable, "-c", REDIRECTED, stdin, stdout, stderr]
    return subprocess.run(
        [*how, *map(str, arguments)], capture_output=True, text=True, timeout=WITHIN, check=False, input=""
    )


def rookery(*arguments: object) -> Result:
    """A command in this process."""
    result = CliRunner().invoke(main, [str(each) for each in arguments])
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result


@pytest.fixture
def no_hanging() -> Iterator[None]:
    """Whoever opens a pipe to which nobody writes waits for ever."""

    def hangs(*_args: object) -> None:
        pytest.fail(f"it hangs for {WITHIN:.0f} s")

    before = signal.signal(signal.SIGALRM, hangs)
    signal.setitimer(signal.ITIMER_REAL, WITHIN)
    yield
    signal.setitimer(signal.ITIMER_REAL, 0)
    signal.signal(signal.SIGALRM, before)


@pytest.fixture
def gone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The working folder is not there any more."""
    (tmp_path / "gone").mkdir()
    monkeypatch.chdir(tmp_path / "gone")
    (tmp_path / "gone").rmdir()


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A node's folder, and beside it, in the working folder, a scenario."""
    monkeypatch.chdir(tmp_path)
    Path("scenario.yaml").write_text("members: 3\n")
    new.make_node(Path("node"), "tracker: {source: static}\n")
    return tmp_path / "node"


# Files that a user names


def a_socket(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as made:
        made.bind(str(path))


def a_device(path: Path) -> None:
    path.symlink_to("/dev/zero")


ODD: dict[str, tuple[Callable[[Path], object], str]] = {
    "pipe": (os.mkfifo, "a pipe"),
    "socket": (a_socket, "a socket"),
    "device": (a_device, "a device"),
}
READING: list[tuple[str, ...]] = [
    ("overwrite", "--file", "odd"),
    ("track", "1", "--file", "odd"),
    ("track", "1", "--secondary-file", "odd"),
    ("config", "check", "odd"),
    ("config", "show", "odd"),
    ("run", "odd"),
    ("status", "--node", "odd"),
    ("put", "x", "--node", "odd"),
    ("simulate", "odd"),
    ("simulate", "scenario.yaml", "--svg", "odd"),
]


@pytest.mark.parametrize("kind", ODD)
@pytest.mark.parametrize("typed", READING, ids=" ".join)
@pytest.mark.usefixtures("folder", "no_hanging")
def test_file_that_is_no_regular_one_is_refused_by_its_kind_at_once(kind: str, typed: tuple[str, ...]) -> None:
    make, words = ODD[kind]
    make(Path("odd"))
    ended = rookery(*typed)
    assert (ended.exit_code, ended.stdout) == (2, "")
    assert ended.stderr in (
        f"odd: it is {words}, not a regular file\n",
        f"odd: cannot be read: it is {words}, not a regular file\n",
    )


@pytest.mark.parametrize("kind", ODD)
@pytest.mark.usefixtures("folder", "no_hanging")
def test_passphrase_file_that_is_no_regular_one_is_refused(kind: str) -> None:
    make, _words = ODD[kind]
    make(Path("odd"))
    ended = rookery("init", "other", "--passphrase-file", "odd")
    assert (ended.exit_code, ended.stderr) == (2, "passphrase file odd: is not a regular file\n")
    assert not Path("other").exists()


@pytest.mark.parametrize(
    "typed",
    [
        ("overwrite", "--file", "."),
        ("track", "1", "--secondary-file", "."),
        ("simulate", "."),
        ("simulate", "scenario.yaml", "--svg", "."),
        ("init", "other", "--passphrase-file", "."),
    ],
    ids=" ".join,
)
@pytest.mark.usefixtures("folder")
def test_folder_in_the_place_of_a_file_is_refused(typed: tuple[str, ...]) -> None:
    ended = rookery(*typed)
    assert (ended.exit_code, ended.stdout) == (2, "")
    assert "s a directory" in ended.stderr.splitlines()[-1]


# Standard input


@pytest.mark.parametrize(
    ("stdin", "words"), [("closed", "is closed"), ("/dev/null", "cannot be read: Bad file descriptor")]
)
@pytest.mark.parametrize("typed", [("overwrite", "--file", "-"), ("track", "1", "--secondary-file", "-")], ids=" ".join)
def test_list_from_a_standard_input_that_cannot_be_read_is_refused(
    typed: tuple[str, ...], stdin: str, words: str
) -> None:
    ended = process(*typed, stdin=stdin)
    assert (ended.returncode, ended.stdout) == (2, "")
    assert ended.stderr.splitlines()[-1] == f"Error: Invalid value: -: standard input {words}"


def test_standard_input_for_two_lists_is_refused() -> None:
    ended = rookery("track", "1", "--file", "-", "--secondary-file", "-")
    assert (ended.exit_code, ended.stdout) == (2, "")
    assert "-: standard input is given for two lists (allowed: for one of them)" in ended.stderr


# Standard output and error


@pytest.mark.parametrize(
    "typed",
    [("--version",), ("--help",), ("config", "--help"), ("config", "show", "node"), ("status", "--json")],
    ids=" ".join,
)
@pytest.mark.usefixtures("folder")
def test_full_standard_output_is_an_error_with_its_name(typed: tuple[str, ...]) -> None:
    """Also for an error, which JSON would tell there."""
    ended = process(*typed, stdout="/dev/full")
    assert (ended.returncode, ended.stderr) == (1, "standard output: No space left on device\n")


@pytest.mark.parametrize(
    ("stdout", "stderr", "typed"),
    [
        ("closed", "closed", ("--version",)),
        ("closed", "kept", ("config", "show", "node")),
        ("kept", "closed", ("config", "show", "node")),
        ("closed", "closed", ("simulate", "scenario.yaml", "--seeds", "1", "--jobs", "1")),
    ],
)
@pytest.mark.usefixtures("folder")
def test_command_does_its_work_where_nobody_listens(stdout: str, stderr: str, typed: tuple[str, ...]) -> None:
    ended = process(*typed, stdout=stdout, stderr=stderr)
    assert (ended.returncode, ended.stderr) == (0, "")
    assert bool(ended.stdout) == (stdout == "kept")


@pytest.mark.parametrize("stderr", ["closed", "/dev/full"])
def test_exit_code_tells_what_standard_error_cannot(stderr: str) -> None:
    assert process("config", "check", "missing", stderr=stderr).returncode == 2


@pytest.mark.usefixtures("folder")
def test_warning_that_cannot_be_said_makes_no_mistake_of_a_good_file() -> None:
    assert "warning: " in rookery("config", "check", "node").stderr
    ended = process("config", "check", "node", stderr="/dev/full")
    assert (ended.returncode, ended.stdout) == (0, "node/node.yaml: no mistakes\n")


# The working folder


@pytest.mark.parametrize(
    "typed",
    [
        ("status",),
        ("config", "check"),
        ("run",),
        ("simulate", "scenario.yaml"),
        ("overwrite", "--file", "peers"),
        ("init", "other"),
        ("init", "other", "--passphrase-file", "secret"),
    ],
    ids=" ".join,
)
@pytest.mark.usefixtures("gone")
def test_relative_name_in_a_working_folder_that_is_gone_is_told_by_name(typed: tuple[str, ...]) -> None:
    ended = rookery(*typed)
    assert (ended.exit_code, ended.stdout) == (2, "")
    (line,) = ended.stderr.splitlines()
    assert line.startswith(("node.yaml: ", "scenario.yaml: ", "peers: ", "other: ", "passphrase file secret: "))
    assert line.endswith("No such file or directory")


@pytest.mark.parametrize("typed", [("put", "x"), ("get", KEY, "-o", "x")], ids=" ".join)
@pytest.mark.usefixtures("gone")
def test_file_for_a_node_in_a_working_folder_that_is_gone_says_that_it_is(node: Node, typed: tuple[str, ...]) -> None:
    ended = rookery(*typed, "--node", node.config.key.parent)
    assert (ended.exit_code, ended.stdout) == (2, "")
    assert ended.stderr == "the working folder is gone, so a relative path leads nowhere (allowed: absolute ones)\n"


@pytest.mark.usefixtures("gone")
def test_absolute_names_work_in_a_working_folder_that_is_gone(tmp_path: Path) -> None:
    assert rookery("init", tmp_path / "node").exit_code == 0
    assert rookery("config", "check", tmp_path / "node").exit_code == 0
