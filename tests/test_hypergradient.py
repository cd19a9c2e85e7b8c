"""The estimator is unbiased, its cheap forms agree, and the test of that can fail."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from scipy.sparse import csr_matrix
from torch import Tensor

from stackelberg_games import exact, hypergradient
from stackelberg_games.arrays import FloatArray
from stackelberg_games.errors import InvalidArgumentError
from stackelberg_games.exact.critics import CriticTables
from stackelberg_games.hypergradient import Coefficients, StageCritics, Tails
from stackelberg_games.play.rollout import TabularResponse, rollout
from stackelberg_games.rules.lever import Terms
from stackelberg_games.rules.trajectories import Trajectories
from tests.checks import look_uniform, mean_p_value
from tests.random_games import HYPERGRADIENT_GAMES, Case, case, gradient

EPISODES = 100_000
POWER_GAMES = range(24)


@dataclass(frozen=True)
class Sample:
    """Episodes of a case with exact critics at every stage."""

    case: Case
    tables: CriticTables
    batch: Trajectories
    critics: StageCritics

    @property
    def configured(self) -> bool:
        return self.case.commitment.configuration() is not None

    @property
    def settings(self) -> dict[str, Any]:
        game = self.case.game
        return {
            "leader_discount": game.leader_discount,
            "follower_discount": game.follower_discount,
            "temperature": self.case.temperature,
            "follower_sees_action": game.follower_sees_action,
        }


def sample(which: Case, episodes: int) -> Sample:
    tables = exact.critics(which.game, which.commitment, which.temperature)
    response = TabularResponse(tables.response)
    batch = rollout(which.game, which.commitment, response, episodes=episodes, seed=which.index, stages=which.stages)
    configured = which.commitment.configuration() is not None
    return Sample(which, tables, batch, tables.at(batch, transitions=configured))


def differentiable_tables(which: Case) -> dict[str, Tensor]:
    """Every table through which theta enters the surrogate, by the field of ``Coefficients`` it meets."""
    model = which.game.model(which.commitment)
    values = exact.differentiable_values(which.game, which.commitment, which.temperature)
    alive = which.game.alive_tensor
    tables = {
        "policy": model.policy.log(),
        "leader_tail": values.leader * alive * (which.game.horizon is None),
        "follower_tail": values.follower * alive,
    }
    if which.commitment.configuration() is not None:
        tables["leader_reward"], tables["follower_reward"] = model.leader_reward, model.follower_reward
        tables["log_transition"] = torch.where(model.transition > 0, model.transition, 1.0).log()
    return tables


def jacobian(table: Tensor, parameters: Sequence[Tensor]) -> FloatArray:
    """Derivatives of every entry of a table, ``[entries, parameters]``."""
    size = table.numel()
    if not table.requires_grad:
        return np.zeros((size, sum(p.numel() for p in parameters)))
    seeds = torch.eye(size, dtype=torch.float64).reshape(size, *table.shape)
    parts = torch.autograd.grad(table, parameters, seeds, retain_graph=True, is_grads_batched=True, allow_unused=True)
    blocks = [
        np.zeros((size, p.numel())) if part is None else part.reshape(size, -1).numpy()
        for p, part in zip(parameters, parts, strict=True)
    ]
    return np.concatenate(blocks, axis=1)


def stage_terms(drawn: Sample, weights: Coefficients) -> dict[str, tuple[NDArray[Any], NDArray[Any]]]:
    """Weight and index of every stage (or end) for each differentiable table."""
    batch, game = drawn.batch, drawn.case.game
    s, following = batch.states[:, :-1], batch.states[:, 1:]
    pair = s * game.leader_actions + batch.leader_actions
    cell = pair * game.follower_actions + batch.follower_actions
    last = batch.states[np.arange(batch.episodes), batch.lengths][:, None]
    terms = {
        "policy": (weights.direct_policy + weights.response_policy, pair),
        "leader_tail": ((game.leader_discount**batch.lengths)[:, None], last),
        "follower_tail": (weights.carry[:, None], last),
    }
    if drawn.configured:
        terms["leader_reward"] = (weights.leader_reward, cell)
        terms["follower_reward"] = (weights.follower_reward, cell)
        terms["log_transition"] = (weights.log_transition, cell * game.states + following)
    return terms


def episode_gradients(drawn: Sample, weights: Coefficients) -> FloatArray:
    """The estimate of every single episode, ``[N, parameters]``: the surrogate is linear in the tables."""
    tables = differentiable_tables(drawn.case)
    parameters = list(drawn.case.commitment.parameters())
    total = np.zeros((drawn.batch.episodes, sum(p.numel() for p in parameters)))
    for name, (weight, index) in stage_terms(drawn, weights).items():
        rows = np.arange(len(weight) + 1) * weight.shape[1]
        shape = (len(weight), tables[name].numel())
        total += csr_matrix((weight.ravel(), index.ravel(), rows), shape=shape) @ jacobian(tables[name], parameters)
    return total


@cache
def exact_gradient(index: int) -> FloatArray:
    return case(index).gradient()


def p_value(drawn: Sample, weights: Coefficients) -> float:
    return mean_p_value(episode_gradients(drawn, weights), exact_gradient(drawn.case.index))


def right(drawn: Sample) -> Coefficients:
    return hypergradient.coefficients(drawn.batch, drawn.critics, **drawn.settings)


def test_estimator_is_unbiased_on_random_games_in_every_channel() -> None:
    p_values = []
    for index in range(HYPERGRADIENT_GAMES):
        drawn = sample(case(index), EPISODES)
        p_values.append(p_value(drawn, right(drawn)))
    assert look_uniform(p_values), p_values


def test_random_games_vary_in_every_trait() -> None:
    cases = [case(index) for index in range(HYPERGRADIENT_GAMES)]
    traits = [
        (
            c.game.horizon is None,
            bool(c.game.terminal.any()),
            c.game.follower_sees_action,
            c.commitment.configuration() is not None,
        )
        for c in cases
    ]
    for k in range(4):
        assert sum(trait[k] for trait in traits) >= 10
        assert sum(not trait[k] for trait in traits) >= 10
    assert {0 if x is None else len(x) for c in cases for x in [c.commitment.configuration()]} == {0, 1, 2, 3}
    assert {c.game.states for c in cases} == {2, 3, 4, 5}


def no_response(drawn: Sample) -> Coefficients:
    critics = replace(drawn.critics, benefit=np.zeros_like(drawn.critics.benefit))
    return hypergradient.coefficients(drawn.batch, critics, **drawn.settings)


def before_for_after(drawn: Sample) -> Coefficients:
    """u where w belongs, in the terms of the rewards and of the transitions."""
    weights, tau = right(drawn), drawn.case.temperature
    missed = drawn.case.game.leader_discount ** np.arange(drawn.batch.stages) * drawn.critics.benefit / tau
    missed = missed * drawn.batch.mask
    following = drawn.critics.follower_next_value
    beyond = 0.0 if following is None else missed * drawn.case.game.follower_discount * following
    return weights._replace(
        follower_reward=weights.follower_reward - missed, log_transition=weights.log_transition - beyond
    )


def baseline_of_b(drawn: Sample) -> Coefficients:
    """An advantage QL(s, a, b) - sum_a' f(a'|s) QL(s, a', b)."""
    q = drawn.tables.leader_q
    advantage = q - (drawn.tables.policy[:, :, None] * q).sum(axis=-2, keepdims=True)
    batch = drawn.batch
    index: tuple[Any, ...] = (batch.states[:, :-1], batch.leader_actions, batch.follower_actions)
    if q.ndim == 4:
        index = (len(q) - 1 - np.arange(batch.stages)[None, :], *index)
    critics = replace(drawn.critics, leader_advantage=advantage[index])
    return hypergradient.coefficients(batch, critics, **drawn.settings)


def wrong_temperature(drawn: Sample) -> Coefficients:
    return hypergradient.coefficients(drawn.batch, drawn.critics, **{**drawn.settings, "temperature": 1.5})


def wrong_sight(drawn: Sample) -> Coefficients:
    settings = {**drawn.settings, "follower_sees_action": True}
    return hypergradient.coefficients(drawn.batch, drawn.critics, **settings)


def forgetful(drawn: Sample) -> Coefficients:
    return hypergradient.coefficients(drawn.batch, drawn.critics, **drawn.settings, trace_decay=0.5)


def no_follower_tail(drawn: Sample) -> Coefficients:
    weights = right(drawn)
    return weights._replace(carry=np.zeros_like(weights.carry))


def everything(_: Case) -> bool:
    return True


def configured(which: Case) -> bool:
    return which.commitment.configuration() is not None


def seeing(which: Case) -> bool:
    return which.game.follower_sees_action and which.game.leader_actions > 1


def blind(which: Case) -> bool:
    return not which.game.follower_sees_action


def short(which: Case) -> bool:
    return which.stages < 8 and which.game.follower_discount > 0.5


@pytest.mark.parametrize(
    ("planted", "concerned"),
    [
        (no_response, everything),
        (before_for_after, configured),
        (baseline_of_b, seeing),
        (wrong_temperature, everything),
        (wrong_sight, blind),
        (forgetful, everything),
        (no_follower_tail, short),
    ],
)
def test_unbiasedness_test_rejects_planted_errors(
    planted: Callable[[Sample], Coefficients], concerned: Callable[[Case], bool]
) -> None:
    cases = [c for c in map(case, POWER_GAMES) if concerned(c)]
    drawn = [sample(c, EPISODES // 4) for c in cases]
    assert look_uniform([p_value(d, right(d)) for d in drawn])
    assert not look_uniform([p_value(d, planted(d)) for d in drawn])


def surrogate(drawn: Sample, **changes: Any) -> Tensor:
    """The library's own scalar, from terms read off stage by stage."""
    tables, batch = differentiable_tables(drawn.case), drawn.batch
    states, a, b = map(torch.tensor, (batch.states, batch.leader_actions, batch.follower_actions))
    s, following = states[:, :-1], states[:, 1:]
    rows = {"policy": (s, a), "log_transition": (s, a, b, following)}
    terms = {
        name: tables[name][rows.get(name, (s, a, b))] if name in tables else None
        for name in ("policy", "leader_reward", "follower_reward", "log_transition")
    }
    log_policy = terms.pop("policy")
    assert log_policy is not None
    last = torch.from_numpy(batch.states[np.arange(batch.episodes), batch.lengths])
    tails = Tails(tables["leader_tail"][last], tables["follower_tail"][last])
    return hypergradient.covariance(
        batch, Terms(log_policy, **terms), drawn.critics, **{**drawn.settings, "tails": tails, **changes}
    )


@pytest.mark.parametrize("index", range(20))
def test_gradient_of_surrogate_is_the_mean_of_the_episodes_estimates(index: int) -> None:
    drawn = sample(case(index), 50)
    expected = episode_gradients(drawn, right(drawn)).mean(axis=0)
    found = gradient(drawn.case.commitment, surrogate(drawn))
    assert found == pytest.approx(expected, rel=1e-9, abs=1e-9)


def test_surrogate_without_tails_leaves_exactly_their_terms_out() -> None:
    drawn = sample(case(1), 50)
    tables, batch = differentiable_tables(drawn.case), drawn.batch
    last = batch.states[np.arange(batch.episodes), batch.lengths]
    beyond = (torch.from_numpy(right(drawn).carry) * tables["follower_tail"][last]).mean()
    commitment = drawn.case.commitment
    difference = gradient(commitment, surrogate(drawn)) - gradient(commitment, surrogate(drawn, tails=None))
    assert np.abs(difference).max() > 1e-6
    assert difference == pytest.approx(gradient(commitment, beyond), rel=1e-9, abs=1e-12)


@pytest.mark.parametrize("index", [0, 3, 4, 9, 13, 15])
def test_collapsed_table_has_the_same_gradient_as_the_stages(index: int) -> None:
    drawn = sample(case(index), 50)
    weights, batch = right(drawn), drawn.batch
    policy = drawn.case.game.model(drawn.case.commitment).policy.log()
    total = weights.direct_policy + weights.response_policy
    table = hypergradient.collapse(total, batch, *policy.shape)
    visited = policy[torch.tensor(batch.states[:, :-1]), torch.tensor(batch.leader_actions)]
    stages = (torch.from_numpy(total) * visited).sum() / batch.episodes
    commitment = drawn.case.commitment
    by_table = gradient(commitment, (torch.from_numpy(table) * policy).sum())
    assert by_table == pytest.approx(gradient(commitment, stages), rel=1e-10, abs=1e-12)


def test_traces_equal_the_nested_sums_of_their_definition() -> None:
    benefit = np.random.default_rng(1).normal(size=(4, 9))
    lengths, gl, gf = np.array([9, 1, 4, 7]), 0.8, 0.6
    before, after, carry = hypergradient.traces(benefit, lengths, gl, gf)
    for i, length in enumerate(lengths):
        for t in range(9):
            earlier = sum(gf ** (t - k) * gl**k * benefit[i, k] for k in range(t)) if t < length else 0.0
            assert before[i, t] == pytest.approx(earlier)
            assert after[i, t] == pytest.approx(earlier + gl**t * benefit[i, t] if t < length else 0.0)
        assert carry[i] == pytest.approx(sum(gf ** (length - k) * gl**k * benefit[i, k] for k in range(length)))


def test_traces_of_whole_numbers_are_not_rounded() -> None:
    benefit, lengths = np.array([[1, 2, -1]]), np.array([3])
    whole = hypergradient.traces(benefit, lengths, 0.5, 0.5)
    for found, expected in zip(whole, hypergradient.traces(benefit.astype(float), lengths, 0.5, 0.5), strict=True):
        assert found.tolist() == expected.tolist()


@pytest.mark.parametrize("lengths", [[4, 4], [4.0], [5], [[4]]])
def test_traces_refuse_lengths_that_do_not_fit(lengths: Any) -> None:
    with pytest.raises(InvalidArgumentError, match=r"benefit has shape \(1, 4\): expected \[N, T\], and N lengths"):
        hypergradient.traces(np.ones((1, 4)), lengths, 0.9, 0.9)


def test_padding_has_no_weight() -> None:
    drawn = next(d for d in (sample(case(i), 200) for i in range(1, 40, 2)) if not d.batch.mask.all())
    for weights in right(drawn)[:5]:
        assert not weights[~drawn.batch.mask].any()


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"temperature": 0.0}, "temperature=0.0"),
        ({"temperature": -1.0}, "temperature=-1.0"),
        ({"temperature": float("nan")}, "temperature=nan"),
        ({"trace_decay": 1.5}, "trace_decay=1.5"),
        ({"trace_decay": -0.1}, "trace_decay=-0.1"),
    ],
)
def test_coefficients_reject_parameters_out_of_range(changes: dict[str, float], named: str) -> None:
    drawn = sample(case(0), 3)
    with pytest.raises(InvalidArgumentError, match=named):
        hypergradient.coefficients(drawn.batch, drawn.critics, **{**drawn.settings, **changes})


