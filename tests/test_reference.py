"""Every entry of the reference has an example, and the examples run."""

from __future__ import annotations

import ast
import doctest
import importlib
import inspect
import re
from types import ModuleType
from typing import Any

import pytest

import stackelberg_games as sg
from tests.test_architecture import FILES
from tests.test_docs import DOCS, Block, page_module, run_doctest

__all__ = ["page_module"]  # a fixture

ENTRIES = [
    name
    for page in sorted((DOCS / "reference").glob("*.md"))
    for name in re.findall(r"^::: (\S+)$", page.read_text(), re.MULTILINE)
]


def found(entry: str) -> Any:
    """What an entry of the reference is about."""
    module, _, name = entry.rpartition(".")
    try:
        return importlib.import_module(entry)
    except ModuleNotFoundError:
        return getattr(importlib.import_module(module), name)


def example(thing: object) -> str:
    """The part of a docstring that runs; empty if there is none."""
    text = inspect.cleandoc(thing.__doc__ or "")
    _, _, after = text.partition("\nExamples:\n")
    shown = re.split(r"\n(?=\S)", after)[0]
    return inspect.cleandoc(shown) + "\n" if ">>> " in shown else ""


def test_everything_public_is_in_the_reference() -> None:
    described = [found(entry) for entry in ENTRIES]
    modules = {"exact", "__version__"}  # the page of exact values has its functions, one by one
    missing = [
        name
        for name in sg.__all__
        if name not in modules and not any(getattr(sg, name) is thing for thing in described)
    ]
    assert missing == []


def test_an_entry_without_an_example_is_seen() -> None:
    assert example(ModuleType("bare", "A module.\n\nArgs:\n    none: at all.")) == ""
    assert (
        example(ModuleType("shown", "A module.\n\nExamples:\n    >>> 1 + 1\n    2\n\nArgs:\n    none."))
        == ">>> 1 + 1\n2\n"
    )


@pytest.mark.parametrize("entry", ENTRIES)
def test_the_example_of_an_entry_runs(entry: str, page_module: ModuleType) -> None:
    code = example(found(entry))
    assert code, f"{entry} has no example"
    run_doctest(Block(code, 1, None), vars(page_module), entry)
    examples = doctest.DocTestParser().get_examples(code)
    assert any(shown.want for shown in examples), "an example that shows nothing"


def test_no_example_is_left_out() -> None:
    """One under anything else would never run."""
    trees = [ast.parse(path.read_text()) for path in FILES.values()]
    parts = (ast.Module, ast.ClassDef, ast.FunctionDef)
    texts = [ast.get_docstring(node) or "" for tree in trees for node in ast.walk(tree) if isinstance(node, parts)]
    shown = {inspect.cleandoc(found(entry).__doc__ or "") for entry in ENTRIES}
    assert [text for text in texts if ">>> " in text and text not in shown] == []
