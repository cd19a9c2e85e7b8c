"""Critics estimated from trajectories."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

import stackelberg_games as sg
from stackelberg_games.agents.leaders.bchg import BCHG
from stackelberg_games.commitments.configuration import Configuration
from stackelberg_games.errors import InvalidArgumentError
from stackelberg_games.exact.critics import CriticTables
from stackelberg_games.exact.objective import best_response
from stackelberg_games.exact.pair import Pair
from stackelberg_games.exact.values import critics as exact_critics
from stackelberg_games.kinds.finite import TabularGame
from stackelberg_games.learning.ascent import flat_gradient
from stackelberg_games.learning.information import Evidence
from stackelberg_games.representations.counts import TabularEstimator
from stackelberg_games.representations.finite import Finite
from stackelberg_games.rules.trajectories import Trajectories


def setting(episodes: int, seed: int = 2, **settings: Any) -> tuple[TabularGame, sg.TabularPolicy, Trajectories, float]:
    game = sg.make("random_game-v0", states=4, leader_actions=2, follower_actions=2, **settings)
    assert isinstance(game, TabularGame)
    logits = np.random.default_rng(1).normal(size=(4, 2))
    policy, temperature = sg.TabularPolicy(game, logits), 0.5
    response = sg.TabularResponse(best_response(game, policy, temperature).policy)
    return game, policy, sg.rollout(game, policy, response, episodes=episodes, seed=seed), temperature


def estimated(game: TabularGame, policy: sg.TabularPolicy, batch: Trajectories, temperature: float) -> CriticTables:
    estimator = TabularEstimator(game.view(temperature))
    estimator.observe(batch)
    with torch.no_grad():
        arrays = estimator.arrays(policy.probabilities().numpy())
        return estimator.tables(Pair(arrays, estimator.follower_policy()), temperature)


def squared_errors(episodes: int, seed: int, **settings: Any) -> list[float]:
    """Mean squared errors of AL, B, AF and g, weighted by how often their cells are met."""
    game, policy, batch, temperature = setting(episodes, seed, **settings)
    exact, found = exact_critics(game, policy, temperature), estimated(game, policy, batch, temperature)
    f = exact.policy * ~game.terminal[:, None]
    joint = f[:, :, None] * exact.response
    pairs = [
        (f, found.leader_advantage - exact.leader_advantage),
        (joint, found.benefit - exact.benefit),
        (joint, found.follower_advantage - exact.follower_advantage),
        (joint, found.response - exact.response),
    ]
    return [float((weight * error**2).sum()) for weight, error in pairs]


@pytest.mark.parametrize("sees", [True, False])
@pytest.mark.parametrize("horizon", [None, 12])
@pytest.mark.parametrize("terminal", [0, 1])
def test_critics_converge_to_the_exact_ones_at_the_root_n_rate(sees: bool, horizon: int | None, terminal: int) -> None:
    """With 16 times the data the root mean square error falls by 4, here over 24 sets of data."""
    settings = {
        "horizon": horizon,
        "follower_sees_action": sees,
        "transitions": {"terminal_states": terminal},
        "leader_discount": 0.8,
    }
    few, many = (
        np.sqrt(np.mean([squared_errors(n, seed, **settings) for seed in range(24)], axis=0)) for n in (250, 4000)
    )
    # The mean of 24 squared errors has a relative standard error of at most sqrt(2 / 24) = 0.29 for
    # a single degree of freedom, so the ratio of roots lies within 4 * (1 +- 0.6) at three of them.
    assert (few / many > 1.6).all()
    assert (few / many < 10).all()


def test_the_followers_policy_fades_and_the_model_does_not() -> None:
    game, _, batch, temperature = setting(20, horizon=10)
    estimator = TabularEstimator(game.view(temperature), memory=0.25)
    estimator.observe(batch)
    estimator.observe(batch)
    assert estimator.counted.sum() == pytest.approx(2 * batch.transitions)
    assert estimator.recent.sum() == pytest.approx(1.25 * batch.transitions)


def test_unvisited_leader_actions_carry_no_signal() -> None:
    game = sg.make("discrete_toy-v0", horizon=10)
    assert isinstance(game, TabularGame)
    always_zero = sg.TabularPolicy.from_probabilities(game, [[1.0, 0.0]] * 3, floor=1e-30)
    batch = sg.rollout(game, always_zero, sg.TabularResponse.uniform(game), episodes=50)
    found = estimated(game, always_zero, batch, 0.05)
    np.testing.assert_allclose(found.follower_advantage, 0.0, atol=1e-12)
    assert np.isfinite(found.leader_q).all()


def test_terminal_states_are_learned_from_the_flags() -> None:
    game, _, batch, temperature = setting(200, transitions={"terminal_states": 1})
    estimator = TabularEstimator(game.view(temperature))
    estimator.observe(batch)
    np.testing.assert_array_equal(estimator.alive, ~game.terminal)


def test_state_is_restored() -> None:
    game, policy, batch, temperature = setting(20, transitions={"terminal_states": 1})
    one, other = (TabularEstimator(game.view(temperature)) for _ in range(2))
    one.observe(batch)
    other.load_state_dict(one.state_dict())
    table = policy.probabilities().detach().numpy()
    found = [each.tables(Pair(each.arrays(table), each.follower_policy()), 0.5).leader_q for each in (one, other)]
    np.testing.assert_array_equal(found[0], found[1])


@pytest.mark.parametrize("memory", [-0.1, 1.1, float("nan")])
def test_memory_is_a_fraction(memory: float) -> None:
    with pytest.raises(InvalidArgumentError, match="memory="):
        TabularEstimator(sg.make("discrete_toy-v0").view(), memory)


@pytest.mark.parametrize(("game_id", "settings"), [("four_rooms-v0", {}), ("tax_design-v0", {})])
def test_the_levers_terms_at_hand_serve_one_ascent_step_only(game_id: str, settings: dict[str, Any]) -> None:
    """The first surrogate after a batch reuses what observing it computed; later ones ask anew."""
    game, leader = sg.make(game_id, **settings), BCHG()
    assert isinstance(game, TabularGame)
    ledger = game.ledger()
    assert ledger is not None
    leader.begin(game.view(0.01, ledger), seed=1)
    commitment = leader.commitment
    assert isinstance(commitment, Configuration)
    batch = sg.rollout(game, commitment, sg.TabularResponse.uniform(game), episodes=6, stages=30)
    ledger.reveal(batch)
    evidence = Evidence(batch.leader_returns(), batch)
    surrogate = leader.objective(evidence)

    def gradient() -> Tensor:
        return flat_gradient(surrogate(), commitment)

    gradients = []
    for _ in range(3):
        gradients.append(gradient())
        torch.testing.assert_close(gradients[-1], gradient())  # whose terms are never at hand
        with torch.no_grad():
            commitment.weights.add_(torch.linspace(-1, 1, commitment.weights.numel(), dtype=torch.float64))
    assert not torch.allclose(gradients[0], gradients[1])


def test_faded_counts_still_give_distributions() -> None:
    """Where old rewards go stale all counts fade, below one too; what was seen stays a distribution."""
    game, leader = sg.make("random_mdp-v0"), BCHG()
    assert isinstance(game, TabularGame)
    ledger = game.ledger()
    assert ledger is not None
    leader.begin(game.view(0.01, ledger), seed=1)
    commitment = leader.commitment
    for number in range(30):
        batch = sg.rollout(game, commitment, sg.TabularResponse.uniform(game), episodes=4, first_episode=4 * number)
        ledger.reveal(batch)
        leader.objective(Evidence(batch.leader_returns(), batch))
    assert isinstance(leader.learned, Finite)
    counts = leader.learned.counts
    totals = counts.totals
    assert ((totals > 0) & (totals < 0.1)).any()
    np.testing.assert_allclose(totals, counts.counted.sum(axis=3), rtol=1e-12)
    sums = counts.kernel().dense.sum(axis=3)
    np.testing.assert_allclose(sums, totals > 0, atol=1e-12)


def test_a_model_is_estimated_from_faded_counts() -> None:
    follower = sg.make_follower("soft_value_iteration", temperature=0.01)
    run = sg.train(sg.make("random_mdp-v0"), "model_based", follower, iterations=40, episodes=2, progress=False)
    assert run.history[-1]["iteration"] == 39
