"""Commitments: probabilities, sampling, parameters in and out."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from stackelberg_games import exact
from stackelberg_games.commitments.configuration import Configuration
from stackelberg_games.commitments.mlp import MLPPolicy
from stackelberg_games.commitments.tabular import DiscretePolicy, TabularPolicy
from stackelberg_games.envs import random_game_v0
from stackelberg_games.errors import InvalidArgumentError, InvalidGameError
from stackelberg_games.numerics.randomness import Lane, Streams
from stackelberg_games.numerics.sampling import cumulative
from stackelberg_games.play.rollout import TabularResponse, rollout
from stackelberg_games.rules.commitment import Commitment, assign, flatten
from tests.checks import FALSE_ALARM, counts_p_value

GAME = random_game_v0.game(states=4, leader_actions=3)


def policies() -> list[DiscretePolicy]:
    draws = np.random.default_rng(1)
    network = MLPPolicy(GAME, (5,), seed=2)
    assign(network, torch.tensor(draws.normal(size=len(flatten(network)))))
    return [TabularPolicy(GAME), TabularPolicy(GAME, 3 * draws.normal(size=(4, 3))), network]


@pytest.mark.parametrize("policy", policies())
def test_probabilities_are_distributions_and_match_their_logarithms(policy: DiscretePolicy) -> None:
    rows = policy.probabilities()
    assert rows.dtype == torch.float64
    assert rows.shape == (4, 3)
    assert rows.sum(dim=1).tolist() == pytest.approx([1.0] * 4)
    assert rows.log().detach().numpy() == pytest.approx(policy.log_probabilities().detach().numpy())


def test_tabular_policy_is_the_softmax_of_its_logits() -> None:
    logits = np.array([[0.0, 1.0, 2.0]] * 4)
    expected = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    assert TabularPolicy(GAME, logits).probabilities().detach().numpy() == pytest.approx(expected)


@pytest.mark.parametrize("make", [TabularPolicy, MLPPolicy])
def test_first_commitment_is_uniform_from_game_or_view(make: type[TabularPolicy | MLPPolicy]) -> None:
    for source in (GAME, GAME.view()):
        assert (make(source).probabilities() - 1 / 3).abs().max() < 1e-15


def test_extreme_logits_stay_finite() -> None:
    policy = TabularPolicy(GAME, [[1e4, 0.0, -1e4]] * 4)
    assert torch.isfinite(policy.log_probabilities()).all()
    assert policy.probabilities()[0].tolist() == [1.0, 0.0, 0.0]


@pytest.mark.parametrize(
    ("logits", "named"),
    [
        (np.full((4, 3), np.nan), "NaN"),
        (np.zeros((3, 4)), r"\(3, 4\): expected \(4, 3\)"),
        (np.zeros(12), r"\(12,\): expected \(4, 3\)"),
    ],
)
def test_bad_logits_are_refused(logits: Any, named: str) -> None:
    with pytest.raises(InvalidArgumentError, match=named):
        TabularPolicy(GAME, logits)


def test_policy_from_probabilities_reproduces_them() -> None:
    rows = np.array([[0.2, 0.3, 0.5], [1.0, 0.0, 0.0], [0.0, 0.5, 0.5], [1 / 3] * 3])
    found = TabularPolicy.from_probabilities(GAME, rows).probabilities().detach().numpy()
    assert found == pytest.approx(rows, abs=1e-15)


@pytest.mark.parametrize(
    ("row", "named"), [([0.5, 0.6, 0.0], "sums to 1.1"), ([1.5, -0.5, 0.0], "-0.5"), ([np.nan, 0.5, 0.5], "nan")]
)
def test_policy_from_invalid_probabilities_is_refused(row: list[float], named: str) -> None:
    with pytest.raises(InvalidGameError, match=named):
        TabularPolicy.from_probabilities(GAME, [row] * 4)


@pytest.mark.parametrize("policy", policies())
def test_samples_follow_the_probabilities(policy: DiscretePolicy) -> None:
    counts = np.zeros((4, 3))
    for state in range(4):
        actions = policy.sample(np.full(20_000, state), Streams.of(state, 20_000), 5)
        counts[state] = np.bincount(actions, minlength=3)
    assert counts_p_value(counts, policy.probabilities().detach().numpy()) > FALSE_ALARM


def test_samples_invert_the_leaders_lane() -> None:
    policy, streams, states = policies()[1], Streams.of(9, 500), np.arange(500) % 4
    table = cumulative(policy.probabilities().detach().numpy())
    draws = streams.uniform(Lane.LEADER, 7)[:, 0]
    expected = [np.searchsorted(table[s], u, side="right") for s, u in zip(states, draws, strict=True)]
    assert policy.sample(states, streams, 7).tolist() == expected


def test_impossible_actions_are_never_drawn() -> None:
    policy = TabularPolicy(GAME, [[-1e4, 0.0, -1e4]] * 4)
    assert (policy.sample(np.zeros(10_000, dtype=int), Streams.of(0, 10_000), 0) == 1).all()


def test_mlp_weights_depend_on_the_seed_alone() -> None:
    first, again, other = (flatten(MLPPolicy(GAME, (8,), seed=seed)) for seed in (3, 3, 4))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


@pytest.mark.parametrize(("hidden", "parameters"), [((), 15), ((7,), 59), ((7, 2), 60)])
def test_mlp_has_the_layers_asked_for(hidden: tuple[int, ...], parameters: int) -> None:
    assert len(flatten(MLPPolicy(GAME, hidden))) == parameters


def test_configuration_transforms_its_parameters_and_differentiates() -> None:
    commitment = Configuration([0.0, 1.0], torch.sigmoid)
    assert commitment.configuration().tolist() == pytest.approx([0.5, 1 / (1 + np.exp(-1))])
    commitment.configuration().sum().backward()  # type: ignore[no-untyped-call]
    assert commitment.weights.grad is not None
    assert commitment.weights.grad[0] == pytest.approx(0.25)


def test_configuration_without_policy_plays_its_only_action() -> None:
    commitment = Configuration([0.5], states=4)
    assert commitment.probabilities().tolist() == [[1.0]] * 4
    assert commitment.sample(np.arange(4), Streams.of(0, 4), 0).tolist() == [0] * 4


def test_configuration_with_policy_plays_it() -> None:
    policy = policies()[1]
    commitment, streams, states = Configuration([0.5], policy=policy), Streams.of(0, 40), np.arange(40) % 4
    assert torch.equal(commitment.probabilities(), policy.probabilities())
    assert (commitment.sample(states, streams, 2) == policy.sample(states, streams, 2)).all()


def test_only_configurations_configure() -> None:
    assert all(policy.configuration() is None for policy in policies())


@pytest.mark.parametrize("commitment", [*policies(), Configuration(np.ones((2, 2)), policy=policies()[0])])
def test_parameters_survive_flattening(commitment: Commitment) -> None:
    vector = flatten(commitment)
    assign(commitment, vector + 1.0)
    assert torch.equal(flatten(commitment), vector + 1.0)
    assign(commitment, vector)
    assert vector.dtype == torch.float64
    assert all(p.requires_grad for p in commitment.parameters())


def test_assigned_vector_is_not_shared() -> None:
    policy = TabularPolicy(GAME)
    vector = torch.ones(12, dtype=torch.float64)
    assign(policy, vector)
    vector += 5.0
    assert torch.equal(flatten(policy), torch.ones(12, dtype=torch.float64))


class Dropped(TabularPolicy):
    """Leaves out logits while it trains; ``always`` even when it does not."""

    always = False

    def log_probabilities(self) -> torch.Tensor:
        return torch.log_softmax(torch.nn.functional.dropout(self.logits, 0.5, self.training or self.always), dim=1)


def test_values_and_play_take_a_commitment_in_evaluation_mode_and_leave_its_mode_as_it_was() -> None:
    logits = np.random.default_rng(0).normal(size=(4, 3))
    plain, dropped = TabularPolicy(GAME, logits), Dropped(GAME, logits)
    assert dropped.training
    with torch.no_grad():
        assert exact.leader_objective(GAME, dropped, 0.1) == exact.leader_objective(GAME, plain, 0.1)
    assert exact.certificate(GAME, dropped, 0.1) == exact.certificate(GAME, plain, 0.1)
    response = TabularResponse(exact.best_response(GAME, dropped, 0.1).policy)
    batches = [rollout(GAME, policy, response, episodes=20, seed=0, stages=20) for policy in (plain, dropped)]
    assert np.array_equal(batches[0].leader_actions, batches[1].leader_actions)
    assert dropped.training


def test_a_commitment_that_draws_when_it_is_evaluated_has_no_value() -> None:
    drawing = Dropped(GAME, np.ones((4, 3)))
    drawing.always = True
    for compute in (exact.leader_objective, exact.best_response, exact.certificate, exact.critics):
        with pytest.raises(InvalidArgumentError, match="Dropped decides otherwise each time"):
            compute(GAME, drawing, 0.1)
    with pytest.raises(InvalidArgumentError, match="decides otherwise"):
        exact.solve(GAME, 0.1, commitment=drawing, starts=1)


def test_numbers_that_are_not_finite_are_refused() -> None:
    policy = TabularPolicy(GAME)
    with torch.no_grad():
        policy.logits[1, 1] = np.nan
    with pytest.raises(InvalidArgumentError, match="not all finite"):
        exact.best_response(GAME, policy, 0.1)
