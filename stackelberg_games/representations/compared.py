"""Counts of a finite preference game: what the leader learns from a judge's labels of pairs of episodes.

The loss of a label is l = softplus(D) - y D, with D the difference of the two segments' returns under the leader's own
reward. Its gradient in that reward is

    direct    - (dl, D differentiated)
    response  - (1/tau) (l - b) sum over both segments and the stages that led to their ends of [ dQF(s, b) - dVF(s) ]

for a mean over pairs and any baseline b that does not depend on the pair. A segment that begins later was led to by the
stages before it, whose replies are credited as its own are. All of the follower's reward is the leader's own
choice, so that dQF and dVF follow from the moves that were counted, by one linear solve: nothing is unrolled along
trajectories. Moves are counted in whole episodes, which go on after the segment. Since dQF is a table, credits of equal (s, b) add up.

Where the reward has moved since the pairs were played, their losses count with the probability that the follower would
now play them over the one with which it did, both from its soft response in the counted game.
"""

from __future__ import annotations

import math
from functools import cached_property
from typing import Any

import gymnasium
import numpy as np
import torch
from torch import Tensor

from stackelberg_games import checks
from stackelberg_games.arrays import BoolArray, FloatArray, IntArray
from stackelberg_games.commitments.configuration import Configuration
from stackelberg_games.errors import UnsupportedGameError
from stackelberg_games.hypergradient import Influence
from stackelberg_games.learning.information import Evidence
from stackelberg_games.representations.finite import Finite
from stackelberg_games.representations.finite_values import FiniteValues
from stackelberg_games.representations.protocol import MEANS, Credit, Needs
from stackelberg_games.rules.commitment import Commitment
from stackelberg_games.rules.lever import Terms, require_lever
from stackelberg_games.rules.trajectories import Trajectories, table_of
from stackelberg_games.rules.view import LeaderView

BASELINE = math.log(2.0)
"""Loss of a reward that tells nothing of a pair: it needs no data, and takes most of the variance away."""

FARTHEST = 50.0
"""Log-probability ratio of a pair beyond which its weight is not worked out."""


def require_labels(view: LeaderView, needs: Needs, who: object) -> None:
    """Raise ``UnsupportedGameError`` if there is no lever, or something is asked of which labels tell nothing."""
    require_lever(view.lever, who)
    if not needs.values or needs.players or needs.sarsa is not None or needs.backup != MEANS:
        raise UnsupportedGameError(
            "labels of pairs tell of no reward of a stage, from which this leader learns; drlhf, bchg, hpgd and "
            "sobirl learn from them"
        )


class Approaches:
    """The stages of a batch that led to the end of a segment: its own, and those of its episode before it.

    Args:
        batch: N episodes that hold both sides of K pairs.
        segments: where they are, see ``Comparisons.places``.

    Attributes:
        episodes: of the segments, ``[2K, 1]``.
        led: which stages of them, bool ``[2K, T]``.
    """

    def __init__(self, batch: Trajectories, segments: tuple[IntArray, IntArray]) -> None:
        self.batch, (self.episodes, stages) = batch, segments
        self.led: BoolArray = np.arange(batch.stages) <= stages[:, -1:]

    def of(self, values: Any) -> Any:
        """Values at the stages of the batch, ``[N, T, ...]``, for each segment, ``[2K, T, ...]``."""
        return values[self.episodes[:, 0]]

    def laid(self, credit: FloatArray) -> FloatArray:
        """Credits ``[2K, T]`` or ``[2K, 1]`` on the batch, ``[N, T]``, so that means over episodes are means over pairs."""
        laid = np.zeros((self.batch.episodes, self.batch.stages))
        np.add.at(laid, self.episodes[:, 0], self.led * credit * (2 * self.batch.episodes / len(credit)))
        return laid


