"""Two-player Stackelberg Markov games for PettingZoo.

A leader commits; a follower sees the commitment and best-responds by its own learning; the leader
sees only the trajectories that come out, and improves its commitment.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from stackelberg_games._version import __version__
from stackelberg_games.learning.registry import (
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
    from stackelberg_games.adapters.adapt import adapt
    from stackelberg_games.adapters.aec import AECGame
    from stackelberg_games.adapters.design import design
    from stackelberg_games.adapters.incentives import incentives
    from stackelberg_games.commitments.configuration import Configuration
    from stackelberg_games.commitments.mlp import MLPPolicy
    from stackelberg_games.commitments.parametrisation import Bounded, Budgeted, Plain
    from stackelberg_games.commitments.tabular import TabularPolicy
    from stackelberg_games.conformance import check_game
    from stackelberg_games.faces.padding import homogenize
    from stackelberg_games.faces.vector import vector_env
    from stackelberg_games.kinds.configurable import ConfigurableGame
    from stackelberg_games.kinds.finite import TabularGame
    from stackelberg_games.kinds.game import Game, best_response_env
    from stackelberg_games.kinds.tables import Tables
    from stackelberg_games.kinds.vector import VectorGame
    from stackelberg_games.learning.ascent import GradientAscent, GradientLeader
    from stackelberg_games.learning.diagnostics import gradient_check
    from stackelberg_games.learning.follower import Follower
    from stackelberg_games.learning.information import Evidence, Information
    from stackelberg_games.learning.leader import Leader
    from stackelberg_games.learning.preferences import preferences
    from stackelberg_games.learning.run import Run
    from stackelberg_games.learning.training import train
    from stackelberg_games.play.rollout import TabularResponse, rollout
    from stackelberg_games.representations.algorithm import Algorithm
    from stackelberg_games.representations.protocol import Representation, Values
    from stackelberg_games.rules.commitment import Commitment
    from stackelberg_games.rules.rules import Step
    from stackelberg_games.rules.trajectories import Trajectories
    from stackelberg_games.rules.view import LeaderView

_LAZY = {
    "AECGame": "adapters.aec",
    "Algorithm": "representations.algorithm",
    "Bounded": "commitments.parametrisation",
    "Budgeted": "commitments.parametrisation",
    "Commitment": "rules.commitment",
    "ConfigurableGame": "kinds.configurable",
    "Configuration": "commitments.configuration",
    "Evidence": "learning.information",
    "Follower": "learning.follower",
    "Game": "kinds.game",
    "GradientAscent": "learning.ascent",
    "GradientLeader": "learning.ascent",
    "Information": "learning.information",
    "Leader": "learning.leader",
    "LeaderView": "rules.view",
    "MLPPolicy": "commitments.mlp",
    "Plain": "commitments.parametrisation",
    "Representation": "representations.protocol",
    "Results": "tournaments.results",
    "Run": "learning.run",
    "Step": "rules.rules",
    "SweepResults": "tournaments.sweep_results",
    "Tables": "kinds.tables",
    "TabularGame": "kinds.finite",
    "TabularPolicy": "commitments.tabular",
    "TabularResponse": "play.rollout",
    "Tournament": "tournaments.tournament",
    "Trajectories": "rules.trajectories",
    "Values": "representations.protocol",
    "VectorGame": "kinds.vector",
    "adapt": "adapters.adapt",
    "best_response_env": "kinds.game",
    "check_game": "conformance",
    "design": "adapters.design",
    "exact": "",
    "gradient_check": "learning.diagnostics",
    "homogenize": "faces.padding",
    "hypergradient": "",
    "incentives": "adapters.incentives",
    "preferences": "learning.preferences",
    "rollout": "play.rollout",
    "sweep": "tournaments.sweep",
    "train": "learning.training",
    "vector_env": "faces.vector",
}

__all__ = [
    "AECGame",
    "Algorithm",
    "Bounded",
    "Budgeted",
    "Commitment",
    "ConfigurableGame",
    "Configuration",
    "Evidence",
    "Follower",
    "Game",
    "GradientAscent",
    "GradientLeader",
    "Information",
    "Leader",
    "LeaderView",
    "MLPPolicy",
    "Plain",
    "Representation",
    "Results",
    "Run",
    "Step",
    "SweepResults",
    "Tables",
    "TabularGame",
    "TabularPolicy",
    "TabularResponse",
    "Tournament",
    "Trajectories",
    "Values",
    "VectorGame",
    "__version__",
    "adapt",
    "best_response_env",
    "check_game",
    "design",
    "exact",
    "followers",
    "games",
    "gradient_check",
    "homogenize",
    "hypergradient",
    "incentives",
    "leaders",
    "make",
    "make_follower",
    "make_leader",
    "preferences",
    "register",
    "rollout",
    "sweep",
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
