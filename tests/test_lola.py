"""The gradient through the follower's next steps, against finite differences and against the limits of many and of none."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

import stackelberg_games as sg
from stackelberg_games.arrays import FloatArray
from stackelberg_games.errors import InvalidArgumentError, SolverError
from stackelberg_games.exact.objective import best_response
from stackelberg_games.exact.players import Objectives
from stackelberg_games.rules.commitment import assign, flatten
from tests.random_games import Case, case, gradient

STEP = 0.5


def players(made: Case) -> tuple[Objectives, Tensor]:
    """Both returns, and the parameters of the soft-optimal response."""
    solved = best_response(made.game, made.commitment, made.temperature).policy
    objectives = Objectives(made.arrays, made.game.initial_tensor, made.game.horizon)
    return objectives, objectives.logits(solved)


def after_steps(made: Case, objectives: Objectives, logits: Tensor, steps: int, vector: FloatArray) -> float:
    """The leader's return at other parameters, once the follower has taken its steps."""
    kept = flatten(made.commitment)
    assign(made.commitment, torch.from_numpy(vector))
    policy = made.commitment.probabilities().detach()
    assign(made.commitment, kept)
    moved = logits.detach().clone()
    for _ in range(steps):
        at = moved.requires_grad_()
        (slope,) = torch.autograd.grad(objectives(policy, at, made.temperature)[1], at)
        moved = (at + STEP * slope).detach()
    return float(objectives(policy, moved, made.temperature)[0])


@pytest.mark.parametrize("steps", [1, 3, 10])
@pytest.mark.parametrize("index", [0, 1, 9, 17])
def test_it_is_the_derivative_of_the_return_after_the_steps(index: int, steps: int) -> None:
    made = case(index)
    objectives, logits = players(made)
    policy = made.commitment.probabilities()
    values: Any = SimpleNamespace(players=lambda: (*objectives(policy, logits, made.temperature), logits))
    leader = sg.make_leader("lola", lookahead=steps, step_size=STEP)
    found = gradient(made.commitment, leader.surrogate(values))  # type: ignore[attr-defined]
    at, width = flatten(made.commitment).numpy(), 1e-5
    differences = [
        (
            after_steps(made, objectives, logits, steps, at + width * axis)
            - after_steps(made, objectives, logits, steps, at - width * axis)
        )
        / (2 * width)
        for axis in np.eye(len(at))
    ]
    np.testing.assert_allclose(found, differences, rtol=1e-5, atol=1e-7 * np.abs(found).max())


def test_many_short_steps_give_the_exact_hypergradient_and_few_the_naive_one() -> None:
    toy = sg.make("discrete_toy-v0")
    reports = {
        (steps, size): sg.gradient_check(
            toy, sg.make_leader("lola", lookahead=steps, step_size=size), batches=2, episodes=100
        )
        for steps, size in ((1, 1e-6), (20, 1.0), (2000, 1.0))
    }
    naive = sg.gradient_check(
        toy, sg.make_leader("stackelberg_actor_critic", regularisation=1e9), batches=2, episodes=100
    )
    np.testing.assert_allclose(reports[1, 1e-6].mean, naive.mean, rtol=1e-3)
    biases = [report.relative_bias for report in reports.values()]
    assert biases[0] > biases[1] > biases[2]
    assert biases[2] < 1e-2


def test_steps_that_diverge_and_settings_out_of_range_are_refused() -> None:
    for settings in ({"lookahead": 0}, {"step_size": 0.0}):
        with pytest.raises(InvalidArgumentError, match=f"{next(iter(settings))} "):
            sg.make_leader("lola", **settings)
    with pytest.raises(SolverError, match="step_size=5000"):
        sg.gradient_check(sg.make("discrete_toy-v0"), sg.make_leader("lola", step_size=5000.0), batches=2, episodes=50)
