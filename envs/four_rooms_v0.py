"""Four rooms: the leader places penalties so that the follower takes the way past its target.

| fact            | value                                                                       |
|-----------------|-----------------------------------------------------------------------------|
| Agents          | leader_0, follower_0                                                        |
| States          | 104 free cells for each goal, and one in which the episode has ended        |
| Follower actions| 4: up, right, down, left; with probability ``slip`` another one is made     |
| Configuration   | penalties x(c) >= 0 of the cells, at most ``budget`` (0.2) in all           |
| Follower        | 1 at its goal, -x(c) elsewhere; discount 0.99; published temperatures 0.001 to 0.005 |
| Leader          | 1 at the target; ``-cost * sum(x)`` at the goal (cost 5); discount 0.99     |
| Start, goal     | (4, 1), and (1, 9) or, with ``goals=2``, (1, 9) and (11, 11) by chance      |
| End             | one stage after the goal is entered; the rewards of the goal are paid there |
| Optimum         | multi-start ascent on the exact hypergradient                               |

A move into a wall leaves the follower where it is. Which goal it has is part of the state: with
two goals the leader configures one MDP for two kinds of follower.

The published code plans with the intended move at probability 0.56 and plays with 0.67 (one slip
parameter read in two ways). Here both are 0.56; ``mismatch=True`` restores the difference: the
follower's response and the exact values are those of 0.56, the trajectories those of 0.67.

Source: HPGD (arXiv 2406.01575) and BC-HG (arXiv 2603.14867); the layout is that of Sutton, Precup
and Singh, "Between MDPs and semi-MDPs", Artificial Intelligence 1999.

Version history: v0, first version.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from stackelberg_games.arrays import FloatArray
from stackelberg_games.commitments.parametrisation import Budgeted
from stackelberg_games.errors import InvalidGameError
from stackelberg_games.faces import faces
from stackelberg_games.floors.game import FloorGame
from stackelberg_games.floors.plan import FloorPlan
from stackelberg_games.kinds.finite import Tables
from stackelberg_games.numerics.sampling import Sampler
from stackelberg_games.settings import checked

if TYPE_CHECKING:
    from stackelberg_games.floors.picture import FloorScene

ONE_GOAL = """
xxxxxxxxxxxxx
x     x  G  x
x     x     x
x           x
xS    x     x
x     x     x
xx xxxx     x
x     xxx xxx
x   T x     x
x     x     x
x           x
x     x     x
xxxxxxxxxxxxx
"""
TWO_GOALS = ONE_GOAL.replace("x     x     x\nxxxxxxxxxxxxx\n", "x     x    Gx\nxxxxxxxxxxxxx\n")
PLAYED_SLIP = 0.33


class FourRooms(FloorGame):
    """See the module's text; made by ``game``, which has the defaults.

    Args:
        plan: a floor plan with one start S, one or more goals G and one or more targets T.
        slip: probability that a move other than the intended one is made.
        played_slip: likewise in play, where it differs from what the follower plans with.
        budget: largest sum of the penalties.
        cost: what each unit of penalty costs the leader when the goal is reached.
        discount: of both players.
        horizon: of play and of the leader's objective, or None.

    Raises:
        InvalidGameError: the plan has no start, goal or target, two starts, or a goal or target
            that cannot be reached.
        InvalidArgumentError: slip or budget is out of range.
    """

    def __init__(
        self,
        plan: str,
        slip: float,
        played_slip: float | None,
        *,
        budget: float,
        cost: float,
        discount: float,
        horizon: int | None,
    ) -> None:
        parametrisation = Budgeted(budget)
        self.plan = floor = FloorPlan.parse(plan, "SGT")
        self.start = start = floor.only("S", "start")
        self.goals, self.targets = floor.require("G", "goal"), floor.require("T", "target")
        for letter, meaning in (("G", "goal"), ("T", "target")):
            floor.check_reachable(start, letter, meaning)
        self.cost, self.shown_temperature = float(cost), 0.003
        cells, contexts = floor.size, len(self.goals)
        states = cells * contexts + 1
        self.cell_of = np.append(np.tile(np.arange(cells), contexts), 0)
        self.is_goal = np.zeros(states, dtype=np.bool_)
        self.is_goal[[k * cells + goal for k, goal in enumerate(self.goals)]] = True
        penalised = np.append(np.ones(states - 1, dtype=np.bool_), False) & ~self.is_goal
        leader = np.where(np.isin(self.cell_of, self.targets), 1.0, 0.0)
        leader[-1] = 0.0
        initial = np.zeros(states)
        initial[[k * cells + start for k in range(contexts)]] = 1 / contexts
        self._where = torch.from_numpy(self.cell_of)
        self._charges = penalised
        self._penalised = torch.tensor(penalised, dtype=torch.float64)[:, None, None]
        self._goal = torch.tensor(self.is_goal, dtype=torch.float64)[:, None, None]
        self._played = None if played_slip is None else self._moves(played_slip)[:, None]
        super().__init__(
            self._moves(slip),
            np.repeat(leader[:, None], 4, axis=1),
            np.repeat(self.is_goal[:, None].astype(np.float64), 4, axis=1),
            initial,
            size=cells,
            configure=self._configure,
            parametrisation=parametrisation,
            leader_discount=discount,
            follower_discount=discount,
            horizon=horizon,
            terminal=np.arange(states) == states - 1,
            name="four_rooms-v0",
        )
        names = [f"{row},{column}" for row, column in floor.cells]
        self.state_labels = [*(name for _ in self.goals for name in names), "end"]

    def _moves(self, slip: float) -> FloatArray:
        """Transitions ``[S, 4, S]``: a copy of the plan for each goal, whose goal leads to the end."""
        kernel, cells = self.plan.kernel(slip), self.plan.size
        states = len(self.is_goal)
        moves = np.zeros((states, 4, states))
        for start in range(0, states - 1, cells):
            moves[start : start + cells, :, start : start + cells] = kernel
        moves[self.is_goal] = 0.0
        moves[self.is_goal, :, -1] = moves[-1, :, -1] = 1.0
        return moves

    def _configure(self, penalties: Tensor) -> Tables:
        paid = penalties.index_select(0, self._where)[:, None, None]
        leader = torch.addcmul(self.base.leader_reward, self._goal, penalties.sum(), value=-self.cost)
        return Tables(
            self.base.transition, leader, torch.addcmul(self.base.follower_reward, self._penalised, paid, value=-1)
        )

    def pulled(self, leader: FloatArray, follower: FloatArray) -> FloatArray:
        """See ``ConfigurableGame.pulled``."""
        charged = np.bincount(self.cell_of, self._charges * follower.reshape(len(follower), -1).sum(axis=1))
        return np.asarray(-charged - self.cost * leader[self.is_goal].sum())

    def _prepare(self, transition: FloatArray, leader: FloatArray, follower: FloatArray) -> Sampler:
        return super()._prepare(transition if self._played is None else self._played, leader, follower)

    def picture(self, configuration: Tensor | None, occupancy: FloatArray | None) -> FloorScene:
        """See ``FloorGame.picture``."""
        from stackelberg_games.floors.picture import FloorScene, Mark

        marks = [Mark(self.start, "S"), *(Mark(cell, "G") for cell in self.goals)]
        marks += [Mark(cell, "T", target=True) for cell in self.targets]
        heat = None if configuration is None else configuration.detach().numpy()
        return FloorScene(tuple(marks), heat, occupancy=occupancy)

    def fingerprint(self) -> str:
        """Also tells apart games that are played with another slip."""
        return super().fingerprint() + ("" if self._played is None else f"-{float(self._played.max()):g}")


@checked
def game(
    plan: str | None = None,
    *,
    goals: int = 1,
    slip: float = 0.44,
    mismatch: bool = False,
    budget: float = 0.2,
    cost: float = 5.0,
    discount: float = 0.99,
    horizon: int | None = None,
) -> FourRooms:
    """Four rooms, or any other floor plan.

    Args:
        plan: x or # walls, blank or dot free, S start, G goals, T targets; the published map if
            not given.
        goals: 1 or 2, which of the published maps; ignored with ``plan``.
        slip: see ``FourRooms``.
        mismatch: play with the published simulator's slip, 0.33, while the follower plans with ``slip``.
        budget: see ``FourRooms``.
        cost: see ``FourRooms``.
        discount: see ``FourRooms``.
        horizon: see ``FourRooms``.

    Raises:
        InvalidGameError, InvalidArgumentError: see ``FourRooms``; or ``goals`` is neither 1 nor 2.
    """
    if goals not in (1, 2):
        raise InvalidGameError(f"goals={goals!r}: expected 1 or 2; draw a plan of your own for more")
    chosen = plan if plan is not None else (ONE_GOAL, TWO_GOALS)[goals - 1]
    played = PLAYED_SLIP if mismatch else None
    return FourRooms(chosen, slip, played, budget=budget, cost=cost, discount=discount, horizon=horizon)


env, raw_env, parallel_env = faces(game)
