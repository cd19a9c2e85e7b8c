import itertools
from typing import Any

import numpy as np
import pytest

import stackelberg_games as sg
from stackelberg_games.errors import InvalidArgumentError
from stackelberg_games.representations.finite_advantage import _sarsa

SMALL = "xxxxxxx\nxS   Gx\nx xxx x\nx  T  x\nxxxxxxx"
TEMPERATURE = 0.02


def check(leader: str, episodes: int, batches: int = 30, **settings: Any) -> Any:
    game = sg.make("four_rooms-v0", plan=SMALL, discount=0.9)
    lever = game.view().lever
    assert lever is not None
    follower = sg.make_follower("soft_value_iteration", temperature=TEMPERATURE)
    made = sg.make_leader(leader, **settings)
    return sg.gradient_check(
        game, made, follower, commitment=lever.commitment(0, 1.0), batches=batches, episodes=episodes, seed=1
    )


@pytest.mark.parametrize(
    ("leader", "settings"),
    [("hpgd", {}), ("hpgd", {"estimation": "td"}), ("sobirl", {}), ("bchg", {})],
)
def test_the_bias_of_each_estimate_fades_with_data(leader: str, settings: dict[str, Any]) -> None:
    few, many = check(leader, 10, **settings), check(leader, 800, **settings)
    naive = check("policy_gradient", 800, 2).relative_bias
    assert many.relative_bias < 0.5 * few.relative_bias
    assert many.relative_bias < 0.5 * naive
    assert many.cosine > 0.95


def test_one_step_scores_of_sobirl_vanish_where_rewards_do_not_depend_on_the_action() -> None:
    truncated, naive = check("sobirl", 40, 3, truncated=True), check("policy_gradient", 40, 3)
    np.testing.assert_allclose(truncated.estimates, naive.estimates, atol=1e-10)
    assert np.abs(check("sobirl", 40, 3).estimates - naive.estimates).max() > 1e-3


def test_an_oracle_of_restarts_is_of_class_model_and_needs_no_visits_of_its_own() -> None:
    leader = sg.make_leader("hpgd", estimation="oracle")
    assert leader.information is sg.Information.MODEL
    assert sg.make_leader("hpgd").information is sg.Information.TRAJECTORIES
    oracle = check("hpgd", 10, estimation="oracle", oracle_transitions=100_000, batches=10)
    assert oracle.relative_deviation < 0.3 * check("hpgd", 10, batches=10).relative_deviation
    assert oracle.cosine > 0.9


def test_one_step_of_sarsa() -> None:
    table = np.array([0.0, 2.0])
    _sarsa(np.array([0, 1]), np.array([1, -1]), np.array([1.0, 5.0]), 0.5, 0.9, table)
    np.testing.assert_allclose(table, [0.5 * (1 + 0.9 * 2), 2 + 0.5 * (5 - 2)])


def test_sarsa_carries_its_table_from_update_to_update() -> None:
    game = sg.make("four_rooms-v0", plan=SMALL)
    leader = sg.make_leader("hpgd", estimation="sarsa", sarsa_step=0.3)
    tables = []
    follower = sg.make_follower("soft_value_iteration", temperature=TEMPERATURE)

    def keep(record: Any, who: Any) -> None:
        tables.append(who.learned.sarsa.copy())

    sg.train(game, leader, follower, iterations=3, episodes=1, stages=10, seed=1, callbacks=[keep])
    changed = [int((one != other).sum()) for one, other in itertools.pairwise(tables)]
    assert all(1 <= count <= 10 for count in changed)  # only the stages of the last batch moved


@pytest.mark.parametrize(
    "settings",
    [{"estimation": "x"}, {"estimation": "sarsa", "sarsa_step": 0.0}, {"sarsa_step": 0.3}, {"oracle_transitions": 5}],
)
def test_bad_settings_are_refused(settings: dict[str, Any]) -> None:
    with pytest.raises(InvalidArgumentError):
        sg.make_leader("hpgd", **settings)
