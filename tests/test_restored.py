"""A stored state is held against what it must look like before any number of it is used."""

from __future__ import annotations

import copy
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import stackelberg_games as sg
from stackelberg_games.errors import CheckpointError
from stackelberg_games.learning import restored
from stackelberg_games.learning.run import HISTORY, RESULT, SETTINGS, STATE
from stackelberg_games.numerics import checkpoint
from tests.fits import KINDS, leader_refusal, partner

FRESH = {
    "table": np.zeros((3, 2)),
    "count": 0,
    "best": float("-inf"),
    "memory": None,
    "rows": [],
    "pair": [1, 2.0],
    "done": False,
}
LATER = {**FRESH, "table": np.ones((3, 2)), "count": 4, "best": 1.5, "memory": np.ones(3), "rows": [{"a": 1.0}]}


@pytest.mark.parametrize(
    "stored", [FRESH, LATER, {**LATER, "rows": [{"a": 1.0}] * 3}, {**LATER, "later": [1.0]}, {**FRESH, "best": 3}]
)
def test_states_of_the_same_learner_fit(stored: dict[str, Any]) -> None:
    restored.check("state", stored, FRESH, LATER)


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        ({"table": np.zeros((3, 1))}, r"table has shape \(3, 1\): expected \(3, 2\)"),
        ({"table": np.zeros((0, 2))}, "table has shape"),
        ({"table": np.zeros(6)}, "table has shape"),
        ({"table": np.zeros((3, 2), dtype=np.float32)}, "table has type float32"),
        ({"table": torch.zeros(3, 2, dtype=torch.float64)}, "table is a tensor: expected an array"),
        ({"table": np.full((3, 2), np.nan)}, "table holds a number that is not finite"),
        ({"table": None}, "table is missing"),
        ({"count": 1.5}, "count is a number: expected an integer"),
        ({"count": True}, "count is a flag"),
        ({"count": "1"}, "count is a str"),
        ({"count": -1}, "count is -1: expected an integer >= 0"),
        ({"count": 2**63}, "count is 9223372036854775808: expected an integer below"),
        ({"best": float("inf")}, "best is inf"),
        ({"best": float("nan")}, "best is nan"),
        ({"memory": np.ones(2)}, r"memory has shape \(2,\)"),
        ({"memory": [1.0, 1.0, 1.0]}, "memory is a list"),
        ({"rows": [{"a": 1.0}, {"b": 1.0}]}, r"rows\[1\] lacks 'a'"),
        ({"rows": [[1.0]]}, r"rows\[0\] is a list"),
        ({"pair": [1]}, "pair has 1 entries: expected 2"),
        ({"later": {"deep": [np.array([np.inf])]}}, "later.deep.0 holds a number that is not finite"),
    ],
)
def test_what_does_not_fit_is_named(change: dict[str, Any], fault: str) -> None:
    with pytest.raises(CheckpointError, match=f"state.{fault}"):
        restored.check("state", {**LATER, **change}, FRESH, LATER)


def test_an_axis_along_which_states_differ_may_have_any_length() -> None:
    shorter, longer = {"data": np.zeros((2, 3))}, {"data": np.zeros((4, 3))}
    restored.check("state", {"data": np.zeros((9, 3))}, shorter, longer)
    with pytest.raises(CheckpointError, match=r"data has shape \(9, 2\)"):
        restored.check("state", {"data": np.zeros((9, 2))}, shorter, longer)


def short(folder: Path | None, iterations: int, leader: str = "bchg", kind: str = "finite") -> sg.Run:
    game = KINDS[kind]()
    made = sg.make_leader(leader)
    if hasattr(made, "critic_steps"):
        made = sg.make_leader(leader, critic_steps=1)
    return sg.train(
        game,
        made,
        partner(game),
        iterations=iterations,
        episodes=2,
        stages=min(4, game.stages()),
        directory=folder,
        checkpoint_every=1,
        evaluate_every=0,
        progress=False,
    )


SMALL = [kind for kind in KINDS if kind.startswith(("finite,", "finite", "linear")) and "real" not in kind]


@pytest.mark.parametrize("kind", SMALL)
@pytest.mark.parametrize("leader", sg.leaders())
def test_every_leader_goes_on_to_the_same_bits(tmp_path: Path, kind: str, leader: str) -> None:
    if leader_refusal(kind, leader) is not None:
        return
    short(tmp_path, 3, leader, kind)
    parted, whole = short(tmp_path, 5, leader, kind), short(None, 5, leader, kind)
    assert parted.history == whole.history
    for one, other in zip(parted.commitment.state_dict().values(), whole.commitment.state_dict().values(), strict=True):
        assert torch.equal(one, other)


