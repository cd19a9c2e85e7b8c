"""Small finite games, and the same games in other words: other units, offsets, names and copies.

Transition probabilities and rewards are multiples of powers of two, so that what is added to them is added exactly.
A ``Change`` carries results of the changed game back to the game it was made from.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from stackelberg_games.arrays import BoolArray, FloatArray
from stackelberg_games.commitments.tabular import TabularPolicy
from stackelberg_games.kinds.finite import TabularGame


@dataclass(frozen=True)
class Instance:
    """A finite game, a policy ``[S, A]`` of its leader and a temperature of its follower."""

    transition: FloatArray
    leader: FloatArray
    follower: FloatArray
    initial: FloatArray
    policy: FloatArray
    discounts: tuple[float, float]
    horizon: int | None
    terminal: BoolArray
    sees: bool
    temperature: float

    @property
    def game(self) -> TabularGame:
        tables = (self.transition, self.leader, self.follower, self.initial)
        return TabularGame(
            *tables, *self.discounts, self.horizon, terminal=self.terminal, follower_sees_action=self.sees
        )

    def commitment(self, game: TabularGame) -> TabularPolicy:
        return TabularPolicy.from_probabilities(game, self.policy)

    @property
    def tables(self) -> tuple[FloatArray, FloatArray, FloatArray]:
        return self.transition, self.leader, self.follower

    @property
    def shape(self) -> tuple[int, int, int]:
        states, leader, follower = self.leader.shape
        return states, leader, follower


@dataclass(frozen=True)
class Change:
    """A game made from another, and how to read its results.

    Attributes:
        instance: the changed game.
        states: new index of each old state, ``[S]``.
        leader: new indices of each old leader action.
        follower: new indices of each old follower action.
        units: factors on both players' rewards.
        offsets: constants that were then added to them.
    """

    instance: Instance
    states: list[int]
    leader: list[list[int]]
    follower: list[list[int]]
    units: tuple[float, float] = (1.0, 1.0)
    offsets: tuple[float, float] = (0.0, 0.0)

    @classmethod
    def none(cls, instance: Instance) -> Change:
        states, leader, follower = instance.shape
        return cls(instance, list(range(states)), [[a] for a in range(leader)], [[b] for b in range(follower)])

    def follower_values(self, values: FloatArray) -> FloatArray:
        """VF(s) of the old game."""
        lifted = self.offsets[1] / (1 - self.instance.discounts[1])
        return np.asarray((values[self.states] - lifted) / self.units[1])

    def response(self, response: FloatArray) -> FloatArray:
        """g of the old game, copies of an action added up, ``[S, A, B]``."""
        rows = response[self.states][:, [copies[0] for copies in self.leader]]
        return np.stack([rows[:, :, copies].sum(axis=2) for copies in self.follower], axis=2)

    def slopes(self, slopes: FloatArray) -> FloatArray:
        """Derivatives of the leader's value by logits, ``[S, A]``; those of copies added up."""
        rows = slopes[self.states]
        return np.stack([rows[:, copies].sum(axis=1) for copies in self.leader], axis=1) / self.units[0]

    def leader_value(self, value: float) -> float:
        return (value - self.offsets[0] * annuity(self.instance)) / self.units[0]


def annuity(instance: Instance) -> float:
    """What 1 in every stage is worth to the leader."""
    discount = instance.discounts[0]
    if instance.horizon is None:
        return 1 / (1 - discount)
    return float(sum(discount**t for t in range(instance.horizon)))


# The games


