"""Values of small games without rounding: in fractions where the follower is hard, to fifty digits where it is soft."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from decimal import Decimal, localcontext
from fractions import Fraction
from typing import NamedTuple

from tests.same_games import Instance

Choice = dict[tuple[int, int], int]
"""The follower's action by state and leader action; by state and -1 where it does not see the action."""


class Exact(NamedTuple):
    """An ``Instance`` in fractions."""

    transition: list[list[list[list[Fraction]]]]
    leader: list[list[list[Fraction]]]
    follower: list[list[list[Fraction]]]
    policy: list[list[Fraction]]
    discounts: tuple[Fraction, Fraction]
    alive: list[bool]
    sees: bool

    @classmethod
    def of(cls, game: Instance) -> Exact:
        states, leader, follower = game.shape

        def table(array: object) -> list[list[list[Fraction]]]:
            return [
                [[Fraction(float(array[s, a, b])) for b in range(follower)] for a in range(leader)]  # type: ignore[index]
                for s in range(states)
            ]

        transition = [
            [[[Fraction(float(p)) for p in game.transition[s, a, b]] for b in range(follower)] for a in range(leader)]
            for s in range(states)
        ]
        policy = [[Fraction(float(f)) for f in row] for row in game.policy]
        discounts = (Fraction(game.discounts[0]), Fraction(game.discounts[1]))
        alive = [not bool(end) for end in game.terminal]
        return cls(transition, table(game.leader), table(game.follower), policy, discounts, alive, game.sees)

    def choices(self) -> Iterator[Choice]:
        """All deterministic policies of the follower."""
        rows = range(len(self.policy[0])) if self.sees else [-1]
        cells = [(s, a) for s in range(len(self.policy)) for a in rows]
        for actions in itertools.product(range(len(self.leader[0][0])), repeat=len(cells)):
            yield dict(zip(cells, actions, strict=True))

    def values(self, choice: Choice, reward: list[list[list[Fraction]]], discount: Fraction) -> list[Fraction]:
        """What a policy of the follower accumulates of a reward, from each state."""
        chain, gains = self.played(choice, reward)
        system = [
            [Fraction(int(s == n)) - discount * chain[s][n] for n in range(len(chain))] for s in range(len(chain))
        ]
        return solved(system, gains)

    def over(self, choice: Choice, horizon: int) -> list[Fraction]:
        """The leader's values over so many stages."""
        chain, gains = self.played(choice, self.leader)
        values = [Fraction(0)] * len(chain)
        for _ in range(horizon):
            ahead = [sum((p * v for p, v in zip(row, values, strict=True)), Fraction(0)) for row in chain]
            values = [gain + self.discounts[0] * later for gain, later in zip(gains, ahead, strict=True)]
        return values

    def played(self, choice: Choice, reward: list[list[list[Fraction]]]) -> tuple[list[list[Fraction]], list[Fraction]]:
        """State transitions and mean reward of a policy of the follower."""
        states = range(len(self.policy))
        chain = [[Fraction(0) for _ in states] for _ in states]
        gains = [Fraction(0) for _ in states]
        for s in states:
            for a, chance in enumerate(self.policy[s]):
                b = choice[(s, a if self.sees else -1)]
                if self.alive[s]:
                    gains[s] += chance * reward[s][a][b]
                    for n in states:
                        chain[s][n] += chance * self.transition[s][a][b][n] * self.alive[n]
        return chain, gains


def solved(system: list[list[Fraction]], right: list[Fraction]) -> list[Fraction]:
    """Gaussian elimination."""
    rows = [[*row, value] for row, value in zip(system, right, strict=True)]
    for k in range(len(rows)):
        pivot = next(i for i in range(k, len(rows)) if rows[i][k] != 0)
        rows[k], rows[pivot] = rows[pivot], rows[k]
        rows[k] = [entry / rows[k][k] for entry in rows[k]]
        for i in range(len(rows)):
            if i != k and rows[i][k] != 0:
                rows[i] = [one - rows[i][k] * two for one, two in zip(rows[i], rows[k], strict=True)]
    return [row[-1] for row in rows]


