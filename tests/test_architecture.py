"""Imports run one way: scripts > api > models > detector > tiles, each may import those after it.

The checker works on a mapping of module names to source text, so that its own tests can plant faults.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
FLOORS = ("tiles", "detector", "models", "api", "scripts")  # from the ground up
NUMBA_ROOMS = {"tiles.kernels", "detector.kernels", "scripts.bench_kernels"}
ENVIRONMENT_ROOM = "api.settings"
PLACING_ROOM = "tiles.placing"
ENVIRONMENT_NAMES = {"environ", "environb", "getenv", "getenvb"}


@dataclass(frozen=True)
class Import:
    """One import: who imports what, on which line, and whether it runs when the module is imported."""

    importer: str
    imported: str
    line: int
    at_module_level: bool

    def __str__(self) -> str:
        return f"{self.importer}:{self.line} imports {self.imported}"


def project_sources() -> dict[str, str]:
    """Source text of every module of the five packages, by dotted name."""
    sources = {}
    for floor in FLOORS:
        for path in sorted((ROOT / floor).rglob("*.py")):
            parts = path.relative_to(ROOT).with_suffix("").parts
            name = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
            sources[name] = path.read_text(encoding="utf-8")
    return sources


def _is_type_checking(test: ast.expr) -> bool:
    name = test.attr if isinstance(test, ast.Attribute) else getattr(test, "id", None)
    return name == "TYPE_CHECKING"


def _import_nodes(
    nodes: list[ast.stmt], at_module_level: bool = True
) -> Iterator[tuple[ast.Import | ast.ImportFrom, bool]]:
    """Imports under `nodes`, without those for the type checker alone, with whether each runs at import."""
    for node in nodes:
        if isinstance(node, ast.Import | ast.ImportFrom):
            yield node, at_module_level
            continue
        if isinstance(node, ast.If) and _is_type_checking(node.test):
            yield from _import_nodes(node.orelse, at_module_level)
            continue
        inside = at_module_level and not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        for field in ("body", "orelse", "finalbody", "handlers", "cases"):
            for child in getattr(node, field, []):
                if isinstance(child, ast.ExceptHandler | ast.match_case):
                    yield from _import_nodes(child.body, inside)
                else:
                    yield from _import_nodes([child], inside)


def imports_of(sources: dict[str, str]) -> list[Import]:
    """All imports in `sources`, each to the most precise module: `from a import b` is a.b if that is one."""
    packages = {name.rpartition(".")[0] for name in sources} | set(FLOORS)
    found = []
    for importer, source in sources.items():
        for node, at_module_level in _import_nodes(ast.parse(source).body):
            if isinstance(node, ast.Import):
                targets = [alias.name for alias in node.names]
            else:
                base = node.module or ""
                if node.level:
                    # One dot is the package that the module is in, or the package itself for its __init__.
                    anchor = importer.split(".")
                    up = node.level - (importer in packages)
                    base = ".".join(anchor[: len(anchor) - up] + ([node.module] if node.module else []))
                targets = [
                    f"{base}.{alias.name}" if f"{base}.{alias.name}" in sources else base for alias in node.names
                ]
            found += [Import(importer, target, node.lineno, at_module_level) for target in targets]
    return found


def upward_imports(sources: dict[str, str]) -> list[Import]:
    """Imports of a higher floor, wherever in the module they stand."""
    height = {floor: level for level, floor in enumerate(FLOORS)}
    return [
        found
        for found in imports_of(sources)
        if height.get(found.imported.split(".")[0], -1) > height[found.importer.split(".")[0]]
    ]


def import_circle(sources: dict[str, str]) -> list[str]:
    """Modules of one circle of imports made at module level, or an empty list."""
    graph: dict[str, set[str]] = {name: set() for name in sources}
    for found in imports_of(sources):
        if found.at_module_level and found.imported in sources:
            graph[found.importer].add(found.imported)
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        return list(error.args[1])
    return []


def numba_trespassers(sources: dict[str, str]) -> list[Import]:
    """Imports of numba outside the kernel rooms."""
    return [
        found
        for found in imports_of(sources)
        if found.imported.split(".")[0] in {"numba", "llvmlite"} and found.importer not in NUMBA_ROOMS
    ]


def environment_readers(sources: dict[str, str]) -> list[str]:
    """`module:line` of every use of the process's environment outside the settings."""
    found = []
    for name, source in sources.items():
        if name == ENVIRONMENT_ROOM:
            continue
        for node in ast.walk(ast.parse(source)):
            by_attribute = (
                isinstance(node, ast.Attribute)
                and isinstance(node.value, ast.Name)
                and node.value.id == "os"
                and node.attr in ENVIRONMENT_NAMES
            )
            by_import = (
                isinstance(node, ast.ImportFrom)
                and node.module == "os"
                and any(alias.name in ENVIRONMENT_NAMES for alias in node.names)
            )
            if by_attribute or by_import:
                found.append(f"{name}:{getattr(node, 'lineno', '?')}")
    return found


