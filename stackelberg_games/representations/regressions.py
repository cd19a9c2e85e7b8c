"""Critics and the follower's response learned from trajectories by regression with networks.

What the covariance hypergradient asks of its critics differs by factor, and so does what is fitted:

- The advantages AL and AF multiply the score of the action of the very stage, whose mean is zero:
  any sample of them will do. They are generalised advantage estimates (Schulman, Moritz, Levine,
  Jordan and Abbeel, ICLR 2016) over networks for VL(s, t) and VF(s),

      A_t = sum_k (lambda g)^k delta_{t+k},   delta_t = r_t + g V(s_{t+1}) - V(s_t).

- The follower's rewards count with their entropy, rF - tau log g(b | s, a). At the soft-optimal
  response QF - VF = tau log g, so that a stage's delta does not vary with b at all.
- The benefit B multiplies what *follows* the stage and must be a function of (s, a, b): a network
  h(s, a, b, t) regressed on the leader's delta, centred by the fitted response, B = h - E_b h.
  An error of h that does not depend on b cancels in the difference.

All values are of the current policies, which move: data that are k updates old count with
``memory ** k``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from typing import Any, NamedTuple

import numpy as np

from stackelberg_games.arrays import FloatArray, IntArray
from stackelberg_games.errors import InformationError, InvalidArgumentError
from stackelberg_games.hypergradient import StageCritics
from stackelberg_games.numerics.randomness import compiled, generator
from stackelberg_games.representations.network import Regressor
from stackelberg_games.representations.response_network import ResponseNetwork
from stackelberg_games.rules.commitment import Commitment
from stackelberg_games.rules.features import Features
from stackelberg_games.rules.trajectories import Trajectories
from stackelberg_games.rules.view import LeaderView

ROWS = 256  # in a minibatch
FORGOTTEN = 0.05  # data of less weight are dropped
OLDEST = 25  # and so are batches of this age
FIRST = 8  # times as many steps on the first batch


@dataclass(frozen=True)
class Estimation:
    """How networks are fitted.

    Args:
        memory: factor in [0, 1] by which data fade from batch to batch.
        smoothing: lambda in [0, 1] of the advantage estimates: 1 trusts returns, 0 the fitted values.
        steps: of Adam for each network and batch, >= 1.

    Raises:
        InvalidArgumentError: a setting is out of range.
    """

    memory: float = 0.8
    smoothing: float = 0.95
    steps: int = 40

    def __post_init__(self) -> None:
        if not (0 <= self.memory <= 1 and 0 <= self.smoothing <= 1):
            raise InvalidArgumentError(f"memory={self.memory!r}, smoothing={self.smoothing!r}: expected them in [0, 1]")
        if isinstance(self.steps, bool) or not isinstance(self.steps, int) or self.steps < 1:
            raise InvalidArgumentError(f"steps={self.steps!r}: expected an integer >= 1")


class Observed(NamedTuple):
    """A batch, and the vectors of what happened in it.

    Attributes:
        batch: N episodes of at most T stages.
        states: ``[N, T + 1, n]``.
        leader: ``[N, T, k]``.
        follower: ``[N, T, m]``.
        leader_rewards: ``[N, T]``, as they would be paid now; the batch's own unless the leader configures the game.
        follower_rewards: likewise, or None where they are not observed.
    """

    batch: Trajectories
    states: FloatArray
    leader: FloatArray
    follower: FloatArray
    leader_rewards: FloatArray
    follower_rewards: FloatArray | None


Incentives = Callable[[Trajectories], tuple[FloatArray, FloatArray]]
"""From a batch whose rewards are those before any configuration to what the present one adds to both, ``[N, T]``."""


class NeuralEstimator:
    """Fits from what was observed, and the critics at the stages of a batch.

    Args:
        view: what the leader knows of the game; flat Boxes and Discrete spaces.
        settings: see ``Estimation``.
        temperature: the follower's, where its values and its response are to be fitted; None for
            the leader's own values alone.
        seed: of weights and minibatches.

    Raises:
        UnsupportedGameError: a space is of another kind.
    """

    def __init__(self, view: LeaderView, settings: Estimation, temperature: float | None, seed: int = 0) -> None:
        self.view, self.settings, self.temperature, self.seed = view, settings, temperature, seed
        spaces = (view.state_space, view.leader_action_space, view.follower_action_space)
        self.features = tuple(Features(space) for space in spaces)
        n, k, m = (feature.size for feature in self.features)
        clock, seen = int(view.horizon is not None), k * view.follower_sees_action
        self.leader_value = Regressor(n + clock, seed)
        self.leader_advantage = Regressor(n + clock + seen + m, seed + 1)
        self.follower_value = Regressor(n, seed + 2)
        self.response = ResponseNetwork(view.follower_action_space, n + seen, seed + 3)
        self.kept: list[Observed] = []
        self.count = 0

    def observe(self, batch: Trajectories, incentives: Incentives | None = None) -> None:
        """Add a batch and fit.

        Args:
            batch: what was played.
            incentives: where the leader configures the game; the batch then holds rewards without them.

        Raises:
            InformationError: the follower is to be fitted and its rewards are missing.
            InvalidArgumentError: a state or an action is no element of its space.
        """
        if self.temperature is not None and batch.follower_rewards is None:
            raise InformationError("the follower's values are fitted to its rewards; these trajectories hold none")
        actions = (repeated(values, batch) for values in (batch.leader_actions, batch.follower_actions))
        vectors = zip(self.features, (batch.states, *actions), strict=True)
        rewards = (batch.leader_rewards, batch.follower_rewards)
        states, leader, follower = (feature(values) for feature, values in vectors)
        new = Observed(batch, states, leader, follower, *rewards)
        memory = self.settings.memory
        self.kept = [old for age, old in enumerate([new, *self.kept]) if memory**age >= FORGOTTEN and age < OLDEST]
        if incentives is not None:
            self.kept = [_paid(old, *incentives(old.batch)) for old in self.kept]
        self.fit()
        self.count += 1

    def fit(self) -> None:
        """Descend on everything that the critics need, for what is kept."""
        self._fit_leader()
        if self.temperature is not None:
            self.fit_response()
            self.fit_follower()
            self._fit_advantage()

    def critics(self, commitment: Commitment) -> StageCritics:
        """The factors of the hypergradient at the stages of the newest batch; zero in the padding.

        Without a temperature the follower's factors are zero. The values of the next states are taken less those
        of the state before, which do not depend on where the transition leads.
        """
        new = self.kept[0]
        deltas = self._leader_deltas(new)
        leader = self.advantages(new, *deltas)
        if self.temperature is None:
            none = np.zeros_like(leader)
            return StageCritics(none, leader, none, self.gained(new, *deltas), none)
        owed = self.follower_deltas(new)
        follower = self.advantages(new, *owed)
        return StageCritics(self._benefit(new), leader, follower, self.gained(new, *deltas), self.gained(new, *owed))

    # Rows of the networks.

    def timed(self, seen: Observed) -> FloatArray:
        """States with the share of the horizon that has passed, ``[N, T + 1, n + 1]``; states alone without one."""
        if self.view.horizon is None:
            return seen.states
        passed = np.arange(seen.states.shape[1]) / self.view.horizon
        clock = np.broadcast_to(passed[:, None], (*seen.states.shape[:2], 1))
        return np.concatenate([seen.states, clock], axis=2)

    def shown(self, seen: Observed) -> FloatArray:
        """What the follower sees when it moves, ``[N, T, ...]``."""
        if not self.view.follower_sees_action:
            return seen.states[:, :-1]
        return np.concatenate([seen.states[:, :-1], seen.leader], axis=2)

    def _moves(self, seen: Observed, replies: FloatArray) -> FloatArray:
        """Rows of the leader's advantage for replies ``[M, m]`` at the M stages played."""
        parts = (
            [self.timed(seen)[:, :-1], seen.leader] if self.view.follower_sees_action else [self.timed(seen)[:, :-1]]
        )
        return np.concatenate([*(part[seen.batch.mask] for part in parts), replies], axis=1)

    # What the values say of a batch.

    def _leader_deltas(self, seen: Observed) -> tuple[FloatArray, FloatArray, float]:
        """VL ``[N, T + 1]``, zero where play is over, the rewards, and the discount."""
        values = self.leader_value(self.timed(seen))
        if self.view.horizon is not None:
            values = values * (np.arange(values.shape[1]) < self.view.horizon)
        return self.ended(seen, values), seen.leader_rewards, self.view.leader_discount

    def follower_deltas(self, seen: Observed) -> tuple[FloatArray, FloatArray, float]:
        """VF ``[N, T + 1]``, the rewards with their entropy, and the discount."""
        assert self.temperature is not None
        surprise = -self.temperature * self.response.log_prob(self.shown(seen), seen.follower)
        rewards = (np.asarray(seen.follower_rewards) + surprise) * seen.batch.mask
        return self.ended(seen, self.follower_value(seen.states)), rewards, self.view.follower_discount

    @staticmethod
    def ended(seen: Observed, values: FloatArray) -> FloatArray:
        """Values with zeros at terminal states."""
        over = np.zeros_like(values, dtype=np.bool_)
        rows = np.flatnonzero(seen.batch.terminated)
        over[rows, seen.batch.lengths[rows]] = True
        return np.where(over, 0.0, values)

    def advantages(self, seen: Observed, values: FloatArray, rewards: FloatArray, discount: float) -> FloatArray:
        """Generalised advantage estimates, ``[N, T]``."""
        deltas = np.where(seen.batch.mask, rewards + discount * values[:, 1:] - values[:, :-1], 0.0)
        return _decayed(deltas, discount * self.settings.smoothing)

    @staticmethod
    def gained(seen: Observed, values: FloatArray, rewards: FloatArray, discount: float) -> FloatArray:
        """V(s') - (V(s) - r) / g, ``[N, T]``; the value itself where g is 0."""
        before = (values[:, :-1] - rewards) / discount if discount > 0 else 0.0
        return np.where(seen.batch.mask, values[:, 1:] - before, 0.0)

    def _benefit(self, seen: Observed) -> FloatArray:
        """B ``[N, T]``."""
        mask = seen.batch.mask
        weights, replies = self.response.nodes(self.shown(seen)[mask])
        taken = self.leader_advantage(self._moves(seen, seen.follower[mask]))
        mean = np.zeros(len(taken))
        for column in range(weights.shape[1]):
            mean += weights[:, column] * self.leader_advantage(self._moves(seen, replies[:, column]))
        out = np.zeros(mask.shape)
        out[mask] = taken - mean
        return out

    # Fits.

    def _picks(self, network: int) -> IntArray:
        """Rows of every minibatch, newer data more often."""
        counts = [int(old.batch.transitions) for old in self.kept]
        chances = np.repeat(self.settings.memory ** np.arange(len(counts), dtype=np.float64), counts)
        steps = self.settings.steps * (1 if self.count else FIRST)
        source = generator(self.seed, 7, self.count, network)
        return source.choice(len(chances), size=(steps, ROWS), p=chances / chances.sum())

    def regress(self, regressor: Regressor, number: int, rows: list[FloatArray], targets: list[FloatArray]) -> None:
        """Fit a network to rows and targets, one array for each batch kept, the newest first."""
        regressor.see(rows[0], targets[0])
        regressor.fit(np.concatenate(rows), np.concatenate(targets), self._picks(number))

    def _fit_leader(self) -> None:
        rows = [self.timed(old)[:, :-1][old.batch.mask] for old in self.kept]
        found = [self._leader_deltas(old) for old in self.kept]
        self.regress(self.leader_value, 0, rows, self._returns(found))

    def fit_response(self) -> None:
        """Descend on the likelihood of the follower's actions."""
        shown = [self.shown(old)[old.batch.mask] for old in self.kept]
        self.response.network.inputs.see(shown[0])
        replies = np.concatenate([old.follower[old.batch.mask] for old in self.kept])
        self.response.fit(np.concatenate(shown), replies, self._picks(1))

    def fit_follower(self) -> None:
        """Descend on the squared error of the follower's values."""
        rows = [old.states[:, :-1][old.batch.mask] for old in self.kept]
        found = [self.follower_deltas(old) for old in self.kept]
        self.regress(self.follower_value, 2, rows, self._returns(found))

    def _returns(self, found: list[tuple[FloatArray, FloatArray, float]]) -> list[FloatArray]:
        """Lambda-returns at the stages played, a row for each batch."""
        return [
            (self.advantages(old, *parts) + parts[0][:, :-1])[old.batch.mask]
            for old, parts in zip(self.kept, found, strict=True)
        ]

    def _fit_advantage(self) -> None:
        rows = [self._moves(old, old.follower[old.batch.mask]) for old in self.kept]
        deltas = []
        for old in self.kept:
            values, rewards, discount = self._leader_deltas(old)
            deltas.append((rewards + discount * values[:, 1:] - values[:, :-1])[old.batch.mask])
        self.regress(self.leader_advantage, 3, rows, deltas)

    # Storing.

    @property
    def parts(self) -> dict[str, Regressor | ResponseNetwork]:
        """The networks by name."""
        return {
            "leader_value": self.leader_value,
            "leader_advantage": self.leader_advantage,
            "follower_value": self.follower_value,
            "response": self.response,
        }

    def state_dict(self) -> dict[str, Any]:
        """Networks and the data that still count."""
        networks = {name: part.state_dict() for name, part in self.parts.items()}
        return {"networks": networks, "count": self.count, "kept": [vars_of(old) for old in self.kept]}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Continue from a stored state."""
        for name, part in self.parts.items():
            part.load_state_dict(state["networks"][name])
        self.count = int(state["count"])
        self.kept = [
            Observed(Trajectories(**old["batch"]), *(_array(old[name]) for name in Observed._fields[1:]))
            for old in state["kept"]
        ]


class ResponseEstimator(NeuralEstimator):
    """The follower's response alone."""

    def fit(self) -> None:
        """See ``NeuralEstimator.fit``."""
        self.fit_response()


