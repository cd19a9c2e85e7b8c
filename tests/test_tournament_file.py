"""Tournaments as files and as commands: played, interrupted, played on; mistakes named with their line."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from stackelberg_games.cli import main
from stackelberg_games.errors import (
    InvalidArgumentError,
    StoreError,
)
from stackelberg_games.tournaments import tournament_file
from stackelberg_games.tournaments.store import Store
from stackelberg_games.tournaments.suites import suite
from tests.processes import until
from tests.test_tournament import PLANS, TOY, same, small

SPEC = """
[tournament]
seeds = 2
budget = 80
episodes = 2

[[game]]
id = "discrete_toy-v0"
label = "toy"
horizon = 20

[[leader]]
id = "random_search"
[[leader]]
id = "evolution_strategies"
label = "es"
sigma = 0.4

[[follower]]
id = "soft_value_iteration"
[[held_out]]
id = "best_response"
"""


ADAPTED = """
[tournament]
seeds = 2
budget = 60
episodes = 2
evaluation_episodes = 20

[[game]]
id = "stackelberg_games:adapt"
label = "market"
source = "tests.test_adapt:Market"
leader = "platform"
follower = ["driver a", "driver b"]
others = "uniform"
horizon = 3

[[leader]]
id = "random_search"
[[leader]]
id = "policy_gradient"

[[follower]]
id = "black_box"
"""


def invoke(*arguments: str) -> Result:
    return CliRunner().invoke(main, list(arguments))


def test_a_file_is_played_and_played_on(tmp_path: Path) -> None:
    file, run = tmp_path / "cup.toml", tmp_path / "run"
    file.write_text(SPEC)
    done = invoke("tournament", str(file), "--out", str(run), "--workers", "1", "--quiet")
    assert done.exit_code == 0, done.output
    for text in ("Leaders of class RETURNS", "random_search", "exact optimum", "report.html"):
        assert text in done.output
    first = {name: (run / f"{name}.csv").read_bytes() for name in ("results", "matches", "curves", "costs")}
    again = invoke("tournament", str(file), "--out", str(run), "--workers", "1", "--quiet", "--parquet")
    assert again.exit_code == 0, again.output
    assert {name: (run / f"{name}.csv").read_bytes() for name in first} == first  # costs too: nothing was played
    assert (run / "manifest.json").exists()
    (run / "report.html").unlink()
    assert invoke("report", str(run)).exit_code == 0
    assert (run / "report.html").exists()


def test_the_command_line_wins_over_the_file() -> None:
    assert tournament_file.parse(SPEC, {"seeds": [7], "budget": 40}).matches[-1].seed == 7


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('id = "random_search"', 'id = "random_serch"', r"line 13: no leader .* did you mean 'random_search'"),
        (
            "sigma = 0.4",
            "sigmo = 0.4",
            r"line 17: leader 'evolution_strategies' has no setting 'sigmo'; did you mean 'sigma'",
        ),
        ("sigma = 0.4", "sigma = -1", r"line 17: .*sigma"),
        ("seeds = 2", "seed = 2", r"line 3: unknown key of \[tournament\] 'seed'; did you mean 'seeds'"),
        ("[[follower]]", "[[folower]]", r"line 19: unknown section 'folower'; did you mean 'follower'"),
        ("[[follower]]", "[follower]", r"line 19: write \[\[follower\]\] with double brackets"),
        ('id = "best_response"', 'label = "x"', r"line 21: \[\[held_out\]\] needs an id"),
        ("horizon = 20", "horizon = ", r"line 10"),
        ("budget = 80", "budget = 8", r"budget=8"),
    ],
)
def test_a_mistake_in_a_file_is_named_with_its_line(tmp_path: Path, old: str, new: str, message: str) -> None:
    file = tmp_path / "cup.toml"
    file.write_text(SPEC.replace(old, new))
    with pytest.raises(InvalidArgumentError, match=message):
        tournament_file.load(file)
    result = invoke("tournament", str(file), "--out", str(tmp_path / "run"))
    assert result.exit_code == 1
    assert len(result.output.splitlines()) == 1
    assert not (tmp_path / "run").exists()


def test_a_folder_in_use_or_in_the_way_is_one_clear_line(tmp_path: Path) -> None:
    file = tmp_path / "cup.toml"
    file.write_text(SPEC)
    with Store(tmp_path / "busy", write=True):
        busy = invoke("tournament", str(file), "--out", str(tmp_path / "busy"))
    blocked = invoke("tournament", str(file), "--out", str(file / "run"))
    nothing = invoke("report", str(tmp_path))
    for result, text in ((busy, "is writing to it"), (blocked, "cannot write to"), (nothing, "holds no results")):
        assert result.exit_code == 1
        assert text in result.output
        assert len(result.output.splitlines()) == 1


def test_a_full_disk_in_the_middle_loses_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cup, left = small(games={"toy": TOY}, budget=80, followers=PLANS), [4]
    put_all = Store.put_all

    def until_full(self: Store, outcomes: Any) -> None:
        if not left[0]:
            self._db.execute(f"PRAGMA max_page_count = {self._db.execute('PRAGMA page_count').fetchone()[0]}")
            outcomes = [(os.urandom(8).hex(), outcomes[0][1]) for _ in range(100)]
        left[0] -= 1
        put_all(self, outcomes)

    monkeypatch.setattr(Store, "put_all", until_full)
    with pytest.raises(StoreError, match="full"):
        cup.play(tmp_path)
    monkeypatch.undo()
    with Store(tmp_path) as store:
        assert len(store.outcomes(m.key for m in cup.matches)) == 4
    assert cup.play(tmp_path).missing == 0


def stored(run: Path) -> int:
    """How many matches a store holds while it is written."""
    with suppress(StoreError), Store(run) as store:
        return len(store.statuses())
    return 0


@pytest.mark.skipif(sys.platform == "win32", reason="kill -9 is a POSIX notion")
@pytest.mark.parametrize("spec", [SPEC, ADAPTED], ids=["own", "adapted"])
def test_a_killed_tournament_continues_to_the_same_numbers(spec: str, tmp_path: Path) -> None:
    file, run = tmp_path / "cup.toml", tmp_path / "run"
    file.write_text(spec.replace("seeds = 2", "seeds = 4"))
    command = [
        sys.executable,
        "-m",
        "stackelberg_games",
        "tournament",
        str(file),
        "--out",
        str(run),
        "--quiet",
        "--workers",
        "1",
        "--allow-import",
    ]
    player = subprocess.Popen(command, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    until(lambda: player.poll() is not None or stored(run) >= 5)
    player.send_signal(signal.SIGKILL)
    player.wait()
    cup = tournament_file.load(file, allow_import=True)
    with Store(run) as store:
        saved = store.outcomes(match.key for match in cup.matches)
    assert len(saved) >= 5
    resumed = cup.play(run)
    assert saved.items() <= {row.key: row.outcome for row in resumed.rows}.items()
    assert same(resumed, cup.play(backend="serial"))


def test_the_default_tournament_and_the_example_are_well_formed() -> None:
    default = tournament_file.parse(suite("quick")[1])
    assert len(default.matches) == 3 * 2 * (5 * 10 + 3)
    example = tournament_file.load(Path(__file__).parents[1] / "examples" / "tournament.toml")
    assert {leader.label for leader in example.leaders} >= {"bchg", "bchg, fast", "policy_gradient"}
