"""Tables of both players' values, read off at visited stages. Exact or estimated, the form is one."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from stackelberg_games import checks
from stackelberg_games.arrays import BoolArray, FloatArray, IntArray
from stackelberg_games.errors import InvalidArgumentError
from stackelberg_games.exact.pair import Pair
from stackelberg_games.exact.response import Arrays, Response
from stackelberg_games.hypergradient import Influence, StageCritics
from stackelberg_games.kinds.kernel import DenseKernel
from stackelberg_games.numerics.averages import averages, owing
from stackelberg_games.numerics.randomness import compiled
from stackelberg_games.rules.trajectories import BLOCK, Trajectories, check_played, table_of, width


@dataclass(frozen=True)
class CriticTables:
    """Values of a finite game at one commitment and response.

    Examples:
        >>> import numpy as np
        >>> import stackelberg_games as sg
        >>> game = sg.make("discrete_toy-v0")
        >>> critics = sg.exact.critics(game, sg.TabularPolicy(game), temperature=0.05)
        >>> critics.follower_values.shape, critics.benefit.shape
        ((3,), (150, 3, 2, 3))
        >>> np.allclose((critics.benefit * critics.response).sum(axis=-1), 0.0)
        True

    Attributes:
        leader_q: QL, ``[S, A, B]``, or ``[H, S, A, B]`` where the leader's objective has a
            horizon: entry h has h + 1 stages to go. Beyond a thousand stages there are no more entries once the values have
            settled, and the last is that of all greater numbers.
        follower_q: QF, ``[S, A, B]``.
        follower_action_values: VF(s, a), ``[S, A]``.
        follower_values: VF(s), ``[S]``.
        response: g, ``[S, A, B]``.
        policy: f, ``[S, A]``.
        alive: bool ``[S]``, false at terminal states.
        sees: whether the follower sees the leader's action.
        horizon: of the leader's objective; H unless given.
    """

    leader_q: FloatArray
    follower_q: FloatArray
    follower_action_values: FloatArray
    follower_values: FloatArray
    response: FloatArray
    policy: FloatArray
    alive: BoolArray
    sees: bool
    horizon: int | None = None

    @property
    def _last(self) -> int:
        """Entry of the leader's tables at an episode's first stage, were there one for every stage."""
        return 0 if self.leader_q.ndim == 3 else (self.horizon or len(self.leader_q)) - 1

    @cached_property
    def leader_action_values(self) -> FloatArray:
        """VL(s, a) = E_b QL(s, a, b), ``[(H,) S, A]``."""
        tables = self.leader_q.reshape(-1, *self.response.shape)
        return np.asarray(averages(self.response, tables).reshape(self.leader_q.shape[:-1]))

    @cached_property
    def leader_values(self) -> FloatArray:
        """VL(s), zero at terminal states, ``[(H,) S]``."""
        tables = self.leader_action_values.reshape(-1, 1, *self.policy.shape)
        return np.asarray(averages(self.policy[None], tables).reshape(self.leader_q.shape[:-2]) * self.alive)

    @cached_property
    def benefit(self) -> FloatArray:
        """B = QL - E_b QL, ``[(H,) S, A, B]``; for an unseen a, of the average of QL over a."""
        if self.sees:
            return np.asarray(self.leader_q - self.leader_action_values[..., None])
        blind = (self.policy[:, :, None] * self.leader_q).sum(axis=-2)
        centred = blind - (self.response[:, 0] * blind).sum(axis=-1, keepdims=True)
        return np.broadcast_to(centred[..., None, :], self.leader_q.shape)

    @cached_property
    def leader_advantage(self) -> FloatArray:
        """AL(s, a) = VL(s, a) - VL(s), ``[(H,) S, A]``."""
        return np.asarray(self.leader_action_values - self.leader_values[..., None])

    @cached_property
    def _action_advantage(self) -> FloatArray:
        """VF(s, a) - VF(s), ``[S, A]``."""
        values = averages(self.policy[None], self.follower_action_values[None, None])[0, 0]
        return np.asarray(self.follower_action_values - values[:, None])

    @cached_property
    def follower_advantage(self) -> FloatArray:
        """AF, ``[S, A, B]``: VF(s, a) - VF(s), or QF - E_a QF for an unseen a."""
        if self.sees:
            return np.broadcast_to(self._action_advantage[:, :, None], self.follower_q.shape)
        mean = (self.policy[:, :, None] * self.follower_q).sum(axis=1, keepdims=True)
        return np.asarray(self.follower_q - mean)

    def _stages_left(self, batch: Trajectories) -> tuple[IntArray, ...]:
        """Leading index into the leader's tables: nothing, or which, ``[1, T]``."""
        if self.leader_q.ndim == 3:
            return ()
        if batch.stages > self._last + 1:
            raise InvalidArgumentError(
                f"episodes of {batch.stages} stages: these critics have a horizon of {self._last + 1}"
            )
        return (self._last - np.arange(batch.stages)[None, :],)

    def benefit_at(self, batch: Trajectories) -> FloatArray:
        """B at the visited stages, ``[N, T]``; zero in padding."""
        benefit, out = self.benefit, np.zeros((batch.episodes, batch.stages))
        played = (batch.states, batch.leader_actions, batch.follower_actions, batch.lengths)
        self._stages_left(batch)  # refuses episodes that are too long
        check_played(batch, benefit.shape[-3:])
        _read(benefit.reshape(-1, *benefit.shape[-3:]), played, self._last, out)
        return out

    def leader_next(self, batch: Trajectories) -> FloatArray:
        """VL(s_{t+1}) at the visited stages, ``[N, T]``; zero where nothing is left."""
        values, left = self.leader_values, self._stages_left(batch)
        if left:  # after the last stage nothing is left
            values = np.concatenate([np.zeros_like(values[:1]), values])
            left = (np.minimum(left[0], len(values) - 1),)
        return np.asarray(values[(*left, batch.states[:, 1:])])

    def follower_next(self, batch: Trajectories) -> FloatArray:
        """VF(s_{t+1}) at the visited stages, ``[N, T]``."""
        return np.asarray(self.follower_values[batch.states[:, 1:]])

    def at(self, batch: Trajectories, *, transitions: bool = False) -> StageCritics:
        """The values at the visited stages; next values too if ``transitions``."""
        pair = (batch.states[:, :-1], batch.leader_actions)
        left = tuple(np.minimum(which, len(self.leader_q) - 1) for which in self._stages_left(batch))
        return StageCritics(
            self.benefit_at(batch),
            self.leader_advantage[(*left, *pair)],
            self.follower_advantage[(*pair, batch.follower_actions)],
            self.leader_next(batch) if transitions else None,
            self.follower_next(batch) if transitions else None,
        )

    def direct_weights(self, batch: Trajectories, leader_discount: float) -> FloatArray:
        """Table ``[S, A]`` whose product with log f is the direct term, averaged over the action.

        The drawn action is replaced by its expectation at every visited state, so only the states
        are sampled.
        """
        advantage, out = self.leader_advantage, np.zeros(self.policy.shape)
        self._stages_left(batch)  # refuses episodes that are too long
        check_played(batch, self.follower_q.shape)
        rows = advantage.reshape(-1, *out.shape)
        _visit(rows, batch.states, batch.lengths, (leader_discount, 1.0 / batch.episodes, self._last), out)
        return np.asarray(self.policy * out)

    def response_weights(self, batch: Trajectories, influence: Influence) -> FloatArray:
        """Table ``[S, A]`` whose product with log f is the response term, averaged over the action."""
        if not self.sees:
            return self.owing(table_of(batch, influence.after, self.follower_q.shape) / batch.episodes)
        check_played(batch, self.follower_q.shape)
        played, weights = batch.states[:, :-1][batch.mask], influence.before[batch.mask]
        return self.owing(np.bincount(played, weights, minlength=len(self.policy)) / batch.episodes)

    def owing(self, owed: FloatArray) -> FloatArray:
        """The same for what is owed to states by earlier replies, u ``[S]``; to stages by their own too, w ``[S, A, B]``, if a is not seen."""
        if self.sees:
            return np.asarray(self.policy * self._action_advantage * (owed * self.alive)[:, None])
        return np.asarray(owing(self.policy, owed, self.follower_advantage))


