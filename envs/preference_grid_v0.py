"""Reinforcement learning from preferences on a floor: the leader chooses a reward, and pairs of segments are judged.

| fact            | value                                                                              |
|-----------------|------------------------------------------------------------------------------------|
| Agents          | leader_0, follower_0                                                               |
| States          | 25 cells of a 5 x 5 floor                                                          |
| Follower actions| 4: up, right, down, left; a move into a wall stays where it is                     |
| Configuration   | the reward r_x(c) of entering each cell, 25 free numbers                           |
| Follower        | r_x, discount 0.9; it is paid nothing else                                         |
| Hidden          | r*: 1.5 for entering the goal, 0.5 for a lesser prize; the judge knows it          |
| Judge           | prefers segment 1 to 2 with probability sigmoid(R*(1) - R*(2))                     |
| Leader          | -F(x), the mean log-likelihood of the labels under r_x, of pairs the follower plays |
| Segments        | the first 6 stages of an episode, undiscounted                                     |
| Horizon         | 30 stages; what comes after the segment shows where the follower goes              |
| Optimum         | none is known; F and its hypergradient are exact                                   |

Segments with equal visit counts are worth the same. All of them are enumerated and merged, so that F is a quadratic form
of their probabilities under the follower's response, and its hypergradient is exact.

In the standard variant ``open`` the walk starts in the middle, and goal and prize lie in two corners; a uniform walker
enters the goal in 5.3 % of its segments. In ``decoy`` segments have 5 stages, the walk starts at an edge, the goal lies at
the opposite one, where a uniform walker comes in 0.5 % of its segments, and the lesser prize is entered in 16 %.

Source: the bilevel problem is that of Yang, Gao and Yuan, "Bilevel Reinforcement Learning via the Development of
Hyper-gradient without Lower-Level Convexity", AISTATS 2025, arXiv 2405.19697; the floor is our own.

Version history: v0, first version.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from torch import Tensor

from stackelberg_games.arrays import FloatArray
from stackelberg_games.errors import InvalidGameError
from stackelberg_games.faces import faces
from stackelberg_games.floors.game import FloorGame
from stackelberg_games.floors.plan import FloorPlan
from stackelberg_games.kinds.preference import PreferenceGame
from stackelberg_games.learning.judges import judge_of
from stackelberg_games.rules.comparisons import Judge
from stackelberg_games.settings import checked

if TYPE_CHECKING:
    from stackelberg_games.floors.picture import FloorScene


class Layout(NamedTuple):
    """A floor plan with start S, goal G and lesser prize P, and the length of segments."""

    plan: str
    segment: int


VARIANTS = {
    "open": Layout("P   G\n     \n  S  \n     \n     ", 6),
    "decoy": Layout("P    \n     \nS   G\n     \n     ", 5),
}


class PreferenceGrid(PreferenceGame, FloorGame):
    """See the module's text; made by ``game``, which has the defaults.

    Args:
        plan: a floor plan with one start S, one or more goals G and any number of lesser prizes P.
        goal: what entering a goal is truly worth.
        prize: what entering a lesser prize is truly worth.
        segment: its length.
        judge: who compares.
        discount: of the follower.
        horizon: stages of an episode.

    Raises:
        InvalidGameError: the plan has no start or no goal, or a second start; or all cells are worth the same.
    """

    def __init__(
        self, plan: str, *, goal: float, prize: float, segment: int, judge: Judge, discount: float, horizon: int
    ) -> None:
        self.plan = floor = FloorPlan.parse(plan, "SGP")
        self.start, self.goals, self.prizes = floor.only("S", "start"), floor.require("G", "goal"), floor.marks["P"]
        self.cell_of, self.shown_temperature = np.arange(floor.size), 0.1
        truth = np.zeros(floor.size)
        truth[list(self.goals)], truth[list(self.prizes)] = goal, prize
        super().__init__(
            floor.kernel(0.0),
            truth,
            np.eye(floor.size)[self.start],
            cells=floor.steps(),
            segment=segment,
            judge=judge,
            follower_discount=discount,
            horizon=horizon,
            name="preference_grid-v0",
        )
        self.state_labels = [f"{row},{column}" for row, column in floor.cells]

    def picture(self, configuration: Tensor | None, occupancy: FloatArray | None) -> FloorScene:
        """See ``FloorGame.picture``; the shade is the chosen reward."""
        from stackelberg_games.floors.picture import FloorScene, Mark

        marks = [Mark(self.start, "S"), *(Mark(cell, "G") for cell in self.goals)]
        marks += [Mark(cell, "P") for cell in self.prizes]
        heat = None if configuration is None else configuration.detach().numpy()
        return FloorScene(tuple(marks), heat, occupancy=occupancy)


@checked
def game(
    variant: str = "open",
    *,
    plan: str | None = None,
    goal: float = 1.5,
    prize: float = 0.5,
    segment: int | None = None,
    judge: Judge | Mapping[str, Any] | str | Callable[..., float] = "bradley_terry",
    discount: float = 0.9,
    horizon: int = 30,
) -> PreferenceGrid:
    """A floor on which rewards are learned from preferences.

    Args:
        variant: ``"open"`` or ``"decoy"``.
        plan: a floor plan of one's own in the place of the variant's; x or # walls, blank or dot free, S start, G goals,
            P lesser prizes.
        goal: see ``PreferenceGrid``.
        prize: see ``PreferenceGrid``.
        segment: see ``PreferenceGrid``; the variant's if not given.
        judge: who compares: ``"bradley_terry"``, ``"indifferent"``, ``"person"``, a dict such as
            ``{"kind": "bradley_terry", "sharpness": 2.0, "error": 0.1}`` or ``{"kind": "process", "command": [...]}``, a
            function of two segments, or a ``Judge``.
        discount: of the follower, in [0, 1).
        horizon: stages of an episode, at least as many as those of a segment.

    Raises:
        InvalidGameError, InvalidArgumentError: see ``PreferenceGrid``; or there is no such variant.
    """
    if variant not in VARIANTS:
        raise InvalidGameError(f"variant={variant!r}: expected {' or '.join(map(repr, VARIANTS))}")
    chosen = VARIANTS[variant]
    return PreferenceGrid(
        chosen.plan if plan is None else plan,
        goal=goal,
        prize=prize,
        segment=chosen.segment if segment is None else segment,
        judge=judge_of(judge),
        discount=discount,
        horizon=horizon,
    )


env, raw_env, parallel_env = faces(game)