def test_imports_run_downward() -> None:
    assert [str(found) for found in upward_imports(project_sources())] == []


def test_no_circle_of_imports() -> None:
    assert import_circle(project_sources()) == []


def test_numba_stays_in_the_kernels() -> None:
    assert [str(found) for found in numba_trespassers(project_sources())] == []


def test_only_the_settings_read_the_environment() -> None:
    assert environment_readers(project_sources()) == []


def test_all_floors_are_checked() -> None:
    assert {name.split(".")[0] for name in project_sources()} == set(FLOORS)


@pytest.mark.parametrize(
    "planted",
    [
        "import detector.types",
        "from detector import types",
        "from detector.types import Patch",
        "def f():\n    from scripts.cli import main",
        "try:\n    import numpy\nexcept ImportError:\n    import api",
        "class A:\n    def f(self):\n        if True:\n            import models.train",
    ],
)
def test_a_planted_upward_import_is_caught(planted: str) -> None:
    assert len(upward_imports({"tiles.change": planted, "detector.types": ""})) == 1


def test_downward_and_third_party_imports_pass() -> None:
    source = "import numpy\nfrom tiles.scene import Scene\nfrom detector import types\nfrom . import params"
    assert upward_imports({"detector.patches": source, "tiles.scene": ""}) == []


@pytest.mark.parametrize(
    "sources",
    [
        {"tiles.a": "from tiles import b", "tiles.b": "import tiles.c", "tiles.c": "from tiles.a import x"},
        {"tiles": "from tiles.a import x", "tiles.a": "from tiles import y"},
        {"tiles.a": "from .b import x", "tiles.b": "from . import a"},
        {"tiles.catalog": "from . import static", "tiles.catalog.static": "from ..catalog import x"},
    ],
)
def test_a_planted_circle_is_caught(sources: dict[str, str]) -> None:
    assert len(set(import_circle(sources))) == len(sources)


@pytest.mark.parametrize(
    "harmless",
    [
        "def f():\n    from tiles.a import x",
        "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from tiles.a import x",
    ],
)
def test_late_and_typing_imports_make_no_circle(harmless: str) -> None:
    assert import_circle({"tiles.a": "import tiles.b", "tiles.b": harmless}) == []


def test_planted_numba_is_caught() -> None:
    assert numba_trespassers({"tiles.kernels": "import numba"}) == []
    assert len(numba_trespassers({"tiles.change": "def f():\n    from numba import njit"})) == 1


@pytest.mark.parametrize("planted", ["import os\nos.environ['A'] = '1'", "from os import getenv"])
def test_planted_environment_reading_is_caught(planted: str) -> None:
    assert environment_readers({"api.settings": planted}) == []
    assert len(environment_readers({"tiles.reader": planted})) == 1


def renames_of(sources: dict[str, str]) -> list[str]:
    """Where files or folders are put in place: ``path.rename(target)``, ``path.replace(target)`` and `os`' own."""
    return [
        f"{name}:{node.lineno}"
        for name, source in sources.items()
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr in {"rename", "replace", "renames", "link_to", "move"}
        and (len(node.args) == 1 or getattr(node.func.value, "id", None) in {"os", "shutil"})
        and not node.keywords
    ]


def test_things_are_put_in_place_in_one_room_which_flushes_them() -> None:
    sources = project_sources()
    assert {place.partition(":")[0] for place in renames_of(sources)} == {PLACING_ROOM}


def test_a_planted_rename_is_found() -> None:
    planted = {"tiles.x": "a.rename(b)\n'text'.replace('a', 'b')\nos.replace(a, b)\nframe.rename(columns={})\n"}
    assert renames_of(planted) == ["tiles.x:1", "tiles.x:3"]
