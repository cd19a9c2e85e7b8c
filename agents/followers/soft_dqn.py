"""Soft deep Q-learning: the soft-optimal follower of finitely many replies, learned from its own play.

    Q(s, a, b) <- rF + gF tau log sum_b' exp(Q'(s', a', b') / tau),  a' ~ f,      g(b | s, a) ~ exp(Q(s, a, b) / tau)

Haarnoja, Tang, Abbeel and Levine, ICML 2017 (arXiv 1702.08165) for finitely many actions, with replay and slowly moving
targets (Mnih et al., Nature 2015), the mean of two networks (van Hasselt, NeurIPS 2010). What the leader does next in a
remembered stage is drawn again from each new commitment, so that nothing that was remembered goes stale where the leader
acts; where it configures the game, or an environment plays it as a whole, the memory begins anew, unless all that the
leader chooses are payments, which are charged again.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import gymnasium
import numpy as np
import torch
from scipy.special import log_softmax
from torch import Tensor

from stackelberg_games.arrays import BoolArray, FloatArray, IntArray
from stackelberg_games.errors import InvalidArgumentError, UnsupportedGameError
from stackelberg_games.kinds.game import Game, best_response_env
from stackelberg_games.learning.follower import Answer, Follower
from stackelberg_games.numerics.adam import Adam
from stackelberg_games.numerics.averages import usual_and_spread
from stackelberg_games.numerics.randomness import Lane, Streams, generator
from stackelberg_games.numerics.threads import single_threaded
from stackelberg_games.rules.commitment import Commitment
from stackelberg_games.rules.features import Features
from stackelberg_games.rules.masks import KEY
from stackelberg_games.rules.observations import ONE_HOT
from stackelberg_games.rules.rules import Rules

HIDDEN, ROWS, FIRST, COPIES = 64, 256, 500, 16
"""Width of both layers, rows of a minibatch, stages of uniform replies before anything is fitted, and copies of a game."""
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
        again: what is read again under the next commitment: states that came, which it acts in, or where an environment
            plays what the follower observed, which it may pay for.
        next_shown: what it saw, or would see now, next.
        ended: whether play was over.
        allowed: next replies, bool ``[K, B]``, or ``[K, 1]`` where all of them are.
    """

    shown: Any
    replies: IntArray
    rewards: FloatArray
    again: Any
    next_shown: Any
    ended: FloatArray
    allowed: BoolArray


def _chances(parts: list[Tensor], rows: Any, unit: float, mask: Any = None) -> FloatArray:
    """Log-probabilities ``[N, B]`` of the softmax of the networks' mean over ``1 / unit``, among the replies that are allowed."""
    with torch.no_grad():
        out = Twins.forward(parts, torch.from_numpy(rows)).mean(dim=0).double().numpy()
    return np.asarray(log_softmax(np.where(True if mask is None else mask, out * unit, -np.inf), axis=1))


def _drawn(chances: FloatArray, uniform: Any) -> IntArray:
    """Indices by log-probabilities ``[N, B]`` and uniform numbers ``[N, 1]``."""
    rows = np.cumsum(np.exp(chances), axis=1)[:, :-1]
    return np.asarray((uniform >= rows).sum(axis=1), dtype=np.int64)


def _mask(info: Mapping[str, Any]) -> BoolArray | None:
    """The replies that an environment allows, bool ``[1, B]``; None where it does not say."""
    return np.asarray(info[KEY], dtype=np.bool_)[None] if KEY in info else None


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

    def log_chances(self, states: Any, leader_actions: Any = None, masks: Any = None) -> FloatArray:
        """Log-probabilities of all replies, ``[N, B]``."""
        return _chances(self.parts, self.reads(states, leader_actions), self.scale[0] / self.temperature, masks)

    def sample(self, states: Any, leader_actions: Any, streams: Streams, stage: int) -> IntArray:
        """Replies, int64 ``[N]``."""
        return _drawn(self.log_chances(states, leader_actions), streams.uniform(Lane.FOLLOWER, stage)) + self.start

    def reply(self, observations: Any, streams: Streams, stage: int, masks: Any = None) -> IntArray:
        """Replies to observations as ``best_response_env`` shows them, and masks ``[N, n]`` where there are some."""
        return _drawn(self.log_chances(observations, masks=masks), streams.uniform(Lane.FOLLOWER, stage))

    def log_prob(self, states: Any, leader_actions: Any, replies: Any) -> FloatArray:
        """Log-probabilities of replies, ``[N]``."""
        found = self.log_chances(states, leader_actions)
        return np.asarray(found[np.arange(len(found)), np.asarray(replies) - self.start])


