"""Matrix games: payoffs, moves and what is refused."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import stackelberg_games as sg
from stackelberg_games import exact
from stackelberg_games.commitments.tabular import TabularPolicy
from stackelberg_games.envs import matrix_v0
from stackelberg_games.errors import InvalidArgumentError, InvalidGameError, UnknownIdError
from stackelberg_games.play.rollout import TabularResponse, rollout


@pytest.mark.parametrize("preset", matrix_v0.PRESETS)
def test_presets_hold_their_payoffs_in_one_state(preset: str) -> None:
    leader, follower = map(np.asarray, matrix_v0.PRESETS[preset])
    game = matrix_v0.game(preset)
    assert (game.leader_reward[0] == leader).all()
    assert (game.follower_reward[0] == follower).all()
    assert (game.states, game.horizon, game.follower_sees_action) == (1, 1, False)


@pytest.mark.parametrize("preset", matrix_v0.PRESETS)
def test_strong_value_is_attained_by_the_solution_and_beats_every_pure_commitment(preset: str) -> None:
    game = matrix_v0.game(preset)
    found = exact.solve(game, 0.0)
    pure = []
    for row in np.eye(game.leader_actions):
        policy = TabularPolicy.from_probabilities(game, row[None])
        response = exact.best_response(game, policy, 0.0).policy
        pure.append(exact.leader_value(game, policy, response))
    assert exact.leader_value(game, found.commitment, found.response) == pytest.approx(found.value)
    assert found.value >= max(pure) - 1e-9


def test_pure_commitments_of_the_published_games_are_worth_what_is_published() -> None:
    for preset, value in (("letchford", 2.0), ("maintain", 20.0), ("escape", 30.0)):
        leader, follower = (np.asarray(side, dtype=float) for side in matrix_v0.PRESETS[preset])
        tied = np.where(follower == follower.max(axis=1, keepdims=True), leader, -np.inf)
        assert tied.max() == value
        game = matrix_v0.game(preset)
        policy = TabularPolicy.from_probabilities(game, np.eye(len(leader))[[int(tied.max(axis=1).argmax())]])
        response = exact.best_response(game, policy, 0.0).policy
        assert exact.leader_value(game, policy, response) == pytest.approx(value)


def test_follower_answers_the_mixture_by_default_and_the_row_if_it_sees_it() -> None:
    leader, follower = [[0.0, 1.0], [1.0, 0.0]], [[1.0, 0.0], [0.0, 1.0]]
    rows = []
    for sees in (False, True):
        game = matrix_v0.game(leader=leader, follower=follower, follower_sees_action=sees)
        policy = TabularPolicy.from_probabilities(game, [[0.7, 0.3]])
        rows.append(exact.best_response(game, policy, 0.0).policy[0].argmax(axis=1).tolist())
    assert rows == [[0, 0], [0, 1]]


def test_rounds_are_independent_and_undiscounted() -> None:
    game = matrix_v0.game("letchford", horizon=5)
    policy = TabularPolicy.from_probabilities(game, [[0.25, 0.75]])
    response = exact.best_response(game, policy, 0.2)
    once = float(policy.probabilities().detach().numpy()[0] @ (response.policy[0] * game.leader_reward[0]).sum(axis=1))
    assert exact.leader_objective(game, policy, 0.2).item() == pytest.approx(5 * once)
    batch = rollout(game, policy, TabularResponse.uniform(game), episodes=3)
    assert batch.stages == 5
    assert not batch.terminated.any()


@pytest.mark.parametrize(
    ("settings", "named"),
    [
        ({"leader": [[1.0]]}, "together"),
        ({"follower": [[1.0]]}, "together"),
        ({"leader": [[1.0, 2.0]], "follower": [[1.0]]}, r"\(1, 2\) and \(1, 1\)"),
        ({"leader": [1.0], "follower": [1.0]}, r"\(1,\) and \(1,\)"),
        ({"leader": [[1.0, np.nan]], "follower": [[1.0, 2.0]]}, "nan"),
        ({"leader": [[1.0, 2.0], [3.0]], "follower": [[1.0, 2.0], [3.0, 4.0]]}, "leader"),
        ({"leader": [["a"]], "follower": [[1.0]]}, "leader"),
        ({"horizon": 0}, "horizon=0"),
        ({"horizon": None}, "horizon=None"),
    ],
)
def test_bad_payoffs_are_refused(settings: dict[str, Any], named: str) -> None:
    with pytest.raises((InvalidGameError, InvalidArgumentError), match=named):
        matrix_v0.game(**settings)


def test_unknown_presets_are_refused_with_a_suggestion() -> None:
    with pytest.raises(UnknownIdError, match="'letchfrod'; did you mean 'letchford'"):
        sg.make("matrix-v0", preset="letchfrod")


def test_unknown_settings_are_refused_by_name() -> None:
    with pytest.raises(InvalidArgumentError, match="leaders"):
        sg.make("matrix-v0", leaders=[[1.0]])