@compiled
def _read(tables: Any, played: Any, last: int, out: Any) -> None:
    """Entries of one table, or of the one for as many stages as are left, at the stages played."""
    states, leader, follower, lengths = played
    settled = tables.shape[0] - 1
    for i in range(lengths.shape[0]):
        for t in range(lengths[i]):
            out[i, t] = tables[min(last - t, settled) if last else 0, states[i, t], leader[i, t], follower[i, t]]


@compiled
def _visit(tables: Any, states: Any, lengths: Any, weights: Any, out: Any) -> None:
    """Rows of the tables that ``_read`` reads, added up over the states visited with their discounts."""
    (discount, first, last), settled = weights, tables.shape[0] - 1
    for i in range(lengths.shape[0]):
        weight = first
        for t in range(lengths[i]):
            s = states[i, t]
            for a in range(out.shape[1]):
                out[s, a] += weight * tables[min(last - t, settled) if last else 0, s, a]
            weight *= discount


def critic_tables(arrays: Arrays, solved: Response, horizon: int | None) -> CriticTables:
    """All values of both players at a commitment and a soft-optimal response to it.

    Args:
        arrays: the game under the commitment.
        solved: the response.
        horizon: of the leader's objective.
    """
    return CriticTables(
        leader_q(Pair(arrays, solved.policy), horizon),
        solved.q,
        solved.action_values,
        solved.values,
        solved.policy,
        arrays.policy,
        arrays.alive,
        arrays.sees,
        horizon,
    )


