"""Nodes as processes of this machine, started, watched and stopped together.

::

    Cluster.make("cluster", 5)                                  # folders a to e, each with its key and node.yaml
    with Cluster.launch("cluster/*/node.yaml") as cluster:
        cluster.wait(connected=4, timeout=20)
        key = cluster["a"].blobs.put("model.bin")
        cluster["e"].blobs.get(key, "copy.bin", timeout=60)

* A node's name is the name of its folder. What it writes goes to `node.log` there.
* Leaving stops every node, whatever happened; a node that does not stop in `STOP_TIMEOUT` seconds is killed.
* A node that ends although nobody stopped or killed it is an error, with the end of its log.
* Each node holds a pipe from this process: if this process dies, also by SIGKILL, the nodes stop by themselves.
"""

from __future__ import annotations

import glob
import os
import string
import subprocess
import sys
import threading
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from types import MappingProxyType, TracebackType
from typing import Self

from msgspec import Struct

from . import new
from .control import Client, NoNode, socket_path
from .control.status import Status

LOG_NAME = "node.log"
STOP_TIMEOUT = 20.0
_LOOK_EVERY = 0.02
_TAIL_LINES = 20


Programs = Mapping[str, Sequence[str]]


class ClusterError(Exception):
    """A node of the cluster did not start, ended by itself, or did not stop; the text has the end of its log."""


class Member(Struct, eq=False):
    """One node's process. wanted: it is to run; an end is a surprise."""

    name: str
    folder: Path
    process: subprocess.Popen[bytes]
    client: Client
    wanted: bool = True

    @property
    def running(self) -> bool:
        """Whether the process has not ended."""
        return self.process.poll() is None

    def tail(self) -> str:
        """What happened to it, with the last lines of its log."""
        code = self.process.poll()
        state = "is running" if code is None else f"ended with {code}"
        with suppress(OSError):
            lines = (self.folder / LOG_NAME).read_text(errors="replace").splitlines()[-_TAIL_LINES:]
            return "\n".join([f"node {self.name} {state}; its log:", *lines])
        return f"node {self.name} {state}, without a log"


