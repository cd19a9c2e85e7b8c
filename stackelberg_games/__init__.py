"""Two-player Stackelberg Markov games for PettingZoo.

A leader commits; a follower sees the commitment and best-responds by its own learning; the leader
sees only the trajectories that come out, and improves its commitment.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from stackelberg_games._version import __version__
from stackelberg_games.registry import (
    followers,
    games,
    leaders,
    make,
    make_follower,
    make_leader,
    mirror,
    register,
)

if TYPE_CHECKING:
    from stackelberg_games import exact, hypergradient
    from stackelberg_games.commitment import Configuration, MLPPolicy, TabularPolicy
    from stackelberg_games.conformance import check_game
    from stackelberg_games.diagnostics import gradient_check
    from stackelberg_games.faces.aec_game import AECGame
    from stackelberg_games.faces.gym_env import best_response_env
    from stackelberg_games.faces.padding import homogenize
    from stackelberg_games.faces.vector import vector_env
    from stackelberg_games.follower import Follower
    from stackelberg_games.game import Game, LeaderView
    from stackelberg_games.information import Evidence, Information
    from stackelberg_games.leader import GradientLeader, Leader
    from stackelberg_games.play import TabularResponse, rollout
    from stackelberg_games.run import Run
    from stackelberg_games.tabular import Tables, TabularGame
    from stackelberg_games.training import train
    from stackelberg_games.trajectories import Trajectories

_LAZY = {
    "AECGame": "faces.aec_game",
    "Configuration": "commitment",
    "Evidence": "information",
    "Follower": "follower",
    "Game": "game",
    "GradientLeader": "leader",
    "Information": "information",
    "Leader": "leader",
    "LeaderView": "game",
    "MLPPolicy": "commitment",
    "Results": "tournaments.results",
    "Run": "run",
    "TabularGame": "tabular",
    "TabularPolicy": "commitment",
    "TabularResponse": "play",
    "Tables": "tabular",
    "Tournament": "tournaments.tournament",
    "Trajectories": "trajectories",
    "best_response_env": "faces.gym_env",
    "check_game": "conformance",
    "exact": "",
    "gradient_check": "diagnostics",
    "homogenize": "faces.padding",
    "hypergradient": "",
    "rollout": "play",
    "train": "training",
    "vector_env": "faces.vector",
}

__all__ = [
    "AECGame",
    "Configuration",
    "Evidence",
    "Follower",
    "Game",
    "GradientLeader",
    "Information",
    "Leader",
    "LeaderView",
    "MLPPolicy",
    "Results",
    "Run",
    "Tables",
    "TabularGame",
    "TabularPolicy",
    "TabularResponse",
    "Tournament",
    "Trajectories",
    "__version__",
    "best_response_env",
    "check_game",
    "exact",
    "followers",
    "games",
    "gradient_check",
    "homogenize",
    "hypergradient",
    "leaders",
    "make",
    "make_follower",
    "make_leader",
    "register",
    "rollout",
    "train",
    "vector_env",
]


def __getattr__(name: str) -> Any:
    """Import heavy modules (torch, numba) on first use only."""
    if name not in _LAZY:
        raise AttributeError(f"module 'stackelberg_games' has no attribute {name!r}")
    if not _LAZY[name]:
        return importlib.import_module(f"stackelberg_games.{name}")
    value = getattr(importlib.import_module(f"stackelberg_games.{_LAZY[name]}"), name)
    globals()[name] = value  # a submodule of the same name must not shadow it
    return value


def __dir__() -> list[str]:
    return __all__


def _mirror_games() -> None:
    for game in games():
        mirror(game)


_mirror_games()
