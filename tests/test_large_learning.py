"""Learning in large finite games: the same estimates as with arrays of counts, of the states seen alone."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import pytest
import torch
from gymnasium.spaces import Discrete
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

import stackelberg_games as sg
from stackelberg_games import exact
from stackelberg_games.errors import UnsupportedGameError
from stackelberg_games.kinds.configurable import ConfigurableGame
from stackelberg_games.kinds.finite import Tables, TabularGame
from stackelberg_games.learning.information import Evidence
from stackelberg_games.representations import seen, tally, visits
from stackelberg_games.representations.configured_counts import ConfiguredEstimator
from stackelberg_games.representations.counts import TabularEstimator
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


def test_what_a_batch_cannot_come_to_is_left_out_without_a_trace(monkeypatch: pytest.MonkeyPatch) -> None:
    game = grid(12, leader_discount=0.9, follower_discount=0.9)
    policy = sg.TabularPolicy(game, np.random.default_rng(0).normal(size=(game.states, 4)))
    response = sg.TabularResponse(exact.best_response(game, policy, 0.3).policy)
    leaders: list[Any] = []
    for limit in (visits.DENSE_BYTES, 0):
        monkeypatch.setattr(visits, "DENSE_BYTES", limit)
        leaders.append(sg.make_leader("bchg"))
        leaders[-1].begin(game.view(0.3), seed=1, commitment=policy)
    whole, some = leaders
    for update in range(6):
        batch = sg.rollout(game, policy, response, episodes=3, stages=4, seed=update)
        evidence = Evidence(batch.leader_returns(0.9), batch)
        expected, found = (leader.estimate(evidence).numpy() for leader in leaders)
        assert found == pytest.approx(expected, abs=1e-10 * np.abs(expected).max())
        if update == 3:
            some.load_state_dict(some.state_dict())
    assert len(some.learned.near) < 0.7 * len(some.learned.numbers)
    counts, tally, numbers = whole.learned.counts, some.learned.tally, some.learned.numbers
    assert (tally.totals[: len(numbers)] == counts.totals[numbers]).all()
    assert tally.times.sum() == counts.visits.sum() == 6 * 3 * 4
    assert len(tally.state_dict()["keys"]) == np.count_nonzero(counts.visits)


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


def test_large_tables_move_only_in_the_rows_that_a_batch_can_come_to(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(seen, "LAZY", 0)
    game = grid(80, leader_discount=0.9, follower_discount=0.9)
    run = sg.train(
        game, "bchg", sg.make_follower("soft_value_iteration", temperature=0.2), iterations=3, episodes=4, stages=10
    )
    (logits,) = run.commitment.parameters()
    moved = (logits.detach().numpy() != 0).any(axis=1)
    assert 0 < int(moved.sum()) <= 3 * 4 * 10
    assert np.isfinite(logits.detach().numpy()).all()


def test_counts_outgrow_the_room_they_had(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tally, "ROOM", 1)
    rng, counted = np.random.default_rng(3), tally.Tally((2, 3), 0.5)
    view = replace(grid(12).view(), leader_action_space=Discrete(2), follower_action_space=Discrete(3))
    view = replace(view, state_space=Discrete(19))
    kept, excerpt = TabularEstimator(view, 0.5), tally.Excerpt(view, 0.5)
    for states in (4, 5, 19):
        counted.grow(states)
        for _ in range(3):
            played, lengths = (rng.integers(0, n, size=(2, 8)) for n in (states, 2, 3)), np.array([7, 5])
            entered, *acted = played
            rewards = rng.normal(size=(2, 2, 7)) * (np.arange(7) < lengths[:, None])
            batch = sg.Trajectories(
                entered, acted[0][:, 1:], acted[1][:, 1:], rewards[0], rewards[1], lengths, lengths < 7
            )
            counted.add(batch, batch.states)
            kept.observe(batch)
    following = counted.following(np.arange(19))
    assert (np.sort(following) == np.arange(19)).all()
    order = rng.permutation(19)  # of the states in the excerpt
    numbers = counted.gather(order, excerpt, np.array([[4, 0], [18, 4]]))
    assert (order[numbers] == [[4, 0], [18, 4]]).all()
    kept_times = kept.counted[order][..., order]
    for name in ("totals", "recent", "leader_rewards", "follower_rewards", "alive"):
        assert getattr(excerpt, name) == pytest.approx(getattr(kept, name)[order], rel=1e-13), name
    first, successors, given = excerpt.listed
    cells = np.repeat(np.arange(len(first) - 1), np.diff(first))
    sorting = np.lexsort((successors, cells))
    assert (np.stack([cells, successors])[:, sorting] == np.stack(np.nonzero(kept_times.reshape(-1, 19)))).all()
    shares = kept_times / np.maximum(kept.totals[order], 1)[..., None] * kept.alive[order]
    assert given[sorting] == pytest.approx(shares[kept_times > 0], rel=1e-15)
    assert excerpt.kernel().dense == pytest.approx(shares, rel=1e-15)


@given(
    st.lists(
        st.tuples(
            *(
                arrays(np.int64, shape, elements=st.integers(0, most - 1))
                for most, shape in ((12, (2, 4)), (2, (2, 3)), (3, (2, 3)))
            )
        ),
        min_size=1,
        max_size=8,
    ),
    st.integers(0, 7),
)
@settings(deadline=None)
def test_counts_are_those_of_a_dictionary_whatever_order_states_come_in(played: list[Any], stored: int) -> None:
    counted, times = tally.Tally((2, 3), 0.5), Counter[tuple[int, ...]]()
    numbers, code, rewards = np.zeros(0, dtype=np.int64), np.full(12, -1), np.ones((2, 3))
    for update, (states, leader, follower) in enumerate(played):
        batch = sg.Trajectories(states, leader, follower, rewards, None, np.full(2, 3), np.zeros(2, dtype=np.bool_))
        new = np.setdiff1d(states, numbers)
        with mock.patch.object(tally, "ROOM", 1):
            numbers = np.concatenate([numbers, new])
            code[numbers] = np.arange(len(numbers))
            counted.grow(len(numbers))
            counted.add(batch, code[states])
        parts = (states[:, :-1], leader, follower, states[:, 1:])
        times.update(zip(*(part.ravel().tolist() for part in parts), strict=True))
        if update == stored:
            kept, counted = counted.state_dict(), tally.Tally((2, 3), 0.5)
            counted.load_state_dict(kept)
    begun = set(played[-1][0].ravel().tolist())
    while more := {n for s, _, _, n in times if s in begun} - begun:
        begun |= more
    near = np.sort(numbers[counted.following(code[played[-1][0]])])
    assert near.tolist() == sorted(begun)
    view = replace(grid(12).view(), leader_action_space=Discrete(2), follower_action_space=Discrete(3))
    excerpt = tally.Excerpt(replace(view, state_space=Discrete(len(near))), 0.5)
    assert (near[counted.gather(code[near], excerpt, code[states])] == states).all()
    first, successors, shares = excerpt.listed
    cells = np.unravel_index(np.repeat(np.arange(len(first) - 1), np.diff(first)), excerpt.shape)
    listed = (near[cells[0]], *cells[1:], near[successors])
    found = dict(
        zip(zip(*(part.tolist() for part in listed), strict=True), shares * excerpt.totals[cells], strict=True)
    )
    assert found == pytest.approx({key: count for key, count in times.items() if key[0] in begun})
    assert len(successors) == len(found)
    assert (excerpt.leader_rewards == excerpt.totals).all()


@pytest.mark.parametrize("name", ["bchg", "hpgd", "policy_gradient"])
def test_a_training_in_a_large_game_goes_on_to_the_same_numbers(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(visits, "DENSE_BYTES", 0)
    game = grid(12, leader_discount=0.95, follower_discount=0.95)

    def trained(iterations: int, **settings: Any) -> Any:
        return sg.train(game, name, "soft_value_iteration", iterations=iterations, episodes=6, seed=0, **settings)

    whole = trained(20).commitment.probabilities()
    for iterations in (3, 8, 20):
        run = trained(iterations, directory=tmp_path / "run")
    assert (run.commitment.probabilities() == whole).all()


def test_a_policy_in_some_states_is_the_policy_as_it_stands() -> None:
    policy = sg.TabularPolicy((6, 3), np.random.default_rng(0).normal(size=(6, 3)))
    some = seen.AtStates(policy, np.array([1, 4]), sparse=False)
    for moved in (0.0, 0.5):
        assert some.probabilities().detach().numpy() == pytest.approx(policy.probabilities()[[1, 4]].detach().numpy())
        with torch.no_grad():
            policy.logits[4, 0] += moved
        for _ in range(2):
            found = some.log_probabilities()
            assert found.requires_grad
            assert found.detach().numpy() == pytest.approx(policy.log_probabilities()[[1, 4]].detach().numpy())


@pytest.mark.parametrize("name", ["lola", "model_based", "stackelberg_actor_critic", "stackelberg_ppo"])
def test_leaders_that_need_the_array_of_counts_refuse_large_games(name: str) -> None:
    message = r"6400 states is too large for what this leader learns, 5\.2 GB as an array \[6400, 4, 4, 6400\]"
    with pytest.raises(UnsupportedGameError, match=message):
        sg.make_leader(name).begin(grid(80).view(0.1))


@pytest.mark.parametrize("name", ["contextual", "lola", "model_based", "stackelberg_actor_critic", "stackelberg_ppo"])
def test_they_refuse_large_games_that_are_configured_before_anything_is_played(name: str) -> None:
    game = sg.make("tiled_rooms-v0", tiles=7)
    with pytest.raises(UnsupportedGameError, match=r"too large for what this leader learns, .* GB as an array"):
        sg.make_leader(name).begin(game.view(0.1, game.ledger()))


@pytest.mark.parametrize("configured", [True, False])
def test_the_bilevel_actor_critic_learns_alike_in_arrays_and_in_lists(
    configured: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    learned = []
    for most in (visits.DENSE_BYTES, 0):
        monkeypatch.setattr(visits, "DENSE_BYTES", most)
        game = sg.make("tiled_rooms-v0", tiles=1) if configured else grid(5, leader_discount=0.9, horizon=20)
        follower = sg.make_follower("soft_value_iteration", temperature=0.1)
        run = sg.train(game, "bi_actor_critic", follower, iterations=3, episodes=4, progress=False)
        learned.append(torch.cat([part.detach().ravel() for part in run.commitment.parameters()]).numpy())
    assert np.abs(learned[0]).max() > 0
    assert learned[1] == pytest.approx(learned[0], abs=1e-7)


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
