"""A judge's labels in games that are not finite: what ``compared`` has, with dQF unrolled along the episodes.

The direct row is that of ``compared``. In the response row

    (1/tau) sum over the stages that led to the end of a segment of   c_h dQF(s_h, b_h),    c_h = E[-l | s_h, b_h] - E[-l | s_h]

dQF is the follower's discounted sum of dr along the very episode, which goes on after the segment. That sum and the loss of
the episode's own pair have more in common than the reply, so that the loss itself is no credit. Both means are least-squares
fits on quadratic features, or on linear ones where those would be many, to the other pairs of episodes only; they are straight
as long as there are few pairs.

No reply is told apart from how likely it would be under another reward, so that pairs are used once.
"""

from __future__ import annotations

from functools import cached_property

import numpy as np
import torch
from torch import Tensor

from stackelberg_games.arrays import FloatArray
from stackelberg_games.errors import UnsupportedGameError
from stackelberg_games.hypergradient import StageCritics
from stackelberg_games.learning.information import Evidence
from stackelberg_games.representations.compared import BASELINE, Approaches, require_labels
from stackelberg_games.representations.protocol import Credit, Needs, Representation
from stackelberg_games.representations.quadratic_features import MOST, raised
from stackelberg_games.representations.stage_values import StageValues
from stackelberg_games.rules.commitment import Commitment
from stackelberg_games.rules.features import Features
from stackelberg_games.rules.trajectories import Trajectories
from stackelberg_games.rules.view import LeaderView


class ComparedStages(Representation):
    """The last pairs with their labels; nothing else is kept.

    Args:
        view, commitment, needs, seed: see ``Representation``.

    Raises:
        UnsupportedGameError: something is asked of which labels tell nothing, see ``Compared``; or states have too many numbers.
    """

    compares = True

    def __init__(self, view: LeaderView, commitment: Commitment, needs: Needs, seed: int = 0) -> None:
        require_labels(view, needs, self)
        super().__init__(view, commitment, needs, seed)
        self.states, self.actions = Features(view.state_space), Features(view.follower_action_space)
        if needs.follower and 1 + self.states.size + self.actions.size > MOST:
            raise UnsupportedGameError(
                f"{self.states.size:,} numbers of a state are too many for the fits of the response row, which take {MOST:,} at "
                "most; drlhf does without that row"
            )

    @classmethod
    def fits(cls, view: LeaderView, commitment: Commitment) -> bool:
        """Wherever there is a judge."""
        return view.judged is not None

    def observe(self, evidence: Evidence, commitment: Commitment) -> None:
        """Take a batch and the labels of its pairs."""
        told, self.batch = evidence.require_comparisons(), evidence.require_trajectories()
        configuration = commitment.configuration()
        assert configuration is not None
        self.then, self.label = configuration.detach().clone(), torch.from_numpy(np.array(told.label))
        self.segments = told.places(self.batch.episodes)
        self.approaches = Approaches(self.batch, self.segments)
        self.faced = self.states(self.batch.states[:, :-1]) / self.states.scale
        self.answers = self.actions(self.batch.follower_actions) / self.actions.scale

    def at(self, commitment: Commitment) -> ComparedStageValues:
        """See ``Representation.at``.

        Raises:
            UnsupportedGameError: the response row is asked for at another reward than that under which pairs were played.
        """
        configuration = commitment.configuration()
        assert configuration is not None
        if self.needs.follower and not torch.equal(configuration.detach(), self.then):
            raise UnsupportedGameError(
                "pairs would weigh by how likely they have become, which counts of a finite game tell; set actor_steps=1"
            )
        return ComparedStageValues(self, commitment)


class ComparedStageValues(StageValues):
    """Losses of labels, and credits of the stages that led to them.

    Args:
        learned: pairs and labels.
        commitment: to differentiate in.
    """

    block = 2

    def __init__(self, learned: ComparedStages, commitment: Commitment) -> None:
        batch = learned.batch
        none = np.zeros(batch.mask.shape)
        critics = StageCritics(none, none, none)
        super().__init__(learned.view, batch, critics, commitment, learned.faced, learned.answers)
        self._learned, chosen = learned, self._terms.follower_reward
        assert chosen is not None
        place = np.zeros(batch.mask.shape, dtype=np.int64)
        place[batch.mask] = np.arange(len(chosen))
        worth = chosen[torch.from_numpy(place[learned.segments])].sum(dim=1)
        gap = worth[0::2] - worth[1::2]
        self.losses = torch.nn.functional.softplus(gap) - learned.label * gap

    @cached_property
    def discounts(self) -> FloatArray:
        """One at the stages played; see ``ComparedValues``."""
        return self.batch.mask.astype(np.float64)

    def figures(self) -> dict[str, float]:
        """Mean loss of the labels, and what is left of traces."""
        return {"loss": float(self.losses.detach().mean()), **super().figures()}

    def direct(self) -> Tensor:
        """See ``Values.direct``."""
        return -self.losses.mean()

    def returns(self, baseline: bool) -> FloatArray:
        """See ``ComparedValues.returns``."""
        paid = (BASELINE if baseline else 0.0) - self.losses.detach().numpy()
        return self._learned.approaches.laid(np.repeat(paid, 2)[:, None])

    def benefit(self) -> Credit:
        """What pairs that came by a stage were worth, less what they were that came by its state: fits to other pairs."""
        approaches = self._learned.approaches
        paid = np.repeat(BASELINE - self.losses.detach().numpy(), 2)[:, None]
        seen = np.concatenate([np.ones((*self.batch.mask.shape, 1)), self._faced], axis=2)
        joint = np.concatenate([seen, self._replies], axis=2)
        return Credit(approaches.laid(self._expected(joint, paid) - self._expected(seen, paid)))

    def _expected(self, faced: FloatArray, paid: FloatArray) -> FloatArray:
        """Least squares of what pairs were worth on features of stages, ``[2K, T]``; zero without other pairs."""
        approaches, count = self._learned.approaches, self.batch.episodes // 2
        if count == 1:
            return np.zeros(approaches.led.shape)
        features = raised(faced)
        width, groups, led = features.shape[2], approaches.episodes[:, 0] // 2, approaches.led
        grams, sides = np.zeros((count, width, width)), np.zeros((count, width))
        for group in range(count):
            members = groups == group
            inside = led[members]
            chosen = features[approaches.episodes[members, 0]][inside]
            grams[group] = chosen.T @ chosen
            sides[group] = chosen.T @ np.broadcast_to(paid[members], inside.shape)[inside]
        # One further pair of episodes in which nothing but the mean, the first feature, made a difference.
        weight = np.trace(grams.sum(axis=0)) / (count * width) * np.eye(width)
        weight[0, 0] = 0.0
        fits = np.linalg.solve(grams.sum(axis=0) - grams + weight, (sides.sum(axis=0) - sides)[..., None])[..., 0]
        return np.asarray(np.einsum("kti,ki->kt", approaches.of(features), fits[groups]))

    def advantage(self, how: str, wide: Trajectories) -> Credit:
        """See ``benefit``; of the batch, for nobody compared other episodes."""
        if wide is not self.batch:
            raise self._lacks("advantages from episodes that nobody compared")
        return self.benefit()