def test_coefficients_name_the_critic_of_the_wrong_shape() -> None:
    drawn = sample(case(0), 3)
    short_critics = replace(drawn.critics, leader_advantage=np.zeros((3, 2)))
    with pytest.raises(InvalidArgumentError, match=r"leader_advantage has shape \(3, 2\)"):
        hypergradient.coefficients(drawn.batch, short_critics, **drawn.settings)


def test_configured_transitions_need_next_values() -> None:
    drawn = sample(case(2), 3)
    assert drawn.configured
    lacking = replace(drawn, critics=replace(drawn.critics, leader_next_value=None))
    with pytest.raises(InvalidArgumentError, match="leader_next_value"):
        surrogate(lacking)


def test_estimate_does_not_depend_on_how_episodes_are_batched() -> None:
    drawn = sample(case(3), 60)
    parts = [
        gradient(
            drawn.case.commitment,
            surrogate(replace(drawn, batch=part, critics=drawn.tables.at(part, transitions=drawn.configured))),
        )
        for part in (drawn.batch[:20], drawn.batch[20:])
    ]
    whole = gradient(drawn.case.commitment, surrogate(drawn))
    assert (parts[0] + 2 * parts[1]) / 3 == pytest.approx(whole, rel=1e-9)


def test_surrogate_of_frozen_trajectories_raises_no_warning() -> None:
    drawn = sample(case(1), 5)
    torch.set_warn_always(True)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            surrogate(drawn)
    finally:
        torch.set_warn_always(False)


