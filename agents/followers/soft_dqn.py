"""Soft deep Q-learning: the soft-optimal follower of finitely many replies, learned from its own play.

    Q(s, a, b) <- rF + gF tau log sum_b' exp(Q'(s', a', b') / tau),  a' ~ f,      g(b | s, a) ~ exp(Q(s, a, b) / tau)

Haarnoja, Tang, Abbeel and Levine, ICML 2017 (arXiv 1702.08165) for finitely many actions, with replay and slowly moving
targets (Mnih et al., Nature 2015), the mean of two networks (van Hasselt, NeurIPS 2010). What the leader does next in a
remembered stage is drawn again from each new commitment, so that nothing that was remembered goes stale where the leader
acts; where it configures the game the memory begins anew.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import gymnasium
import numpy as np
import torch
from scipy.special import log_softmax
from torch import Tensor

from stackelberg_games.arrays import FloatArray, IntArray
from stackelberg_games.errors import InvalidArgumentError, UnsupportedGameError
from stackelberg_games.kinds.game import Game
from stackelberg_games.learning.follower import Answer, Follower
from stackelberg_games.numerics.randomness import Lane, Streams, generator
from stackelberg_games.numerics.threads import single_threaded
from stackelberg_games.rules.commitment import Commitment
from stackelberg_games.rules.features import Features
from stackelberg_games.rules.rules import Rules

HIDDEN, ROWS, FIRST = 64, 256, 500
"""Width of both layers, rows of a minibatch, and stages of uniform replies before anything is fitted."""
POLYAK, SPREAD = 0.01, 0.3
"""Share of the network that its target takes over at every step; of the largest value, the unit that it is fitted in."""


class Twins:
    """Two perceptrons side by side on the same rows.

    Args:
        inputs, outputs: their numbers.
        seed: of the weights; outputs start near zero.
    """

    def __init__(self, inputs: int, outputs: int, seed: int) -> None:
        source, sizes = torch.Generator().manual_seed(seed), (inputs, HIDDEN, HIDDEN, outputs)
        self.parts: list[Tensor] = []
        for wide, narrow in itertools.pairwise(sizes):
            self.parts += [
                (2 * torch.rand(2, wide, narrow, generator=source) - 1) / wide**0.5,
                torch.zeros(2, 1, narrow),
            ]
        self.parts[-2] *= 0.01
        for part in self.parts:
            part.requires_grad_()

    @staticmethod
    def forward(parts: list[Tensor], rows: Tensor) -> Tensor:
        """Outputs ``[2, K, outputs]`` for rows ``[K, inputs]``."""
        out = rows.expand(2, *rows.shape)
        for number in range(0, len(parts), 2):
            out = torch.baddbmm(parts[number + 1], torch.relu(out) if number else out, parts[number])
        return out


class Memory(NamedTuple):
    """Stages of the past, in a ring of arrays of one length.

    Attributes:
        shown: what the follower saw, as the networks read it.
        replies: what it did.
        rewards: what it was paid.
        following: states that came, as commitments read them.
        next_shown: what it saw, or would see now, next.
        ended: whether play was over.
    """

    shown: Any
    replies: IntArray
    rewards: FloatArray
    following: Any
    next_shown: Any
    ended: FloatArray


@dataclass(frozen=True)
class SoftmaxResponse:
    """g(b | s, a) ~ exp(Q / tau).

    Args:
        reads: from states and leader actions to rows of the network.
        parts: of the networks as they were.
        scale: unit and origin of the values.
        temperature: tau.
        start: number of the first reply.
    """

    reads: Any
    parts: list[Tensor]
    scale: tuple[float, float]
    temperature: float
    start: int

    def log_chances(self, states: Any, leader_actions: Any) -> FloatArray:
        """Log-probabilities of all replies, ``[N, B]``."""
        with torch.no_grad():
            out = Twins.forward(self.parts, torch.from_numpy(self.reads(states, leader_actions))).mean(dim=0).double()
        return np.asarray(log_softmax(out.numpy() * self.scale[0] / self.temperature, axis=1))

    def sample(self, states: Any, leader_actions: Any, streams: Streams, stage: int) -> IntArray:
        """Replies, int64 ``[N]``."""
        rows = np.cumsum(np.exp(self.log_chances(states, leader_actions)), axis=1)[:, :-1]
        return np.asarray((streams.uniform(Lane.FOLLOWER, stage) >= rows).sum(axis=1), dtype=np.int64) + self.start

    def log_prob(self, states: Any, leader_actions: Any, replies: Any) -> FloatArray:
        """Log-probabilities of replies, ``[N]``."""
        found = self.log_chances(states, leader_actions)
        return np.asarray(found[np.arange(len(found)), np.asarray(replies) - self.start])


@dataclass
class SoftDQN(Follower):
    """Learns its soft-optimal response by playing; keeps networks and memory between commitments.

    It learns as its own soft policy plays. Games that only an environment plays are not for it: sb3 learns there.

    Args:
        temperature: tau > 0.
        budget: stages played for each commitment.
        copies: of the game that are played side by side.
        updates: gradient steps for every stage played.
        learning_rate: of Adam.
        memory: stages that are remembered.
    """

    temperature: float = 0.05
    budget: int = 5_000
    copies: int = 16
    updates: float = 0.25
    learning_rate: float = 1e-3
    memory: int = 50_000

    def __post_init__(self) -> None:
        counts = (self.budget, self.copies, self.memory)
        whole = all(isinstance(count, int | np.integer) and not isinstance(count, bool) for count in counts)
        positive = min(self.temperature, self.updates, self.learning_rate) > 0
        if not (positive and whole and min(self.budget, self.copies) >= 1 and self.memory >= ROWS):
            raise InvalidArgumentError(
                f"{self}: expected temperature, updates, learning_rate > 0, integers budget, copies >= 1 and memory >= {ROWS}"
            )

    def begin(self, game: Game, *, seed: int = 0) -> None:
        """Forget everything.

        Raises:
            UnsupportedGameError: replies are not finitely many, or stages cannot be played one by one.
        """
        space = game.follower_action_space
        if not isinstance(space, gymnasium.spaces.Discrete):
            raise UnsupportedGameError(
                f"soft_dqn replies in a Discrete space, not in {space}; SAC of sb3 learns where replies are bounded vectors, and "
                "maxent_lqr plans in linear-quadratic games"
            )
        try:
            game.initial(Streams.of(0, 1))
        except UnsupportedGameError as error:
            raise UnsupportedGameError(f"soft_dqn asks for single stages: {error}; sb3 and black_box learn") from error
        self.states, self.leader = Features(game.state_space), Features(game.leader_action_space)
        self.sees = game.follower_sees_action and (game.configuration_space is None or game.idle_action is None)
        self.replies, self.first = int(space.n), int(space.start)
        inputs = self.states.size + self.leader.size * self.sees
        self.seed, self.count, self.seen, self.owed = seed, 0, 0, 0.0
        self.networks = Twins(inputs, self.replies, int(generator(seed, 11).integers(2**62)))
        self.targets = [part.detach().clone() for part in self.networks.parts]
        self.optimizer = torch.optim.Adam(self.networks.parts, lr=self.learning_rate, fused=True)
        self.scale: tuple[float, float] | None = None
        element = np.asarray(game.initial(Streams.of(0, 1)))
        self.kept = Memory(
            np.zeros((self.memory, inputs), np.float32),
            np.zeros(self.memory, np.int64),
            np.zeros(self.memory),
            np.zeros((self.memory, *element.shape[1:]), element.dtype),
            np.zeros((self.memory, inputs), np.float32),
            np.zeros(self.memory),
        )

    def reads(self, states: Any, leader_actions: Any) -> Any:
        """Rows of the networks, float32 ``[N, inputs]``."""
        rows = self.states(np.asarray(states)) / self.states.scale
        if self.sees:
            rows = np.concatenate([rows, self.leader(np.asarray(leader_actions)) / self.leader.scale], axis=1)
        return rows.astype(np.float32)

    @single_threaded()
    def respond(self, game: Game, commitment: Commitment) -> Answer:
        """Play the budget and learn, then answer by the networks' soft policy."""
        configuration, rules, idle = commitment.configuration(), game, None
        if configuration is not None:
            rules, idle = game.configured(configuration.detach()), game.idle_action  # type: ignore[assignment]
            self.seen = 0  # rewards or transitions are others now
        random = generator(self.seed, 12, self.count)

        def leads(states: Any, streams: Streams, stage: int) -> Any:
            if idle is not None:
                return np.broadcast_to(idle, (len(states), *np.shape(idle)))
            return commitment.sample(states, streams, stage)

        if self.held and idle is None:
            following = self.kept.following[: self.held]
            again = leads(following, Streams.of(int(random.integers(2**31)), self.held), 0)
            self.kept.next_shown[: self.held] = self.reads(following, again)
        spent = 0
        while spent < self.budget:
            spent += self._play(rules, leads, game.stages(), self.budget - spent, random)
        self.count += 1
        parts = [part.detach().clone() for part in self.networks.parts]
        answer = SoftmaxResponse(self.reads, parts, self.scale or (1.0, 0.0), self.temperature, self.first)
        return Answer(answer, None, spent)

    @property
    def held(self) -> int:
        """Stages in memory."""
        return min(self.seen, self.memory)

    def _play(self, rules: Rules, leads: Any, stages: int, budget: int, random: np.random.Generator) -> int:
        """Episodes side by side, learning on the way, until they are over or the budget is spent; stages played."""
        streams = Streams.of(int(random.integers(2**31)), self.copies)
        states, spent, alive = rules.initial(streams), 0, np.ones(self.copies, dtype=np.bool_)
        leader = leads(states, streams, 0)
        for stage in range(stages):
            shown = self.reads(states, leader)
            replies = self._explore(shown, random)
            step = rules.step(states, leader, replies + self.first, streams, stage)
            leader = leads(step.states, streams, stage + 1)
            states = step.states
            rows = np.flatnonzero(alive)[: budget - spent]
            parts = (shown, replies, step.follower_rewards, states, self.reads(states, leader), step.terminated)
            places = (self.seen + np.arange(len(rows))) % self.memory
            for array, part in zip(self.kept, parts, strict=True):
                array[places] = np.asarray(part)[rows]
            self.seen, spent = self.seen + len(rows), spent + len(rows)
            self._learn(len(rows), rules.follower_discount, random)
            alive &= ~np.asarray(step.terminated)
            if spent >= budget or not alive.any():
                break
        return spent

    def _explore(self, shown: Any, random: np.random.Generator) -> IntArray:
        if self.scale is None:
            return random.integers(self.replies, size=len(shown))
        with torch.no_grad():
            out = Twins.forward(self.networks.parts, torch.from_numpy(shown)).mean(dim=0).double().numpy()
        rows = np.cumsum(np.exp(log_softmax(out * self.scale[0] / self.temperature, axis=1)), axis=1)[:, :-1]
        return np.asarray((random.random((len(rows), 1)) >= rows).sum(axis=1), dtype=np.int64)

    def _learn(self, played: int, discount: float, random: np.random.Generator) -> None:
        """The gradient steps that are due."""
        if self.held < min(FIRST, self.budget):
            return
        if self.scale is None:
            rewards, far = self.kept.rewards[: self.held], 1 / (1 - discount)
            origin = 0.0 if self.kept.ended[: self.held].any() else float(rewards.mean()) * far
            self.scale = max(float(rewards.std()) * far * SPREAD, self.temperature), origin
        self.owed += played * self.updates
        while self.owed >= 1:
            self._descend(discount, random.integers(self.held, size=ROWS))
            self.owed -= 1

    def _descend(self, discount: float, rows: IntArray) -> None:
        assert self.scale is not None
        unit, origin = self.scale
        shown, replies, rewards, _, following, ended = (torch.from_numpy(part[rows]) for part in self.kept)
        with torch.no_grad():
            q = Twins.forward(self.targets, following).mean(dim=0).double() * unit + origin
            after = self.temperature * torch.logsumexp(q / self.temperature, dim=1)
            wanted = ((rewards + discount * (1 - ended) * after - origin) / unit).float()
        out = Twins.forward(self.networks.parts, shown).gather(2, replies.expand(2, -1)[..., None])[..., 0]
        self.optimizer.zero_grad()
        (out - wanted).square().mean().backward()  # type: ignore[no-untyped-call]
        self.optimizer.step()
        with torch.no_grad():
            torch._foreach_lerp_(self.targets, self.networks.parts, POLYAK)

    def state_dict(self) -> dict[str, Any]:
        """Networks, optimiser, memory and counters."""
        return {
            "networks": [part.detach().clone() for part in self.networks.parts],
            "targets": [part.clone() for part in self.targets],
            "optimizer": self.optimizer.state_dict(),
            "kept": [part[: self.held].copy() for part in self.kept],
            "counters": [self.count, self.seen, self.owed],
            "scale": self.scale,
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """See ``Follower.load_state_dict``."""
        with torch.no_grad():
            for own, stored in (("networks", self.networks.parts), ("targets", self.targets)):
                for part, kept in zip(stored, state[own], strict=True):
                    part.copy_(torch.as_tensor(kept))
        self.optimizer.load_state_dict(state["optimizer"])
        for array, stored in zip(self.kept, state["kept"], strict=True):
            array[: len(stored)] = stored
        self.count, self.seen = (int(number) for number in state["counters"][:2])
        self.owed = float(state["counters"][2])
        self.scale = None if state["scale"] is None else (float(state["scale"][0]), float(state["scale"][1]))
