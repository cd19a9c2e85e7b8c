"""The store: exact, durable, one writer, clear errors."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from stackelberg_games.errors import StoreError
from stackelberg_games.tournaments.evaluation import Evaluation
from stackelberg_games.tournaments.match import Outcome
from stackelberg_games.tournaments.store import DAMAGED, FILE, LOCK, Store

OUTCOME = Outcome(
    "done",
    "TRAJECTORIES",
    (Evaluation("best response", 0.1 + 0.2, 1e-300, None), Evaluation("sampled", -1.5, 2.0, 0.5, 1000, 0.01)),
    ((450, 900), (1 / 3, 2 / 3)),
    900,
    7,
    "note",
    "",
    0.25,
    0.5,
)


def test_outcomes_come_back_exactly(tmp_path: Path) -> None:
    with Store(tmp_path, write=True) as store:
        store.put("a", OUTCOME)
    with Store(tmp_path) as store:
        assert store.outcomes(["a", "absent"]) == {"a": OUTCOME}
        assert store.statuses() == {"a": "done"}


def test_many_keys_are_read_in_parts(tmp_path: Path) -> None:
    keys = [f"{k:05d}" for k in range(1203)]
    with Store(tmp_path, write=True) as store:
        store._db.execute("BEGIN")  # one transaction: this test is about reading
        for key in keys:
            store.put(key, OUTCOME)
        store._db.execute("COMMIT")
        assert set(store.outcomes(keys)) == set(keys)


def test_a_second_try_replaces_the_first(tmp_path: Path) -> None:
    with Store(tmp_path, write=True) as store:
        store.put("a", Outcome("failed", error="boom"))
        store.put("a", OUTCOME)
        assert store.outcomes(["a"])["a"].status == "done"


def test_the_latest_plan_is_the_one_played_last(tmp_path: Path) -> None:
    with Store(tmp_path, write=True) as store:
        with pytest.raises(StoreError, match="no tournament yet"):
            store.latest_plan()
        for name in ("first", "second", "first"):
            store.add_plan({"name": name})
            assert store.latest_plan() == {"name": name}


def test_a_second_writer_is_refused_and_readers_are_not(tmp_path: Path) -> None:
    with Store(tmp_path, write=True) as store:
        store.put("a", OUTCOME)
        with pytest.raises(StoreError, match=f"process {os.getpid()} on .* is writing to it"):
            Store(tmp_path, write=True)
        with Store(tmp_path) as reader:
            assert reader.statuses() == {"a": "done"}
            with pytest.raises(StoreError, match="readonly"):
                reader.put("b", OUTCOME)
    Store(tmp_path, write=True).close()


def test_a_missing_store_is_not_made_by_reading(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="holds no results"):
        Store(tmp_path / "nothing")
    assert not (tmp_path / "nothing").exists()


@pytest.mark.parametrize("content", [b"not a database, but long enough to be taken for one" * 20, b"short"])
def test_another_file_is_not_taken_for_a_store(tmp_path: Path, content: bytes) -> None:
    (tmp_path / FILE).write_bytes(content)
    for write in (False, True):
        with pytest.raises(StoreError, match=r"results\.sqlite"):
            Store(tmp_path, write=write)
    assert (tmp_path / FILE).read_bytes() == content


def test_a_store_of_another_format_is_refused(tmp_path: Path) -> None:
    Store(tmp_path, write=True).close()
    connection = sqlite3.connect(tmp_path / FILE)
    connection.execute("PRAGMA user_version = 99")
    connection.close()
    with pytest.raises(StoreError, match="format 99, expected 2"):
        Store(tmp_path, write=True)


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("a file, not a folder")
    with pytest.raises(StoreError, match=r"cannot write to .*taken"):
        Store(tmp_path / "taken", write=True)


@pytest.mark.skipif(sys.platform == "win32" or os.geteuid() == 0, reason="the superuser may write everywhere")
def test_a_read_only_folder_is_named(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    try:
        with pytest.raises(StoreError, match="cannot write to"):
            Store(tmp_path, write=True)
    finally:
        tmp_path.chmod(0o700)


def test_a_full_disk_stops_with_a_clear_error_and_loses_nothing(tmp_path: Path) -> None:
    with Store(tmp_path, write=True) as store:
        store.put("safe", OUTCOME)
        pages = store._db.execute("PRAGMA page_count").fetchone()[0]
        store._db.execute(f"PRAGMA max_page_count = {pages}")  # what SQLite meets when no block is left
        with pytest.raises(StoreError, match=r"full; every match stored before is safe, a rerun continues"):
            store.put("too much", Outcome("done", note="x" * 100_000))
    with Store(tmp_path) as store:
        assert store.outcomes(["safe"]) == {"safe": OUTCOME}


WRITER = """
import sys
from stackelberg_games.tournaments.match import Outcome
from stackelberg_games.tournaments.store import Store
with Store(sys.argv[1], write=True) as store:
    print("ready", flush=True)
    first = len(store.statuses())
    for k in range(first, first + 100000):
        store.put(str(k), Outcome("done", note="x" * 2000))
        print(k, flush=True)
