"""Soft-optimal follower in games of vectors: plans on a grid of states, acts on the true one.

The soft Bellman equation is solved on the points of a grid, values between them interpolated linearly:

    V(s) = sum_a f(a|s) tau log sum_b w_b exp(Q(s, a, b) / tau),    Q = rF + gF V(s')

by Newton steps whose linear systems are solved by BiCGSTAB. In play it looks one stage ahead from the true state and the
leader's action: g(b | s, a) ~ exp(Q(s, a, b) / tau), on finer replies. It asks the game itself where they lead.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import Any, ClassVar

import gymnasium
import numpy as np
import torch
from scipy import sparse
from scipy.sparse.linalg import LinearOperator, bicgstab

from stackelberg_games.arrays import FloatArray
from stackelberg_games.commitments.nodes import action_nodes
from stackelberg_games.errors import InvalidArgumentError, SolverError, UnsupportedGameError
from stackelberg_games.kinds.chart import Chart, Grid
from stackelberg_games.kinds.game import Game
from stackelberg_games.learning.follower import Answer, Follower
from stackelberg_games.numerics.randomness import Lane, Streams
from stackelberg_games.rules.commitment import Commitment
from stackelberg_games.rules.rules import Rules

DIMENSIONS, STATES, REPLIES = 4, 60_000, 400
"""Coordinates, states and replies that it plans with at most."""
POINTS = {1: 401, 2: 55, 3: 25, 4: 15}
"""Along every coordinate, by their number, where the settings do not say."""
FINER = 5
"""Replies in play for every one in planning, along each direction."""
TOLERANCE, STEPS = 1e-6, 60


@dataclass(frozen=True)
class ReplyGrid:
    """Replies that stand for all.

    Attributes:
        actions: as the game takes them, ``[B, ...]``.
        weights: ``[B]``, of the measure that entropy is relative to: 1 each where they are all there are, else those
            of the uniform density.
        widths: between neighbours, ``[m]``; None where they are all there are.
    """

    actions: Any
    weights: FloatArray
    widths: FloatArray | None = None

    @classmethod
    def of(cls, space: gymnasium.Space[Any], count: int) -> ReplyGrid:
        """All of finitely many replies, or ``count`` along each direction of a Box, its ends with half the weight."""
        if isinstance(space, gymnasium.spaces.Discrete):
            size = int(space.n)
            return cls(np.arange(size) + int(space.start), np.ones(size))
        assert isinstance(space, gymnasium.spaces.Box)
        low, high = space.low.astype(np.float64), space.high.astype(np.float64)
        points = np.array(list(itertools.product(*np.linspace(low, high, count).T)))
        ends = 0.5 ** ((points == low) | (points == high)).sum(axis=1)
        return cls(points, ends / ends.sum(), (high - low) / (count - 1))


class Ahead:
    """One stage of a game from many states: what the follower is paid, and the value that comes.

    Args:
        rules: the game, under a configuration where it has one.
        grid: on which values are known.
        draws: of a random stage; one where the game draws nothing.
    """

    def __init__(self, rules: Rules, grid: Grid, draws: int) -> None:
        self.rules, self.grid, self.draws = rules, grid, draws

    def step(self, states: FloatArray, leader: Any, replies: Any) -> tuple[FloatArray, Any, FloatArray]:
        """Rewards ``[N]``, and successors with weights ``[N, K]``; those after the end weigh nothing."""
        count = len(states)
        rows, moves, answers = (np.repeat(np.asarray(part), self.draws, axis=0) for part in (states, leader, replies))
        step = self.rules.step(rows, moves, answers, Streams.of(0, count * self.draws), 0)
        numbers, weights = self.grid.corners(np.asarray(step.states, dtype=np.float64))
        weights = weights * (~step.terminated / self.draws)[:, None]
        paid = np.asarray(step.follower_rewards).reshape(count, self.draws).mean(axis=1)
        return paid, numbers.reshape(count, -1), weights.reshape(count, -1)


def plan(
    ahead: Ahead,
    nodes: tuple[FloatArray, Any],
    replies: ReplyGrid,
    discount: float,
    temperature: float,
    start: FloatArray,
) -> FloatArray:
    """The follower's values on the grid, ``[S]``.

    Raises:
        SolverError: the iteration did not settle.
    """
    policy, actions = nodes
    (states, choices), count, values = policy.shape, len(replies.weights), start
    rows = np.repeat(ahead.grid.states, choices * count, axis=0)
    leader = np.repeat(actions.reshape(states * choices, *actions.shape[2:]), count, axis=0)
    answers = np.tile(replies.actions, (states * choices,) + (1,) * (replies.actions.ndim - 1))
    paid, numbers, weights = ahead.step(rows, leader, answers)
    width = numbers.shape[1]
    reward, log_weights = paid.reshape(states, choices, count), np.log(replies.weights)
    pointers = np.arange(states + 1) * (choices * count * width)
    for _ in range(STEPS):
        q = reward + discount * (values[numbers] * weights).sum(axis=1).reshape(reward.shape)
        scaled = q / temperature + log_weights
        peak = scaled.max(axis=2, keepdims=True)
        response = np.exp(scaled - peak)
        total = response.sum(axis=2, keepdims=True)
        residual = (policy * temperature * (peak + np.log(total))[:, :, 0]).sum(axis=1) - values
        if np.abs(residual).max() <= TOLERANCE * max(temperature, float(np.abs(values).max())):
            return values
        joint = (policy[:, :, None] * response / total).reshape(-1, 1) * weights
        chain = sparse.csr_matrix((joint.ravel(), numbers.ravel(), pointers), shape=(states, states))
        chain.sum_duplicates()
        system = LinearOperator((states, states), matvec=lambda v, chain=chain: v - discount * (chain @ v))
        moved, _ = bicgstab(system, residual, x0=residual, rtol=1e-3, atol=0.0, maxiter=1000)
        values = values + moved
    raise SolverError(f"the plan on {states} states did not settle in {STEPS} Newton steps")


@dataclass(frozen=True)
class PlannedResponse:
    """The soft-optimal reply to a true state and leader action, by looking one stage ahead.

    Args:
        ahead: where replies lead.
        values: on its grid, ``[S]``.
        replies: in play.
        discount, temperature: the follower's.
    """

    ahead: Ahead
    values: FloatArray
    replies: ReplyGrid
    discount: float
    temperature: float

    def chances(self, states: Any, leader_actions: Any) -> FloatArray:
        """Probabilities of the replies, ``[N, B]``."""
        count, rows = len(self.replies.weights), np.asarray(states, dtype=np.float64)
        leader = np.repeat(np.asarray(leader_actions), count, axis=0)
        answers = np.tile(self.replies.actions, (len(rows),) + (1,) * (self.replies.actions.ndim - 1))
        paid, numbers, weights = self.ahead.step(np.repeat(rows, count, axis=0), leader, answers)
        q = (paid + self.discount * (self.values[numbers] * weights).sum(axis=1)).reshape(len(rows), count)
        chances = np.exp((q - q.max(axis=1, keepdims=True)) / self.temperature) * self.replies.weights
        return np.asarray(chances / chances.sum(axis=1, keepdims=True))

    def sample(self, states: Any, leader_actions: Any, streams: Streams, stage: int) -> Any:
        """Replies for states ``[N, n]`` and the leader actions that it sees."""
        rows = np.cumsum(self.chances(states, leader_actions), axis=1)[:, :-1]
        widths = self.replies.widths
        draws = streams.uniform(Lane.FOLLOWER, stage, 1 if widths is None else 1 + len(widths))
        chosen = self.replies.actions[(draws[:, :1] >= rows).sum(axis=1)]
        if widths is None:
            return chosen
        space = self.ahead.rules.follower_action_space
        assert isinstance(space, gymnasium.spaces.Box)
        low, high = space.low.astype(np.float64), space.high.astype(np.float64)
        start, end = np.maximum(chosen - widths / 2, low), np.minimum(chosen + widths / 2, high)
        return start + draws[:, 1:] * (end - start)

    def log_prob(self, states: Any, leader_actions: Any, replies: Any) -> FloatArray:
        """Log-probabilities of finitely many replies, or log-densities, ``[N]``."""
        chances, found = self.chances(states, leader_actions), np.asarray(replies)
        least = np.finfo(np.float64).tiny
        if self.replies.widths is None:
            index = found - self.replies.actions[0]
            return np.asarray(np.log(np.maximum(chances[np.arange(len(chances)), index], least)))
        gaps = np.abs(found[:, None] - self.replies.actions) / self.replies.widths
        index = gaps.max(axis=2).argmin(axis=1)
        cells = self.replies.weights[index] / self.replies.weights.max() * np.prod(self.replies.widths)
        density = chances[np.arange(len(chances)), index] / cells
        return np.asarray(np.log(np.maximum(density, least)))


@dataclass
class GridPlanner(Follower):
    """Plans with the rules of a game whose states are vectors of up to 4 numbers.

    The grid lies in the coordinates that the game names as its ``chart``, or in those of a bounded space of states.

    Args:
        temperature: tau > 0, relative to the uniform density where replies are real.
        points: of the grid along every coordinate; by their number if None: 401, 55, 25 or 15.
        replies: along every direction of a Box of replies, in planning; five times as many in play.
        draws: of a stage whose outcome is random.
    """

    temperature: float = 0.1
    points: int | tuple[int, ...] | None = None
    replies: int = 9
    draws: int = 16

    keeps: ClassVar[tuple[str, ...]] = ("values",)

    def __post_init__(self) -> None:
        given = () if self.points is None else np.atleast_1d(self.points)
        if not (self.temperature > 0 and min(given, default=3) >= 3 and self.replies >= 2 and self.draws >= 1):
            raise InvalidArgumentError(f"{self}: expected temperature > 0, at least 3 points, 2 replies and 1 draw")

    def begin(self, game: Game, *, seed: int = 0) -> None:
        """Lay the grid and forget earlier plans.

        Raises:
            UnsupportedGameError: the game has no grid of few enough points.
        """
        chart = self._chart(game)
        self.grid = Grid(chart, self._counts(len(chart.low)))
        self.values: FloatArray | None = None
        self.coarse, self.fine = (
            ReplyGrid.of(_bounded(game.follower_action_space), count) for count in (self.replies, FINER * self.replies)
        )
        if len(self.grid.states) > STATES or len(self.fine.weights) > REPLIES:
            raise UnsupportedGameError(
                f"a grid of {len(self.grid.states)} states and {len(self.fine.weights)} replies in play: grid_planner takes "
                f"{STATES} and {REPLIES} at most; set points and replies, or let sb3 learn"
            )

    @staticmethod
    def _chart(game: Game) -> Chart:
        if not game.follower_sees_action:
            raise UnsupportedGameError(
                f"grid_planner answers the leader's action, which is not seen in {game.name}; sb3 learns"
            )
        try:
            game.initial(Streams.of(0, 1))
        except UnsupportedGameError as error:
            raise UnsupportedGameError(
                f"grid_planner asks for single stages: {error}; sb3 and black_box learn"
            ) from error
        space, chart = game.state_space, getattr(game, "chart", None)
        if chart is None and isinstance(space, gymnasium.spaces.Box) and len(space.shape) == 1 and space.is_bounded():
            low, high = space.low.astype(np.float64), space.high.astype(np.float64)
            chart = Chart(low, high, (False,) * len(low))
        if not isinstance(chart, Chart) or len(chart.low) > DIMENSIONS:
            raise UnsupportedGameError(
                f"grid_planner lays a grid over at most {DIMENSIONS} bounded coordinates of the state, which {game.name} "
                "does not have; soft_value_iteration and maxent_lqr plan in finite and linear-quadratic games, sb3 and "
                "black_box learn by playing"
            )
        return chart

    def _counts(self, dimensions: int) -> tuple[int, ...]:
        if self.points is None:
            return (POINTS[dimensions],) * dimensions
        counts = (self.points,) * dimensions if isinstance(self.points, int) else tuple(self.points)
        if len(counts) != dimensions:
            raise InvalidArgumentError(f"points={self.points!r}: this game has {dimensions} coordinates")
        return counts

    def respond(self, game: Game, commitment: Commitment) -> Answer:
        """Plan from the last plan's values."""
        configuration, rules = commitment.configuration(), game
        if configuration is not None:
            rules = game.configured(configuration.detach())  # type: ignore[assignment]
        ahead = Ahead(rules, self.grid, self._draws(rules))
        start = np.zeros(len(self.grid.states)) if self.values is None else self.values
        nodes = self._nodes(game, commitment)
        self.values = plan(ahead, nodes, self.coarse, game.follower_discount, self.temperature, start)
        return Answer(PlannedResponse(ahead, self.values, self.fine, game.follower_discount, self.temperature))

    def _nodes(self, game: Game, commitment: Commitment) -> tuple[FloatArray, Any]:
        if commitment.configuration() is not None and game.idle_action is not None:
            count, idle = len(self.grid.states), np.asarray(game.idle_action)
            return np.ones((count, 1)), np.broadcast_to(idle, (count, 1, *idle.shape))
        with torch.no_grad():
            return action_nodes(commitment, game.leader_action_space, self.grid.states)

    def _draws(self, rules: Rules) -> int:
        """One, where a stage leads from the same place to the same place twice."""
        states = self.grid.states[:: max(1, len(self.grid.states) // 64)]
        leader, follower = (
            np.broadcast_to(action, (len(states), *np.shape(action)))
            for action in (_middle(rules.leader_action_space), self.coarse.actions[0])
        )
        ends = [rules.step(states, leader, follower, Streams.of(seed, len(states)), 0).states for seed in (0, 1)]
        return 1 if np.array_equal(*ends) else self.draws


def _bounded(space: gymnasium.Space[Any]) -> gymnasium.Space[Any]:
    """A space of replies that points can cover."""
    flat = isinstance(space, gymnasium.spaces.Box) and len(space.shape) == 1 and space.is_bounded()
    if not (flat or isinstance(space, gymnasium.spaces.Discrete)):
        raise UnsupportedGameError(
            f"grid_planner replies in a bounded flat Box or a Discrete space, not in {space}; maxent_lqr plans in "
            "linear-quadratic games, sb3 and black_box learn by playing"
        )
    return space


def _middle(space: gymnasium.Space[Any]) -> Any:
    """Some action."""
    if isinstance(space, gymnasium.spaces.Box):
        middle = (np.maximum(space.low, -1.0) + np.minimum(space.high, 1.0)) / 2
        return np.clip(middle, space.low, space.high)
    assert isinstance(space, gymnasium.spaces.Discrete)
    return int(space.start)
