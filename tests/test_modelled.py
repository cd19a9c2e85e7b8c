"""Critics of a game that is fitted to vectors: against the exact hypergradient, in games that go on, and what is refused."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import stackelberg_games as sg
from stackelberg_games.errors import StackelbergError
from stackelberg_games.exact.critics import leader_q
from stackelberg_games.exact.objective import arrays_under
from stackelberg_games.exact.pair import Pair
from stackelberg_games.kinds.kernel import DenseKernel, SparseKernel
from tests.embedded import Embedded
from tests.test_algorithms import assert_resumes, misses, pendulum
from tests.truths import KINDS, Kind, estimates, small

UNSEEN: Kind = replace(KINDS["networks"], game=lambda: Embedded(small(follower_sees_action=False)))


def modelled(steps: int = 20, adjoint: str = "solve") -> dict[str, Any]:
    return {"representation": {"kind": "modelled", "steps": steps}, "adjoint": {"kind": adjoint}}


@pytest.mark.parametrize(
    ("kind", "adjoint"), [(KINDS["networks"], "unroll"), (UNSEEN, "solve")], ids=["seen, unroll", "unseen, solve"]
)
def test_the_bias_fades_with_data_and_with_fitting(kind: Kind, adjoint: str) -> None:
    few, _ = misses(kind, "bchg", modelled(2, adjoint), 20, 2)
    many, noise = misses(kind, "bchg", modelled(40, adjoint), 300, 2)
    assert many < max(0.5 * few, 4 * noise)
    assert many < 0.1 + 2 * noise


def test_first_batches_of_a_pendulum_point_uphill() -> None:
    """With ``networks`` the mean cosine of these batches is next to zero."""
    rows, game, commitment = estimates(pendulum(), sg.make_leader("bchg", **modelled()), 2, informed=False)
    exact = pendulum().gradient(game, commitment)
    assert (rows @ exact / np.linalg.norm(rows, axis=1) / np.linalg.norm(exact)).min() > 0.9


def test_a_resumed_run_gives_the_same_numbers(tmp_path: Path) -> None:
    assert_resumes(KINDS["networks"], "bchg", modelled(2), tmp_path)


def test_real_actions_in_a_game_that_goes_on_at_a_temperature_that_nobody_told() -> None:
    game = sg.make("guided_pendulum-v0", max_push=3.0, horizon=None)
    follower = sg.make_follower("grid_planner", temperature=2.0, points=15)
    leader = sg.make_leader("bchg", actor_steps=2, **modelled(2))
    run = sg.train(game, leader, follower, iterations=2, episodes=2, stages=20, temperature="estimated", progress=False)
    assert run.history[-1]["leader/temperature"] > 0
    assert all(np.isfinite(value) for value in run.history[-1].values())


@pytest.mark.parametrize("horizon", [7, None])
def test_values_are_the_same_on_lists_and_on_arrays(horizon: int | None) -> None:
    game = small(horizon=horizon)
    dense = arrays_under(game, sg.TabularPolicy(game))
    response = np.random.default_rng(0).dirichlet(np.ones(game.transition.shape[2]), size=game.transition.shape[:2])
    found = [
        leader_q(Pair(replace(dense, kernel=kernel), response), horizon)
        for kernel in (DenseKernel(dense.kernel.dense), SparseKernel.of(dense.kernel.dense))
    ]
    np.testing.assert_allclose(found[0], found[1], rtol=1e-12)


@pytest.mark.parametrize(
    ("leader", "settings", "game", "says"),
    [
        ("policy_gradient", {}, "pendulum_grid-v0", r"modelled has both players' values.*networks"),
        ("model_based", {}, "pendulum_grid-v0", r"modelled has both players' values.*networks"),
        ("bi_actor_critic", {}, "pendulum_grid-v0", r"modelled has both players' values.*networks"),
        ("bchg", {"smoothing": 0.5}, "pendulum_grid-v0", r"smoothing.*steps, anchors"),
        ("bchg", {"steps": 0}, "pendulum_grid-v0", r"steps=0: expected an integer >= 1"),
        ("bchg", {"anchors": 1}, "pendulum_grid-v0", r"anchors=1: expected an integer >= 2"),
        ("bchg", {}, "tax_design-v0", r"a lever tells of stages that were played"),
    ],
)
def test_what_has_no_such_critics_is_refused(leader: str, settings: dict[str, Any], game: str, says: str) -> None:
    made = sg.make_leader(leader, representation={"kind": "modelled", **settings})
    with pytest.raises(StackelbergError, match=says):
        made.begin(sg.make(game, **({"form": "continuous"} if game == "tax_design-v0" else {})).view(1.0))
