"""What runs and tournaments have stored: checkpoints, run folders and stores, damaged in every way."""

from __future__ import annotations

import copy
import shutil
import tempfile
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from hypothesis import strategies as st

import stackelberg_games as sg
from stackelberg_games.learning.run import RESULT, STATE
from stackelberg_games.numerics import checkpoint
from stackelberg_games.tournaments.export import tables
from stackelberg_games.tournaments.results import Results
from stackelberg_games.tournaments.store import FILE
from stackelberg_games.tournaments.tournament import Tournament
from tests.fuzzing.target import POSITIONS, Case, Target

PAIRS = {
    "bchg": ("bchg", "soft_value_iteration"),
    "strategies": ("evolution_strategies", "soft_q_learning"),
    "search": ("random_search", "soft_value_iteration"),
    "model": ("model_based", "soft_value_iteration"),
    "unrewarded": ("bchg", "soft_value_iteration"),
    "labels": ("bchg", "soft_value_iteration"),
}


def train(pair: str, folder: Path | None, iterations: int) -> sg.Run:
    """A short run of one of the pairs."""
    leader, follower = PAIRS[pair]
    settings = {"follower_rewards": "unobserved"} if pair == "unrewarded" else {}
    learns = {"transitions": 50, "first_transitions": 50} if follower == "soft_q_learning" else {"sweeps": 3}
    return sg.train(
        sg.make("preference_grid-v0") if pair == "labels" else sg.make("discrete_toy-v0", horizon=4),
        sg.make_leader(leader, **settings),
        sg.make_follower(follower, temperature=0.05, **learns),
        iterations=iterations,
        episodes=2,
        directory=folder,
        checkpoint_every=1,
        evaluate_every=0,
        seed=1,
        progress=False,
    )


@cache
def scratch() -> Path:
    """A folder that goes with its process."""
    _kept.append(tempfile.TemporaryDirectory(prefix="fuzzing-"))
    return Path(_kept[0].name)


_kept: list[tempfile.TemporaryDirectory[str]] = []


@cache
def stored(pair: str) -> Path:
    """The folder of a run after two iterations."""
    folder = scratch() / pair
    train(pair, folder, 2)
    return folder


@cache
def whole(pair: str) -> sg.Run:
    """The run of three iterations that nothing has interrupted."""
    return train(pair, None, 3)


