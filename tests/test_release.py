"""What stands in several places agrees: versions, lists of checks, lists of integrations."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import stackelberg_games as sg
from stackelberg_games.conformance import CHECKS

ROOT = Path(__file__).parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
LIBRARIES = {"cleanrl", "stable_baselines3", "tianshou", "torchrl", "rllib", "benchmarl"}


def read(*parts: str) -> str:
    return ROOT.joinpath(*parts).read_text()


def test_the_citation_names_the_version() -> None:
    assert re.search(r"^version: (.+)$", read("CITATION.cff"), flags=re.MULTILINE)[1] == sg.__version__  # type: ignore[index]


def test_the_contribution_guide_explains_every_check() -> None:
    explained = set(re.findall(r"`(\w+)`", read("CONTRIBUTING.md").partition("## The check battery")[2]))
    assert set(CHECKS) - explained == set()


def test_the_oldest_versions_that_are_tested_are_the_lower_bounds() -> None:
    bounds = dict(re.findall(r"^([\w-]+)>=([\d.]+)", "\n".join(PROJECT["dependencies"]), flags=re.MULTILINE))
    oldest = dict(line.split("==") for line in read(".github", "oldest.txt").splitlines() if "==" in line)
    assert bounds.pop("torch")  # its oldest builds are fetched by hand: the index would pull CUDA ones
    assert oldest.keys() == bounds.keys()
    for name, version in oldest.items():
        assert f"{version}.".startswith(f"{bounds[name]}."), name


def test_every_integration_is_run_and_documented() -> None:
    scripts = {path.name for path in (ROOT / "examples" / "integrations").glob("*.py")} - {"common.py"}
    assert scripts == {f"with_{name}.py" for name in LIBRARIES - {"cleanrl"}} | {"cleanrl_style.py"}
    assert set(re.findall(r"^  \[(\w+)\]=", read("examples", "integrations", "run_all.sh"), re.MULTILINE)) == LIBRARIES
    listed = re.search(r"library: \[(.+)\]", read(".github", "workflows", "integrations.yml"))
    assert listed is not None
    assert set(listed[1].split(", ")) == LIBRARIES
    assert all(script in read("docs", "integrations.md") for script in scripts)


def test_every_integration_states_what_it_printed() -> None:
    for path in (ROOT / "examples" / "integrations").glob("*.py"):
        text = path.read_text()
        assert path.name == "common.py" or re.search(r"\n    \S+.*: .*\d+\.\d", text.split('"""')[1]), path.name
