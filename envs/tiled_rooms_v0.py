"""Four rooms, many times over: a charge for every cell of a large floor, and followers that start anywhere.

| fact            | value                                                                       |
|-----------------|-----------------------------------------------------------------------------|
| Agents          | leader_0, follower_0                                                        |
| States          | the free cells of the floor, and one in which the episode has ended         |
| Follower actions| 4: up, right, down, left; with probability ``slip`` another one is made     |
| Configuration   | charges x(c) from 0 to ``limit`` (0.05) of the cells, without a budget and without a cost |
| Follower        | 1 at a goal, -x(c) elsewhere; discount 0.99; temperature 0.05               |
| Leader          | 1 for every stage at a target; discount 0.99                                |
| Start           | one of the cells marked S, each as likely                                   |
| End             | one stage after a goal is entered                                           |
| Optimum         | not known; ascent on the exact hypergradient is the reference               |

``tiles`` sets how many copies of the map of Four Rooms lie side by side and one below the other, joined by two doors in each common
wall: 3 has 960 cells, 10 has 10,760 and 31 has 103,664. The game is given as lists of successors, so it takes memory for those alone.

Source: the layout is that of Sutton, Precup and Singh, "Between MDPs and semi-MDPs", Artificial Intelligence 1999.

Version history: v0, first version.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from stackelberg_games import checks
from stackelberg_games.arrays import FloatArray
from stackelberg_games.commitments.parametrisation import Bounded
from stackelberg_games.envs.four_rooms_v0 import ONE_GOAL
from stackelberg_games.errors import InvalidGameError
from stackelberg_games.faces import faces
from stackelberg_games.floors.game import FloorGame
from stackelberg_games.floors.plan import FloorPlan
from stackelberg_games.kinds.finite import Tables
from stackelberg_games.kinds.lists import read_successors
from stackelberg_games.settings import checked

if TYPE_CHECKING:
    from stackelberg_games.floors.picture import FloorScene

DOORS = ((3, 10), (2, 10))
"""Rows of the doors in walls between tiles side by side, and columns of those in walls between tiles above each other."""

MOST = 100
"""Tiles in a row: a million cells."""


def tiled(count: int) -> str:
    """The plan of ``count`` by ``count`` tiles."""
    tile = np.array([list(line) for line in ONE_GOAL.strip("\n").split("\n")])
    side = len(tile) - 1
    plan = np.full((count * side + 1,) * 2, "x")
    for row in range(0, count * side, side):
        for column in range(0, count * side, side):
            plan[row : row + side + 1, column : column + side + 1] = tile
    for wall in range(side, count * side, side):
        for tile_at in range(0, count * side, side):
            plan[[tile_at + row for row in DOORS[0]], wall] = " "
            plan[wall, [tile_at + column for column in DOORS[1]]] = " "
    return "\n".join("".join(line) for line in plan)


class TiledRooms(FloorGame):
    """See the module's text; made by ``game``, which has the defaults.

    Args:
        plan: a floor plan with starts S, goals G and targets T.
        slip: probability that a move other than the intended one is made.
        limit: largest charge of a cell, > 0.
        discount: of both players.
        horizon: of play and of the leader's objective, or None.

    Raises:
        InvalidGameError: the plan has no start, goal or target, or no goal can be reached from a start.
        InvalidArgumentError: slip or limit is out of range.
    """

    def __init__(self, plan: str, slip: float, *, limit: float, discount: float, horizon: int | None) -> None:
        self.plan = floor = FloorPlan.parse(plan, "SGT")
        starts, goals = floor.require("S", "start"), floor.require("G", "goal")
        self.targets, self.goals = floor.require("T", "target"), goals
        reached = floor.reachable(*goals)
        for start in starts:
            if not reached[start]:
                raise InvalidGameError(f"floor plan: no goal can be reached from the start at {floor.place(start)}")
        self.limit, self.shown_temperature = checks.number("limit", limit, above=0), 0.05
        cells, states = floor.size, floor.size + 1
        self.cell_of = np.append(np.arange(cells), 0)
        steps, made = floor.lists(slip)
        successors, probability = np.empty((states, 1, 4, 4), dtype=np.int32), np.empty((states, 1, 4, 4))
        successors[:cells, 0], probability[:cells, 0] = steps, made
        leaving = [*goals, cells]
        successors[leaving], probability[leaving] = cells, 0.25
        is_goal, is_target = (np.isin(np.arange(states), marked).astype(np.float64) for marked in (goals, self.targets))
        self._charged = torch.tensor(1.0 - is_goal)
        initial = np.zeros(states)
        initial[list(starts)] = 1 / len(starts)
        super().__init__(
            read_successors(successors, probability),
            np.repeat(is_target[:, None], 4, axis=1),
            np.repeat(is_goal[:, None], 4, axis=1),
            initial,
            size=cells,
            configure=self._configure,
            parametrisation=Bounded(0.0, self.limit),
            leader_discount=discount,
            follower_discount=discount,
            horizon=horizon,
            terminal=np.arange(states) == cells,
            name="tiled_rooms-v0",
        )

    def _configure(self, charges: Tensor) -> Tables:
        charged = torch.cat([charges, charges.new_zeros(1)]) * self._charged
        return self.base._replace(follower_reward=self.base.follower_reward - charged[:, None, None])

    def pulled(self, leader: FloatArray, follower: FloatArray) -> FloatArray:
        """See ``ConfigurableGame.pulled``."""
        return np.asarray(-(follower.sum(axis=(1, 2)) * self._charged.numpy())[:-1])

    def label(self, state: int) -> str:
        """Row and column of a cell."""
        if int(state) == self.plan.size:
            return "end"
        row, column = self.plan.cells[int(state)]
        return f"{row},{column}"

    def picture(self, configuration: Tensor | None, occupancy: FloatArray | None) -> FloorScene:
        """See ``FloorGame.picture``."""
        from stackelberg_games.floors.picture import FloorScene, Mark

        marks = [Mark(cell, letter) for letter in "SG" for cell in self.plan.marks[letter]]
        marks += [Mark(cell, "T", target=True) for cell in self.targets]
        heat = None if configuration is None else configuration.detach().numpy()
        return FloorScene(tuple(marks), heat, occupancy=occupancy)


@checked
def game(
    tiles: int = 3,
    *,
    plan: str | None = None,
    slip: float = 0.44,
    limit: float = 0.05,
    discount: float = 0.99,
    horizon: int | None = None,
) -> TiledRooms:
    """Tiles of Four Rooms, or any other floor plan.

    Args:
        tiles: tiles in a row, and rows of them, 1 to 100; ignored with ``plan``.
        plan: x or # walls, blank or dot free, S starts, G goals, T targets.
        slip: see ``TiledRooms``.
        limit: see ``TiledRooms``.
        discount: see ``TiledRooms``.
        horizon: see ``TiledRooms``.

    Raises:
        InvalidGameError, InvalidArgumentError: see ``TiledRooms``; or ``tiles`` is out of range.
    """
    count = checks.integer("tiles", tiles, 1, MOST, error=InvalidGameError)
    chosen = tiled(count) if plan is None else plan
    return TiledRooms(chosen, slip, limit=limit, discount=discount, horizon=horizon)


env, raw_env, parallel_env = faces(game)
