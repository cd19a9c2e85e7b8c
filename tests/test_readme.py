"""The first impression: commands and figures of the README are what the project really runs."""

from __future__ import annotations

import re
from pathlib import Path

import stackelberg_games as sg

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()


def test_the_test_command_is_the_one_that_runs_before_a_change_lands() -> None:
    commands = re.findall(r"```bash\n(.*?)\n```", README, flags=re.DOTALL)
    assert len(commands) == 2
    assert commands[1] in (ROOT / ".ci" / "run").read_text().splitlines()


def test_python_comes_early() -> None:
    assert README.splitlines().index("```python") < 30


def test_every_builtin_id_is_in_the_table() -> None:
    missing = [name for name in (*sg.games(), *sg.leaders(), *sg.followers()) if f"`{name}`" not in README]
    assert missing == []


def test_linked_files_exist() -> None:
    targets = re.findall(r"\]\((?!https?:)([^)#]+)\)", README)
    assert targets
    assert [target for target in targets if not (ROOT / target).exists()] == []
