"""Games as PettingZoo and Gymnasium environments, and the three constructors that a game module exports."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, Protocol

if TYPE_CHECKING:
    from pettingzoo import AECEnv, ParallelEnv


class Faced(Protocol):
    """A game that has faces."""

    def env(self, render_mode: str | None = None) -> AECEnv[Any, Any, Any]:
        """AEC environment with PettingZoo's wrappers."""

    def raw_env(self, render_mode: str | None = None) -> AECEnv[Any, Any, Any]:
        """AEC environment without wrappers."""

    def parallel_env(
        self, form: Literal["turns", "plan"] = "turns", render_mode: str | None = None
    ) -> ParallelEnv[Any, Any, Any]:
        """Parallel environment."""


class Faces(NamedTuple):
    """``env``, ``raw_env`` and ``parallel_env`` of a game module."""

    env: Callable[..., AECEnv[Any, Any, Any]]
    raw_env: Callable[..., AECEnv[Any, Any, Any]]
    parallel_env: Callable[..., ParallelEnv[Any, Any, Any]]


def faces(factory: Callable[..., Faced]) -> Faces:
    """Derive PettingZoo constructors from a game's factory.

    Each takes ``render_mode``, ``max_cycles`` (the PettingZoo name of the horizon) and the keyword
    arguments of the factory; ``parallel_env`` also takes ``form``.

    Examples:
        >>> import stackelberg_games as sg
        >>> from stackelberg_games.faces import faces
        >>> def game(horizon=20):
        ...     return sg.make("discrete_toy-v0", horizon=horizon)
        >>> env, raw_env, parallel_env = faces(game)
        >>> env(max_cycles=5).possible_agents
        ['leader_0', 'follower_0']
    """

    def make(max_cycles: int | None, settings: dict[str, Any]) -> Faced:
        return factory(**settings) if max_cycles is None else factory(**{**settings, "horizon": max_cycles})

    def env(*, render_mode: str | None = None, max_cycles: int | None = None, **settings: Any) -> Any:
        """AEC environment with PettingZoo's wrappers."""
        return make(max_cycles, settings).env(render_mode)

    def raw_env(*, render_mode: str | None = None, max_cycles: int | None = None, **settings: Any) -> Any:
        """AEC environment without wrappers."""
        return make(max_cycles, settings).raw_env(render_mode)

    def parallel_env(
        *, form: Any = "turns", render_mode: str | None = None, max_cycles: int | None = None, **settings: Any
    ) -> Any:
        """Parallel environment; see ``Game.parallel_env`` for its two forms."""
        return make(max_cycles, settings).parallel_env(form, render_mode)

    return Faces(env, raw_env, parallel_env)
