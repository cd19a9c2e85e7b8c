"""Networks as a representation: fitted critics, storing, refusals."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import pytest
import torch

import stackelberg_games as sg
from stackelberg_games import exact
from stackelberg_games.arrays import FloatArray
from stackelberg_games.commitments.networks import MLPCategoricalPolicy
from stackelberg_games.envs import random_game_v0
from stackelberg_games.errors import InformationError, InvalidArgumentError, UnsupportedGameError
from stackelberg_games.exact.critics import CriticTables
from stackelberg_games.exact.objective import differentiable_values
from stackelberg_games.hypergradient import StageCritics, coefficients, covariance
from stackelberg_games.learning.follower import Answer, Follower
from stackelberg_games.numerics.randomness import Lane, Streams
from stackelberg_games.play.rollout import TabularResponse
from stackelberg_games.representations.regressions import Estimation, NeuralEstimator
from stackelberg_games.rules.commitment import Commitment, assign, flatten
from stackelberg_games.rules.lever import Terms
from stackelberg_games.rules.trajectories import Trajectories
from tests.checks import FALSE_ALARM, mean_p_value
from tests.embedded import Embedded, Replies, SoftFollower

TAU = 0.3


def embedded(sees: bool = True) -> tuple[Embedded, MLPCategoricalPolicy]:
    """A random game at points of a sphere, and a network that commits to something lopsided."""
    table = random_game_v0.game(
        states=5,
        leader_actions=2,
        follower_actions=3,
        leader_discount=0.9,
        follower_discount=0.8,
        horizon=12,
        follower_sees_action=sees,
    )
    game = Embedded(table)
    policy = MLPCategoricalPolicy(game, (4,))
    draws = np.random.default_rng(3).normal(size=len(flatten(policy)))
    assign(policy, torch.tensor(0.7 * draws))
    return game, policy


def exact_gradient(game: Embedded, policy: MLPCategoricalPolicy) -> FloatArray:
    """Of the leader's objective in the finite game, by automatic differentiation through the network."""
    gradients = torch.autograd.grad(game.leader_objective(policy, TAU), list(policy.parameters()))
    return np.asarray(torch.cat([part.ravel() for part in gradients]).numpy())


def played(game: Embedded, policy: MLPCategoricalPolicy, episodes: int) -> tuple[Trajectories, CriticTables]:
    """Episodes against the soft-optimal response, and the exact critics."""
    table = exact.best_response(game.table, game.as_table(policy), TAU).policy
    batch = sg.rollout(game, policy, Replies(game, TabularResponse(table)), episodes=episodes, seed=5, stages=12)
    return batch, exact.critics(game.table, game.as_table(policy), TAU)


def in_codes(game: Embedded, batch: Trajectories) -> Trajectories:
    """The episodes with the finite game's states."""
    return replace(batch, states=game.codes(batch.states))


@pytest.mark.parametrize("sees", [True, False])
def test_with_exact_critics_the_score_form_is_unbiased_through_a_network(sees: bool) -> None:
    """Episodes are cut after the horizon: with discount 0.8 the follower's tail is added by critics."""
    game, policy = embedded(sees)
    batch, tables = played(game, policy, 600)
    options: dict[str, Any] = {
        "leader_discount": 0.9,
        "follower_discount": 0.8,
        "temperature": TAU,
        "follower_sees_action": sees,
    }
    critics = tables.at(in_codes(game, batch))
    scores = policy.log_prob(batch.states[:, :-1], batch.leader_actions)
    parameters = list(policy.parameters())
    values = follower_values(game, policy)[game.codes(batch.states[:, -1])]
    samples = []
    for number in range(batch.episodes):
        one = slice(number, number + 1)
        part = StageCritics(critics.benefit[one], critics.leader_advantage[one], critics.follower_advantage[one])
        total = covariance(batch[one], Terms(log_policy=scores[one]), part, **options)
        carry = coefficients(batch[one], part, **options).carry
        total = total + torch.from_numpy(carry) @ values[one]
        gradients = torch.autograd.grad(total, parameters, retain_graph=True)
        samples.append(torch.cat([gradient.ravel() for gradient in gradients]).numpy())
    assert mean_p_value(np.stack(samples), exact_gradient(game, policy)) > FALSE_ALARM


def follower_values(game: Embedded, policy: MLPCategoricalPolicy) -> torch.Tensor:
    """VF(s) of the finite game, differentiable in the commitment."""
    return differentiable_values(game.table, game.as_table(policy), TAU).follower


def test_learned_critics_point_where_the_exact_ones_do() -> None:
    """Measured: relative bias 0.04 (noise alone 0.07), mean cosine of single estimates 0.96."""
    game, policy = embedded()
    leader = sg.make_leader("bchg", representation={"memory": 0.95, "steps": 12})
    report = sg.gradient_check(
        game, leader, SoftFollower(TAU), commitment=policy, batches=4, episodes=40, warmup=2, seed=0
    )
    assert report.cosine > 0.95
    assert report.mean_cosine > 0.85


