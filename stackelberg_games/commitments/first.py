"""Where leaders start: the uniform policy or the middle of the range, or the game's first configuration."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import gymnasium

from stackelberg_games.commitments.gaussian import bounded, first_policy, random_gain
from stackelberg_games.commitments.mlp import MLPPolicy
from stackelberg_games.commitments.networks import first_network
from stackelberg_games.commitments.tabular import TabularPolicy
from stackelberg_games.errors import InvalidArgumentError
from stackelberg_games.rules.commitment import Commitment
from stackelberg_games.rules.view import LeaderView


def usual_commitment(view: LeaderView, seed: int) -> Commitment:
    """The first commitment of a leader that asks nothing of it.

    The uniform policy, as a table or, where states are vectors, linear in them; the game's
    configuration; or, where actions are real, what ``first_policy`` gives.
    """
    if view.lever is not None:
        return view.lever.commitment(seed)
    if isinstance(view.leader_action_space, gymnasium.spaces.Box):
        return first_policy(view, seed)
    return first_network(view, (), seed) if isinstance(view.state_space, gymnasium.spaces.Box) else TabularPolicy(view)


def first_commitment(view: LeaderView, seed: int, settings: Mapping[str, Any]) -> Commitment:
    """The first commitment of a leader that estimates gradients: one whose decision has a derivative.

    Args:
        view: of the game.
        seed: of its parameters.
        settings: ``hidden``, widths of the layers of a network, where the leader acts; ``spread``, deviation of
            the first parameters around zero, where it configures the game.

    Raises:
        InvalidArgumentError: a setting is not one of this game's.
        UnsupportedGameError: a space is of a kind that no commitment plays.
    """
    name = "hidden" if view.lever is None else "spread"
    for given in settings:
        if given != name:
            what = "acts at every stage" if view.lever is None else "configures the game"
            raise InvalidArgumentError(
                f"start.{given}: there is no such setting where the leader {what}; it has {name}"
            )
    if view.lever is not None:
        return view.lever.commitment(seed, settings.get("spread"))
    hidden = tuple(settings.get("hidden", ()))
    if all(isinstance(space, gymnasium.spaces.Discrete) for space in spaces_of(view)):
        return MLPPolicy(view, hidden, seed) if hidden else TabularPolicy(view)
    return random_gain(view, seed) if linear_spaces(view) and not hidden else first_network(view, hidden, seed)


def spaces_of(view: LeaderView) -> tuple[gymnasium.Space[Any], ...]:
    """Those of states, leader actions and follower actions."""
    return view.state_space, view.leader_action_space, view.follower_action_space


def linear_spaces(view: LeaderView) -> bool:
    """Whether a linear-quadratic game could have these spaces: flat Boxes, with actions without bounds."""
    flat = all(isinstance(space, gymnasium.spaces.Box) and len(space.shape) == 1 for space in spaces_of(view))
    return flat and not any(_limited(space) for space in spaces_of(view)[1:])


def _limited(space: gymnasium.Space[Any]) -> bool:
    assert isinstance(space, gymnasium.spaces.Box)
    return bool(bounded(space) or space.bounded_below.any() or space.bounded_above.any())
