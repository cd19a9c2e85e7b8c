"""Gymnasium environments whose agent the leader pays."""

from __future__ import annotations

from typing import Any

import gymnasium
import numpy as np
import pytest
import torch
from pettingzoo.test.api_test import api_test

import stackelberg_games as sg
from stackelberg_games import exact
from stackelberg_games.adapters.episodes import episode_seed
from stackelberg_games.adapters.incentives import PaidGame, PaidTables
from stackelberg_games.adapters.payments import FunctionPayments, NetworkPayments, TablePayments
from stackelberg_games.adapters.single import Transition
from stackelberg_games.commitments.tabular import TabularPolicy
from stackelberg_games.errors import (
    InformationError,
    InvalidActionError,
    InvalidArgumentError,
    UnsupportedGameError,
)
from stackelberg_games.numerics.randomness import Lane
from stackelberg_games.rules.commitment import assign, flatten
from stackelberg_games.rules.lever import Stages

BY_STATE = {"kind": "table", "on": "state", "limit": 0.1}
TAU = 0.02


def lake(**settings: Any) -> Any:
    known = {"leader_discount": 0.95, "follower_discount": 0.95, "temperature": TAU, "cost": 0.1}
    return sg.incentives("FrozenLake-v1", **{"payments": BY_STATE, "objective": "reward", **known, **settings})


def tilted(x: Any, states: Any, actions: Any) -> Any:
    return x[0] * torch.from_numpy(np.asarray(states, dtype=np.float64)[..., 2]) + x[1] * torch.from_numpy(
        np.asarray(actions, dtype=np.float64)
    )


def upright(done: Transition) -> float:
    return 1.0 - abs(float(done.next_observation[2]))


def cartpole(payments: Any = None, **settings: Any) -> Any:
    form = FunctionPayments(tilted, 2, -1.0, 1.0) if payments is None else payments
    return sg.incentives("CartPole-v1", form, upright, cost=0.5, horizon=30, **settings)


class Table:
    """A response that plays a table in the observed state."""

    def __init__(self, probabilities: Any) -> None:
        self.probabilities = probabilities

    def reply(self, observations: Any, streams: Any, stage: int) -> Any:
        rows = np.cumsum(self.probabilities[np.asarray(observations)], axis=1)[:, :-1]
        return (streams.uniform(Lane.FOLLOWER, stage) >= rows).sum(axis=1)


def test_the_exact_game_and_the_environment_pay_the_same() -> None:
    game, played = lake(), lake(exact=False)
    assert isinstance(game, PaidTables)
    assert isinstance(played, PaidGame)
    commitment = game.commitment(seed=3, spread=2.0)
    response = exact.best_response(game, commitment, TAU).policy
    replies: Any = Table(response[:, 0])
    batch = sg.rollout(played, commitment, replies, episodes=400, seed=1)
    for side in ("leader", "follower"):
        returns = getattr(batch, f"{side}_returns")(0.95)
        value = getattr(exact, f"{side}_value")(game, commitment, response)
        assert abs(returns.mean() - value) < 4 * returns.std() / np.sqrt(len(returns))


def test_every_payment_is_that_of_the_state_and_action() -> None:
    game = cartpole()
    commitment = game.commitment(seed=1, spread=1.0)
    leaning: Any = Leaning()
    batch = sg.rollout(game, commitment, leaning, episodes=2, seed=5)
    x = commitment.configuration().detach().numpy()
    env: Any = gymnasium.make("CartPole-v1")
    follower_rewards: Any = batch.follower_rewards
    for number in range(2):
        env.reset(seed=episode_seed(5, number))
        for stage in range(batch.lengths[number]):
            before, action = batch.states[number, stage], int(batch.follower_actions[number, stage])
            seen, reward, *_ = env.step(action)
            paid = x[0] * float(before[2]) + x[1] * action
            assert follower_rewards[number, stage] == pytest.approx(float(reward) + paid)
            assert batch.leader_rewards[number, stage] == pytest.approx(1 - abs(float(seen[2])) - 0.5 * paid)
            np.testing.assert_array_equal(batch.states[number, stage + 1], seen)


class Leaning:
    def reply(self, observations: Any, streams: Any, stage: int) -> Any:
        return (np.asarray(observations)[:, 2] > 0).astype(np.int64)


@pytest.mark.parametrize("form", [BY_STATE, {"kind": "table", "budget": 1.0}, NetworkPayments((3,), high=0.2)])
def test_the_exact_hypergradient_is_that_of_finite_differences(form: Any) -> None:
    game = lake(payments=form)
    commitment = game.commitment(seed=0, spread=0.5)
    value = exact.leader_objective(game, commitment, TAU)
    gradient = torch.cat([g.ravel() for g in torch.autograd.grad(value, list(commitment.parameters()))]).numpy()
    at = flatten(commitment)
    direction = np.random.default_rng(0).standard_normal(len(at))

    def moved(step: float) -> float:
        assign(commitment, at + step * torch.from_numpy(direction))
        return float(exact.leader_objective(game, commitment, TAU).detach())

    slope = (moved(1e-5) - moved(-1e-5)) / 2e-5
    assert float(gradient @ direction) == pytest.approx(slope, rel=1e-4)