class Compared(Finite):
    """Counts of moves and replies, and the last pairs with their labels.

    Args:
        view, commitment, needs, seed: see ``Representation``.
        memory: see ``Finite``.
        planned: whether the follower's response is planned in the counted game, as if it were soft-optimal, where it is
            needed: for the mean over replies. Counted otherwise, which is noisier and assumes less.
        clip: largest weight of a pair whose probability has changed, >= 1.

    Attributes:
        cut: share of all weights that ``clip`` cut off when they were last worked out.

    Raises:
        InvalidArgumentError: a setting is out of range.
        UnsupportedGameError: something is asked of which labels tell nothing: a game to plan in, both players' returns,
            a table of SARSA, another backup than the mean.
    """

    compares = True
    adjoints = ("solve",)
    reads: tuple[str, ...] = ("none", "policy")

    def __init__(
        self,
        view: LeaderView,
        commitment: Commitment,
        needs: Needs,
        seed: int = 0,
        *,
        memory: float = 0.8,
        planned: bool = False,
        clip: float = 10.0,
    ) -> None:
        require_labels(view, needs, self)
        super().__init__(view, commitment, needs, seed, memory=memory)
        self.cut = 0.0
        self.planned, self.clip = checks.flag("planned", planned), checks.number("clip", clip, 1)

    @classmethod
    def fits(cls, view: LeaderView, commitment: Commitment) -> bool:
        """In finite games with a judge."""
        return view.judged is not None and isinstance(view.state_space, gymnasium.spaces.Discrete)

    @classmethod
    def settings(cls, view: LeaderView, needs: Needs) -> tuple[str, ...]:
        """All three where the response counts; none for the direct row."""
        return ("memory", "planned", "clip") if needs.follower else ()

    def observe(self, evidence: Evidence, commitment: Commitment) -> None:
        """Count a batch, and take the labels of its pairs."""
        told = evidence.require_comparisons()
        self.label = torch.from_numpy(np.array(told.label))
        super().observe(evidence, commitment)
        self.segments = told.places(self.batch.episodes)
        self.approaches = Approaches(self.batch, self.segments)
        assert self.lever is not None
        asked = self.lever.asked
        cells = np.zeros(self.counts.shape, dtype=np.int64)
        cells[asked[:3]] = np.arange(len(asked.states))
        count = np.zeros((2 * len(told), len(asked.states)))
        inside = tuple(part[self.segments] for part in self.stages)
        np.add.at(count, (np.arange(len(count))[:, None], cells[inside]), 1)
        self.apart = torch.from_numpy(count[0::2] - count[1::2])
        self.then = Configuration(self.lever.configuration.numpy(), states=self.counts.shape[0])
        if self.planned:
            self.response = self._before

    @property
    def stages(self) -> tuple[IntArray, IntArray, IntArray]:
        """States, leader actions and replies of the stages played, ``[N, T]`` each."""
        return self.batch.states[:, :-1], self.batch.leader_actions, self.batch.follower_actions

    @property
    def _before(self) -> FloatArray:
        """The soft response to the reward under which the pairs were played."""
        if "before" not in self.once:
            self.once["before"] = self._replanned(self.then)
        before: FloatArray = self.once["before"]
        return before

    def _replanned(self, commitment: Commitment) -> FloatArray:
        """The soft response in the counted game, ``[S, A, B]``."""
        if "model" not in self.once:
            self.once["model"] = self.fitted()
        return np.asarray(self.once["model"].response(commitment, self.view.temperature))

    def at(self, commitment: Commitment) -> ComparedValues:
        """See ``Representation.at``; pairs count anew where the reward has moved since they were played."""
        configuration = commitment.configuration()
        assert configuration is not None
        assert self.lever is not None
        terms, even = self.lever.terms(configuration), np.ones(len(self.label))
        if not self.needs.follower or torch.equal(configuration.detach(), self.lever.configuration):
            return ComparedValues(self, commitment, terms, self.response, even)
        response = self._replanned(commitment)
        tiny = np.finfo(np.float64).tiny
        now, then = (np.log(np.maximum(table[self.stages], tiny)) for table in (response, self._before))
        change = (self.approaches.of(now - then) * self.approaches.led).sum(axis=1)
        weights = np.exp(np.clip(change[0::2] + change[1::2], -FARTHEST, FARTHEST))
        self.cut = float((weights - np.minimum(weights, self.clip)).sum() / weights.sum())
        return ComparedValues(self, commitment, terms, response, np.minimum(weights, self.clip))


