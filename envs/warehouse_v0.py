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

``tiles`` repeats the floor side by side and one below the other: 5 rows of 5 have 1,125 cells, 50 pick points and 57,375 states. From
some thousand states on the game is given as lists of successors, so it takes memory for those alone.

Floor plan: x or # wall, H shelf, blank or dot free, S start, P pick points, D drop points, C crossings.

Source: environment design for a robot as in Zhang and Parkes, "Value-based policy teaching with
active indirect elicitation", AAAI 2008, and Keren et al., "Equi-reward utility maximizing design in
stochastic environments", IJCAI 2017; the game itself is this package's own.

Version history: v0, first version.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, NamedTuple, get_args

import numpy as np
import torch
from torch import Tensor

from stackelberg_games import checks
from stackelberg_games.arrays import FloatArray, IntArray
from stackelberg_games.commitments.parametrisation import Budgeted
from stackelberg_games.errors import InvalidArgumentError, InvalidGameError
from stackelberg_games.faces import faces
from stackelberg_games.floors.game import FloorGame
from stackelberg_games.floors.plan import FloorPlan, strays
from stackelberg_games.kinds.lists import check_memory, checked_lists
from stackelberg_games.kinds.successors import DENSE_BYTES, SuccessorLists
from stackelberg_games.kinds.tables import Tables
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


MOST = 20
"""Tiles in a row."""


def tiled(plan: str, count: int) -> str:
    """``count`` by ``count`` copies of a floor within one wall; the start is that of the first copy.

    Raises:
        InvalidGameError: there is no wall around the floor; with the place.
    """
    lines = plan.strip("\n").split("\n")
    for row, line in enumerate(lines):
        for column, character in enumerate(line):
            edge = row in (0, len(lines) - 1) or column in (0, len(line) - 1)
            if edge and character not in "x#":
                raise InvalidGameError(
                    f"tiles={count}: floors meet at their outer wall, and row {row}, column {column} is {character!r}; "
                    "draw a wall (x or #) around the plan"
                )
    rows = [line[1:-1] for line in lines[1:-1]]
    free = [row.replace("S", " ") for row in rows]
    inner = [line for copy in range(count) for line in _joined(free, rows if copy == 0 else free, count)]
    wall = "x" * (len(inner[0]) + 2)
    return "\n".join([wall, *(f"x{line}x" for line in inner), wall])


def _joined(free: list[str], first: list[str], count: int) -> list[str]:
    return [begin + (count - 1) * rest for begin, rest in zip(first, free, strict=True)]


