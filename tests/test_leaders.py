"""Leaders: what each computes, and what each reaches."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

import stackelberg_games as sg
from stackelberg_games.agents.leaders.bchg import BCHG
from stackelberg_games.agents.leaders.evolution_strategies import EvolutionStrategies
from stackelberg_games.agents.leaders.random_search import RandomSearch
from stackelberg_games.commitments.gaussian import LinearGaussianPolicy
from stackelberg_games.errors import InformationError, InvalidArgumentError
from stackelberg_games.exact.response import Arrays
from stackelberg_games.exact.soft_response import soft_response
from stackelberg_games.kinds.finite import TabularGame
from stackelberg_games.learning.ascent import GradientAscent, flat_gradient
from stackelberg_games.learning.information import Evidence, Information
from stackelberg_games.representations.algorithm import Algorithm
from stackelberg_games.representations.stackelberg_backup import stackelberg_q
from stackelberg_games.rules.commitment import flatten
from tests.checks import FALSE_ALARM

SEEDS = range(10)
UPDATES = 500  # of 3 episodes of 150 stages: 225,000 transitions


def value(run: sg.Run) -> float:
    """Exact value of what the leader recommends in the end."""
    assert run.value is not None
    return run.value


def train(leader: str, R: float, seed: int) -> sg.Run:
    return sg.train(sg.make("discrete_toy-v0", R=R), leader, "soft_value_iteration", iterations=UPDATES, seed=seed)


def train_lqr(leader: Any, iterations: int, **options: Any) -> float:
    """Undiscounted value in the linear-quadratic game of what a leader recommends in the end."""
    game = sg.make("lqr-v0")
    run = sg.train(game, leader, "maxent_lqr", iterations=iterations, episodes=4, seed=0, progress=False, **options)
    with torch.no_grad():
        return float(sg.exact.leader_objective(game, run.commitment, 0.1, discount=1.0))


def test_bchg_reaches_the_optimum_of_the_toy_from_trajectories_alone() -> None:
    game = sg.make("discrete_toy-v0", R=1.0)
    assert isinstance(game, TabularGame)
    optimum = sg.exact.solve(game, 0.05, starts=8).value
    assert optimum == pytest.approx(27.3156, abs=1e-4)
    runs = [train("bchg", 1.0, seed) for seed in SEEDS]
    assert max(run.history[-1]["transitions"] for run in runs) <= 225_000
    finals = [value(run) for run in runs]
    assert sum(final >= 0.99 * optimum for final in finals) >= 9, finals


def test_bchg_holds_the_optimum_that_the_naive_gradient_leaves() -> None:
    game = sg.make("discrete_toy-v0", R=2.0)
    assert isinstance(game, TabularGame)
    optimum = sg.exact.solve(game, 0.05, starts=8).value

    def held(leader: str, seed: int) -> float:
        iterations, values = train(leader, 2.0, seed).column("recommended_value")
        return float(np.mean([v for i, v in zip(iterations, values, strict=True) if i >= 100]))

    assert np.mean([held("bchg", seed) for seed in SEEDS]) >= 0.97 * optimum
    assert np.mean([held("policy_gradient", seed) for seed in range(3)]) < 0.1 * optimum


def test_bchg_agrees_with_the_exact_hypergradient_on_random_games() -> None:
    """With the follower's values in hand and ample data the only error left is noise."""
    p_values = []
    for seed in range(8):
        game = sg.make("random_game-v0", states=4, seed=seed, horizon=15, follower_sees_action=seed % 4 != 3,
                       leader_discount=0.8, follower_discount=0.5)  # fmt: skip
        assert isinstance(game, TabularGame)
        leader = sg.make_leader("bchg", reads="values")
        follower = sg.make_follower("soft_value_iteration", temperature=0.3)
        start = sg.TabularPolicy(game, np.random.default_rng(seed).normal(size=(4, 3)))
        report = sg.gradient_check(
            game, leader, follower, commitment=start, batches=60, episodes=300, warmup=2, seed=seed
        )
        assert report.cosine > 0.97
        p_values.append(report.p_value)
    assert min(p_values) > 0.01 / len(p_values), p_values


def test_the_control_variate_lowers_the_variance_and_not_the_mean() -> None:
    game = sg.make("discrete_toy-v0", R=2.0)
    assert isinstance(game, TabularGame)
    start = sg.TabularPolicy(game, np.log([[0.5, 0.5], [0.45, 0.55], [0.5, 0.5]]))
    reports = [
        sg.gradient_check(
            game, sg.make_leader("bchg", adjoint={"centre": centre}), commitment=start, warmup=3, batches=300
        )
        for centre in (True, False)
    ]
    centred, plain = (report.estimates[:, 3] for report in reports)
    assert centred.std() < plain.std() / 8
    error = np.hypot(centred.std(), plain.std()) / 300**0.5
    assert abs(centred.mean() - plain.mean()) < 4 * error
    assert abs(centred.mean() - reports[0].exact[3]) < 4 * centred.std() / 300**0.5