def leader_q(pair: Pair, horizon: int | None) -> FloatArray:
    """QL when both players follow their policies: ``[S, A, B]``, or ``[H, S, A, B]`` (see ``CriticTables``)."""
    arrays, joint = pair.arrays, pair.joint
    if horizon is None:
        return arrays.leader_q(pair.leader_values)
    room, begin, values = min(horizon, BLOCK), 0, np.zeros(len(joint))
    tables = np.empty((room, *joint.shape))
    while True:
        if isinstance(arrays.kernel, DenseKernel):
            given = (arrays.transition, arrays.leader_reward, joint, arrays.leader_discount)
            settled = _backward(given, tables, values, begin)
        else:
            settled = _listed_backward(arrays, joint, tables, values, begin)
        if settled < room or room == horizon:
            tables[settled:] = tables[settled - 1]
            return tables[: width(settled, horizon)]
        begin, room = room, min(horizon, 4 * room)
        checks.affordable(f"values of {room} of {horizon} stages", room * joint.size)
        tables = np.concatenate([tables, np.empty((room - begin, *joint.shape))])


def _listed_backward(arrays: Arrays, joint: FloatArray, tables: FloatArray, values: FloatArray, begin: int) -> int:
    """``_backward`` for lists of successors."""
    for h in range(begin, len(tables)):
        tables[h] = arrays.leader_q(values)
        updated = (joint * tables[h]).sum(axis=(1, 2))
        if (updated == values).all():
            return h + 1
        values[:] = updated
    return len(tables)


@compiled
def _backward(given: Any, tables: Any, values: Any, begin: int) -> int:
    """Fill tables from entry ``begin`` on until values settle, and values along; how many are filled."""
    transition, reward, joint, discount = given
    horizon, states, actions, replies = tables.shape
    updated = np.zeros(states)
    for h in range(begin, horizon):
        updated[:] = 0.0
        for s in range(states):
            for a in range(actions):
                for b in range(replies):
                    total = 0.0
                    for n in range(states):
                        total += transition[s, a, b, n] * values[n]
                    tables[h, s, a, b] = reward[s, a, b] + discount * total
                    updated[s] += joint[s, a, b] * tables[h, s, a, b]
        same = True
        for s in range(states):
            same = same and updated[s] == values[s]
            values[s] = updated[s]
        if same:
            return h + 1
    return int(horizon)