def pieces(drawn: Sample, size: int, count: int) -> list[Sample]:
    """The first ``count`` batches of ``size`` episodes."""
    return [
        replace(drawn, batch=drawn.batch[k * size : (k + 1) * size], critics=cut(drawn.critics, k * size, size))
        for k in range(count)
    ]


def cut(critics: StageCritics, first: int, size: int) -> StageCritics:
    chosen = slice(first, first + size)
    leader, follower = (
        None if values is None else values[chosen]
        for values in (critics.leader_next_value, critics.follower_next_value)
    )
    return StageCritics(
        critics.benefit[chosen], critics.leader_advantage[chosen], critics.follower_advantage[chosen], leader, follower
    )


def centred(drawn: Sample) -> Coefficients:
    return hypergradient.coefficients(drawn.batch, drawn.critics, **drawn.settings, centre=True)


def centred_on_all(drawn: Sample) -> Coefficients:
    """Traces less the mean over all episodes, their own included."""
    plain, others = right(drawn), centred(drawn)
    parts = {
        name: getattr(plain, name) + (getattr(others, name) - getattr(plain, name)) * 0.5
        for name in ("response_policy", "follower_reward", "log_transition")
    }
    half_own = hypergradient.traces(
        drawn.critics.benefit, drawn.batch.lengths, drawn.case.game.leader_discount, drawn.case.game.follower_discount
    )[1].mean(axis=1, keepdims=True)
    shift = 0.5 * half_own / drawn.case.temperature * drawn.batch.mask
    return plain._replace(**{**parts, "follower_reward": parts["follower_reward"] - shift})


