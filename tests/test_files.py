"""Files are replaced in one step, leave no litter, can be read by others, and have one writer at a time."""

from __future__ import annotations

import csv
import fcntl
import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

import stackelberg_games as sg
from stackelberg_games import files
from stackelberg_games.errors import CheckpointError, InvalidArgumentError, StoreError
from stackelberg_games.learning.run import LOCK
from tests.faults.build import COMPILER, run


@pytest.mark.parametrize(("mask", "mode"), [(0o022, 0o644), (0o027, 0o640), (0o002, 0o664)])
def test_what_is_written_has_the_mode_that_the_umask_allows(tmp_path: Path, mask: int, mode: int) -> None:
    before = os.umask(mask)
    try:
        sg.train(sg.make("discrete_toy-v0", horizon=3), "fixed", "random", iterations=1, directory=tmp_path / "run")
        cup = sg.Tournament("matrix-v0", "fixed", "random", seeds=1, budget=60, references=False)
        cup.play(tmp_path / "cup").save(tmp_path / "cup")
    finally:
        os.umask(before)
    written = [path for folder in ("run", "cup") for path in (tmp_path / folder).iterdir()]
    assert len(written) == 13  # the locks are gone
    assert {path.name: stat.S_IMODE(path.stat().st_mode) for path in written} == {path.name: mode for path in written}


def test_leftovers_of_killed_writes_go_with_the_next_one_and_running_writes_stay(tmp_path: Path) -> None:
    file = tmp_path / "report.html"
    dead, alive = tmp_path / ".report.html.dead.tmp", tmp_path / ".report.html.alive.tmp"
    dead.write_text("half")
    with alive.open("w") as writer:
        fcntl.flock(writer, fcntl.LOCK_EX)
        files.write_atomically(file, b"whole")
        assert sorted(path.name for path in tmp_path.iterdir()) == [alive.name, file.name]
    files.write_atomically(file, b"again")
    assert [path.name for path in tmp_path.iterdir()] == [file.name]


def test_names_that_look_like_patterns_and_long_ones_are_written(tmp_path: Path) -> None:
    for name in ("a[1]*?.csv", "x" * 240):
        files.write_atomically(tmp_path / name, b"data")
        assert (tmp_path / name).read_bytes() == b"data"


def test_a_second_writer_of_a_run_is_refused_while_the_first_one_lives(tmp_path: Path) -> None:
    game = sg.make("discrete_toy-v0", horizon=3)
    with files.FolderLock(tmp_path, LOCK, CheckpointError):
        with pytest.raises(CheckpointError, match=f"is in use: process {os.getpid()} on .* is writing to it"):
            sg.train(game, "fixed", "random", iterations=1, directory=tmp_path)
        assert [path.name for path in tmp_path.iterdir()] == [LOCK]
    sg.train(game, "fixed", "random", iterations=1, directory=tmp_path)


def test_a_lock_ends_with_its_process(tmp_path: Path) -> None:
    code = "import sys, os, pathlib; from stackelberg_games import files, errors; "
    code += "lock = files.FolderLock(pathlib.Path(sys.argv[1]), 'lock', errors.StoreError); os._exit(9)"
    assert subprocess.run([sys.executable, "-c", code, str(tmp_path)], check=False).returncode == 9
    files.FolderLock(tmp_path, "lock", StoreError).close()


@pytest.mark.parametrize("label", ["=1+1", "+1", "-x", "@SUM(1)", "\t=1", "a,b", 'say "x"', "two\nlines", "'quoted"])
def test_no_text_in_a_table_is_a_formula_and_numbers_stay_numbers(tmp_path: Path, label: str) -> None:
    files.write_csv(tmp_path / "table.csv", ("name", "value"), [(label, -1.5), ("x", None)])
    with (tmp_path / "table.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.reader(file))
    assert rows[1:] == [[f"'{label}" if label.startswith(files.FORMULA) else label, "-1.5"], ["x", ""]]


@pytest.mark.parametrize("text", ["[" * 100_000, "{" * 100_000, "nonsense", ""])
def test_texts_that_are_no_data_are_refused(text: str) -> None:
    with pytest.raises(StoreError, match="the thing cannot be read"):
        files.parse_json(text, "the thing", StoreError)


def test_deeply_nested_toml_is_refused() -> None:
    with pytest.raises(StoreError, match="nested too deeply"):
        files.parse_toml("a = " + "[" * 5_000, "the thing", StoreError)


def test_a_picture_of_an_unknown_format_is_refused(tmp_path: Path) -> None:
    from matplotlib.figure import Figure

    with pytest.raises(InvalidArgumentError, match=r"picture\.txt"):
        files.save_figure(Figure(), tmp_path / "picture.txt")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(
    COMPILER is None or sys.platform != "linux", reason="the faults are injected by a preloaded library"
)
def test_no_write_that_fails_or_is_cut_short_does_harm(tmp_path: Path) -> None:
    done = run(tmp_path, every=61)
    assert done.returncode == 0, done.stdout + done.stderr
    assert [line.split(":")[0] for line in done.stdout.splitlines()] == ["store", "checkpoint", "tables", "report"]