def test_the_fitted_critics_are_the_exact_ones_up_to_their_error() -> None:
    game, policy = embedded()
    batch, tables = played(game, policy, 250)
    wanted = tables.at(in_codes(game, batch))
    estimator = NeuralEstimator(game.view(TAU), Estimation(memory=1.0, smoothing=0.0, steps=40), TAU)
    for _ in range(3):
        estimator.observe(batch)
    found = estimator.critics(policy)
    assert np.corrcoef(found.benefit.ravel(), wanted.benefit.ravel())[0, 1] > 0.95
    for name in ("leader_advantage", "follower_advantage"):  # samples: their means over equal stages count
        cells = 2 * game.codes(batch.states[:, :-1]) + batch.leader_actions
        one, other = (
            np.bincount(cells.ravel(), getattr(critics, name).ravel(), minlength=10) / np.bincount(cells.ravel())
            for critics in (found, wanted)
        )
        assert np.corrcoef(one, other)[0, 1] > 0.9, name
    table = exact.best_response(game.table, game.as_table(policy), TAU).policy
    states = np.repeat(game.points, 2, axis=0)
    rows = np.concatenate([states, np.tile(np.eye(2), (5, 1))], axis=1)
    shares, _ = estimator.response.nodes(rows)
    assert np.abs(shares - table.reshape(10, 3)).max() < 0.15  # a cell holds some 300 draws


@dataclass
class Shaky(Follower):
    """Draws replies whatever it sees."""

    def respond(self, game: sg.Game, commitment: Commitment) -> Answer:
        return Answer(_Draws(game))


class _Draws:
    def __init__(self, game: sg.Game) -> None:
        self.space = game.follower_action_space

    def sample(self, states: Any, leader_actions: Any, streams: Streams, stage: int) -> Any:
        draws = streams.uniform(Lane.FOLLOWER, stage)
        if isinstance(self.space, gymnasium.spaces.Discrete):
            return (draws[:, 0] * int(self.space.n)).astype(np.int64)
        return 2 * draws - 1


@pytest.mark.parametrize("leader_id", ["bchg", "policy_gradient", "bi_actor_critic"])
@pytest.mark.parametrize("game_id", ["guided_cartpole-v0", "continuous_toy-v0"])
def test_leaders_train_in_games_of_vectors_and_resume_to_the_same_numbers(
    game_id: str, leader_id: str, tmp_path: Path
) -> None:
    game = sg.make(game_id, horizon=8)
    options: dict[str, Any] = {"episodes": 3, "seed": 1, "evaluate_every": 0, "progress": False, "temperature": 0.5}

    def run(iterations: int, directory: Path | None = None) -> sg.Run:
        leader = sg.make_leader(leader_id, representation={"steps": 2}, start={"hidden": (4,)})
        return sg.train(game, leader, Shaky(), iterations=iterations, directory=directory, **options)

    whole = run(4)
    run(2, tmp_path)
    resumed = run(4, tmp_path)
    torch.testing.assert_close(flatten(resumed.commitment), flatten(whole.commitment))
    assert float(flatten(whole.commitment).abs().sum()) > 0
    assert type(sg.Run.load(tmp_path).commitment) is type(whole.commitment)


def test_the_response_of_the_follower_is_what_sets_bchg_apart() -> None:
    """Both leaders see the same episodes; their first estimates differ in the response row alone."""
    game, policy = embedded()
    batch, _ = played(game, policy, 20)
    estimator = NeuralEstimator(game.view(TAU), Estimation(steps=5), TAU)
    estimator.observe(batch)
    alone = NeuralEstimator(game.view(TAU), Estimation(steps=5), None)
    alone.observe(batch)
    np.testing.assert_allclose(estimator.critics(policy).leader_advantage, alone.critics(policy).leader_advantage)
    assert not alone.critics(policy).benefit.any()
    assert estimator.critics(policy).benefit.any()


def test_what_the_neural_form_cannot_do_is_refused() -> None:
    view = sg.make("guided_pendulum-v0").view(0.1)
    with pytest.raises(UnsupportedGameError, match="reads='none'"):
        sg.make_leader("bchg", reads="policy").begin(view)
    with pytest.raises(InformationError, match="temperature"):
        sg.make_leader("bchg").begin(sg.make("guided_pendulum-v0").view())
    for wrong in ({"memory": 1.5}, {"smoothing": -0.1}, {"steps": 0}):
        with pytest.raises(InvalidArgumentError):
            sg.make_leader("policy_gradient", representation=wrong).begin(view)
    game, policy = embedded()
    batch, _ = played(game, policy, 2)
    with pytest.raises(InformationError, match="rewards"):
        NeuralEstimator(game.view(TAU), Estimation(), TAU).observe(batch.without_follower_rewards())


def test_bchg_reads_tables_of_the_follower_only() -> None:
    game = sg.make("discrete_toy-v0")
    with pytest.raises(InformationError, match="table"):
        sg.train(
            game,
            sg.make_leader("bchg", reads="policy"),
            "black_box",
            iterations=1,
            temperature=0.1,
            evaluate_every=0,
            progress=False,
        )