def test_every_array_of_a_run_that_has_another_shape_or_no_numbers_is_refused(tmp_path: Path) -> None:
    short(tmp_path / "run", 3)
    sound = checkpoint.load(tmp_path / "run" / STATE)
    tried = 0
    for path, array in arrays(sound):
        if not array.ndim:
            continue
        for change in (array[:0], array[..., :1], array.reshape(-1)[:-1], array * float("nan")):
            state = copy.deepcopy(sound)
            parent = state
            for key in path[:-1]:
                parent = parent[key]
            parent[path[-1]] = change
            shutil.rmtree(tmp_path / "try", ignore_errors=True)
            shutil.copytree(tmp_path / "run", tmp_path / "try")
            checkpoint.save(tmp_path / "try" / STATE, state)
            if tuple(change.shape) == tuple(array.shape) and np.isfinite(np.asarray(change)).all():
                continue
            with pytest.raises(CheckpointError, match=r"checkpoint\.bin"):
                short(tmp_path / "try", 5)
            tried += 1
    assert tried > 20


def arrays(tree: Any, path: tuple[Any, ...] = ()) -> list[tuple[tuple[Any, ...], Any]]:
    if isinstance(tree, np.ndarray | torch.Tensor):
        return [(path, tree)]
    inner = tree.items() if isinstance(tree, dict) else enumerate(tree) if isinstance(tree, list) else ()
    return [found for key, value in inner for found in arrays(value, (*path, key))]


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        (lambda s: s["leader"]["optimizer"].pop("state"), "lacks 'state'"),
        (lambda s: s["leader"]["optimizer"]["state"].clear(), "state lacks '0'"),
        (lambda s: s["leader"]["learned"].pop("counts"), "lacks 'counts'"),
        (lambda s: s.pop("follower"), "follower"),
        (lambda s: s.update(iteration="3"), "iteration is a str"),
        (lambda s: s.update(iteration=None), "iteration is missing"),
        (lambda s: s["history"].update(records=2), r"history\.jsonl was altered"),
        (lambda s: s["follower"]["random"].update(bit_generator="MT19937"), "cannot be restored"),
    ],
)
def test_states_of_another_structure_are_refused(tmp_path: Path, change: Any, fault: str) -> None:
    short(tmp_path, 3)
    state = checkpoint.load(tmp_path / STATE)
    change(state)
    checkpoint.save(tmp_path / STATE, state)
    with pytest.raises(CheckpointError, match=fault):
        short(tmp_path, 5)


def test_a_digit_in_the_history_or_the_settings_is_noticed(tmp_path: Path) -> None:
    short(tmp_path, 3)
    history = (tmp_path / HISTORY).read_text()
    (tmp_path / HISTORY).write_text(history.replace('"transitions": 8', '"transitions": 9'))
    calls: list[Any] = [lambda: sg.Run.load(tmp_path), lambda: short(tmp_path, 5)]
    for call in calls:
        with pytest.raises(CheckpointError, match=r"history\.jsonl was altered"):
            call()
    (tmp_path / HISTORY).write_text(history)
    settings = (tmp_path / SETTINGS).read_text()
    (tmp_path / SETTINGS).write_text(settings.replace('"seed": 0', '"seed": 1'))
    with pytest.raises(CheckpointError, match=r"settings\.json was altered"):
        sg.Run.load(tmp_path)


def test_a_run_of_an_earlier_format_is_refused_in_one_line(tmp_path: Path) -> None:
    short(tmp_path, 3)
    for name in (STATE, RESULT):
        data = (tmp_path / name).read_bytes()
        (tmp_path / name).write_bytes(data.replace(b"checkpoint 2 ", b"checkpoint 1 ", 1))
    with pytest.raises(
        CheckpointError, match="has format 1, this version writes and reads 2; read it with the version"
    ):
        sg.Run.load(tmp_path)
    with pytest.raises(CheckpointError, match="has format 1"):
        short(tmp_path, 5)
    settings = (tmp_path / SETTINGS).read_text()
    (tmp_path / SETTINGS).write_text(settings.replace('"format": 2,', ""))
    with pytest.raises(CheckpointError, match="has format 1"):
        short(tmp_path, 5)


def test_a_commitment_of_another_shape_is_refused(tmp_path: Path) -> None:
    run = short(tmp_path, 3)
    stored = checkpoint.load(tmp_path / RESULT)
    for change in (run.commitment.state_dict()["logits"][:1], run.commitment.state_dict()["logits"].float()):
        checkpoint.save(tmp_path / RESULT, {**stored, "state": {"logits": change}})
        with pytest.raises(CheckpointError, match=r"commitment\.logits has"):
            sg.Run.load(tmp_path)
    checkpoint.save(tmp_path / RESULT, {**stored, "description": {"class": "TabularPolicy", "sizes": "x"}})
    with pytest.raises(CheckpointError, match="cannot be rebuilt"):
        sg.Run.load(tmp_path)


def test_a_black_box_is_not_asked_when_its_run_is_restored(tmp_path: Path) -> None:
    asked = []

    def stranger(observation: Any, reward: float, termination: bool, truncation: bool, info: Any) -> int | None:
        asked.append(termination or truncation)
        return None if termination or truncation else 0

    game = sg.make("discrete_toy-v0", horizon=3)
    for iterations, expected in ((2, 2), (3, 3)):
        follower = sg.make_follower("black_box", stranger=stranger, temperature=0.1)
        sg.train(game, "bchg", follower, iterations=iterations, episodes=1, directory=tmp_path, evaluate_every=0)
        assert sum(asked) == expected