@pytest.mark.parametrize(
    ("leader_id", "game_id"),
    [
        *[
            (name, "discrete_toy-v0")
            for name in ("bchg", "hpgd", "sobirl", "policy_gradient", "bi_actor_critic", "lola")
        ],
        *[(name, game) for name in ("bchg", "hpgd", "sobirl") for game in ("random_mdp-v0", "warehouse-v0")],
    ],
)
def test_later_steps_on_a_batch_climb_the_same_estimate(leader_id: str, game_id: str) -> None:
    game = sg.make(game_id)
    leader, follower = sg.make_leader(leader_id, actor_steps=3), sg.make_follower("soft_value_iteration")
    assert isinstance(leader, Algorithm)
    leader.begin(game.view(0.05, game.ledger()))
    follower.begin(game)
    answer = follower.respond(game, leader.commitment)
    batch = sg.rollout(game, leader.commitment, answer.policy, episodes=20)
    if (ledger := game.ledger()) is not None:
        ledger.reveal(batch)
        leader.begin(game.view(0.05, ledger))
    evidence = Evidence(np.zeros(20), batch, answer.policy, answer.values, game)
    surrogate = leader.objective(evidence)
    surrogate().backward()
    leader.optimizer.step()
    steps = [surrogate(), leader.surrogate(leader.learned.at(leader.commitment))]
    again, anew = (flat_gradient(step, leader.commitment) for step in steps)
    assert anew.any()
    torch.testing.assert_close(again, anew, rtol=1e-12, atol=1e-13)


def test_a_longer_reach_than_the_trace_decay_is_forgotten() -> None:
    game = sg.make("discrete_toy-v0", R=1.0)
    assert isinstance(game, TabularGame)
    start = sg.TabularPolicy(game, np.log([[0.5, 0.5], [0.7, 0.3], [0.5, 0.5]]))
    slopes = {}
    for decay in (0.0, 0.5, 1.0):
        leader = sg.make_leader("bchg", adjoint={"decay": decay})
        slopes[decay] = sg.gradient_check(game, leader, commitment=start, warmup=3, batches=100).mean[3]
    assert slopes[1.0] < slopes[0.5] < slopes[0.0]
    assert slopes[0.0] > 0  # without any trace only the direct term is left, and it points the wrong way


@pytest.mark.parametrize(("reads", "expected"), [("none", 1), ("policy", 2), ("values", 3)])
def test_bchg_declares_what_it_reads(reads: str, expected: int) -> None:
    assert sg.make_leader("bchg", reads=reads).information == expected


def test_bchg_refuses_trajectories_without_follower_rewards() -> None:
    game = sg.make("discrete_toy-v0")
    assert isinstance(game, TabularGame)
    leader = BCHG()
    leader.begin(game.view(0.05))
    batch = sg.rollout(game, leader.commitment, sg.TabularResponse.uniform(game), episodes=3)
    with pytest.raises(InformationError, match="rewards"):
        leader.update(Evidence(batch.leader_returns(0.99), batch.without_follower_rewards()))


def test_bchg_works_on_a_single_episode() -> None:
    run = sg.train(sg.make("discrete_toy-v0"), "bchg", "soft_value_iteration", iterations=3, episodes=1)
    assert np.isfinite(run.history[-1]["leader/gradient_norm"])


def test_the_mlp_commitment_reaches_the_optimum_too() -> None:
    game = sg.make("discrete_toy-v0")
    leader = sg.make_leader("bchg", start={"hidden": (64, 64)}, actor_steps=10, learning_rate=1e-4)
    run = sg.train(game, leader, "soft_value_iteration", iterations=300)
    assert value(run) > 0.98 * 27.3156


def test_exact_gradient_ascent_climbs_to_the_optimum() -> None:
    assert value(train("exact_gradient", 1.0, 0)) == pytest.approx(27.3156, abs=1e-3)


def test_exact_gradient_is_the_gradient_of_the_objective() -> None:
    game = sg.make("random_game-v0")
    assert isinstance(game, TabularGame)
    report = sg.gradient_check(game, "exact_gradient", batches=2, episodes=1)
    np.testing.assert_allclose(report.mean, report.exact, rtol=1e-9)


def test_the_naive_gradient_is_the_exact_gradient_with_the_follower_frozen() -> None:
    game = sg.make("random_game-v0", states=3, horizon=10, leader_discount=0.8)
    assert isinstance(game, TabularGame)
    report = sg.gradient_check(game, "policy_gradient", batches=100, episodes=200, warmup=1)
    policy = sg.TabularPolicy(game)
    response = torch.tensor(sg.exact.best_response(game, policy, 0.05).policy)
    distribution = game.initial_tensor
    frozen = torch.zeros((), dtype=torch.float64)
    for stage in range(10):
        joint = policy.probabilities()[:, :, None] * response
        reward = (joint * torch.tensor(game.leader_reward)).sum(dim=(1, 2))
        frozen = frozen + 0.8**stage * distribution @ reward
        distribution = distribution @ torch.einsum("sab,sabn->sn", joint, torch.tensor(game.transition))
    (gradient,) = torch.autograd.grad(frozen, [policy.logits])
    z = (report.mean - gradient.ravel().numpy()) / np.where(report.standard_error > 0, report.standard_error, 1)
    assert np.abs(z).max() < 4