@dataclass
class SoftDQN(Follower):
    """Learns its soft-optimal response by playing; keeps networks and memory between commitments.

    It learns as its own soft policy plays. Pixels are read as flat vectors.

    Args:
        temperature: tau > 0.
        budget: stages played for each commitment.
        copies: of the game that are played side by side; None for 16, and for the one that there is of an environment.
        updates: gradient steps for every stage played.
        learning_rate: of Adam.
        memory: stages that are remembered.
    """

    temperature: float = 0.05
    budget: int = 5_000
    copies: int | None = None
    updates: float = 0.25
    learning_rate: float = 1e-3
    memory: int = 50_000

    def __post_init__(self) -> None:
        least = min(self.budget, self.memory - ROWS + 1, 1 if self.copies is None else self.copies)
        if min(self.temperature, self.updates, self.learning_rate) <= 0 or least < 1:
            raise InvalidArgumentError(
                f"{self}: expected temperature, updates, learning_rate > 0, integers budget, copies >= 1 and memory >= {ROWS}"
            )

    def tracking(self, updates: int) -> SoftDQN:
        """Stages played; networks and memory are carried on."""
        return replace(self, budget=updates)

    def begin(self, game: Game, *, seed: int = 0) -> None:
        """Forget everything.

        Raises:
            UnsupportedGameError: replies are not finitely many, there are too many states, or copies of an environment are asked for.
        """
        space, shown = game.follower_action_space, game.shown_space
        if not isinstance(space, gymnasium.spaces.Discrete):
            raise UnsupportedGameError(
                f"soft_dqn replies in a Discrete space, not in {space}; SAC of sb3 learns where replies are bounded vectors, and "
                "maxent_lqr plans in linear-quadratic games"
            )
        if shown is not None and self.copies not in (None, 1):
            raise UnsupportedGameError(f"copies={self.copies!r}: one environment plays {game.name}; leave them out")
        self.leader = Features(game.leader_action_space)
        self.sees = game.follower_sees_action and (game.configuration_space is None or game.idle_action is None)
        if shown is None:
            self.states, element = Features(game.state_space), np.asarray(game.initial(Streams.of(0, 1)))[0]
        else:
            flat = gymnasium.spaces.flatten_space(shown) if isinstance(shown, gymnasium.spaces.Box) else shown
            self.states = Features(flat)
            self.sees, element = False, np.zeros(shown.shape or (), shown.dtype)
        self.replies, self.first = int(space.n), int(space.start)
        inputs = self.states.size + self.leader.size * self.sees
        if self.states.discrete and inputs > ONE_HOT:
            size = 8.0 * self.memory * inputs / 1e9  # what was seen and what came then, in single precision
            raise UnsupportedGameError(
                f"soft_dqn would keep {size:,.1f} GB of one-hot vectors of {inputs} numbers; soft_q_learning takes so many states"
            )
        self.seed, self.count, self.seen, self.owed = seed, 0, 0, 0.0
        self.paid_by: FloatArray | None = None
        self.networks = Twins(inputs, self.replies, int(generator(seed, 11).integers(2**62)))
        self.targets = [part.detach().clone() for part in self.networks.parts]
        self.optimizer = Adam(self.networks.parts, self.learning_rate)
        self.scale: tuple[float, float] | None = None
        self.kept = Memory(
            np.zeros((self.memory, inputs), np.float32),
            np.zeros(self.memory, np.int64),
            np.zeros(self.memory),
            np.zeros((self.memory, *element.shape), element.dtype),
            np.zeros((self.memory, inputs), np.float32),
            np.zeros(self.memory),
            np.ones((self.memory, self.replies if game.follower_masked else 1), np.bool_),
        )

    def reads(self, states: Any, leader_actions: Any = None) -> Any:
        """Rows of the networks for states, or for what is shown where an environment plays, float32 ``[N, inputs]``."""
        elements = np.asarray(states)
        flat = elements if self.states.discrete else elements.reshape(len(elements), -1)
        rows = self.states(flat) / self.states.scale
        if self.sees:
            rows = np.concatenate([rows, self.leader(np.asarray(leader_actions)) / self.leader.scale], axis=1)
        return rows.astype(np.float32)

    @single_threaded()
    def respond(self, game: Game, commitment: Commitment) -> Answer:
        """Play the budget and learn, then answer by the networks' soft policy."""
        random = generator(self.seed, 12, self.count)
        spent = (self._by_stages if game.shown_space is None else self._by_episodes)(game, commitment, random)
        self.count += 1
        parts = [part.detach().clone() for part in self.networks.parts]
        answer = SoftmaxResponse(self.reads, parts, self.scale or (1.0, 0.0), self.temperature, self.first)
        return Answer(answer, None, spent)

    def _by_stages(self, game: Game, commitment: Commitment, random: np.random.Generator) -> int:
        """Learn from copies of the game; stages played."""
        configuration, rules, idle = commitment.configuration(), game, None
        if configuration is not None:
            rules, idle = game.configured(configuration.detach()), game.idle_action  # type: ignore[assignment]
            self.seen = 0  # rewards or transitions are others now

        def leads(states: Any, streams: Streams, stage: int) -> Any:
            if idle is not None:
                return np.broadcast_to(idle, (len(states), *np.shape(idle)))
            return commitment.sample(states, streams, stage)

        if self.held and idle is None:
            following = self.kept.again[: self.held]
            again = leads(following, Streams.of(int(random.integers(2**31)), self.held), 0)
            self.kept.next_shown[: self.held] = self.reads(following, again)
        spent = 0
        while spent < self.budget:
            spent += self._play(rules, leads, game.stages(), self.budget - spent, random)
        return spent

    def _by_episodes(self, game: Game, commitment: Commitment, random: np.random.Generator) -> int:
        """Learn from the environment, one episode after the other; decisions played."""
        self._forget(game, commitment)
        with closing(best_response_env(game, commitment)) as env:
            limited = gymnasium.wrappers.TimeLimit(env, game.stages()) if game.horizon is None else env
            self._live(limited, game, random)
        return self.budget

    def _live(self, env: Any, game: Game, random: np.random.Generator) -> None:
        """Spend the budget in an environment."""
        seed: int | None = int(random.integers(2**31))
        over = True
        for _ in range(self.budget):
            if over:
                seen, info = env.reset(seed=seed)
                seed, shown = None, self.reads(seen[None])
            reply = self._explore(shown, random, _mask(info))
            before, told = seen, shown
            seen, reward, ended, cut, info = env.step(int(reply[0]) + self.first)
            over, shown, mask = ended or cut, self.reads(seen[None]), _mask(info)
            if ended or mask is not None or not game.follower_masked:  # where play is cut nobody knows what is allowed
                self._keep(told, reply, reward, before[None], shown, ended, True if mask is None else mask)
            self._learn(1, game.follower_discount, random)

    def _forget(self, game: Game, commitment: Commitment) -> None:
        """Charge payments anew in what is remembered, or forget it: the leader acts otherwise now, and nobody can ask how."""
        chosen = commitment.configuration()
        new = None if chosen is None else chosen.detach().numpy()
        charged = getattr(game, "charged", None)
        if charged is None or new is None:
            self.seen = 0
            return
        if self.paid_by is not None and self.held:
            rows = self.kept.again[: self.held], self.kept.replies[: self.held]
            self.kept.rewards[: self.held] += charged(new, *rows) - charged(self.paid_by, *rows)
        self.paid_by = new.copy()

    def _keep(self, *parts: Any) -> None:
        """Remember stages, the fields of a ``Memory`` of one length, or numbers."""
        places = (self.seen + np.arange(len(parts[0]))) % self.memory
        for array, part in zip(self.kept, parts, strict=True):
            array[places] = part
        self.seen += len(places)

    @property
    def held(self) -> int:
        """Stages in memory."""
        return min(self.seen, self.memory)

    def _play(self, rules: Rules, leads: Any, stages: int, budget: int, random: np.random.Generator) -> int:
        """Episodes side by side, learning on the way, until they are over or the budget is spent; stages played."""
        copies = self.copies or COPIES
        streams = Streams.of(int(random.integers(2**31)), copies)
        states, spent, alive = rules.initial(streams), 0, np.ones(copies, dtype=np.bool_)
        leader = leads(states, streams, 0)
        for stage in range(stages):
            shown = self.reads(states, leader)
            replies = self._explore(shown, random)
            step = rules.step(states, leader, replies + self.first, streams, stage)
            leader = leads(step.states, streams, stage + 1)
            states = step.states
            rows = np.flatnonzero(alive)[: budget - spent]
            parts = (shown, replies, step.follower_rewards, states, self.reads(states, leader), step.terminated)
            self._keep(*(np.asarray(part)[rows] for part in parts), True)
            spent += len(rows)
            self._learn(len(rows), rules.follower_discount, random)
            alive &= ~np.asarray(step.terminated)
            if spent >= budget or not alive.any():
                break
        return spent

    def _explore(self, shown: Any, random: np.random.Generator, mask: Any = None) -> IntArray:
        if self.scale is None and mask is None:
            return random.integers(self.replies, size=len(shown))
        unit = 0.0 if self.scale is None else self.scale[0] / self.temperature
        return _drawn(_chances(self.networks.parts, shown, unit, mask), random.random((len(shown), 1)))

    def _learn(self, played: int, discount: float, random: np.random.Generator) -> None:
        """The gradient steps that are due."""
        if self.held < min(FIRST, self.budget):
            return
        if self.scale is None:
            rewards, far = self.kept.rewards[: self.held], 1 / (1 - discount)
            usual, spread = usual_and_spread(rewards, bool(self.kept.ended[: self.held].any()))
            self.scale = max(spread * far * SPREAD, self.temperature), usual * far
        self.owed += played * self.updates
        while self.owed >= 1:
            self._descend(discount, random.integers(self.held, size=ROWS))
            self.owed -= 1

    def _descend(self, discount: float, rows: IntArray) -> None:
        assert self.scale is not None
        unit, origin = self.scale
        shown, replies, rewards, _, following, ended, allowed = (torch.from_numpy(part[rows]) for part in self.kept)
        with torch.no_grad():
            q = Twins.forward(self.targets, following).mean(dim=0).double() * unit + origin
            q = q.masked_fill(~allowed, -torch.inf)
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
            "paid_by": None if self.paid_by is None else self.paid_by.copy(),
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
        self.paid_by = None if state["paid_by"] is None else np.asarray(state["paid_by"])
        self.scale = None if state["scale"] is None else (float(state["scale"][0]), float(state["scale"][1]))