def hard(game: Instance) -> tuple[list[Fraction], Fraction, Fraction]:
    """The follower's optimal values, and the leader's best and worst value under a response that attains them."""
    exact = Exact.of(game)
    found = [(exact.values(choice, exact.follower, exact.discounts[1]), choice) for choice in exact.choices()]
    best = [max(values[s] for values, _ in found) for s in range(len(exact.policy))]
    initial = [Fraction(float(p)) for p in game.initial]
    worths = []
    for values, choice in found:
        if values == best:
            led = (
                exact.values(choice, exact.leader, exact.discounts[0])
                if game.horizon is None
                else exact.over(choice, game.horizon)
            )
            worths.append(sum((p * v for p, v in zip(initial, led, strict=True)), Fraction(0)))
    return best, max(worths), min(worths)


def strong_matrix(leader: list[list[Fraction]], follower: list[list[Fraction]]) -> Fraction:
    """The strong Stackelberg value of a matrix game, from all vertices of every reply's region."""
    rows, columns = len(leader), len(leader[0])
    best: Fraction | None = None
    for reply in range(columns):
        gaps = [[row[k] - row[reply] for row in follower] for k in range(columns) if k != reply]
        faces = [*gaps, *([Fraction(int(a == r)) for a in range(rows)] for r in range(rows))]
        for tight in itertools.combinations(faces, rows - 1):
            try:
                mixture = solved([[Fraction(1)] * rows, *tight], [Fraction(1)] + [Fraction(0)] * (rows - 1))
            except StopIteration:  # parallel faces
                continue
            if min(mixture) >= 0 and all(sum(g * x for g, x in zip(gap, mixture, strict=True)) <= 0 for gap in gaps):
                value = sum((x * row[reply] for x, row in zip(mixture, leader, strict=True)), Fraction(0))
                best = value if best is None else max(best, value)
    assert best is not None
    return best


def soft(game: Instance, sweeps: int) -> tuple[list[Decimal], Decimal]:
    """The follower's soft values and the leader's value, by so many sweeps in fifty digits; horizon None."""
    with localcontext() as context:
        context.prec = 50
        states, leader, follower = (range(size) for size in game.shape)
        tau, gammas = Decimal(float(game.temperature)), [Decimal(float(g)) for g in game.discounts]
        f = [[Decimal(float(x)) for x in row] for row in game.policy]
        chance = {
            (s, a, b): [(n, Decimal(float(game.transition[s, a, b, n]))) for n in states if game.transition[s, a, b, n]]
            for s in states
            for a in leader
            for b in follower
        }

        def ahead(cell: tuple[int, int, int], values: list[Decimal]) -> Decimal:
            return sum((p * values[n] for n, p in chance[cell] if not game.terminal[n]), Decimal(0))

        def weights(s: int, a: int, values: list[Decimal]) -> tuple[Decimal, list[Decimal]]:
            """tau log sum exp(Q / tau), and the response."""
            q = []
            for b in follower:
                seen = [(a, Decimal(1))] if game.sees else list(enumerate(f[s]))
                cells = [((s, i, b), share) for i, share in seen]
                q.append(
                    sum(
                        (
                            share * (Decimal(float(game.follower[c])) + gammas[1] * ahead(c, values))
                            for c, share in cells
                        ),
                        Decimal(0),
                    )
                )
            raised = [((x - max(q)) / tau).exp() for x in q]
            total = sum(raised, Decimal(0))
            return max(q) + tau * total.ln(), [x / total for x in raised]

        values, led = [Decimal(0)] * len(states), [Decimal(0)] * len(states)
        for _ in range(sweeps):
            values = [
                Decimal(0)
                if game.terminal[s]
                else sum((f[s][a] * weights(s, a, values)[0] for a in leader), Decimal(0))
                for s in states
            ]
        responses = {(s, a): weights(s, a, values)[1] for s in states for a in leader}
        for _ in range(sweeps):
            led = [
                Decimal(0)
                if game.terminal[s]
                else sum(
                    (
                        f[s][a]
                        * responses[s, a][b]
                        * (Decimal(float(game.leader[s, a, b])) + gammas[0] * ahead((s, a, b), led))
                        for a in leader
                        for b in follower
                    ),
                    Decimal(0),
                )
                for s in states
            ]
        return values, sum((Decimal(float(p)) * v for p, v in zip(game.initial, led, strict=True)), Decimal(0))
