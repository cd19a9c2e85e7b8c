"""Reference players where the leader sees less than the state, and that they are found once for all followers of a temperature."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

import stackelberg_games as sg
from stackelberg_games.errors import UnsupportedGameError
from stackelberg_games.tournaments import match
from stackelberg_games.tournaments.evaluation import MAX_ENUMERATED, deterministic_commitment, optimal_commitment
from tests.large_games import grid

SHORT = {"seeds": 1, "budget": 40, "episodes": 2, "points": 0}


@pytest.mark.parametrize("most", [MAX_ENUMERATED, 1])
def test_the_best_deterministic_commitment_plays_alike_where_the_leader_sees_the_same(
    most: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("stackelberg_games.tournaments.evaluation.MAX_ENUMERATED", most)
    seen = np.array([0, 1, 0, 1])
    whole = sg.make("random_game-v0", states=4, leader_actions=2)
    assert isinstance(whole, sg.TabularGame)
    game = whole.partially_observed(seen)
    found, _ = deterministic_commitment(game, 0.1, seed=0)

    def worth(actions: tuple[int, ...]) -> float:
        policy = sg.TabularPolicy.from_probabilities(whole, np.eye(2)[np.array(actions)[seen]])
        return float(sg.exact.leader_objective(whole, policy, 0.1).detach())

    best = max(map(worth, itertools.product(range(2), repeat=2)))
    assert float(sg.exact.leader_objective(game, found, 0.1).detach()) == pytest.approx(best, rel=1e-12)


def test_tournaments_have_their_references_in_such_games() -> None:
    results = sg.Tournament("bayesian_matrix-v0", "random_search", "soft_value_iteration", **SHORT).play(progress=False)
    assert not results.failures
    assert not results.missing


def test_nobody_waits_for_references_of_large_games(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("stackelberg_games.tournaments.evaluation.solve", lambda *_, **__: pytest.fail("a search"))
    game = grid(40, horizon=5)
    for find in (optimal_commitment, deterministic_commitment):
        with pytest.raises(UnsupportedGameError, match="6,400 actions in 1,600 states take hours to search"):
            find(game, 0.1, seed=0)


def test_a_reference_is_found_once_for_all_followers_of_a_temperature(monkeypatch: pytest.MonkeyPatch) -> None:
    match._reference_commitment.cache_clear()
    asked: list[float | None] = []

    def solve(game: sg.Game, temperature: float | None, seed: int) -> tuple[sg.Commitment, str]:
        asked.append(temperature)
        return optimal_commitment(game, temperature, seed)

    monkeypatch.setattr(match, "optimal_commitment", solve)
    followers = {
        "a": "soft_value_iteration",
        "b": ("soft_q_learning", {"first_transitions": 10}),
        "c": ("quantal", {"factor": 3.0}),
    }
    results = sg.Tournament("matrix-v0", "random_search", followers, **SHORT).play(progress=False)
    assert not results.failures
    assert len(asked) == len({*asked}) == 2
