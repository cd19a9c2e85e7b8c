"""Ground truth of finite games: responses, objectives, hypergradients and optima."""

from stackelberg_games.exact.certificate import Certificate, certificate
from stackelberg_games.exact.critics import CriticTables
from stackelberg_games.exact.objective import (
    StateValues,
    best_response,
    differentiable_values,
    leader_objective,
    leader_value,
)
from stackelberg_games.exact.optimum import Solution, solve
from stackelberg_games.exact.preference import PreferenceRows, PreferenceValues, preference, preference_rows
from stackelberg_games.exact.response import Response
from stackelberg_games.exact.twins import twin_objective
from stackelberg_games.exact.values import critics, follower_value

__all__ = [
    "Certificate",
    "CriticTables",
    "PreferenceRows",
    "PreferenceValues",
    "Response",
    "Solution",
    "StateValues",
    "best_response",
    "certificate",
    "critics",
    "differentiable_values",
    "follower_value",
    "leader_objective",
    "leader_value",
    "preference",
    "preference_rows",
    "solve",
    "twin_objective",
]
