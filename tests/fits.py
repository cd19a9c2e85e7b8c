"""Which leaders and which followers play which kinds of game: found by letting each of them try."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

import numpy as np

import stackelberg_games as sg
from stackelberg_games.adapters.aec import AECGame
from stackelberg_games.agents.leaders.model_based import ModelBased
from stackelberg_games.envs import discrete_toy_v0
from stackelberg_games.errors import StackelbergError
from stackelberg_games.kinds.linear_quadratic import LinearGaussianGame
from stackelberg_games.representations.algorithm import Algorithm
from tests.embedded import Embedded
from tests.plain_env import Ferry

TEMPERATURE = 0.2


def unseen() -> sg.Game:
    """A finite game whose follower does not see the leader's action."""
    paid = np.array([[[1.0, 0.0], [0.0, 2.0]], [[0.0, 1.0], [1.0, 0.0]]])
    return sg.TabularGame(
        np.full((2, 2, 2, 2), 0.5), paid, paid[::-1], [1.0, 0.0], 0.9, 0.9, horizon=8, follower_sees_action=False
    )


class Points(Embedded):
    """A game of vectors of which nobody knows the exact objective."""

    leader_objective = sg.Game.leader_objective


KINDS: dict[str, Callable[[], sg.Game]] = {
    "finite": lambda: sg.make("discrete_toy-v0"),
    "finite, the follower does not see the move": unseen,
    "finite, configured": lambda: sg.make("warehouse-v0"),
    "finite, configured, and the leader acts too": lambda: sg.make("random_game-v0", configuration_size=2),
    "finite, but for a real leader action": lambda: sg.make("continuous_toy-v0"),
    "finite, judged by pairs of segments": lambda: sg.make("preference_grid-v0", segment=2),
    "linear-quadratic": lambda: sg.make("lqr-v0"),
    "linear-quadratic, configured": lambda: sg.make("thermal_control-v0"),
    "vectors as states, finitely many actions": lambda: Points(discrete_toy_v0.game()),
    "vectors as states, bounded vectors as actions": lambda: sg.make("guided_pendulum-v0"),
    "vectors as states, configured": lambda: sg.make("tax_design-v0", form="continuous"),
    "a plain AEC environment": lambda: AECGame(Ferry, leader_discount=0.9, follower_discount=0.9, horizon=6),
}
"""Kinds of game as the documentation names them, each by an example."""


def partner(game: sg.Game) -> sg.Follower:
    """A follower that plays a game and declares a temperature."""
    if isinstance(game, sg.TabularGame):
        return sg.make_follower("soft_value_iteration", temperature=TEMPERATURE)
    if isinstance(game, LinearGaussianGame):
        return sg.make_follower("maxent_lqr", temperature=TEMPERATURE)
    return sg.make_follower("sb3", budget=32, temperature=TEMPERATURE)


def follower_for(name: str, game: sg.Game) -> sg.Follower:
    """A follower by id, with what it cannot do without."""
    if name == "black_box":
        answer = game.follower_action_space.sample()
        return sg.make_follower(name, stranger=lambda *turn: None if turn[2] or turn[3] else answer)
    return sg.make_follower(name, **({"budget": 32} if name in ("sb3", "soft_dqn") else {}))


def refusal(game: sg.Game, leader: str | sg.Leader, follower: str | sg.Follower) -> StackelbergError | None:
    """Why they cannot play, or None where they do: one update, on two short episodes."""
    try:
        sg.train(game, leader, follower, iterations=1, episodes=2, stages=min(5, game.stages()), evaluate_every=0)
    except StackelbergError as error:
        return error
    return None


@cache
def leader_refusal(kind: str, leader: str) -> StackelbergError | None:
    """Why a leader does not play a kind of game."""
    game = KINDS[kind]()
    vectors = not isinstance(game, sg.TabularGame | LinearGaussianGame)
    unread = vectors and leader in ("stackelberg_actor_critic", "stackelberg_ppo", "lola")
    made = sg.make_leader(leader, **({"reads": "none"} if unread else {}))
    if isinstance(made, Algorithm | ModelBased) and vectors:
        made.representation = {"steps": 1}  # of networks, which are slow
    return refusal(game, made, partner(game))


@cache
def follower_refusal(kind: str, follower: str) -> StackelbergError | None:
    """Why a follower does not play a kind of game."""
    game = KINDS[kind]()
    return refusal(game, "random_search", follower_for(follower, game))
