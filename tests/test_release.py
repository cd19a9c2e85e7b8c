"""What stands in several places agrees: versions, lists of checks, lists of integrations."""

from __future__ import annotations

import importlib
import re
import subprocess
import tomllib
from pathlib import Path

import pytest

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
    assert oldest == bounds
    assert {re.split("[>=]", line)[0] for line in PROJECT["dependencies"]} == set(bounds)


def test_every_exact_version_but_torch_has_digests() -> None:
    """In pip's own spelling of names; torch's file depends on where it comes from."""

    def named(text: str) -> dict[str, str]:
        found = re.findall(r"^([\w.-]+)==([^\s;\\]+)", text, flags=re.MULTILINE)
        return {re.sub(r"[-_.]+", "-", name).lower(): version for name, version in found}

    blocks = re.split(r"\n(?=\S)", read("requirements.txt"))
    hashed = [block for block in blocks if re.search(r"\\\n    --hash=sha256:[0-9a-f]{64}", block)]
    exact = named(read("constraints.txt"))
    assert exact.pop("torch")
    assert named("\n".join(hashed)) == named(read("requirements.txt")) == exact


def test_actions_are_pinned_by_commit_and_say_their_version() -> None:
    """A tag can be moved to other code; a commit cannot."""
    used = [
        line.split("uses:")[1].strip()
        for path in (ROOT / ".github" / "workflows").glob("*.yml")
        for line in path.read_text().splitlines()
        if "uses:" in line
    ]
    assert used
    assert [action for action in used if not re.fullmatch(r"[\w./-]+@[0-9a-f]{40} # v[\d.]+", action)] == []


def test_the_source_distribution_holds_what_its_tests_need() -> None:
    grafted = set(re.findall(r"^graft (\S+)$", read("MANIFEST.in"), flags=re.MULTILINE))
    named = set(re.findall(r"\S+", read("MANIFEST.in")))
    kept = subprocess.run(
        ["git", "ls-files"], cwd=ROOT, check=False, capture_output=True, text=True
    ).stdout.splitlines()
    lost = {path.partition("/")[0] for path in kept} - grafted - named - {"LICENSE", "README.md", "pyproject.toml"}
    assert lost <= {"MANIFEST.in", "stackelberg_games", "agents", "envs", "_stackelberg_games_pytest.py", ".gitignore"}


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


def test_random_play_is_one_figure_in_all_integrations(monkeypatch: pytest.MonkeyPatch) -> None:
    """Spaces draw from generators of their own: unseeded, every run printed another one."""
    monkeypatch.syspath_prepend(ROOT / "examples" / "integrations")
    common = importlib.import_module("common")
    paid = common.evaluate({})
    (figure,) = {f"{value:.1f}" for value in paid.values()}
    printed = [
        found
        for path in (ROOT / "examples" / "integrations").glob("*.py")
        for found in re.findall(r"_0 (\d+\.\d) -> \d+\.\d of 300", path.read_text())
    ]
    assert len(printed) >= 2 * len(LIBRARIES)
    assert set(printed) == {figure}
    rows = re.findall(r"\| (\d+\.\d) → (?:300|150)\.0", read("docs", "integrations.md"))
    assert len(rows) >= len(LIBRARIES)
    assert set(rows) == {figure}
    assert f"{figure} is random play" in read("docs", "integrations.md")