def _paid(seen: Observed, leader: FloatArray, follower: FloatArray) -> Observed:
    """With what a configuration adds to the rewards before any."""
    batch = seen.batch
    paid = None if batch.follower_rewards is None else batch.follower_rewards + follower
    return seen._replace(leader_rewards=batch.leader_rewards + leader, follower_rewards=paid)


def vars_of(seen: Observed) -> dict[str, Any]:
    """A batch and its vectors as nested dicts of arrays."""
    return {**seen._asdict(), "batch": {part.name: getattr(seen.batch, part.name) for part in fields(seen.batch)}}


def _array(stored: Any) -> Any:
    return None if stored is None else np.array(stored)


def repeated(actions: Any, batch: Trajectories) -> Any:
    """Actions with the first of each episode in its padding, which need not hold an action at all."""
    mask = batch.mask.reshape(batch.mask.shape + (1,) * (actions.ndim - 2))
    return np.where(mask, actions, actions[:, :1])


@compiled
def _accumulate(deltas: Any, decay: float, out: Any) -> None:
    for i in range(deltas.shape[0]):
        total = 0.0
        for t in range(deltas.shape[1] - 1, -1, -1):
            total = deltas[i, t] + decay * total
            out[i, t] = total


def _decayed(deltas: FloatArray, decay: float) -> FloatArray:
    """Sums of what follows, each stage later weighing ``decay`` less, ``[N, T]``."""
    out = np.zeros_like(deltas)
    _accumulate(deltas, decay, out)
    return out