"""


def test_a_killed_writer_loses_nothing_it_reported(tmp_path: Path) -> None:
    draws = np.random.default_rng(0)
    reported: list[str] = []
    for _ in range(3):
        writer = subprocess.Popen([sys.executable, "-c", WRITER, str(tmp_path)], stdout=subprocess.PIPE, text=True)
        assert writer.stdout is not None
        assert writer.stdout.readline() == "ready\n"
        first = writer.stdout.readline()
        time.sleep(float(draws.uniform(0.0, 0.3)))
        writer.send_signal(signal.SIGKILL)
        lines, _ = writer.communicate()
        reported += [line for line in (first + lines).splitlines(keepends=True) if line.endswith("\n")]
        with Store(tmp_path) as store:
            stored = set(store.statuses())
        assert {line.strip() for line in reported} <= stored
    assert len(reported) >= 3
    assert (tmp_path / LOCK).exists()
    Store(tmp_path, write=True).close()  # the lock died with its process


def altered(folder: Path, statement: str, *values: object) -> None:
    """Change the database behind the store's back."""
    with sqlite3.connect(folder / FILE) as connection:
        connection.execute(statement, values)
    connection.close()


def filled(folder: Path) -> None:
    with Store(folder, write=True) as store:
        store.add_plan({"name": "first"})
        store.add_plan({"name": "second"})
        for key in ("a", "b", "c"):
            store.put(key, OUTCOME)


@pytest.mark.parametrize(
    "damage",
    [
        "UPDATE matches SET outcome = replace(outcome, '450', '451') WHERE key = 'b'",
        "UPDATE matches SET status = 'failed' WHERE key = 'b'",
        "UPDATE matches SET cpu_seconds = 0.3 WHERE key = 'b'",
        "UPDATE matches SET key = 'd' WHERE key = 'b'",
        "UPDATE matches SET outcome = x'ff00' WHERE key = 'b'",
        "UPDATE matches SET outcome = 3 WHERE key = 'b'",
        "UPDATE matches SET digest = 'x' WHERE key = 'b'",
        "DELETE FROM matches WHERE key = 'b'",
        "UPDATE plans SET plan = replace(plan, 'second', 'third')",
        "UPDATE plans SET number = 9 WHERE number = 1",
        "DELETE FROM plans WHERE number = 2",
        "UPDATE ledger SET rows = rows + 1",
        "UPDATE ledger SET digest = x'00'",
        "DELETE FROM ledger",
    ],
)
def test_whatever_is_altered_is_noticed_and_the_sound_rows_are_kept(tmp_path: Path, damage: str) -> None:
    filled(tmp_path)
    altered(tmp_path, damage)
    before = (tmp_path / FILE).read_bytes()
    for write in (False, True):
        with pytest.raises(StoreError, match=r"is damaged .*--replay-damaged"):
            Store(tmp_path, write=write)
    assert (tmp_path / FILE).read_bytes() == before
    with Store(tmp_path, write=True, replay_damaged=True) as store:
        kept = store.outcomes(["a", "b", "c", "d"])
        assert {"a", "c"} <= kept.keys() <= {"a", "b", "c"}
        assert set(kept.values()) == {OUTCOME}
        assert ("b" in kept) is ("matches" not in damage)
        store.put("b", OUTCOME)
    with Store(tmp_path) as store:
        assert store.outcomes(["a", "b", "c"]).keys() == {"a", "b", "c"}
    assert (tmp_path / DAMAGED).read_bytes() == before
    assert {path.name for path in tmp_path.iterdir()} == {FILE, DAMAGED}


def test_rows_on_a_broken_page_are_given_up_and_the_others_kept(tmp_path: Path) -> None:
    with Store(tmp_path, write=True) as store:
        for number in range(200):
            store.put(f"{number:03d}", OUTCOME)
    data = bytearray((tmp_path / FILE).read_bytes())
    middle = len(data) // 4096 // 2 * 4096
    data[middle : middle + 4096] = b"\xff" * 4096
    (tmp_path / FILE).write_bytes(bytes(data))
    with pytest.raises(StoreError, match="is damaged"):
        Store(tmp_path)
    with Store(tmp_path, write=True, replay_damaged=True) as store:
        kept = store.outcomes(f"{number:03d}" for number in range(200))
    assert 50 < len(kept) < 200
    assert set(kept.values()) == {OUTCOME}


def test_every_flipped_bit_is_noticed_or_without_effect(tmp_path: Path) -> None:
    filled(tmp_path)
    sound = (tmp_path / FILE).read_bytes()
    draws = np.random.default_rng(3)
    noticed = 0
    for position in draws.integers(len(sound), size=150):
        data = bytearray(sound)
        data[position] ^= 1 << int(draws.integers(8))
        (tmp_path / FILE).write_bytes(bytes(data))
        try:
            with Store(tmp_path) as store:
                assert store.outcomes(["a", "b", "c"]) == dict.fromkeys(("a", "b", "c"), OUTCOME)
                assert store.latest_plan() == {"name": "second"}
        except StoreError:
            noticed += 1
    assert noticed > 10


def test_a_store_of_version_0_1_0_is_refused_in_one_line(tmp_path: Path) -> None:
    connection = sqlite3.connect(tmp_path / FILE)
    connection.execute("CREATE TABLE matches (key TEXT PRIMARY KEY)")
    connection.execute("PRAGMA user_version = 1")
    connection.commit()
    connection.close()
    with pytest.raises(StoreError, match=r"format 1, expected 2\); read it with the version .* choose another folder"):
        Store(tmp_path)
