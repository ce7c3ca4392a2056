"""A node's process from its first moment on: signals while it loads, closed standard input, names that are no UTF-8."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from rookery.node import new

pytestmark = pytest.mark.processes
WITHIN = 60.0
EARLY = """
import os, signal, sys
from rookery.node import __main__ as entry, signals

catch = signals.catch

def caught():
    late = [name for name in ("click", "zmq", "pykka", "rookery.node.node") if name in sys.modules]
    assert not late, f"imported before signals are caught: {late}"
    catch()
    os.kill(os.getpid(), int(sys.argv.pop()))

signals.catch = caught
entry.main()
"""
INTERRUPTED = """
import os, signal, sys
from rookery.node import __main__ as entry

class Interrupting:
    def find_spec(self, name, path=None, target=None):
        if name == "rookery.node.command":
            os.kill(os.getpid(), signal.SIGINT)

sys.meta_path.insert(0, Interrupting())
entry.main()
"""

AT_AN_IMPORT = """
import atexit, os, signal, sys
moment = sys.argv.pop()

def interrupt(name):
    if name == moment:
        os.kill(os.getpid(), signal.SIGINT)

sys.addaudithook(lambda event, arguments: event == "import" and interrupt(arguments[0]))
atexit.register(interrupt, "the end")
from rookery.node.__main__ import main
sys.exit(main())
"""
BEFORE_THE_HANDLER = """
import signal, sys
names = []

def note(event, arguments):
    if event == "import" and signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        names.append(arguments[0])

sys.addaudithook(note)
import rookery.node.__main__
print(*names)
"""


def python(*arguments: str | bytes) -> subprocess.CompletedProcess[str]:
    """A Python process, to its end."""
    return subprocess.run(
        [sys.executable, *arguments], capture_output=True, text=True, errors="replace", timeout=WITHIN, check=False
    )


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    new.make_node(tmp_path / "node", "tracker: {source: static}\n")
    return tmp_path / "node"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_signal_while_a_node_still_loads_ends_it_in_order(folder: Path, number: signal.Signals) -> None:
    ended = python("-c", EARLY, "run", str(folder), str(int(number)))
    assert "Traceback" not in ended.stderr, ended.stderr
    assert ended.returncode == 0
    assert not (folder / "node.sock").exists()


def test_interrupt_while_a_command_still_loads_is_no_traceback(folder: Path) -> None:
    ended = python("-c", INTERRUPTED, "status", "--node", str(folder))
    assert (ended.returncode, ended.stdout, ended.stderr) == (130, "", "")


@pytest.mark.parametrize(
    "moment",
    [
        "rookery.node.command",
        "rookery.node.command.base",
        "click",
        "cryptography",
        "zmq",
        "yaml",
        "rookery.node.node",
        "rookery.node.command.screen",
        "rookery.node.command.weights",
        "the end",
    ],
)
def test_interrupt_at_any_moment_of_a_command_ends_it_with_130_and_no_traceback(folder: Path, moment: str) -> None:
    ended = python("-c", AT_AN_IMPORT, "config", "show", str(folder), moment)
    assert (ended.returncode, ended.stderr) == (130, "")


def test_interrupt_before_a_node_catches_signals_ends_it_with_130_and_no_traceback(folder: Path) -> None:
    ended = python("-c", AT_AN_IMPORT, "run", str(folder), "rookery.node.signals")
    assert (ended.returncode, ended.stderr) == (130, "")


def test_interrupt_while_a_command_works_ends_it_with_130_and_no_traceback(folder: Path) -> None:
    program = INTERRUPTED.replace('name == "rookery.node.command"', 'name == "importlib.resources"')
    ended = python("-c", program, "init", str(folder.with_name("other")))
    assert (ended.returncode, ended.stderr) == (130, "")


def test_nothing_but_the_entry_point_is_imported_before_it_handles_an_interrupt() -> None:
    ended = python("-c", BEFORE_THE_HANDLER)
    assert ended.stderr == ""
    assert sorted(ended.stdout.split()) == ["rookery", "rookery.node", "rookery.node.__main__"]


def test_hangup_that_is_ignored_stays_ignored_and_others_end_a_node(folder: Path) -> None:
    program = (
        "import os, signal, sys\n"
        "from rookery.node import signals\n"
        "signal.signal(signal.SIGHUP, signal.SIG_IGN)\n"
        "caught = signals.Caught()\n"
        "os.kill(os.getpid(), signal.SIGHUP)\n"
        "os.set_blocking(caught.read_end, False)\n"
        "try: os.read(caught.read_end, 1); sys.exit('SIGHUP was taken')\n"
        "except BlockingIOError: pass\n"
        "os.kill(os.getpid(), signal.SIGTERM)\n"
        "assert os.read(caught.read_end, 1)\n"
        "caught.restore(ignore=False)\n"
        "assert signal.getsignal(signal.SIGTERM) == signal.SIG_DFL\n"
        "assert signal.getsignal(signal.SIGHUP) == signal.SIG_IGN\n"
    )
    ended = python("-c", program)
    assert (ended.returncode, ended.stderr) == (0, "")


def test_node_that_is_to_watch_a_closed_standard_input_is_refused(folder: Path) -> None:
    program = (
        "import os, sys; os.close(0); os.execv(sys.executable, [sys.executable, '-m', 'rookery.node', *sys.argv[1:]])"
    )
    ended = python("-c", program, "run", str(folder), "--while-stdin")
    assert ended.returncode == 2
    assert ended.stderr.splitlines() == [
        f"{folder}: --while-stdin: standard input is closed (allowed: one that is open as long as the node runs)"
    ]


def test_node_in_a_folder_whose_name_is_no_utf8_serves_a_file_of_such_a_name(tmp_path: Path) -> None:
    folder, file = os.fsencode(tmp_path / "node") + b"\xff", os.fsencode(tmp_path / "file") + b"\xfe"
    try:
        with open(file, "wb") as written:
            written.write(b"content")
    except OSError as error:
        pytest.skip(f"no such names here: {error}")
    command = (sys.executable, "-m", "rookery.node")
    made = python(*command[1:], "init", folder)
    assert (made.returncode, made.stderr) == (0, "")
    assert python(*command[1:], "config", "check", folder).returncode == 0
    running = subprocess.Popen(
        [*command, "run", folder, "--while-stdin"], stdin=subprocess.PIPE, stderr=subprocess.PIPE
    )
    try:
        assert running.stderr is not None
        assert any(b"taking part" in line for line in running.stderr), "the node does not start"
        put = python(*command[1:], "put", file, "--node", folder)
        assert (put.returncode, put.stderr) == (0, "")
        got = python(*command[1:], "get", put.stdout.strip(), "-o", file + b"2", "--node", folder)
        assert (got.returncode, got.stderr) == (0, "")
        assert "7 bytes" in got.stdout
        with open(file + b"2", "rb") as copy:
            assert copy.read() == b"content"
    finally:
        running.communicate(timeout=WITHIN)
        assert running.returncode == 0
