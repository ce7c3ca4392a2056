"""No circle of imports anywhere in the tree: of modules, late imports and those for the type checker included.

That a package runs its `__init__` before a module of it does not count: it names its modules, and they do not name it.
"""

from __future__ import annotations

import ast
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

ROOT = Path(__file__).parent.parent
TOPS = ("runtime", "transport", "actors", "config", "node", "benchmarks", "examples", "fuzz", "scripts")


def modules(root: Path) -> dict[str, Path]:
    """Every module by its name, `rookery.` left out."""
    found = {}
    for path in (path for top in TOPS for path in sorted((root / top).rglob("*.py"))):
        parts = path.relative_to(root).with_suffix("").parts
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


def imports(name: str, path: Path, known: dict[str, Path]) -> set[str]:
    """The modules among `known` that one imports."""
    package = name.split(".")[: None if path.name == "__init__.py" else -1]
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            wanted = [[alias.name] for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            above = package[: len(package) - node.level + 1] if node.level else []
            source = ".".join([*above, *([node.module] if node.module else [])])
            wanted = [[f"{source}.{alias.name}", source] for alias in node.names]
        else:
            continue
        for names in wanted:
            found |= set([each for each in (one.removeprefix("rookery.") for one in names) if each in known][:1])
    return found


def circle(root: Path) -> list[str]:
    """The modules of one circle, the first also last; empty if there is none."""
    known = modules(root)
    graph = {name: imports(name, path, known) for name, path in known.items()}
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        return list(error.args[1][::-1])
    return []


def test_no_module_imports_itself_by_way_of_others() -> None:
    assert len(modules(ROOT)) > 300
    assert circle(ROOT) == []


def written(root: Path, **files: str) -> Path:
    """A small tree in which these modules of `actors` are."""
    (root / "actors").mkdir()
    for name, text in files.items():
        (root / "actors" / f"{name}.py").write_text(text)
    return root


def test_circle_of_late_imports_and_of_those_for_the_type_checker_is_found(tmp_path: Path) -> None:
    late = "def f():\n    from .b import g\n"
    typed = "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from .a import f\n"
    assert set(circle(written(tmp_path, a=late, b=typed))) == {"actors.a", "actors.b"}


def test_circle_by_way_of_a_package_is_found(tmp_path: Path) -> None:
    tree = written(
        tmp_path, __init__="from .a import f", a="from rookery import runtime\nfrom .b import g", b="from . import f"
    )
    assert set(circle(tree)) == {"actors", "actors.a", "actors.b"}


def test_modules_that_a_package_names_are_no_circle(tmp_path: Path) -> None:
    tree = written(tmp_path, __init__="from .a import f", a="from . import b", b="import rookery.runtime")
    assert circle(tree) == []
