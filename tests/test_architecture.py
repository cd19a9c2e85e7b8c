"""The structure of the package, held by imports and not by prose; lazy and typing imports count."""

from __future__ import annotations

import ast
import dataclasses
import graphlib
import importlib
import inspect
import statistics
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import pytest

import stackelberg_games as sg
from stackelberg_games.learning import registry

ROOT = Path(__file__).parents[1]
PACKAGE = "stackelberg_games"
FACADE = PACKAGE  # offers the names of all the others, lazily


def _files() -> dict[str, Path]:
    """Every module of the package by its name."""
    found = {}
    for folder in (PACKAGE, "envs", "agents"):
        for path in sorted((ROOT / folder).rglob("*.py")):
            relative = path.relative_to(ROOT)
            if relative.parts[:2] in ((PACKAGE, "envs"), (PACKAGE, "agents")):  # links to the folders below the root
                continue
            parts = (PACKAGE, *relative.parts) if folder != PACKAGE else relative.parts
            found[".".join(parts).removesuffix(".py").removesuffix(".__init__")] = path
    return found


FILES = _files()
TREES = {module: ast.parse(path.read_text()) for module, path in FILES.items()}


def _imported(tree: ast.Module) -> Iterator[str]:
    """Modules of the package that a module imports anywhere, at any depth."""
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.level == 0 and (node.module or "").split(".")[0] == PACKAGE:
            for alias in node.names:
                name = f"{node.module}.{alias.name}"
                yield name if name in FILES else str(node.module)
        elif isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name.split(".")[0] == PACKAGE)


IMPORTS = {module: set(_imported(tree)) - {module} for module, tree in TREES.items() if module != FACADE}


def _folder(module: str) -> str:
    """The folder of a module; a file directly in the package stands for itself."""
    parts = module.split(".")
    return ".".join(parts[:2])


def _circle(graph: dict[str, set[str]]) -> list[str]:
    try:
        graphlib.TopologicalSorter(graph).prepare()
    except graphlib.CycleError as error:
        return list(error.args[1])
    return []


def test_no_circle_of_files() -> None:
    assert _circle(IMPORTS) == []


def test_folders_import_one_way() -> None:
    folders: dict[str, set[str]] = defaultdict(set)
    for module, imported in IMPORTS.items():
        folders[_folder(module)] |= {_folder(name) for name in imported} - {_folder(module)}
    assert _circle(folders) == []


def test_agents_and_games_import_the_core_only_and_the_core_neither() -> None:
    outer = {f"{PACKAGE}.agents", f"{PACKAGE}.envs"}
    crossing = [
        (module, name)
        for module, imported in IMPORTS.items()
        for name in imported
        if _folder(name) in outer and _folder(module) != _folder(name)
    ]
    assert crossing == []


def test_a_class_name_means_one_thing() -> None:
    meanings: dict[str, list[str]] = defaultdict(list)
    for module, tree in TREES.items():
        for node in tree.body:
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                meanings[node.name].append(module)
            elif isinstance(node, ast.Assign | ast.AnnAssign) and _is_alias(node):
                meanings[_target(node)].append(module)
    assert {name: where for name, where in meanings.items() if len(where) > 1} == {}


def _target(node: ast.Assign | ast.AnnAssign) -> str:
    target = node.targets[0] if isinstance(node, ast.Assign) else node.target
    return target.id if isinstance(target, ast.Name) else ""


def _is_alias(node: ast.Assign | ast.AnnAssign) -> bool:
    """Whether a type is given another name: CamelCase on the left, a type expression on the right."""
    name = _target(node)
    return name[:1].isupper() and not name.isupper() and isinstance(node.value, ast.Subscript | ast.BinOp)


def test_every_leader_is_a_file_and_every_file_a_leader() -> None:
    files = [path.stem for path in (ROOT / "agents" / "leaders").glob("*.py") if path.stem != "__init__"]
    assert sorted(files) == sg.leaders()
    for name in files:
        assert sg.make_leader(name).__class__.__module__ == f"{PACKAGE}.agents.leaders.{name}"
    lines = {name: (ROOT / "agents" / "leaders" / f"{name}.py").read_text().count("\n") for name in files}
    assert max(lines.values()) <= 150
    assert statistics.median(lines.values()) <= 60


@pytest.mark.parametrize(("kind", "limit"), [("leader", 8), ("follower", 8), ("representation", 8), ("game", 10)])
def test_constructors_stay_small(kind: registry.Kind, limit: int) -> None:
    for name in registry.ids(kind):
        made = inspect.signature(registry.factory(kind, name))
        assert len(made.parameters) <= limit, f"{name}{made}"


def test_constructors_of_games_stay_small() -> None:
    for module in (name for name in FILES if name.startswith((f"{PACKAGE}.kinds", f"{PACKAGE}.adapters"))):
        for name, made in inspect.getmembers(importlib.import_module(module), inspect.isclass):
            if made.__module__ == module and not dataclasses.is_dataclass(made) and issubclass(made, sg.Game):
                assert len(inspect.signature(made).parameters) <= 10, name


@pytest.mark.parametrize("script", sorted((ROOT / "benchmarks").glob("*.py")), ids=lambda path: path.stem)
def test_what_a_benchmark_imports_exists(script: Path) -> None:
    for node in ast.walk(ast.parse(script.read_text())):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith(PACKAGE):
            for alias in node.names:
                if f"{node.module}.{alias.name}" not in FILES:
                    assert hasattr(importlib.import_module(str(node.module)), alias.name), alias.name