class Warehouse(FloorGame):
    """See the module's text; made by ``game``, which has the defaults.

    Args:
        plan: a floor plan with one start S, pick points P, drop points D and crossings C.
        lever: what the leader sets.
        budget: largest sum of charges or barriers.
        slip: probability that a move other than the intended one is made.
        orders: whether each order waits at a pick point of its own.
        congestion: what a stage in a crossing costs the leader, >= 0.
        discount: of both players.
        horizon: of play and of the leader's objective, or None.

    Raises:
        InvalidGameError: the plan is ragged, has no start, pick point, drop point or crossing, a
            second start, or one of these that cannot be reached; with the place; or it would not fit into memory.
        InvalidArgumentError: lever, orders, slip, budget or congestion is out of range.
    """

    def __init__(
        self,
        plan: str,
        lever: LeverKind,
        budget: float,
        *,
        slip: float,
        orders: Orders,
        congestion: float,
        discount: float,
        horizon: int | None,
    ) -> None:
        self.lever = _one_of("lever", lever, get_args(LeverKind))
        parametrisation = Budgeted(budget)
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
        waiting = len(self.picks) if _one_of("orders", orders, get_args(Orders)) == "drawn" else 1
        self.cell_of = np.tile(np.arange(floor.size), waiting + 1)
        delivers = np.arange(len(self.cell_of)) >= waiting * floor.size
        delivers &= np.isin(self.cell_of, self.drops)
        leader = delivers - congestion * np.isin(self.cell_of, self.crossings)
        initial = np.zeros(len(self.cell_of))
        initial[start : waiting * floor.size : floor.size] = 1 / waiting
        self._where, self._made = torch.from_numpy(self.cell_of), torch.from_numpy(strays(slip))
        self._goes = _successors(floor, self.picks, self.drops, waiting, hindered=lever == "one_way")
        small = 8.0 * 4 * len(self.cell_of) ** 2 <= DENSE_BYTES
        self._place = self._goes.places() if small else None
        probability = self._probability(torch.zeros(len(self.passages), dtype=torch.float64))
        super().__init__(
            probability.numpy()[:, 0] if small else checked_lists(self._goes.lists(probability.numpy().copy())),
            np.repeat(leader[:, None, None], 4, axis=2),
            np.repeat(delivers[:, None, None].astype(np.float64), 4, axis=2),
            initial,
            size=floor.size if lever == "costs" else len(self.passages),
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

    def _configure(self, configuration: Tensor) -> Tables:
        base = self.base
        if self.lever == "costs":
            charged = configuration[self._where][:, None, None]
            return base._replace(follower_reward=base.follower_reward - charged)
        return base._replace(transition=self._probability(configuration))

    def _probability(self, barriers: Tensor) -> Tensor:
        """Transitions under barriers: ``[S, 1, 4, S]``, or one for each successor listed."""
        cells, moves = torch.from_numpy(self.passages).unbind(dim=1)
        through = torch.ones(self.plan.size, 4, dtype=torch.float64).index_put((cells, moves), torch.exp(-barriers))
        gone = self._made * through[:, None, :]  # [cells, 4 meant, 4 made]
        if self._goes.hindered:
            gone = torch.cat([gone, (self._made * (1 - through)[:, None, :]).sum(dim=2, keepdim=True)], dim=2)
        listed = (self._goes.chance[:, None, None] * gone[self._goes.cell]).reshape(-1)[self._goes.order]
        if self._place is None:
            return listed
        states = len(self.cell_of)
        table = torch.zeros(states * 4 * states, dtype=torch.float64)
        return table.index_add(0, self._place, listed).reshape(states, 1, 4, states)

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


class _Successors(NamedTuple):
    """Where the robot can go; an option is a state with one of the loads that it may have next.

    Attributes:
        hindered: whether it may also be held where it is, beside the four moves that can be made.
        cell: of each option, ``[O]``.
        chance: of the load of each option, ``[O]``.
        order: from options x moves meant x moves made to successors, state by state and move by move, ``[K]``.
        first: see ``SuccessorLists``.
        successors: ``[K]``.
    """

    hindered: bool
    cell: Tensor
    chance: Tensor
    order: Tensor
    first: IntArray
    successors: IntArray

    def places(self) -> Tensor:
        """Of each successor in an array ``[S, 4, S]``, flat, ``[K]``."""
        cells = len(self.first) - 1
        return torch.from_numpy(np.repeat(np.arange(cells), np.diff(self.first)) * (cells // 4) + self.successors)

    def lists(self, probability: FloatArray) -> SuccessorLists:
        """Lists with these probabilities ``[K]``."""
        return SuccessorLists(((len(self.first) - 1) // 4, 1, 4), self.first, self.successors, probability)


def _successors(
    floor: FloorPlan, picks: tuple[int, ...], drops: tuple[int, ...], waiting: int, *, hindered: bool
) -> _Successors:
    """What can follow each state; loads are the orders that wait, and then the one carried."""
    cells, states = floor.size, (waiting + 1) * floor.size
    load, cell = np.divmod(np.arange(states), cells)
    then = load.copy()
    for number, pick in enumerate(picks):
        then[number % waiting * cells + pick] = waiting
    delivers = (load == waiting) & np.isin(cell, drops)
    options = np.where(delivers, waiting, 1)
    state = np.repeat(np.arange(states), options)
    drawn = np.arange(len(state)) - np.repeat(np.cumsum(options) - options, options)
    then = np.where(delivers[state], drawn, then[state])
    made = 5 if hindered else 4
    check_memory((states, 1, 4), 4.0 * made * len(state))
    reached = floor.steps()[cell[state]]
    if hindered:
        reached = np.concatenate([reached, cell[state][:, None]], axis=1)
    following = np.repeat((then[:, None] * cells + reached)[:, None, :], 4, axis=1).reshape(-1)
    pair = np.repeat(state[:, None] * 4 + np.arange(4), made, axis=1).reshape(-1)
    order = np.argsort(pair, kind="stable")
    first = np.concatenate([[0], np.cumsum(np.repeat(made * options, 4))])
    chance = torch.from_numpy(1.0 / options[state])
    return _Successors(
        hindered,
        torch.from_numpy(cell[state]),
        chance,
        torch.from_numpy(order),
        first,
        following[order].astype(np.int32),
    )


def _one_of(name: str, value: str, choices: tuple[str, ...]) -> str:
    """A setting that is one of a few words; raise ``InvalidArgumentError`` otherwise."""
    if value not in choices:
        raise InvalidArgumentError(f"{name}={value!r}: expected one of {', '.join(map(repr, choices))}")
    return value


@checked
def game(
    plan: str | None = None,
    *,
    tiles: int = 1,
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
        tiles: copies of the floor in a row, and rows of them, 1 to 20; those of a plan of your own meet at its outer wall,
            which must be whole.
        lever: ``"costs"`` (charges of cells) or ``"one_way"`` (barriers of steps).
        budget: largest sum of what the leader sets; 0.5 for costs and 6 for barriers if not given, for each tile.
        slip: see ``Warehouse``.
        orders: ``"drawn"`` (each order waits at a pick point of its own) or ``"any"``.
        congestion: see ``Warehouse``.
        discount: see ``Warehouse``.
        horizon: see ``Warehouse``.

    Raises:
        InvalidGameError, InvalidArgumentError: see ``Warehouse``.
    """
    count = checks.integer("tiles", tiles, 1, MOST, error=InvalidGameError)
    chosen = PLAN if plan is None else plan
    if count > 1:
        FloorPlan.parse(chosen, "SPDC", shelves="H")  # refuses ragged ones before they are taken apart
        chosen = tiled(chosen, count)
    most = BUDGETS[_one_of("lever", lever, get_args(LeverKind))] * count**2 if budget is None else budget
    return Warehouse(
        chosen, lever, most, slip=slip, orders=orders, congestion=congestion, discount=discount, horizon=horizon
    )


env, raw_env, parallel_env = faces(game)