class ComparedValues(FiniteValues):
    """Losses of labels, and the follower's values by one solve.

    Args:
        learned: counts and labels.
        commitment: to differentiate in.
        terms: of the lever at this commitment.
        response: the follower's there, ``[S, A, B]``.
        weights: of the pairs, ``[K]``.
    """

    _learned: Compared

    def __init__(
        self, learned: Compared, commitment: Commitment, terms: Terms, response: FloatArray, weights: FloatArray
    ) -> None:
        super().__init__(learned, commitment)
        assert terms.follower_reward is not None
        gap = learned.apart @ terms.follower_reward
        self.losses = torch.nn.functional.softplus(gap) - learned.label * gap
        self.weights, self._response, self._chosen = weights, response, terms.follower_reward

    lasting = False  # losses bend, and pairs weigh otherwise and are answered otherwise once the commitment has moved

    def figures(self) -> dict[str, float]:
        """Mean loss of the labels, and the share of the pairs that their weights leave."""
        left = float(self.weights.sum() ** 2 / (len(self.weights) * (self.weights**2).sum()))
        return {"loss": float(self.losses.detach().mean()), "effective": left}

    def direct(self) -> Tensor:
        """See ``Values.direct``."""
        return -(torch.from_numpy(self.weights) * self.losses).mean()

    @cached_property
    def discounts(self) -> FloatArray:
        """One at the stages played: a pair is worth the same wherever in an episode its segments are."""
        return self.batch.mask.astype(np.float64)

    def returns(self, baseline: bool) -> FloatArray:
        """Minus the losses of the pairs that a stage led to, or log 2 less them, ``[N, T]``."""
        paid = (BASELINE if baseline else 0.0) - self.losses.detach().numpy()
        return self._learned.approaches.laid(np.repeat(self.weights * paid, 2)[:, None])

    def benefit(self) -> Credit:
        """What pairs that came by a stage were worth, less what the others were that came by its state."""
        approaches = self._learned.approaches
        states, led = approaches.of(self._learned.stages[0]), approaches.led
        paid = np.repeat(self.weights * (BASELINE - self.losses.detach().numpy()), 2)[:, None]
        pairs = np.broadcast_to(approaches.episodes // 2, states.shape)
        visits, sums = (np.zeros((self.batch.episodes // 2, self._learned.counts.shape[0])) for _ in range(2))
        np.add.at(visits, (pairs, states), led)
        np.add.at(sums, (pairs, states), led * paid)
        others = (visits.sum(axis=0) - visits)[pairs, states]
        mean = (sums.sum(axis=0) - sums)[pairs, states] / np.maximum(others, 1.0)
        return Credit(approaches.laid((paid - mean) * (others > 0)))

    def advantage(self, how: str, wide: Trajectories) -> Credit:
        """See ``benefit``; of the batch, for nobody compared other episodes."""
        if wide is not self.batch:
            raise self._lacks("advantages from episodes that nobody compared")
        return self.benefit()

    def averaged(self, credit: Credit, wide: Trajectories) -> Credit:
        """Less, in every state, what the response expects; as a table, ``[S, A, B]``."""
        return Credit(credit.at, self._less_expected(self._owed(credit)))

    def solved(self, credit: Credit) -> Tensor:
        """See ``Values.solved``."""
        own = self._owed(credit) if credit.table is None else credit.table
        arrays = self._learned.arrays
        joint, system = arrays.joint(self._response), arrays.system(self._response, arrays.follower_discount)
        entering = arrays.follower_discount * arrays.kernel.inflow(own)
        owed = own + system.solve_transposed(entering)[:, None, None] * joint
        return self._priced(owed)

    def unrolled(self, trace: Influence, credit: Credit, batch: Trajectories) -> Tensor:
        """Solved: what trajectories would estimate is known."""
        return self.solved(credit)

    def truncated(self, credit: Credit) -> Tensor:
        """See ``Values.truncated``."""
        return self._priced(self._less_expected(self._owed(credit)))

    def _owed(self, credit: Credit) -> FloatArray:
        return table_of(self.batch, credit.at, self._learned.counts.shape) / self.batch.episodes

    def _less_expected(self, owed: FloatArray) -> FloatArray:
        return np.asarray(owed - self._response * owed.sum(axis=2, keepdims=True))

    def _priced(self, weights: FloatArray) -> Tensor:
        """Weights ``[S, A, B]`` times the chosen reward, where it is known; they are zero elsewhere."""
        assert self._lever is not None
        return torch.from_numpy(weights[self._lever.asked[:3]]) @ self._chosen
