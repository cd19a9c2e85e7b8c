"""Ground truth of finite games: responses, objectives, hypergradients and optima."""

from stackelberg_games.critics import CriticTables
from stackelberg_games.objective import (
    StateValues,
    best_response,
    critics,
    differentiable_values,
    follower_value,
    leader_objective,
    leader_value,
)
from stackelberg_games.optimum import Solution, solve
from stackelberg_games.response import Response

__all__ = [
    "CriticTables",
    "Response",
    "Solution",
    "StateValues",
    "best_response",
    "critics",
    "differentiable_values",
    "follower_value",
    "leader_objective",
    "leader_value",
    "solve",
]