def test_the_stackelberg_backup_is_its_fixed_point() -> None:
    game = sg.make("random_game-v0", states=6, transitions={"terminal_states": 1})
    assert isinstance(game, TabularGame)
    arrays = Arrays.of(game, game.model(sg.TabularPolicy(game)))
    response = soft_response(arrays, 0.2).policy
    q = stackelberg_q(arrays, response, np.ones((6, 3), dtype=np.bool_))
    staged = np.take_along_axis(q, response.argmax(axis=2)[:, :, None], axis=2)[:, :, 0]
    expected = arrays.leader_reward + 0.95 * arrays.transition @ staged.max(axis=1)
    np.testing.assert_allclose(q, expected, atol=1e-9)


def test_evolution_strategies_estimate_the_gradient_of_a_linear_score() -> None:
    """With ranks as scores the step still points along the score's gradient."""
    leader = EvolutionStrategies(pairs=200, sigma=0.1, learning_rate=0.1)
    leader.begin(sg.make("discrete_toy-v0").view(), seed=1)
    direction = torch.arange(6, dtype=torch.float64) - 2.5
    start = flatten(leader.mean)
    for _ in range(400):
        score = float(flatten(leader.commitment) @ direction)
        leader.update(Evidence(np.array([score])))
    gradient = next(leader.mean.parameters()).grad
    assert gradient is not None
    cosine = torch.cosine_similarity(gradient.ravel(), direction, dim=0)
    assert cosine > 0.9
    assert not torch.equal(start, flatten(leader.mean))


def test_evolution_strategies_play_antithetic_pairs_and_recommend_their_mean() -> None:
    leader = EvolutionStrategies(pairs=2)
    leader.begin(sg.make("discrete_toy-v0").view(), seed=1)
    played = []
    for _ in range(4):
        played.append(next(leader.commitment.parameters()).detach().clone())
        mean = next(leader.recommendation.parameters()).detach().clone()
        if len(played) < 4:
            leader.update(Evidence(np.zeros(3)))
    torch.testing.assert_close(played[0] + played[1], 2 * mean)
    torch.testing.assert_close(played[2] + played[3], 2 * mean)
    leader.update(Evidence(np.zeros(3)))
    torch.testing.assert_close(next(leader.recommendation.parameters()).detach(), mean)  # ties give no step


def test_random_search_recommends_what_scored_best_and_re_examines_it() -> None:
    leader = RandomSearch()
    leader.begin(sg.make("discrete_toy-v0").view(), seed=1)
    target = torch.full((6,), 1.0, dtype=torch.float64)

    def score(parameters: torch.Tensor) -> float:
        return -float((parameters.ravel() - target).square().sum())

    seen = []
    for _ in range(50):
        seen.append(score(next(leader.commitment.parameters()).detach()))
        leader.update(Evidence(np.array([seen[-1]])))
    assert score(next(leader.recommendation.parameters()).detach()) == pytest.approx(max(seen))
    assert seen[2] == pytest.approx(max(seen[:2]))  # the third batch replays the best of the first two


@pytest.mark.parametrize(
    ("leader", "settings"),
    [
        ("bchg", {"learning_rate": 0}),
        ("bchg", {"actor_steps": 0}),
        ("bchg", {"reads": "everything"}),
        ("evolution_strategies", {"sigma": -1.0}),
        ("evolution_strategies", {"pairs": 0}),
        ("random_search", {"scale": 0.0}),
    ],
)
def test_bad_settings_are_named(leader: str, settings: dict[str, Any]) -> None:
    with pytest.raises(InvalidArgumentError, match=next(iter(settings))):
        sg.make_leader(leader, **settings)


@pytest.mark.parametrize("leader_id", sg.leaders())
def test_every_leader_declares_its_class_and_restores_its_settings(leader_id: str) -> None:
    leader = sg.make_leader(leader_id)
    assert isinstance(leader.information, Information)
    assert sg.make_leader(leader_id, **leader.settings).settings == leader.settings
    assert isinstance(leader.__doc__, str)
    if isinstance(leader, GradientAscent):
        assert leader.learning_rate > 0


def test_model_based_reaches_the_optimum_within_5000_transitions() -> None:
    assert train_lqr("model_based", 12, evaluate_every=0) > 18.0


def test_bchg_reaches_the_optimum_and_the_naive_gradient_does_not() -> None:
    assert train_lqr(sg.make_leader("bchg", learning_rate=0.1), 200, evaluate_every=0) > 18.0
    assert train_lqr(sg.make_leader("policy_gradient", learning_rate=0.1), 200, evaluate_every=0) < 15.0


def test_bchg_estimates_the_hypergradient_from_trajectories_alone() -> None:
    game = sg.make("lqr-v0")
    start = LinearGaussianPolicy(game, [[-8.0, -9.0]])
    report = sg.gradient_check(game, "bchg", "maxent_lqr", commitment=start, batches=60, episodes=4)
    assert report.p_value > FALSE_ALARM
    assert report.cosine > 0.999
