"""Network commitments: densities, sampling, storing, bad input."""

from __future__ import annotations

from typing import Any

import gymnasium
import numpy as np
import pytest
import torch
from scipy import stats
from scipy.integrate import trapezoid

import stackelberg_games as sg
from stackelberg_games.commitments.networks import MLPCategoricalPolicy, MLPGaussianPolicy, log_prob
from stackelberg_games.commitments.store import restore
from stackelberg_games.errors import InvalidArgumentError, UnsupportedGameError
from stackelberg_games.numerics.randomness import Streams
from stackelberg_games.rules.commitment import Commitment, assign, flatten
from stackelberg_games.rules.features import Features
from tests.checks import FALSE_ALARM, counts_p_value

PLANE = gymnasium.spaces.Box(-2.0, 2.0, (2,), np.float64)
LINE = gymnasium.spaces.Box(-np.inf, np.inf, (1,), np.float64)
RANGE = gymnasium.spaces.Box(np.array([-1.0]), np.array([3.0]), dtype=np.float64)
STATE = np.array([0.7, -1.1])


def policies() -> list[MLPCategoricalPolicy | MLPGaussianPolicy]:
    """One of every kind, with random weights."""
    made: list[MLPCategoricalPolicy | MLPGaussianPolicy] = [
        MLPCategoricalPolicy((PLANE, gymnasium.spaces.Discrete(3, start=2)), (5,)),
        MLPGaussianPolicy((PLANE, LINE), (5,), std=0.8),
        MLPGaussianPolicy((PLANE, RANGE), (5,), std=0.8),
        MLPGaussianPolicy((gymnasium.spaces.Discrete(3), RANGE), ()),
    ]
    for number, policy in enumerate(made):
        draws = np.random.default_rng(number).normal(size=len(flatten(policy)))
        assign(policy, torch.tensor(0.5 * draws))
    return made


@pytest.mark.parametrize("policy", policies()[1:3])
def test_densities_integrate_to_one_and_samples_follow_them(policy: MLPGaussianPolicy) -> None:
    low, high = (-1 + 1e-9, 3 - 1e-9) if policy.action_space == RANGE else (-9.0, 9.0)
    grid = np.linspace(low, high, 40_001)
    density = policy.log_prob(np.tile(STATE, (len(grid), 1)), grid[:, None]).detach().exp().numpy()
    assert trapezoid(density, grid) == pytest.approx(1.0, abs=1e-3)
    drawn = policy.sample(np.tile(STATE, (4000, 1)), Streams.of(0, 4000), 3)[:, 0]
    cumulative = np.concatenate([[0.0], np.cumsum((density[1:] + density[:-1]) / 2 * np.diff(grid))])
    shares = np.interp(drawn, grid, cumulative / cumulative[-1])
    assert stats.kstest(shares, "uniform").pvalue > FALSE_ALARM


def test_squashed_log_density_is_the_gaussians_less_the_logarithm_of_the_slope() -> None:
    policy = policies()[2]
    assert isinstance(policy, MLPGaussianPolicy)
    noise = torch.linspace(-3, 3, 13, dtype=torch.float64)[:, None].requires_grad_()
    states = np.tile(STATE, (13, 1))
    actions = policy.act(states, noise)
    (slope,) = torch.autograd.grad(actions.sum(), noise)  # d a / d eps
    wanted = -0.5 * noise.square() - 0.5 * np.log(2 * np.pi) - slope.log()
    np.testing.assert_allclose(policy.log_prob(states, actions.detach()).detach(), wanted.detach()[:, 0], rtol=1e-7)


def test_finite_actions_are_drawn_as_often_as_the_softmax_says() -> None:
    policy = policies()[0]
    assert isinstance(policy, MLPCategoricalPolicy)
    drawn = policy.sample(np.tile(STATE, (20_000, 1)), Streams.of(1, 20_000), 0)
    counts = np.bincount(drawn - 2, minlength=3)[None]
    rows = policy.log_probabilities(STATE[None]).exp().detach().numpy()
    assert counts_p_value(counts, rows) > FALSE_ALARM
    picked = policy.log_prob(np.tile(STATE, (3, 1)), np.array([2, 3, 4])).exp().detach().numpy()
    np.testing.assert_allclose(picked, rows[0])