def batch_p_value(drawn: Sample, estimate: Callable[[Sample], Coefficients], size: int, count: int) -> float:
    """The z-test over batches, for estimates in which the episodes of one batch depend on each other."""
    weights = Coefficients(*map(np.concatenate, zip(*map(estimate, pieces(drawn, size, count)), strict=True)))
    whole = replace(drawn, batch=drawn.batch[: size * count])
    gradients = episode_gradients(whole, weights).reshape(count, size, -1).mean(axis=1)
    return mean_p_value(gradients, exact_gradient(drawn.case.index))


def test_centred_traces_leave_the_estimate_unbiased_in_the_smallest_batches() -> None:
    drawn = [sample(case(index), 4_000) for index in range(12)]
    assert look_uniform([batch_p_value(d, centred, 2, 2_000) for d in drawn])
    concerned = [d for d in drawn if d.configured]
    assert not look_uniform([batch_p_value(d, centred_on_all, 2, 2_000) for d in concerned])


def test_centring_cancels_a_constant_follower_term_within_a_batch() -> None:
    drawn = next(d for d in (sample(case(i), 7) for i in range(40)) if d.batch.mask.all() and d.case.stages > 3)
    left = [float(np.abs(weights.follower_reward.sum())) for weights in (right(drawn), centred(drawn))]
    assert left[0] > 1e-3
    assert left[1] < 1e-12


