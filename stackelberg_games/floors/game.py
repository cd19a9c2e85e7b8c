"""Configurable MDPs on a floor plan: where the follower is, and a picture of what it does there."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from stackelberg_games.arrays import FloatArray, IntArray
from stackelberg_games.exact.response import Arrays
from stackelberg_games.exact.soft_response import soft_response
from stackelberg_games.floors.plan import FloorPlan
from stackelberg_games.kinds.configurable import ConfigurableGame

if TYPE_CHECKING:
    from stackelberg_games.floors.picture import FloorScene
    from stackelberg_games.rules.scene import Scene


class FloorGame(ConfigurableGame):
    """A configurable MDP whose states are cells of a floor plan, with something carried or aimed at.

    A subclass sets the attributes and writes ``picture``.

    Attributes:
        plan: the floor.
        cell_of: the cell of every state, ``[S]``.
        shown_temperature: of the follower whose occupancy pictures show.
    """

    plan: FloorPlan
    cell_of: IntArray
    shown_temperature: float
    _shown: tuple[bytes, FloatArray] | None = None

    def picture(self, configuration: Tensor | None, occupancy: FloatArray | None) -> FloorScene:
        """What a picture shows under a configuration (None: none chosen yet), without the follower itself."""
        raise NotImplementedError

    def occupancy(self, configuration: Tensor | None, temperature: float) -> FloatArray:
        """Share of its discounted time that the soft-optimal follower spends in each cell, ``[cells]``.

        Args:
            configuration: x; None for the game before any configuration.
            temperature: tau > 0.
        """
        with torch.no_grad():
            arrays = Arrays.of(self, self.single(self.tables(configuration)))
        system = arrays.system(soft_response(arrays, temperature).policy, self.follower_discount)
        time = system.solve_transposed(self.initial_distribution) * ~self.terminal
        cells = np.bincount(self.cell_of, weights=time, minlength=self.plan.size)
        return np.asarray(cells / cells.sum())

    def draw(self, axes: Any, scene: Scene) -> bool:
        """The plan, the configuration, the follower's occupancy and where it is now."""
        from stackelberg_games.floors.picture import draw_floor

        configuration = scene.configuration
        if configuration is not None:
            configuration = torch.tensor(np.asarray(configuration), dtype=torch.float64)
        key = b"" if configuration is None else configuration.numpy().tobytes()
        if self._shown is None or self._shown[0] != key:
            self._shown = (key, self.occupancy(configuration, self.shown_temperature))
        state = int(scene.state)
        shown = self.picture(configuration, self._shown[1])
        robot = None if self.terminal[state] else int(self.cell_of[state])
        draw_floor(axes, self.plan, shown._replace(robot=robot, temperature=self.shown_temperature))
        return True
