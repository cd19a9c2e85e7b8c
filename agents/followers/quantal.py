"""A soft follower whose leaders are told the wrong temperature."""

from __future__ import annotations

from dataclasses import dataclass

from stackelberg_games.agents.followers.soft_value_iteration import SoftValueIteration
from stackelberg_games.errors import InvalidArgumentError


@dataclass
class Quantal(SoftValueIteration):
    """Responds at ``factor * temperature`` while ``temperature`` is what leaders are told.

    Args:
        temperature: declared tau > 0.
        sweeps: see ``SoftValueIteration``.
        start: see ``SoftValueIteration``.
        factor: true over declared temperature, > 0.
    """

    factor: float = 2.0

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.factor > 0:
            raise InvalidArgumentError(f"factor={self.factor!r}: expected a number > 0")

    @property
    def planning_temperature(self) -> float:
        """The temperature it really responds at."""
        return self.factor * self.temperature