@pytest.mark.parametrize("policy", policies())
def test_commitments_are_rebuilt_from_their_description(policy: Commitment) -> None:
    again = restore(policy.describe())
    assert type(again) is type(policy)
    again.load_state_dict(policy.state_dict())
    space: Any = policy.state_space
    states = np.arange(3) if isinstance(space, gymnasium.spaces.Discrete) else np.tile(STATE, (3, 1))
    played = policy.sample(states, Streams.of(2, 3), 5)
    np.testing.assert_array_equal(again.sample(states, Streams.of(2, 3), 5), played)
    torch.testing.assert_close(log_prob(again, states, played), log_prob(policy, states, played))


@pytest.mark.parametrize(
    ("policy", "wrong", "named"),
    [
        (policies()[0], np.zeros((4, 3)), r"\(4, 3\): expected numbers \[\.\.\., 2\]"),
        (policies()[1], np.full((4, 2), np.nan), "not finite"),
        (policies()[2], np.array([["a", "b"]]), "expected numbers"),
        (policies()[3], np.array([3]), "expected elements"),
    ],
)
def test_states_that_are_none_are_refused(policy: Commitment, wrong: Any, named: str) -> None:
    with pytest.raises(InvalidArgumentError, match=named):
        policy.sample(wrong, Streams.of(0, len(wrong)), 0)


def test_actions_and_settings_that_make_no_sense_are_refused() -> None:
    with pytest.raises(InvalidArgumentError, match="outside"):
        policies()[2].log_prob(STATE[None], np.array([[3.5]]))
    with pytest.raises(InvalidArgumentError, match="std=-1"):
        MLPGaussianPolicy((PLANE, LINE), std=-1)
    half = gymnasium.spaces.Box(np.array([0.0]), np.array([np.inf]), dtype=np.float64)
    cases: Any = (
        (MLPGaussianPolicy, (PLANE, half)),
        (MLPGaussianPolicy, (PLANE, gymnasium.spaces.Discrete(2))),
        (MLPCategoricalPolicy, (PLANE, LINE)),
        (MLPCategoricalPolicy, (gymnasium.spaces.MultiBinary(3), gymnasium.spaces.Discrete(2))),
    )
    for maker, spaces in cases:
        with pytest.raises(UnsupportedGameError):
            maker(spaces)
    with pytest.raises(UnsupportedGameError, match="log-probability"):
        log_prob(sg.make_leader("fixed").first_commitment(sg.make("continuous_toy-v0").view(), 0), [0], [[0.5]])


def test_bounds_and_scales_are_read_from_the_space() -> None:
    np.testing.assert_array_equal(Features(PLANE).scale, [2.0, 2.0])
    np.testing.assert_array_equal(Features(LINE).scale, [1.0])
    assert Features(gymnasium.spaces.Discrete(3, start=1))(np.array([1, 3])).tolist() == [[1, 0, 0], [0, 0, 1]]


@pytest.mark.parametrize("game_id", ["guided_pendulum-v0", "guided_cartpole-v0", "continuous_toy-v0"])
def test_they_play_in_rollouts_and_faces_alike(game_id: str) -> None:
    game = sg.make(game_id, horizon=6)
    policy = MLPGaussianPolicy(game, (4,))
    env: Any = sg.best_response_env(game, policy)
    seen, _ = env.reset(seed=3)
    width = game.observation_space.shape[0]
    reply = sg.rollout(game, policy, _Still(game), episodes=2, seed=3)
    for stage in range(int(reply.lengths[0])):
        np.testing.assert_allclose(seen[width:], reply.leader_actions[0, stage], rtol=1e-6)
        seen, *_ = env.step(_Still(game).action)


class _Still:
    """The follower that does nothing."""

    def __init__(self, game: sg.Game) -> None:
        space = game.follower_action_space
        self.action: Any = np.zeros(1, np.float32) if isinstance(space, gymnasium.spaces.Box) else 0

    def sample(self, states: Any, leader_actions: Any, streams: Streams, stage: int) -> Any:
        return np.stack([self.action] * len(states))
