"""Warehouse: the leader shapes the floor, a robot fetches orders, and the leader wants its crossing free.

| fact            | value                                                                       |
|-----------------|-----------------------------------------------------------------------------|
| Agents          | leader_0, follower_0                                                        |
| States          | free cells x load: an order that waits at one of the pick points, or one carried |
| Follower actions| 4: up, right, down, left; with probability ``slip`` (0.1) another one is made |
| Configuration   | ``lever="costs"``: charges x(c) >= 0 of the cells; ``lever="one_way"``: barriers x(c, m) >= 0 of the steps between cells; at most ``budget`` in all |
| Follower        | 1 for a delivery, less the charge of the cell it is in; discount 0.97       |
| Leader          | 1 for a delivery, less ``congestion`` (0.3) in a crossing; discount 0.97    |
| Start           | S, with an order drawn among the pick points                                |
| End             | none; the next order is drawn when one has been delivered                   |
| Optimum         | multi-start ascent on the exact hypergradient                               |

The robot takes up an order in the stage that it begins at the order's pick point, and delivers it
in the stage that it begins at any drop point; it moves on in the same stage. With ``orders="any"``
every pick point serves every order. A move into a wall or a shelf leaves the robot where it is.

A barrier x lets the step through with probability exp(-x), and otherwise the robot waits: a smooth
one-way aisle, since each direction has a barrier of its own. It moves the transitions; charges move
the follower's rewards only.

The default floor has the short way between pick and drop points through a crossing, and a long one
around it: without a lever the robot takes the short one.

Floor plan: x or # wall, H shelf, blank or dot free, S start, P pick points, D drop points, C crossings.

Source: environment design for a robot as in Zhang and Parkes, "Value-based policy teaching with
active indirect elicitation", AAAI 2008, and Keren et al., "Equi-reward utility maximizing design in
stochastic environments", IJCAI 2017; the game itself is this package's own.

Version history: v0, first version.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, get_args

import numpy as np
import torch
from torch import Tensor

from stackelberg_games.arrays import FloatArray
from stackelberg_games.commitments.parametrisation import Budgeted
from stackelberg_games.errors import InvalidArgumentError
from stackelberg_games.faces import faces
from stackelberg_games.floors.game import FloorGame
from stackelberg_games.floors.plan import FloorPlan, strays
from stackelberg_games.kinds.finite import Tables
from stackelberg_games.settings import checked

if TYPE_CHECKING:
    from stackelberg_games.floors.picture import FloorScene

LeverKind = Literal["costs", "one_way"]
Orders = Literal["drawn", "any"]
BUDGETS: dict[str, float] = {"costs": 0.5, "one_way": 6.0}
PLAN = """
xxxxxxxxxxxxx
x   P   P   x
x HHHH HHHH x
x HHHH HHHH x
x     C     x
x HHHH HHHH x
x HHHH HHHH x
xS    D     x
xxxxxxxxxxxxx
"""


class Warehouse(FloorGame):
    """See the module's text; made by ``game``, which has the defaults.

    Args:
        plan: a floor plan with one start S, pick points P, drop points D and crossings C.
        lever: what the leader sets.
        budget: largest sum of charges or barriers; the lever's own if not given.
        slip: probability that a move other than the intended one is made.
        orders: whether each order waits at a pick point of its own.
        congestion: what a stage in a crossing costs the leader, >= 0.
        discount: of both players.
        horizon: of play and of the leader's objective, or None.

    Raises:
        InvalidGameError: the plan is ragged, has no start, pick point, drop point or crossing, a
            second start, or one of these that cannot be reached; with the place.
        InvalidArgumentError: lever, orders, slip, budget or congestion is out of range.
    """

    def __init__(
        self,
        plan: str,
        lever: LeverKind,
        budget: float | None,
        *,
        slip: float,
        orders: Orders,
        congestion: float,
        discount: float,
        horizon: int | None,
    ) -> None:
        self.lever = _one_of("lever", lever, get_args(LeverKind))
        parametrisation = Budgeted(BUDGETS[lever] if budget is None else budget)
        if not 0 <= congestion < float("inf"):
            raise InvalidArgumentError(f"congestion={congestion!r}: expected a finite number >= 0")
        self.plan = floor = FloorPlan.parse(plan, "SPDC", shelves="H")
        self.start = start = floor.only("S", "start")
        self.picks, self.drops = floor.require("P", "pick point"), floor.require("D", "drop point")
        self.crossings = floor.require("C", "crossing")
        for letter, meaning in (("P", "pick point"), ("D", "drop point"), ("C", "crossing")):
            floor.check_reachable(start, letter, meaning)
        self.passages = floor.passages()
        self.shown_temperature = 0.02
        loads = self._loads(_one_of("orders", orders, get_args(Orders)))
        waiting, cells = len(loads) - 1, floor.size
        self.cell_of = np.tile(np.arange(cells), waiting + 1)
        delivers = np.arange(len(self.cell_of)) >= waiting * cells
        delivers &= np.isin(self.cell_of, self.drops)
        leader = delivers - congestion * np.isin(self.cell_of, self.crossings)
        initial = np.zeros(len(self.cell_of))
        initial[start : waiting * cells : cells] = 1 / waiting
        self._where, self._loading = torch.from_numpy(self.cell_of), torch.from_numpy(loads)
        self._kernel = torch.from_numpy(floor.kernel(slip))
        self._crossed = torch.tensor(strays(slip)[:, self.passages[:, 1]].T)  # chance of each step by move, [P, 4]
        super().__init__(
            self._transition(self._kernel).numpy()[:, 0],
            np.repeat(leader[:, None], 4, axis=1),
            np.repeat(delivers[:, None].astype(np.float64), 4, axis=1),
            initial,
            size=cells if lever == "costs" else len(self.passages),
            configure=self._configure,
            parametrisation=parametrisation,
            leader_discount=discount,
            follower_discount=discount,
            horizon=horizon,
            name="warehouse-v0",
        )
        tasks = [f"to pick {k}" if orders == "drawn" else "to a pick" for k in range(waiting)]
        names = [f"{row},{column}" for row, column in floor.cells]
        self.state_labels = [f"{name} {task}" for task in (*tasks, "carrying") for name in names]

    def _loads(self, orders: str) -> FloatArray:
        """Next load, ``[load, cell, load]``: one for each order that waits, then the one carried."""
        waiting = len(self.picks) if orders == "drawn" else 1
        loads = np.zeros((waiting + 1, self.plan.size, waiting + 1))
        for load in range(waiting + 1):
            loads[load, :, load] = 1.0
        for order, cell in enumerate(self.picks):
            loads[order if orders == "drawn" else 0, cell] = np.eye(waiting + 1)[waiting]
        loads[waiting, list(self.drops)] = np.append(np.full(waiting, 1 / waiting), 0.0)
        return loads

    def _transition(self, kernel: Tensor) -> Tensor:
        """``[S, 1, 4, S]`` from the moves between cells, ``[cells, 4, cells]``."""
        states = len(self.cell_of)
        return torch.einsum("kcl,cbd->kcbld", self._loading, kernel).reshape(states, 1, 4, states)

    def _configure(self, configuration: Tensor) -> Tables:
        base = self.base
        if self.lever == "costs":
            charged = configuration[self._where][:, None, None]
            return base._replace(follower_reward=base.follower_reward - charged)
        return base._replace(transition=self._transition(self._hindered(configuration)))

    def _hindered(self, barriers: Tensor) -> Tensor:
        """Moves between cells under barriers: a step fails with probability 1 - exp(-x)."""
        cells, moves = torch.from_numpy(self.passages).unbind(dim=1)
        beyond = torch.from_numpy(self.plan.steps())[cells, moves]
        held = self._crossed * -torch.expm1(-barriers)[:, None]
        change = torch.zeros_like(self._kernel)
        rows, meant = cells[:, None].expand(-1, 4), torch.arange(4).expand(len(cells), 4)
        for column, sign in ((cells, 1.0), (beyond, -1.0)):
            change = change.index_put((rows, meant, column[:, None].expand(-1, 4)), sign * held, accumulate=True)
        return self._kernel + change

    def picture(self, configuration: Tensor | None, occupancy: FloatArray | None) -> FloorScene:
        """See ``FloorGame.picture``."""
        from stackelberg_games.floors.picture import FloorScene, Mark

        marks = [Mark(self.start, "S"), *(Mark(cell, "C", target=True) for cell in self.crossings)]
        marks += [Mark(cell, "D", target=True) for cell in self.drops] + [Mark(cell, "P") for cell in self.picks]
        scene = FloorScene(tuple(marks), occupancy=occupancy)
        if configuration is None:
            return scene
        values = configuration.detach().numpy()
        if self.lever == "costs":
            return scene._replace(heat=values)
        return scene._replace(barriers=(self.passages, -np.expm1(-values)))


def _one_of(name: str, value: str, choices: tuple[str, ...]) -> str:
    """A setting that is one of a few words; raise ``InvalidArgumentError`` otherwise."""
    if value not in choices:
        raise InvalidArgumentError(f"{name}={value!r}: expected one of {', '.join(map(repr, choices))}")
    return value


@checked
def game(
    plan: str | None = None,
    *,
    lever: LeverKind = "costs",
    budget: float | None = None,
    slip: float = 0.1,
    orders: Orders = "drawn",
    congestion: float = 0.3,
    discount: float = 0.97,
    horizon: int | None = None,
) -> Warehouse:
    """A warehouse, the default one or of a floor plan of your own.

    Args:
        plan: x or # wall, H shelf, blank or dot free, S start, P pick points, D drop points, C
            crossings.
        lever: ``"costs"`` (charges of cells) or ``"one_way"`` (barriers of steps).
        budget: largest sum of what the leader sets; 0.5 for costs and 6 for barriers if not given.
        slip: see ``Warehouse``.
        orders: ``"drawn"`` (each order waits at a pick point of its own) or ``"any"``.
        congestion: see ``Warehouse``.
        discount: see ``Warehouse``.
        horizon: see ``Warehouse``.

    Raises:
        InvalidGameError, InvalidArgumentError: see ``Warehouse``.
    """
    chosen = PLAN if plan is None else plan
    return Warehouse(
        chosen, lever, budget, slip=slip, orders=orders, congestion=congestion, discount=discount, horizon=horizon
    )


env, raw_env, parallel_env = faces(game)
