"""The package stands alone: it can be lifted out and used by any program."""

import subprocess
import sys
from pathlib import Path

from rookery.actors.membership import swim


def test_swim_imported_alone_brings_neither_actors_nor_sockets_nor_clocks_nor_rookery() -> None:
    assert swim.__file__ is not None
    home = Path(swim.__file__).parent.parent
    unwanted = {"pykka", "zmq", "rookery", "asyncio", "threading", "time", "socket", "selectors", "ssl"}
    program = (
        f"import sys; sys.path.insert(0, {str(home)!r}); before = set(sys.modules); import swim;"
        f"print(sorted({{name.partition('.')[0] for name in set(sys.modules) - before}} & {unwanted}));"
        "print(swim.Swim.__module__)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=30)
    assert done.stdout.split("\n")[:2] == ["[]", "swim.swim"]


def test_swim_source_reads_no_clock_and_no_global_random() -> None:
    assert swim.__file__ is not None
    imports = {
        line.split()[1]
        for file in sorted(Path(swim.__file__).parent.glob("*.py"))
        for line in file.read_text().splitlines()
        if line.startswith(("import ", "from ")) and not line.startswith("from .")
    }
    pure = {"collections", "collections.abc", "dataclasses", "enum", "functools", "hashlib", "math", "random", "typing"}
    assert imports == pure | {"msgpack"}
    calls = [
        file.name
        for file in Path(swim.__file__).parent.glob("*.py")
        for line in file.read_text().splitlines()
        if "random." in line and "random.Random" not in line and not line.lstrip().startswith(('"', "#"))
    ]
    assert calls == []
