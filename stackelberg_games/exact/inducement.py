"""Configurations that make a policy of the follower its best response, at the least loss for the leader.

Where a configuration x enters rewards only, and affinely, the values of a follower policy are affine in x, and so are
the inequalities that make it a best response and the leader's objective: one linear program for each policy of the
follower (for the principal-agent form see Ben-Porat et al., "Principal-agent reward shaping in MDPs", AAAI 2024).
The best of them is the strong Stackelberg solution.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from stackelberg_games.arrays import BoolArray, FloatArray, IntArray
from stackelberg_games.commitments.space import BudgetBox
from stackelberg_games.errors import UnsupportedGameError
from stackelberg_games.exact.bounds import EPSILON, SPARE
from stackelberg_games.exact.programs import best_point
from stackelberg_games.exact.response import Factorised
from stackelberg_games.kinds.chain import accumulated, check_objective
from stackelberg_games.kinds.finite import TabularGame

MAX_POLICIES = 100_000
WORK = 5_000_000
"""Numbers in the linear programs of a local search after which it ends where it is."""

CHECKS = 4
"""Random configurations at which rewards are checked to be affine."""


class Affine(NamedTuple):
    """A game whose configuration x = low + width * z, z in [0, 1]^n, enters its rewards affinely.

    Attributes:
        low, width: ``[n]``.
        budget: largest sum of z, or None.
        leader, follower: rewards at z = 0, ``[S, B]``.
        leader_slope, follower_slope: their derivatives by z, ``[S, B, n]``.
        transition: ``[S, B, S]``; columns of terminal states are zero.
    """

    low: FloatArray
    width: FloatArray
    budget: float | None
    leader: FloatArray
    follower: FloatArray
    leader_slope: FloatArray
    follower_slope: FloatArray
    transition: FloatArray

    def configuration(self, point: FloatArray) -> FloatArray:
        """The configuration x at a point z."""
        return self.low + self.width * point


def affine(game: TabularGame) -> Affine:
    """The game in affine form.

    Raises:
        UnsupportedGameError: its leader also acts, its configuration has no bounds, or it enters otherwise.
    """
    space = game.configuration_space
    if space is None or game.leader_actions > 1 or not (np.isfinite(space.low).all() and np.isfinite(space.high).all()):
        raise UnsupportedGameError(f"{game.name}: linear programs need a leader that only configures, within bounds")
    low, high = (np.asarray(end, dtype=np.float64).ravel() for end in (space.low, space.high))
    width: FloatArray = high - low
    draws = np.random.default_rng(0).random((CHECKS, low.size))
    if isinstance(space, BudgetBox):
        draws = draws / low.size

    def rewards(point: Tensor) -> Tensor:
        tables = game.tables(torch.from_numpy(low) + torch.from_numpy(width) * point)
        if tables.transition is not game.tables().transition:
            raise UnsupportedGameError(f"{game.name}: linear programs need transitions that are not configured")
        return torch.stack([tables.leader_reward[:, 0], tables.follower_reward[:, 0]])

    origin = torch.zeros(low.size, dtype=torch.float64)
    base = rewards(origin).detach().numpy()
    derivative = torch.autograd.functional.jacobian
    slope = derivative(rewards, torch.from_numpy(draws[0])).numpy()  # type: ignore[no-untyped-call]
    for point in draws:
        seen, sizes = rewards(torch.from_numpy(point)).detach().numpy(), np.abs(base) + np.abs(slope) @ point
        if (np.abs(seen - base - slope @ point) > 1e-12 * sizes).any():
            raise UnsupportedGameError(
                f"{game.name}: linear programs need rewards that are affine in the configuration"
            )
    transition = game.transition[:, 0] * ~game.terminal
    budget = 1.0 if isinstance(space, BudgetBox) else None
    return Affine(low, width, budget, base[0], base[1], slope[0], slope[1], transition)


def policies(game: TabularGame, form: Affine, limit: int = MAX_POLICIES) -> list[IntArray]:
    """The follower's deterministic policies, those that differ where play can come.

    Raises:
        UnsupportedGameError: they are more than ``limit``.
    """
    options = choices(game, form)
    count = float(np.prod([float(len(option)) for option in options]))
    if count > limit:
        raise UnsupportedGameError(
            f"{game.name}: {count:.3g} policies of the follower, each with its linear program: more than {limit}"
        )
    return [np.array(chosen) for chosen in itertools.product(*options)]


def choices(game: TabularGame, form: Affine) -> list[list[int]]:
    """The follower's actions in every state that play can enter; one in the others."""
    entered = game.reachable(game.tables().transition) & ~game.terminal
    return [_distinct(form, state) if entered[state] else [0] for state in range(game.states)]


def _distinct(form: Affine, state: int) -> list[int]:
    """Actions of a state that are not the same to both players under every configuration."""
    found: dict[bytes, int] = {}
    for action in range(form.follower.shape[1]):
        parts = (form.leader, form.follower, form.leader_slope, form.follower_slope, form.transition)
        found.setdefault(b"".join(np.ascontiguousarray(part[state, action]).tobytes() for part in parts), action)
    return list(found.values())