@st.composite
def instances(draw: st.DrawFn, *, matrix: bool = False, largest: int = 4) -> Instance:
    """Games with up to ``largest`` states and few different numbers, so that ties abound; or one state, one stage."""
    states = 1 if matrix else draw(st.sampled_from([*range(2, largest + 1), 1]))
    shape = (states, draw(st.sampled_from([2, 3, 1])), draw(st.sampled_from([2, 3, 4, 1])))
    top = draw(st.sampled_from([1, 3, 64]))
    rewards = arrays(np.int64, shape, elements=st.integers(-top, top))
    leader, follower = (draw(rewards) / draw(st.sampled_from([1, 8])) for _ in range(2))
    terminal = np.zeros(states, dtype=bool)
    if states > 1 and draw(st.booleans()):
        terminal[-1] = True
    policy = _rows(draw, shape[:1], shape[1])
    initial = np.zeros(states)
    initial[draw(st.integers(0, max(0, states - 1 - int(terminal[-1]))))] = 1.0
    discounts = (0.0, 0.0)
    horizon: int | None = 1
    if not matrix:
        discounts = (draw(st.sampled_from([0.5, 0.9, 0.99])), draw(st.sampled_from([0.0, 0.5, 0.9, 0.99])))
        horizon = draw(st.sampled_from([None, None, 1, 3, 20]))
    return Instance(
        _rows(draw, shape, states),
        leader,
        follower,
        initial,
        policy,
        discounts,
        horizon,
        terminal,
        draw(st.booleans()) and not matrix,
        draw(st.sampled_from([0.05, 0.25, 1.0, 4.0])),
    )


def _rows(draw: st.DrawFn, shape: tuple[int, ...], width: int) -> FloatArray:
    """Distributions over ``width`` outcomes, of which two at most are possible, with chances in eighths."""
    first, second = (draw(arrays(np.int64, shape, elements=st.integers(0, width - 1))) for _ in range(2))
    share = draw(arrays(np.int64, shape, elements=st.integers(0, 8))) / 8
    identity = np.eye(width)
    return np.asarray(share[..., None] * identity[first] + (1 - share[..., None]) * identity[second])


# The same games in other words


def scaled(change: Change, random: np.random.Generator) -> Change:
    """Rewards of both players, and the temperature, in units from 1e-12 to 1e12; not where constants were added."""
    if change.offsets != (0.0, 0.0):
        return change  # the products would be rounded
    leader, follower = 10.0 ** random.integers(-12, 13, size=2)
    old = change.instance
    new = replace(
        old, leader=leader * old.leader, follower=follower * old.follower, temperature=follower * old.temperature
    )
    units = (leader * change.units[0], follower * change.units[1])
    return replace(change, instance=new, units=units)


def offset(change: Change, random: np.random.Generator) -> Change:
    """Constants of up to 1e9 in all rewards; not where an episode can end, nor after a change of units."""
    old = change.instance
    if old.terminal.any() or change.units != (1.0, 1.0):
        return change
    added = [float(number) for number in random.integers(-(10**9), 10**9, size=2)]
    new = replace(old, leader=old.leader + added[0], follower=old.follower + added[1])
    return replace(change, instance=new, offsets=(change.offsets[0] + added[0], change.offsets[1] + added[1]))


def unreachable(change: Change, random: np.random.Generator) -> Change:
    """More states, which nothing leads to, with rewards of any size."""
    old = change.instance
    states, leader, follower = old.shape
    added = int(random.integers(1, 3))
    size = 10.0 ** random.uniform(-3, 12, size=2)
    transition = np.zeros((states + added, leader, follower, states + added))
    transition[:states, :, :, :states] = old.transition
    transition[states:] = random.dirichlet(np.ones(states + added), size=(added, leader, follower))
    rewards = [
        np.concatenate([table, unit * random.normal(size=(added, leader, follower))])
        for table, unit in zip((old.leader, old.follower), size, strict=True)
    ]
    new = replace(
        old,
        transition=transition,
        leader=rewards[0],
        follower=rewards[1],
        initial=np.append(old.initial, np.zeros(added)),
        policy=np.concatenate([old.policy, random.dirichlet(np.ones(leader), size=added)]),
        terminal=np.append(old.terminal, np.zeros(added, dtype=bool)),
    )
    return replace(change, instance=new)


def relabelled(change: Change, random: np.random.Generator) -> Change:
    """States in another order."""
    old = change.instance
    order = random.permutation(old.shape[0])  # new index -> old index
    place = np.argsort(order)
    new = replace(
        old,
        transition=old.transition[order][..., order],
        leader=old.leader[order],
        follower=old.follower[order],
        initial=old.initial[order],
        policy=old.policy[order],
        terminal=old.terminal[order],
    )
    return replace(change, instance=new, states=[int(place[s]) for s in change.states])


