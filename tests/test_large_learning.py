"""Learning in large finite games: the same estimates as with arrays of counts, of the states seen alone."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

import stackelberg_games as sg
from stackelberg_games import exact
from stackelberg_games.errors import UnsupportedGameError
from stackelberg_games.kinds.configurable import ConfigurableGame
from stackelberg_games.kinds.finite import Tables, TabularGame
from stackelberg_games.learning.information import Evidence
from stackelberg_games.representations import seen, visits
from stackelberg_games.representations.configured_counts import ConfiguredEstimator
from tests.large_games import grid, random_lists

SETTINGS: tuple[dict[str, Any], ...] = (
    {"leader_discount": 0.9, "follower_discount": 0.9},
    {"leader_discount": 0.8, "follower_discount": 0.9, "follower_sees_action": False},
    {"leader_discount": 1.0, "follower_discount": 0.7, "horizon": 8},
)


def _ending(**settings: Any) -> TabularGame:
    successors, probability, leader, follower = random_lists(2, (40, 2, 3, 3))
    terminal = np.arange(40) == 7
    start = np.where(np.arange(40) < 5, 0.2, 0.0)
    return TabularGame.from_successors(successors, probability, leader, follower, start, terminal=terminal, **settings)


def _learned(game: TabularGame, name: str, settings: dict[str, Any]) -> tuple[Any, ...]:
    """Two estimates and what two updates make of the commitment."""
    ledger = game.ledger()
    leader: Any = sg.make_leader(name, **settings)
    view = game.view(0.3, ledger)
    leader.begin(view, seed=1)
    found = []
    for update in range(3):
        answer = exact.best_response(game, leader.commitment, 0.3)
        policy = sg.TabularResponse(np.array(answer.policy))
        batch = sg.rollout(game, leader.commitment, policy, episodes=20, stages=min(8, game.stages()), seed=update)
        if ledger is not None:
            ledger.reveal(batch)
        evidence = Evidence(batch.leader_returns(game.leader_discount), batch, policy, answer)
        found.append(leader.estimate(evidence).numpy())
        leader.update(evidence)
        if update == 1:
            leader.load_state_dict(leader.state_dict())
    return *found, torch.nn.utils.parameters_to_vector(leader.commitment.parameters()).detach().numpy()


@pytest.mark.parametrize("settings", SETTINGS)
@pytest.mark.parametrize(
    ("name", "chosen"),
    [("bchg", {}), ("bchg", {"reads": "policy"}), ("bchg", {"reads": "values"}), ("hpgd", {}), ("policy_gradient", {})],
)
def test_the_states_seen_are_enough(
    settings: dict[str, Any], name: str, chosen: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    game = _ending(**settings)
    dense = _learned(game, name, chosen)
    monkeypatch.setattr(visits, "DENSE_BYTES", 0)
    for expected, found in zip(dense, _learned(game, name, chosen), strict=True):
        assert found == pytest.approx(expected, abs=1e-8 * (1 + np.abs(expected).max()))


@pytest.mark.parametrize("moves", [True, False])
@pytest.mark.parametrize("constant_base", [True, False])
def test_configured_counts_are_the_same_in_lists(
    moves: bool, constant_base: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    successors, probability, leader, follower = random_lists(5, (30, 1, 3, 3))
    successors = (np.arange(30)[:, None, None, None] + [1, 5, 11] + np.arange(3)[:, None]) % 30  # each listed once
    tables = [torch.tensor(table) for table in (probability, leader, follower)]

    def configure(x: torch.Tensor) -> Tables:
        chances: Any = torch.softmax(tables[0].log() + x[0] * torch.arange(3), dim=-1).reshape(-1)
        charge = x[1:].repeat(15)[:, None, None]
        return Tables(chances if moves else game.base.transition, tables[1] - 0.1 * charge, tables[2] + charge)

    game = ConfigurableGame.from_successors(
        successors,
        probability,
        leader,
        follower,
        np.full(30, 1 / 30),
        size=3,
        configure=configure,
        constant_base=constant_base,
        leader_discount=0.9,
        follower_discount=0.9,
    )
    dense = _learned(game, "bchg", {})
    monkeypatch.setattr(visits, "DENSE_BYTES", 0)
    leader_of_lists: Any = sg.make_leader("bchg")
    leader_of_lists.begin(game.view(0.3, game.ledger()), seed=1)
    assert isinstance(leader_of_lists.learned.counts, ConfiguredEstimator)
    assert isinstance(leader_of_lists.learned.counts.visits, visits.ListedVisits)
    for expected, found in zip(dense, _learned(game, "bchg", {}), strict=True):
        assert found == pytest.approx(expected, abs=1e-8 * (1 + np.abs(expected).max()))


def test_large_tables_move_only_in_the_rows_that_were_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(seen, "LAZY", 0)
    game = grid(80, leader_discount=0.9, follower_discount=0.9)
    run = sg.train(
        game, "bchg", sg.make_follower("soft_value_iteration", temperature=0.2), iterations=3, episodes=4, stages=10
    )
    (logits,) = run.commitment.parameters()
    moved = (logits.detach().numpy() != 0).any(axis=1)
    assert 0 < int(moved.sum()) <= 3 * 4 * 10
    assert np.isfinite(logits.detach().numpy()).all()


@pytest.mark.parametrize("name", ["lola", "model_based", "stackelberg_actor_critic"])
def test_leaders_that_need_the_array_of_counts_refuse_large_games(name: str) -> None:
    with pytest.raises(UnsupportedGameError, match="6400 states is too large"):
        sg.make_leader(name).begin(grid(80).view(0.1))


def test_counts_in_a_list() -> None:
    counted = visits.ListedVisits()
    assert counted.of(np.array([3])).tolist() == [0.0]
    rng = np.random.default_rng(0)
    shape, table = (5, 2, 3), np.zeros((5, 2, 3, 5))
    for _ in range(4):
        stages = sg.rules.lever.Stages(*(rng.integers(0, n, size=20) for n in (*shape, 5)))
        np.add.at(table, tuple(np.asarray(part, dtype=np.int64) for part in stages), 1.0)
        counted.add(counted.keys_of(stages, shape))
    assert (counted.counts == table[table > 0]).all()
    assert (np.stack(np.nonzero(table.reshape(-1, 5))) == [counted.cells, counted.successors]).all()