class Program(NamedTuple):
    """The linear program of a policy: maximise ``constant + gain @ z`` with ``rows @ z <= limits``.

    Attributes:
        policy: action in every state, ``[S]``.
        constant, gain: the leader's objective.
        rows, limits: that no action be better than the policy's, then the budget if there is one.
        visited: which of the rows are of states that the policy visits.
    """

    policy: IntArray
    constant: float
    gain: FloatArray
    rows: FloatArray
    limits: FloatArray
    visited: BoolArray

    def roof(self, budget: float | None) -> float:
        """The value if no action of the follower stood in the way."""
        gains = np.maximum(self.gain, 0.0)
        return self.constant + float(gains.sum() if budget is None else budget * gains.max(initial=0.0))

    @property
    def hopeless(self) -> bool:
        """Whether one of the inequalities alone cannot be met, beyond rounding."""
        least = np.minimum(self.rows, 0.0).sum(axis=1)
        rounding = EPSILON * SPARE * (np.abs(self.rows).sum(axis=1) + np.abs(self.limits))
        return bool((least > self.limits + rounding).any())


def program(game: TabularGame, form: Affine, policy: IntArray) -> Program:
    """The program of one policy of the follower."""
    states, alive = np.arange(game.states), ~game.terminal
    chain = form.transition[states, policy] * alive[:, None]
    system = Factorised(chain, game.follower_discount)
    tables = np.concatenate([form.follower[:, :, None], form.follower_slope], axis=2)
    values = system.solve(tables[states, policy] * alive[:, None])  # [S, 1 + n], affine in z
    ahead = game.follower_discount * form.transition @ values
    over = tables + ahead - values[:, None]
    sizes = np.abs(tables) + game.follower_discount * form.transition @ np.abs(values) + np.abs(values)[:, None]
    over[np.abs(over).max(axis=2) <= EPSILON * (game.states + SPARE) * sizes.max(axis=2)] = 0.0
    compared = game.reachable(game.tables().transition) & alive
    visits = _visits(game, chain)
    gains = visits @ np.column_stack([form.leader[states, policy], form.leader_slope[states, policy]])
    rows = over[compared].reshape(-1, over.shape[2])
    visited = np.repeat(visits[compared] > 0, over.shape[1])
    limits, slopes = -rows[:, 0], rows[:, 1:]
    if form.budget is not None:
        limits, slopes = np.append(limits, form.budget), np.vstack([slopes, np.ones(slopes.shape[1])])
        visited = np.append(visited, False)
    return Program(policy, float(gains[0]), gains[1:], slopes, limits, visited)


def _visits(game: TabularGame, chain: FloatArray) -> FloatArray:
    """Discounted visits of the leader's stages, ``[S]``; zero where terminal."""
    discount, horizon = check_objective(game, None, None)
    start = game.initial_distribution
    if horizon is None:
        return Factorised(chain, discount).solve_transposed(start) * ~game.terminal
    return accumulated(discount * chain.T, start, horizon) * ~game.terminal


class Induced(NamedTuple):
    """A follower policy, and the best configuration that makes it a best response.

    Attributes:
        program: of the policy.
        point: z, ``[n]``.
        value: the leader's, with the policy as the response.
    """

    program: Program
    point: FloatArray
    value: float


def induced(programs: Iterable[Program], budget: float | None, count: int) -> tuple[list[Induced], float]:
    """The best policies that can be induced, best first, and what no configuration is worth more than.

    Args:
        programs: of all policies.
        budget: of the configuration.
        count: how many to find; others are passed over where they cannot be among the best.
    """
    found: list[Induced] = []
    bound = -np.inf
    for candidate in sorted(programs, key=lambda one: one.roof(budget), reverse=True):
        if len(found) >= count and candidate.roof(budget) <= found[count - 1].value:
            break
        if candidate.hopeless:
            continue
        solved = best_point(candidate.gain, candidate.rows, candidate.limits)
        if solved is None:
            continue
        bound = max(bound, candidate.constant + solved.bound)
        if solved.value > -np.inf:
            found.append(Induced(candidate, solved.point, candidate.constant + solved.value))
            found.sort(key=lambda one: one.value, reverse=True)
    return found, bound


def improved(game: TabularGame, form: Affine, seeds: Iterable[IntArray], count: int) -> list[Induced]:
    """Policies that can be induced, best first, by local search: one state's action at a time, from some policies.

    Args:
        game: a finite game.
        form: of it.
        seeds: policies to begin with.
        count: how many to find.
    """
    options, left = choices(game, form), WORK
    found, _ = induced((program(game, form, policy) for policy in seeds), form.budget, count)
    while found and left > 0:
        near = list(_changed(found[0].program.policy, options))
        left -= len(near) * form.follower_slope.size
        better, _ = induced((program(game, form, policy) for policy in near), form.budget, count)
        merged = sorted([*found, *better], key=lambda one: one.value, reverse=True)[:count]
        if merged[0].value <= found[0].value + 1e-9 * abs(found[0].value):
            return merged
        found = merged
    return found


def _changed(policy: IntArray, options: list[list[int]]) -> Iterator[IntArray]:
    """Policies that differ in one state."""
    for state, actions in enumerate(options):
        for action in actions:
            if action != policy[state]:
                other = policy.copy()
                other[state] = action
                yield other


def with_margin(form: Affine, chosen: Induced, margin: float) -> FloatArray | None:
    """The best configuration under which the policy is better than any other by a margin where it comes; None: none."""
    limits = chosen.program.limits - margin * (chosen.program.visited & chosen.program.rows.any(axis=1))
    solved = best_point(chosen.program.gain, chosen.program.rows, limits)
    return None if solved is None or solved.value == -np.inf else form.configuration(solved.point)
