"""What the documentation says is what the project does: its Python runs, its links and commands resolve, it builds.

A ```python block runs; what it prints must be the ```text block that follows it, if one does (``...``
stands for anything). A block with ``>>>`` runs as a doctest. Blocks of a page share their names. A
block after the line ``<!-- not run: reason -->`` is left out.
"""

from __future__ import annotations

import contextlib
import doctest
import importlib.util
import io
import re
import shlex
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

import click
import pettingzoo
import pytest

import stackelberg_games as sg
from stackelberg_games.cli import main
from stackelberg_games.learning import registry

ROOT = Path(__file__).parent.parent
DOCS = ROOT / "docs"
OWN = sorted(path for path in DOCS.rglob("*.md") if "hooks" not in path.parts and "_notes" not in path.parts)
FENCED = re.compile(
    r"(?P<skip><!-- not run: [^\n]*-->\n+)?^(?P<indent> *)```(?P<language>\w+)[^\n]*\n(?P<body>.*?)^(?P=indent)```$"
    r"(?:\n\s*```text\n(?P<output>.*?)^```$)?",
    re.DOTALL | re.MULTILINE,
)


def _hook(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, DOCS / "hooks" / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


NOTEBOOKS = all(map(importlib.util.find_spec, ("nbformat", "nbclient", "ipykernel", "mkdocs", "pandas")))
"""Whether the tutorials run as notebooks, in ``test_notebooks``, and need not run as pages too."""

GENERATED: dict[str, str] = _hook("agents_and_games").pages()


class Block(NamedTuple):
    """A fenced block, the line it starts at, and what it should print."""

    code: str
    line: int
    output: str | None


def blocks(text: str, language: str) -> Iterator[Block]:
    for match in FENCED.finditer(text):
        if match["language"] == language and not match["skip"]:
            indent = len(match["indent"])
            code = "".join(line[indent:] or "\n" for line in match["body"].splitlines(keepends=True))
            yield Block(code, text.count("\n", 0, match.start("body")) + 1, match["output"])


def run_doctest(block: Block, names: dict[str, Any], page: str) -> None:
    test = doctest.DocTestParser().get_doctest(block.code, names, page, page, block.line)
    runner = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS, verbose=False)
    report = io.StringIO()
    runner.run(test, out=report.write, clear_globs=False)
    names.update(test.globs)
    assert runner.failures == 0, report.getvalue()


def run_block(block: Block, names: dict[str, Any], page: str) -> None:
    if ">>> " in block.code:
        run_doctest(block, names, page)
        return
    printed = io.StringIO()
    code = compile("\n" * (block.line - 1) + block.code, page, "exec", dont_inherit=True)
    with contextlib.redirect_stdout(printed):
        exec(code, names)  # noqa: S102 (the pages are ours)
    if block.output is not None:
        same = doctest.OutputChecker().check_output(block.output, printed.getvalue(), doctest.ELLIPSIS)
        assert same, f"{page}:{block.line} printed\n{printed.getvalue()}instead of\n{block.output}"


@pytest.fixture
def page_module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    """A module to run a page in, in an empty folder; what the page registers is forgotten."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(registry, "_added", {kind: dict(known) for kind, known in registry._added.items()})
    module = ModuleType("page")
    monkeypatch.setitem(sys.modules, "page", module)
    before = [(known, set(known)) for known in (pettingzoo.aec_registry, pettingzoo.parallel_registry)]
    yield module
    for known, ids in before:
        for new in set(known) - ids:
            del known[new]


@pytest.mark.parametrize(
    "path",
    [path for path in OWN if not (NOTEBOOKS and path.parent.name == "tutorials")],
    ids=lambda path: str(path.relative_to(DOCS)),
)
def test_the_python_of_a_page_runs(path: Path, page_module: ModuleType) -> None:
    for block in blocks(path.read_text(), "python"):
        run_block(block, vars(page_module), str(path.relative_to(ROOT)))


@pytest.mark.parametrize("page", sorted(GENERATED))
def test_the_python_of_a_generated_page_runs(page: str) -> None:
    for block in blocks(GENERATED[page], "python"):
        run_block(block, {"sg": sg}, page)


def test_every_registered_id_has_a_page() -> None:
    wanted = {f"games/{name}.md" for name in sg.games()}
    wanted |= {f"leaders/{name}.md" for name in sg.leaders()} | {f"followers/{name}.md" for name in sg.followers()}
    assert wanted <= set(GENERATED)
    assert all(len(GENERATED[page].splitlines()) > 5 for page in wanted)


def commands() -> Iterator[tuple[str, str]]:
    texts = {str(path.relative_to(DOCS)): path.read_text() for path in OWN} | GENERATED
    for page, text in texts.items():
        for block in blocks(text, "bash"):
            for line in block.code.replace("\\\n", " ").splitlines():
                for command in re.split(r"&&|;|\|", line.partition("#")[0]):
                    if re.match(r"\s*(\S*/)?stackelberg\s", command):
                        yield page, command.strip()


@pytest.mark.parametrize(("page", "command"), list(commands()))
def test_commands_have_the_options_that_pages_give_them(page: str, command: str) -> None:
    _, *words = shlex.split(command)
    group: Any = main
    while isinstance(group, click.Group) and words and not words[0].startswith("-"):
        assert words[0] in group.commands, f"{page}: no command {words[0]!r} in {command!r}"
        group = group.commands[words.pop(0)]
    with contextlib.suppress(click.exceptions.Exit):
        group.make_parser(click.Context(group)).parse_args(args=[word for word in words if word != "--help"])


def test_internal_links_resolve() -> None:
    texts = {str(path.relative_to(DOCS)): path.read_text() for path in OWN} | GENERATED
    broken = []
    for page, text in texts.items():
        prose = re.sub(r"^ *```.*?^ *```$", "", text, flags=re.DOTALL | re.MULTILINE)
        for target in re.findall(r"\]\((?!https?:|mailto:|#)([^)#\s]+)[^)]*\)", prose):
            found = (DOCS / page).parent / target
            name = str(found.resolve().relative_to(DOCS.resolve())) if found.resolve().is_relative_to(DOCS) else ""
            if not found.resolve().exists() and name not in GENERATED:
                broken.append(f"{page}: {target}")
    assert broken == []


def test_code_is_on_the_first_screen_of_every_page_of_a_part() -> None:
    """The eighth line of text is well above the fold, on a phone too; ``test_site`` looks in a browser."""
    named = [*(f"games/{name}.md" for name in sg.games()), *(f"leaders/{name}.md" for name in sg.leaders())]
    late = [page for page in named if "```python\n" not in "\n".join(GENERATED[page].splitlines()[:8]) + "\n"]
    assert late == []