def test_room_that_nobody_used_changes_no_weight() -> None:
    which = next(c for c in map(case, range(99)) if sample(c, 20).batch.terminated.all())
    drawn = sample(which, 20)
    longest = int(drawn.batch.lengths.max())
    assert longest < drawn.batch.stages
    names = ("states", "leader_actions", "follower_actions", "leader_rewards", "follower_rewards")
    cuts: dict[str, Any] = {name: getattr(drawn.batch, name)[:, : longest + (name == "states")] for name in names}
    kept: dict[str, Any] = {name: part[:, :longest] for name, part in vars(drawn.critics).items() if part is not None}
    small = replace(drawn, batch=replace(drawn.batch, **cuts, horizon=drawn.batch.stages), critics=StageCritics(**kept))
    assert (small.batch.stages, small.batch.horizon) == (longest, drawn.batch.stages)
    for weights in (right, centred):
        for name, expected in weights(drawn)._asdict().items():
            found = getattr(weights(small), name)
            assert found == pytest.approx(expected[:, :longest] if expected.ndim == 2 else expected, rel=1e-12), name


def test_centring_needs_two_episodes() -> None:
    with pytest.raises(InvalidArgumentError, match="at least 2 episodes"):
        centred(sample(case(0), 1))


def all_action_gradients(drawn: Sample, size: int, count: int) -> FloatArray:
    """Estimates of batches in which the leader's drawn action is replaced by its expectation."""
    which, policy = drawn.case, drawn.case.game.model(drawn.case.commitment).policy.log()
    slopes = jacobian(policy, list(which.commitment.parameters()))
    rest = right(drawn)._replace(direct_policy=np.zeros(1), response_policy=np.zeros(drawn.batch.leader_rewards.shape))
    beyond = episode_gradients(drawn, rest).reshape(count, size, -1).mean(axis=1)
    settings = {k: v for k, v in drawn.settings.items() if k != "follower_sees_action"}
    tables = []
    for piece in pieces(drawn, size, count):
        influence = hypergradient.influence(piece.batch, piece.critics.benefit, **settings)
        direct = drawn.tables.direct_weights(piece.batch, which.game.leader_discount)
        tables.append((direct + drawn.tables.response_weights(piece.batch, influence)).ravel())
    return np.asarray(np.stack(tables) @ slopes + beyond)


def test_all_action_forms_are_unbiased_and_vary_less() -> None:
    p_values, ratios = [], []
    for index in (i for i in range(HYPERGRADIENT_GAMES) if not configured(case(i))):
        drawn = sample(case(index), 8_000)
        found = all_action_gradients(drawn, 5, 1_600)
        p_values.append(mean_p_value(found, exact_gradient(index)))
        plain = episode_gradients(drawn, right(drawn)).reshape(1_600, 5, -1).mean(axis=1)
        ratios.append(found.var(axis=0).sum() / plain.var(axis=0).sum())
    assert len(p_values) >= 10
    assert look_uniform(p_values)
    assert max(ratios) < 1.1
    assert np.median(ratios) < 0.9