def places(tree: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Paths to everything in nested data, the whole left out."""
    inner = tree.items() if isinstance(tree, dict) else enumerate(tree) if isinstance(tree, list) else ()
    found = []
    for key, value in inner:
        found += [(*path, key), *places(value, (*path, key))]
    return found


VALUES: dict[str, Any] = {
    "none": None,
    "true": True,
    "zero": 0,
    "negative": -1,
    "large": 10**30,
    "half": 0.5,
    "nan": float("nan"),
    "inf": float("inf"),
    "text": "x",
    "list": [],
    "pair": [1, 2.5],
    "table": {},
    "array": np.zeros((0, 2)),
    "integers": np.arange(3),
    "tensor": torch.zeros(2, 2, dtype=torch.float64),
}
CHANGES = ("delete", "add", "reshape", "row", "cast", "not a number", "copy", "transpose", "empty")
TREES = st.tuples(
    st.sampled_from(sorted(PAIRS)),
    st.lists(
        st.one_of(
            st.tuples(st.sampled_from(CHANGES), POSITIONS),
            st.tuples(st.sampled_from([f"value {name}" for name in VALUES]), POSITIONS),
        ),
        min_size=1,
        max_size=3,
    ),
)


def changed(tree: Any, change: str, position: int) -> None:
    """Change one place of nested data."""
    every = places(tree)
    if not every:
        return
    *path, last = every[position % len(every)]
    parent = tree
    for key in path:
        parent = parent[key]
    value = parent[last]
    if change == "delete":
        del parent[last]
    elif change == "add" and isinstance(value, dict):
        value["added"] = 1
    elif change == "copy":
        *other, final = every[(position // len(every)) % len(every)]
        source = tree
        for key in other:
            source = source[key]
        parent[last] = copy.deepcopy(source[final])
    elif change.startswith("value "):
        parent[last] = copy.deepcopy(VALUES[change.removeprefix("value ")])
    elif isinstance(value, np.ndarray | torch.Tensor):
        parent[last] = _array(value, change)


def _array(value: Any, change: str) -> Any:
    if change == "reshape":
        return value.reshape(-1)
    if change == "row":
        return value[:1] if value.ndim else value
    if change == "cast":
        return value.float() if isinstance(value, torch.Tensor) else value.astype(np.float32)
    if change == "not a number" and value.dtype in (torch.float64, torch.float32, np.float64):
        return value * float("nan")
    if change == "transpose" and value.ndim == 2:
        return value.T
    return value[:0] if change == "empty" and value.ndim else value


def run_checkpoint(case: Case) -> None:
    """Go on from a state whose file is sound and whose content is not; what comes of it is finite."""
    pair, edits = case
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder) / "run"
        shutil.copytree(stored(pair), place)
        state = checkpoint.load(place / STATE)
        for change, position in edits:
            changed(state, change, position)
        checkpoint.save(place / STATE, state)
        run = train(pair, place, 3)
    assert len(run.history) == 3
    assert all(np.isfinite(value) for value in run.history[-1].values())


BYTES = st.lists(
    st.tuples(
        POSITIONS,
        st.sampled_from(["flip", "truncate", "zero", "insert", "remove", "replace", "swap"]),
        st.integers(0, 2**24),
        st.integers(1, 255),
    ),
    min_size=1,
    max_size=3,
)


def damage(folder: Path, edits: Case) -> None:
    """Damage the files in a folder."""
    for which, what, position, value in edits:
        names = sorted(path for path in folder.iterdir() if path.is_file())
        if not names:
            return
        file, data = names[which % len(names)], bytearray(names[which % len(names)].read_bytes())
        at = position % max(len(data), 1)
        if what == "remove":
            file.unlink()
            continue
        if what == "swap":
            other = names[value % len(names)]
            mine, theirs = file.read_bytes(), other.read_bytes()
            file.write_bytes(theirs)
            other.write_bytes(mine)
            continue
        if what == "flip" and data:
            data[at] ^= value
        elif what == "truncate":
            del data[at:]
        elif what == "zero":
            data[at : at + value] = bytes(len(data[at : at + value]))
        elif what == "insert":
            data[at:at] = bytes([value]) * (value % 9 + 1)
        elif what == "replace" and data:
            data[at : at + 4] = f"{value:04d}".encode()
        file.write_bytes(bytes(data))


def run_folder(case: Case) -> None:
    """A damaged run, or one whose labels are stored, is refused, or is read and continued as if nothing had happened."""
    pair = "labels" if case and case[0][3] % 2 else "bchg"
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder) / "run"
        shutil.copytree(stored(pair), place)
        damage(place, case)
        read = Path(folder) / "read"
        shutil.copytree(place, read)
        if (read / RESULT).exists() and (read / STATE).exists():
            _same(sg.Run.load(read), sg.Run.load(stored(pair)))
        _same(train(pair, place, 3), whole(pair))


def _same(one: sg.Run, other: sg.Run) -> None:
    assert one.history == other.history
    assert one.value == other.value
    assert all(map(torch.equal, one.commitment.state_dict().values(), other.commitment.state_dict().values()))


@cache
def cup() -> Tournament:
    """A tournament of twelve small matches."""
    return matches_of("random_search", ("random_search", {"scale": 0.5}))


def matches_of(*leaders: Any) -> Tournament:
    """One of as many leaders as are given."""
    return Tournament("matrix-v0", leaders, "best_response", seeds=3, budget=12, points=2, evaluation_episodes=20)


@cache
def played() -> tuple[Path, dict[str, Any]]:
    """Its store, and its tables."""
    folder = scratch() / "cup"
    results = cup().play(folder, backend="serial", progress=False)
    return folder, sound_tables(results)


def sound_tables(results: Results) -> dict[str, Any]:
    """What must not change."""
    return {name: rows for name, rows in tables(results).items() if name != "costs"}


def run_store(case: Case) -> None:
    """A damaged store is refused, or read as it was; played again where that is asked for, it is whole."""
    folder, expected = played()
    with tempfile.TemporaryDirectory() as temporary:
        place = Path(temporary)
        shutil.copyfile(folder / FILE, place / FILE)
        damage(place, case)
        if (place / FILE).exists():
            try:
                assert sound_tables(Results.load(place)) == expected
            except sg.errors.StoreError:
                pass
        results = cup().play(place, backend="serial", replay_damaged=True, progress=False)
        assert sound_tables(results) == expected


TARGETS = [
    Target("checkpoint", TREES, run_checkpoint, ["bchg", []], 0.08),
    Target("run folder", BYTES, run_folder, [], 0.05),
    Target("store", BYTES, run_store, [], 0.04),
]