def test_a_leader_in_frozen_lake_comes_near_the_exact_optimum_from_trajectories() -> None:
    game = lake()
    best = exact.solve(game, TAU, commitment=game.commitment(), starts=4).value
    unpaid = game.commitment(spread=0.0)
    with torch.no_grad():
        unpaid.weights.fill_(-30.0)
    nothing = float(exact.leader_objective(game, unpaid, TAU).detach())
    follower = sg.make_follower("soft_value_iteration", temperature=TAU)
    leader = sg.make_leader("bchg", learning_rate=0.3)
    run = sg.train(game, leader, follower, iterations=500, episodes=10, seed=0, progress=False)
    assert nothing < 0.93 * best
    assert run.value is not None
    assert run.value > 0.98 * best


@pytest.mark.parametrize("leader", ["bchg", "hpgd", "sobirl", "policy_gradient", "evolution_strategies"])
@pytest.mark.parametrize("made", [lambda: lake(exact=False), cartpole, lambda: cartpole(NetworkPayments((4,)))])
def test_leaders_learn_payments_from_trajectories(leader: str, made: Any) -> None:
    game = made()
    game.follower_temperature = 0.1
    before = flatten(game.commitment(0)).numpy()
    follower = sg.make_follower("sb3", algorithm="PPO", budget=64)
    settings = {"pairs": 1} if leader == "evolution_strategies" else {}
    made_leader = sg.make_leader(leader, **settings)
    run = sg.train(game, made_leader, follower, iterations=2, episodes=3, stages=20, seed=0, progress=False)
    after = flatten(run.commitment).numpy()
    assert len(after) == len(before)
    assert np.isfinite(after).all()
    assert (after != before).any()


def test_the_leader_knows_its_payments_only_where_play_has_been() -> None:
    game = cartpole()
    ledger = game.ledger()
    lever = game.view(0.1, ledger).lever
    batch = sg.rollout(game, game.commitment(), Leaning(), episodes=1, seed=0)  # type: ignore[arg-type]
    with pytest.raises(InformationError, match="never observed"):
        lever.terms(torch.zeros(2), Stages.of(batch))
    ledger.reveal(batch)
    terms = lever.terms(torch.tensor([1.0, 0.0], dtype=torch.float64), Stages.of(batch))
    np.testing.assert_allclose(terms.follower_reward.numpy(), batch.states[0, :-1, 2][: batch.lengths[0]], rtol=1e-6)


def test_its_aec_face_opens_with_the_configuration() -> None:
    env = cartpole().env()
    api_test(env, num_cycles=30)  # type: ignore[no-untyped-call]
    env.reset(seed=3)
    assert env.agent_selection == "leader_0"
    with pytest.raises(InvalidActionError, match="expected a configuration in Box"):
        env.step(np.array([7.0, 0.0]))
    env.step(np.array([0.0, 0.75]))
    for _ in range(4):
        assert env.agent_selection == "follower_0"
        env.step(1)
        assert env.rewards["follower_0"] == pytest.approx(1.75)


def test_what_cannot_be_paid_is_refused_when_it_is_made() -> None:
    with pytest.raises(UnsupportedGameError, match="pay by 'action'"):
        sg.incentives("CartPole-v1", "table", "reward")
    with pytest.raises(UnsupportedGameError, match="no dictionary P"):
        sg.incentives("CartPole-v1", {"kind": "table", "on": "action"}, "reward", exact=True)
    with pytest.raises(InvalidArgumentError, match="expected one of table, network, function"):
        sg.incentives("CartPole-v1", "wages", "reward")
    with pytest.raises(InvalidArgumentError, match="no setting 'most'; known: on, "):
        sg.incentives("CartPole-v1", {"kind": "table", "most": 3}, "reward")
    with pytest.raises(InvalidArgumentError, match="cost"):
        sg.incentives("CartPole-v1", "network", "reward", cost=-1.0)
    with pytest.raises(InvalidArgumentError, match="objective"):
        sg.incentives("CartPole-v1", "network", 3)  # type: ignore[arg-type]
    with pytest.raises(InvalidArgumentError, match="bounds in order"):
        TablePayments(limit=0.0)
    with pytest.raises(InvalidArgumentError, match="temperature"):
        lake(temperature=-1.0)
    with pytest.raises(InvalidArgumentError, match="finite number"):
        sg.incentives("CartPole-v1", "network", lambda done: float("nan"))


def test_a_commitment_that_configures_nothing_is_refused() -> None:
    game = lake(exact=False)
    with pytest.raises(UnsupportedGameError, match="needs a configuration"):
        sg.rollout(game, TabularPolicy((16, 1)), Leaning(), episodes=1)  # type: ignore[arg-type]


def test_games_that_are_made_of_names_are_made_again() -> None:
    game = sg.incentives("CartPole-v1", FunctionPayments(tilted, 2), upright, horizon=9)
    assert game.lasting
    assert game.spec is not None
    again = sg.incentives(**game.spec[1])
    assert again.fingerprint() == game.fingerprint()
    other = sg.incentives("CartPole-v1", FunctionPayments(tilted, 2), upright, horizon=9, cost=2.0)
    assert other.fingerprint() != game.fingerprint()
    assert not sg.incentives("CartPole-v1", "network", lambda done: 0.0).lasting
