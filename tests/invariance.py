"""What the exact functions say of a game and of the same game in other words, and by how much they differ.

Differences are in units of what decides a result: the spread of the rewards that play can meet, added up over the
stages that count, and for responses and slopes the follower's spread over its temperature.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch

from stackelberg_games import exact
from stackelberg_games.arrays import FloatArray
from stackelberg_games.errors import UnsupportedGameError
from stackelberg_games.exact.hard_response import hard_response
from stackelberg_games.exact.response import Arrays
from stackelberg_games.kinds.conditioning import reachable
from tests.random_games import gradient
from tests.same_games import Change, Instance, annuity

TOLERANCE = 1e-9
SMALLEST = 0.125
"""The step of the rewards; where they are all equal, nothing is decided, and results are held to this."""

EPSILON = float(np.finfo(float).eps)


def spreads(instance: Instance) -> tuple[float, float]:
    """By how much values of the leader and of the follower can differ for what they do."""
    entered = reachable(instance.transition, instance.initial, instance.terminal)
    ends = bool(instance.terminal[entered].any())
    ranges = []
    for table in (instance.leader[entered], instance.follower[entered]):
        ranges.append(max(SMALLEST, float(np.abs(table).max() if ends else np.ptp(table))))
    entropy = instance.temperature * np.log(instance.shape[2])
    return ranges[0] * annuity(instance), (ranges[1] + entropy) / (1 - instance.discounts[1])


Result = tuple[str, FloatArray | float, float]


def hard_results(change: Change) -> Iterator[Result]:
    """Of hard responses and strong optima."""
    instance = change.instance
    game = instance.game
    policy = instance.commitment(game)
    solved = exact.best_response(game, policy, 0.0)
    assert solved.error is not None
    values = change.follower_values(solved.values)
    yield "hard values", values, _lost(solved.values, change.units[1])
    value = exact.leader_value(game, policy, solved.policy)
    yield "leader's value, hard", change.leader_value(value), _lost(value, change.units[0])
    with torch.no_grad():
        weak = hard_response(Arrays.of(game, game.model(policy)), "against")
    value = exact.leader_value(game, policy, weak.policy)
    yield "leader's value, ties against", change.leader_value(value), _lost(value, change.units[0])
    try:
        strong = exact.solve(game, 0.0)
    except UnsupportedGameError:
        return
    yield "strong optimum", change.leader_value(strong.value), _lost(strong.value, change.units[0])
    again = exact.leader_value(game, strong.commitment, exact.best_response(game, strong.commitment, 0.0).policy)
    yield "strong optimum played", change.leader_value(again), _lost(again, change.units[0])


def soft_results(change: Change) -> Iterator[Result]:
    """Of soft responses."""
    instance, tau = change.instance, change.instance.temperature
    game = instance.game
    policy = instance.commitment(game)
    solved = exact.best_response(game, policy, tau)
    yield "soft values", change.follower_values(solved.values), _lost(solved.values, change.units[1])
    yield "soft response", change.response(solved.policy), 0.0
    objective = exact.leader_objective(game, policy, tau)
    slopes = gradient(policy, objective).reshape(policy.logits.shape)
    value = float(objective.detach())
    yield "leader's objective", change.leader_value(value), _lost(value, change.units[0])
    yield "hypergradient", change.slopes(slopes), 0.0
    value = exact.leader_value(game, policy, solved.policy)
    yield "leader's value, soft", change.leader_value(value), _lost(value, change.units[0])
    value = exact.follower_value(game, policy, solved.policy, tau)
    lifted = change.offsets[1] / (1 - instance.discounts[1])
    yield "follower's value", (value - lifted) / change.units[1], _lost(value, change.units[1])


def _lost(result: FloatArray | float, unit: float) -> float:
    """What a result cannot say for the rounding of itself, in the old game's units."""
    return 8 * EPSILON * float(np.abs(result).max()) / unit


def results(change: Change, *, soft: bool) -> list[Result]:
    """Name, result in terms of the old game, and what rounding of offsets and units costs it at most."""
    return list(soft_results(change) if soft else hard_results(change))


def deviations(original: Instance, before: list[Result], after: list[Result]) -> dict[str, float]:
    """Differences by result, in units of what decides it; above ``TOLERANCE`` they are too large.

    Args:
        original: the old game.
        before, after: results of it and of the changed game.
    """
    leader, follower = spreads(original)
    heat = max(1.0, follower / original.temperature)
    sizes = {"hard values": follower, "soft values": follower, "follower's value": follower, "soft response": heat}
    sizes["hypergradient"] = leader * heat
    entered = reachable(original.transition, original.initial, original.terminal)
    found = {}
    assert len(before) == len(after), "answered in one form and refused in the other"
    for (name, one, lost), (other_name, two, other_lost) in zip(before, after, strict=True):
        assert name == other_name
        if isinstance(one, np.ndarray) and name != "hypergradient":
            assert isinstance(two, np.ndarray)
            one, two = one[entered], two[entered]
        gap = float(np.abs(np.asarray(one) - np.asarray(two)).max())
        found[name] = max(0.0, gap - lost - other_lost) / sizes.get(name, leader)
    return found
