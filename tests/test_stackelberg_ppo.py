"""Stackelberg PPO: its first step against the exact hypergradient, its later ones against the clipped sum."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

import stackelberg_games as sg
from stackelberg_games.agents.leaders.stackelberg_ppo import StackelbergPPO
from stackelberg_games.arrays import FloatArray
from stackelberg_games.commitments.gaussian import LinearGaussianPolicy
from stackelberg_games.errors import InvalidArgumentError
from stackelberg_games.exact.objective import best_response
from stackelberg_games.exact.players import Objectives
from tests.checks import FALSE_ALARM, mean_p_value
from tests.random_games import case
from tests.truths import KINDS

TAU = 0.1


def test_in_the_linear_quadratic_game_the_first_step_is_along_the_exact_hypergradient() -> None:
    game = sg.make("lqr-v0")
    start = LinearGaussianPolicy(game, [[-8.0, -9.0]], std=1.0)
    leader = sg.make_leader("stackelberg_ppo", damping=0.0)
    report = sg.gradient_check(game, leader, "maxent_lqr", commitment=start, batches=60, episodes=50)
    assert mean_p_value(report.estimates, report.exact) > FALSE_ALARM
    assert report.cosine > 0.99
    own = sg.gradient_check(
        game, sg.make_leader("stackelberg_ppo", damping=1e12), "maxent_lqr", commitment=start, batches=60, episodes=50
    )
    assert mean_p_value(own.estimates, report.exact) < FALSE_ALARM  # the test can tell the implicit term apart


@pytest.mark.parametrize("index", [0, 8, 16])  # games that the leader does not configure
def test_at_a_soft_optimal_response_the_hessian_is_the_fisher_matrix_times_the_temperature(index: int) -> None:
    made = case(index)
    arrays, tau = made.arrays, made.temperature
    solved = best_response(made.game, made.commitment, tau).policy
    objectives, policy = (
        Objectives(arrays, made.game.initial_tensor, made.game.horizon),
        made.commitment.probabilities().detach(),
    )
    logits = objectives.logits(solved)
    shape = logits.shape
    slope = torch.autograd.grad(objectives(policy, logits, tau)[1], logits, create_graph=True)[0].ravel()
    found = np.stack([torch.autograd.grad(part, logits, retain_graph=True)[0].ravel().numpy() for part in slope])
    given = torch.softmax(logits.detach(), dim=2).numpy()
    joint = (
        policy.numpy()[:, :, None] * np.broadcast_to(given, arrays.leader_reward.shape) * arrays.alive[:, None, None]
    )
    chain = np.einsum("sab,sabn->sn", joint, arrays.transition)
    visits = np.linalg.solve(
        (np.eye(len(chain)) - arrays.follower_discount * chain).T, np.full(len(chain), 1 / len(chain))
    )
    stages = (visits * arrays.alive)[:, None] * policy.numpy()
    if not arrays.sees:
        stages = stages.sum(axis=1, keepdims=True)
    fisher = np.zeros((*shape, *shape))
    for s, a in np.ndindex(shape[:2]):
        fisher[s, a, :, s, a] = stages[s, a] * (np.diag(given[s, a]) - np.outer(given[s, a], given[s, a]))
    size = int(np.prod(shape))
    np.testing.assert_allclose(found, -tau * fisher.reshape(size, size), atol=1e-8 * np.abs(found).max() + 1e-10)


def begun(**settings: Any) -> tuple[StackelbergPPO, sg.Trajectories]:
    """A leader that has taken its first step on a batch of a small game."""
    kind = KINDS["finite"]
    game, follower = kind.game(), kind.follower()
    commitment = kind.commitment(game)
    follower.begin(game)
    answer = follower.respond(game, commitment)
    leader = StackelbergPPO(**settings)
    leader.begin(game.view(kind.temperature), commitment=commitment)
    batch = sg.rollout(game, commitment, answer.policy, episodes=7, seed=3)
    leader.objective(sg.Evidence(batch.leader_returns(game.leader_discount), batch, answer.policy))()
    return leader, batch


def clipped(before: FloatArray, after: FloatArray, batch: sg.Trajectories, discount: float, reach: float) -> float:
    """The own term, episode by episode and stage by stage."""
    ahead: list[list[float]] = [
        [sum(discount ** (k - t) * float(batch.leader_rewards[i, k]) for k in range(t, length)) for t in range(length)]
        for i, length in enumerate(batch.lengths)
    ]
    total = 0.0
    for i, length in enumerate(batch.lengths):
        for t in range(length):
            others = [ahead[j][t] for j in range(batch.episodes) if j != i and batch.lengths[j] > t]
            worth = discount**t * (ahead[i][t] - (sum(others) / len(others) if others else 0.0))
            cell = int(batch.states[i, t]), int(batch.leader_actions[i, t])
            ratio = after[cell] / before[cell]
            total += min(ratio * worth, min(max(ratio, 1 - reach), 1 + reach) * worth)
    return total / batch.episodes


def test_ratios_beyond_the_clip_pull_no_more() -> None:
    reach = 0.05
    leader, batch = begun(clip=reach)
    before = leader.commitment.probabilities().detach().numpy()
    with torch.no_grad():
        for parameter in leader.commitment.parameters():
            parameter.add_(torch.from_numpy(np.random.default_rng(0).normal(scale=0.2, size=parameter.shape)))
    after = leader.commitment.probabilities().detach().numpy()
    assert (np.abs(after / before - 1) > reach).any()
    values = leader.learned.at(leader.commitment)
    own = leader._own(values)
    discount = leader.view.leader_discount
    assert float(own.detach()) == pytest.approx(clipped(before, after, batch, discount, reach), rel=1e-12)
    free = clipped(before, after, batch, discount, np.inf)
    assert abs(float(own.detach()) - free) > 1e-3 * abs(free)


def test_a_batch_of_one_episode_has_no_baseline_and_is_finite() -> None:
    game = sg.make("discrete_toy-v0", R=1.0)
    run = sg.train(game, "stackelberg_ppo", "soft_value_iteration", iterations=2, episodes=1, evaluate_every=0)
    assert all(bool(torch.isfinite(part).all()) for part in run.commitment.parameters())


def test_it_reaches_the_optimum_of_the_toy() -> None:
    leader = sg.make_leader("stackelberg_ppo", learning_rate=0.05)
    run = sg.train(
        sg.make("discrete_toy-v0"), leader, "soft_value_iteration", iterations=60, episodes=10, evaluate_every=0
    )
    assert run.value is not None
    assert run.value > 27.2  # of 27.316


def test_what_would_make_no_difference_or_no_sense_is_refused() -> None:
    for settings, says in (
        ({"clip": 0.0}, "clip=0.0"),
        ({"damping": -1.0}, "damping=-1.0"),
        ({"damping": float("nan")}, "damping=nan"),
        ({"clip": 0.1, "actor_steps": 1}, "ratios are 1 at the only step"),
        ({"reads": "values"}, "reads"),
    ):
        with pytest.raises(InvalidArgumentError, match=says):
            sg.make_leader("stackelberg_ppo", **settings)
    with pytest.raises(InvalidArgumentError, match=r"clip=0\.1: a configuration"):
        sg.make_leader("stackelberg_ppo", clip=0.1).begin(sg.make("thermal_control-v0").view(0.1))
    assert sg.make_leader("stackelberg_ppo").information is sg.Information.FOLLOWER_POLICY
    assert sg.make_leader("stackelberg_ppo", reads="none").information is sg.Information.TRAJECTORIES
