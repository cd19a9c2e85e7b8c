"""The discrete toys: published best-response returns and the structure of every variant."""

from __future__ import annotations

import numpy as np
import pytest

import stackelberg_games as sg
from stackelberg_games import exact
from stackelberg_games.commitments.tabular import TabularPolicy
from stackelberg_games.envs import discrete_toy_v0
from stackelberg_games.errors import InvalidArgumentError, InvalidGameError, UnknownIdError
from stackelberg_games.kinds.finite import TabularGame
from stackelberg_games.play.rollout import TabularResponse, rollout

S, A, B = range(3)
STAY, TO_A, TO_B = range(3)

# (follower, leader) returns over the horizon when the leader always plays 0, and always 1
PUBLISHED: dict[str, tuple[tuple[float, float], tuple[float, float]]] = {
    "1_1a": ((50, -50), (50, 50)),
    "1_1b": ((50, 0), (50, 50)),
    "1_2a": ((250, -50), (375, 75)),
    "1_2b": ((250, 0), (375, 75)),
    "1_2c": ((250, -50), (375, 75)),
    "1_2d": ((250, -50), (375, 75)),
    "1_2e": ((250, -50), (375, 75)),
    "1_2f": ((250, -50), (404, 75)),
    "1_2g": ((250, 50), (404, 150)),
    "2_1": ((150, -50), (150, 50)),
    "2_2": ((150, 0), (150, 50)),
    "3_1a": ((75, -75), (-50, 50)),
    "3_1b": ((75, 0), (-50, 50)),
    "3_2": ((1500, 0), (75, 75)),
    "4": ((100, 50), (75, 0)),
}


def best_response_returns(game: TabularGame, action: int) -> tuple[float, float]:
    """Undiscounted returns of follower and leader when the leader always plays ``action``."""
    policy = TabularPolicy.from_probabilities(game, np.eye(2)[[action] * 3])
    response = TabularResponse(exact.best_response(game, policy, 0.0).policy)
    batch = rollout(game, policy, response, episodes=1)
    return float(batch.follower_returns()[0]), float(batch.leader_returns()[0])


def test_every_variant_has_published_returns() -> None:
    assert set(PUBLISHED) == set(discrete_toy_v0.VARIANTS)


@pytest.mark.parametrize("variant", PUBLISHED)
@pytest.mark.parametrize("action", [0, 1])
def test_best_responses_earn_the_published_returns(variant: str, action: int) -> None:
    game = discrete_toy_v0.game(variant)
    assert best_response_returns(game, action) == pytest.approx(PUBLISHED[variant][action], abs=0.5)


def test_best_responses_of_the_richer_fourth_variant_earn_the_published_returns() -> None:
    game = discrete_toy_v0.game("4", R=2.0)
    assert [best_response_returns(game, action) for action in (0, 1)] == [(150, 50), (75, 0)]


@pytest.mark.parametrize("variant", ["1_2f", "1_2g"])
@pytest.mark.parametrize("discount", [0.99, 0.97])
def test_indifferent_variants_flip_where_both_cycles_earn_the_same(variant: str, discount: float) -> None:
    game = discrete_toy_v0.game(variant, follower_discount=discount)
    # S-A-S pays p X, 3; S-A-B-S pays p X, 8, -3: equal where p X = 5 / discount + 2 - 6 discount
    flip = (5 / discount + 2 - 6 * discount) / discrete_toy_v0.INDIFFERENT

    def move_at_a(p: float) -> list[int]:
        policy = TabularPolicy.from_probabilities(game, [[1 - p, p], [0.5, 0.5], [0.5, 0.5]])
        moves: list[int] = exact.best_response(game, policy, 0.0).policy[A].argmax(axis=1).tolist()
        return moves

    assert move_at_a(flip - 0.001) == move_at_a(0.01) == [TO_B, TO_B]
    assert move_at_a(flip + 0.001) == move_at_a(0.99) == [STAY, STAY]


@pytest.mark.parametrize("variant", PUBLISHED)
def test_every_variant_moves_surely_among_three_states(variant: str) -> None:
    game = discrete_toy_v0.game(variant)
    assert game.transition.shape == (3, 2, 3, 3)
    assert set(np.unique(game.transition)) == {0.0, 1.0}
    assert game.initial_distribution.tolist() == [1.0, 0.0, 0.0]
    assert game.horizon == (100 if variant.startswith("1_1") else 150)
    assert game.state_labels == ["S", "A", "B"]
    assert not game.terminal.any()


def test_fourth_variant_is_the_published_table() -> None:
    game = discrete_toy_v0.game("4", R=7.0)
    rows = {
        (S, 0, TO_A): (A, 1, 1),
        (S, 1, TO_A): (A, 1, 1),
        (S, 0, TO_B): (B, 1, 0),
        (S, 1, TO_B): (B, 1, 0),
        (A, 0, STAY): (S, 0, 0),
        (A, 0, TO_B): (B, 7, 0),
        (B, 0, STAY): (S, 0, 0),
        (B, 1, STAY): (S, 0, 0),
        **{(A, 1, b): (S, -1, 0) for b in range(3)},
    }
    for cell in np.ndindex(3, 2, 3):
        target, follower, leader = rows.get(cell, (cell[0], 0, 0))
        assert game.transition[cell].argmax() == target
        assert [float(game.follower_reward[cell]), float(game.leader_reward[cell])] == [follower, leader]


def test_settings_reach_the_game() -> None:
    game = discrete_toy_v0.game("2_1", leader_discount=0.5, follower_discount=0.6, follower_sees_action=False)
    assert (game.leader_discount, game.follower_discount, game.follower_sees_action) == (0.5, 0.6, False)
    assert discrete_toy_v0.game(horizon=None).horizon is None
    assert discrete_toy_v0.game("1_1a", horizon=7).horizon == 7


def test_unknown_variants_are_refused_with_a_suggestion() -> None:
    with pytest.raises(UnknownIdError, match="'1_2h'; did you mean '1_2"):
        discrete_toy_v0.game("1_2h")
    with pytest.raises(UnknownIdError, match="'1_2h'"):
        sg.make("discrete_toy-v0", variant="1_2h")


@pytest.mark.parametrize(
    ("settings", "named"),
    [
        ({"horizon": -3}, "horizon=-3"),
        ({"horizon": 0}, "horizon=0"),
        ({"follower_discount": 1.0}, "follower_discount=1.0"),
    ],
)
def test_bad_settings_are_refused_by_value(settings: dict[str, float], named: str) -> None:
    with pytest.raises(InvalidGameError, match=named):
        sg.make("discrete_toy-v0", **settings)


def test_unknown_settings_are_refused_by_name() -> None:
    with pytest.raises(InvalidArgumentError, match="variants"):
        sg.make("discrete_toy-v0", variants="4")