class Cluster(Mapping[str, Client]):
    """Running nodes by name. Use it as a context manager."""

    def __init__(self, files: Iterable[Path], programs: Programs = MappingProxyType({})) -> None:
        """Start a process for each `node.yaml`. See `launch`, which also waits for them."""
        self._programs = programs
        self._members: dict[str, Member] = {}
        try:
            for file in files:
                self._start(file)
        except BaseException as error:
            self.__exit__(type(error), error, None)
            raise

    @classmethod
    def make(
        cls,
        folder: str | os.PathLike[str],
        count: int,
        settings: new.Values = MappingProxyType({}),
        *,
        one_seed: bool = False,
    ) -> list[Path]:
        """Make `count` nodes in `folder`, each with its own key, a free port of loopback, and the others as its peers.

        one_seed: each but the first is told of the first alone, and the membership finds the others. They are called
        a, b, c, ... (more than 26: n001, n002, ...), and the IP that they share may have all inbound slots of each.
        settings: for every node's YAML, by section and key. Returns the YAML files. Raises `new.AlreadyThere`.
        """
        letters = list(string.ascii_lowercase[:count])
        names = letters if count <= len(letters) else [f"n{number:03}" for number in range(1, count + 1)]
        return new.make_cluster(Path(folder), names, settings, one_seed=one_seed)

    @classmethod
    def launch(
        cls,
        nodes: str | Iterable[str | os.PathLike[str]],
        *,
        timeout: float = 60.0,
        programs: Programs = MappingProxyType({}),
    ) -> Self:
        """Start the nodes whose YAML files match the pattern, or are listed, and wait until each answers.

        programs: for nodes that are programs of your own, by name: what Python runs instead of `-m rookery.node`, with
        the same arguments. Raises ConfigError; ClusterError, also if that takes longer than `timeout` seconds. Then
        nothing is left running.
        """
        files = sorted(glob.glob(nodes)) if isinstance(nodes, str) else list(nodes)
        if not files:
            raise ClusterError(f"no node: {nodes} names no file")
        cluster = cls((Path(file).absolute() for file in files), programs)
        try:
            cluster._until_listening(timeout)
        except BaseException as error:
            cluster.__exit__(type(error), error, None)
            raise
        return cluster

    def _start(self, file: Path) -> None:
        folder = file.parent
        name = folder.name
        if name in self._members:
            raise ClusterError(f"two nodes are called {name}: {self._members[name].folder} and {folder}")
        client = Client.of(file)
        program = self._programs.get(name, ("-m", "rookery.node"))
        with (folder / LOG_NAME).open("ab") as log:
            process = subprocess.Popen(  # noqa: S603  # our own interpreter and file
                [sys.executable, *program, "run", os.fspath(file), "--while-stdin"],
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=log,
                start_new_session=True,  # Ctrl-C is for this process, which stops them in order
            )
        self._members[name] = Member(name, folder, process, client)

    def _until_listening(self, timeout: float) -> None:
        deadline = time.monotonic() + timeout
        for member in self._members.values():
            while not socket_path.somebody_listens(socket_path.find(member.client.socket)):
                self.check()
                if time.monotonic() > deadline:
                    raise ClusterError(f"node {member.name} does not answer after {timeout:g} s\n{member.tail()}")
                threading.Event().wait(_LOOK_EVERY)

    # Mapping ---------------------------------------------------------------------------------------------------------

    def __getitem__(self, name: str) -> Client:
        return self._members[name].client

    def __iter__(self) -> Iterator[str]:
        return iter(self._members)

    def __len__(self) -> int:
        return len(self._members)

    # What one does with it -------------------------------------------------------------------------------------------

    def wait(self, *, connected: int = 0, members: int = 0, timeout: float = 20.0) -> dict[str, Status]:
        """Return when every running node has at least so many connections, and knows so many nodes, itself included.

        Raises CommandFailed of kind `NotReached` after `timeout` seconds, ClusterError if a node has ended.
        """
        deadline = time.monotonic() + timeout
        found: dict[str, Status] = {}
        for member in self._members.values():
            if member.wanted:
                left = max(0.001, deadline - time.monotonic())
                try:
                    found[member.name] = member.client.wait(connected=connected, members=members, timeout=left)
                except NoNode:
                    self.check()
                    raise
        return found

    def check(self) -> None:
        """Raise ClusterError if a node has ended that nobody stopped or killed."""
        ended = [member.tail() for member in self._members.values() if member.wanted and not member.running]
        if ended:
            raise ClusterError("\n".join(ended))

    def pid(self, name: str) -> int:
        """The process of a node."""
        return self._members[name].process.pid

    def kill(self, name: str) -> None:
        """SIGKILL a node: it has no time for anything. Returns when it is dead."""
        member = self._members[name]
        member.wanted = False
        member.process.kill()
        member.process.wait()

    def stop(self) -> dict[str, int]:
        """Stop every node in order; the exit codes. Safe to call twice.

        Raises ClusterError if one had to be killed, or had failed; nothing is left running then either.
        """
        wrong = [member.tail() for member in self._members.values() if member.wanted and not member.running]
        asked = [member for member in self._members.values() if member.wanted and member.running]
        for member in asked:
            member.process.terminate()
        deadline = time.monotonic() + STOP_TIMEOUT
        for member in asked:
            try:
                member.process.wait(max(0.0, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                member.process.kill()
                member.process.wait()
            if member.process.returncode != 0:
                wrong.append(member.tail())
        for member in self._members.values():
            member.wanted = False
            member.client.close()
            if member.process.stdin is not None:
                member.process.stdin.close()
        if wrong:
            raise ClusterError("\n".join(wrong))
        return {member.name: member.process.returncode for member in self._members.values()}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop everything. What is wrong with a node is a note on the error being raised, if there is one."""
        try:
            self.stop()
        except ClusterError as wrong:
            if error is None:
                raise
            if str(wrong) not in str(error):
                error.add_note(str(wrong))