def permuted(change: Change, random: np.random.Generator) -> Change:
    """Both players' actions in another order."""
    old = change.instance
    _, leader, follower = old.shape
    rows, columns = random.permutation(leader), random.permutation(follower)
    new = replace(
        old,
        transition=old.transition[:, rows][:, :, columns],
        leader=old.leader[:, rows][:, :, columns],
        follower=old.follower[:, rows][:, :, columns],
        policy=old.policy[:, rows],
    )
    row, column = np.argsort(rows), np.argsort(columns)
    return replace(
        change,
        instance=new,
        leader=[[int(row[a]) for a in copies] for copies in change.leader],
        follower=[[int(column[b]) for b in copies] for copies in change.follower],
    )


def leader_copies(change: Change, random: np.random.Generator) -> Change:
    """A leader action twice, its probability shared."""
    old = change.instance
    action, share = int(random.integers(old.shape[1])), float(random.choice([0.0, 0.25, 0.5, 1.0]))
    policy = np.concatenate([old.policy, share * old.policy[:, [action]]], axis=1)
    policy[:, action] -= policy[:, -1]
    tables = [np.concatenate([table, table[:, [action]]], axis=1) for table in old.tables]
    new = replace(old, policy=policy, transition=tables[0], leader=tables[1], follower=tables[2])
    added = new.shape[1] - 1
    leader = [[*copies, added] if action in copies else copies for copies in change.leader]
    return replace(change, instance=new, leader=leader)


def follower_copies(change: Change, random: np.random.Generator) -> Change:
    """A follower action twice: for hard responses only."""
    old = change.instance
    action = int(random.integers(old.shape[2]))
    tables = [np.concatenate([table, table[:, :, [action]]], axis=2) for table in old.tables]
    new = replace(old, transition=tables[0], leader=tables[1], follower=tables[2])
    added = new.shape[2] - 1
    follower = [[*copies, added] if action in copies else copies for copies in change.follower]
    return replace(change, instance=new, follower=follower)


def dominated(change: Change, random: np.random.Generator) -> Change:
    """A follower action that leads where another does and pays it less: for hard responses only."""
    old = change.instance
    action = int(random.integers(old.shape[2]))
    worse = old.follower[:, :, [action]] - change.units[1] * (0.125 + random.integers(0, 9, size=(*old.shape[:2], 1)))
    new = replace(
        old,
        transition=np.concatenate([old.transition, old.transition[:, :, [action]]], axis=2),
        leader=np.concatenate([old.leader, change.units[0] * random.integers(-9, 9, size=worse.shape)], axis=2),
        follower=np.concatenate([old.follower, worse], axis=2),
    )
    return replace(change, instance=new)


Transformation = Callable[[Change, np.random.Generator], Change]
ANY: dict[str, Transformation] = {
    "units": scaled,
    "offsets": offset,
    "unreachable states": unreachable,
    "relabelled states": relabelled,
    "permuted actions": permuted,
    "leader action twice": leader_copies,
}
HARD: dict[str, Transformation] = {"follower action twice": follower_copies, "dominated follower action": dominated}
ALL = {**ANY, **HARD}


def changed(change: Change, names: list[str], seed: int) -> Change:
    """The changes of these names, one after the other."""
    random = np.random.default_rng(seed)
    for name in names:
        change = ALL[name](change, random)
    return change


# Games in files


def record(game: Instance, names: list[str], seed: int) -> dict[str, Any]:
    """A game and changes as plain numbers."""
    entries = {name: value.tolist() if isinstance(value, np.ndarray) else value for name, value in vars(game).items()}
    return {**entries, "changes": names, "seed": seed}


def stored(entry: dict[str, Any]) -> tuple[Instance, list[str], int]:
    """What ``record`` stored."""
    numbers = {name: value for name, value in entry.items() if name not in ("changes", "seed")}
    for name in ("transition", "leader", "follower", "initial", "policy", "terminal"):
        numbers[name] = np.array(numbers[name])
    numbers["discounts"] = tuple(numbers["discounts"])
    return Instance(**numbers), entry["changes"], entry["seed"]
