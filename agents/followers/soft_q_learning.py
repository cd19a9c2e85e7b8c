"""Tabular soft Q-learning: a model-free follower that learns from its own interaction.

    Q(s,a,b) <- Q(s,a,b) + alpha [ rF + gF tau log sum_b' exp(Q(s',a',b')/tau) - Q(s,a,b) ],  a' ~ f

Haarnoja, Tang, Abbeel and Levine, ICML 2017 (arXiv 1702.08165), in its tabular form.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np
import torch

from stackelberg_games.errors import InvalidArgumentError
from stackelberg_games.kinds.game import Game
from stackelberg_games.learning.follower import Answer, Follower, finite
from stackelberg_games.numerics.randomness import Lane, compiled, generator, stream, uniform
from stackelberg_games.numerics.sampling import cumulative, follow, pick
from stackelberg_games.play.rollout import TabularResponse
from stackelberg_games.rules.commitment import Commitment

_LANES = tuple(np.uint64(lane) for lane in Lane)


@compiled
def _soft_value(q: Any, row: int, width: int, temperature: float) -> float:
    peak = -np.inf
    for b in range(width):
        peak = max(peak, q[row + b])
    total = 0.0
    for b in range(width):
        total += math.exp((q[row + b] - peak) / temperature)
    return peak + temperature * math.log(total)


@compiled
def _act(q: Any, row: int, width: int, value: float, temperature: float, exploration: float, u: float) -> int:
    """An action from the mixture of the Boltzmann distribution, given the row's soft value, and the uniform one, by inversion."""
    total = 0.0
    for b in range(width - 1):
        boltzmann = math.exp((q[row + b] - value) / temperature)
        total += (1.0 - exploration) * boltzmann + exploration / width
        if u < total:
            return b
    return width - 1


@compiled
def _learn(sampler: Any, leader: Any, q: Any, budget: Any, rates: Any, seed: np.uint64, lanes: Any) -> None:
    """Play episodes until the budget is spent; ``q`` is updated in place."""
    transitions, stages, first = budget
    discount, temperature, learning_rate, exploration, sees = rates
    leader_count, follower_count = sampler.actions
    spent, episode = 0, np.uint64(first)
    while spent < transitions:
        e_start, e_gamma = stream(seed, episode, lanes[0])
        l_start, l_gamma = stream(seed, episode, lanes[1])
        f_start, f_gamma = stream(seed, episode, lanes[3])
        s = pick(sampler.initial, 0, sampler.initial.shape[0], uniform(e_start, e_gamma, np.uint64(0)))
        a = pick(leader, s * leader_count, leader_count, uniform(l_start, l_gamma, np.uint64(0)))
        cell = (s * leader_count + a) * follower_count
        row = cell if sees else s * leader_count * follower_count
        value = _soft_value(q, row, follower_count, temperature)
        for t in range(stages):
            u = uniform(f_start, f_gamma, np.uint64(t))
            b = _act(q, row, follower_count, value, temperature, exploration, u)
            updated = row
            target = sampler.follower_reward[cell + b]
            s = follow(sampler, cell + b, uniform(e_start, e_gamma, np.uint64(t + 1)))
            a = pick(leader, s * leader_count, leader_count, uniform(l_start, l_gamma, np.uint64(t + 1)))
            cell = (s * leader_count + a) * follower_count
            row = cell if sees else s * leader_count * follower_count
            if not sampler.terminal[s]:
                value = _soft_value(q, row, follower_count, temperature)
                target += discount * value
            q[updated + b] += learning_rate * (target - q[updated + b])
            spent += 1
            if sampler.terminal[s] or spent == transitions:
                break
            if row == updated:
                value = _soft_value(q, row, follower_count, temperature)
        episode += np.uint64(1)


@dataclass
class SoftQLearning(Follower):
    """Learns its response by playing against the commitment; keeps its table between commitments.

    Args:
        temperature: tau > 0.
        transitions: stages played for each commitment.
        learning_rate: alpha in (0, 1].
        exploration: probability of a uniform action while learning.
        first_transitions: stages played for the first commitment of a match, when the table is new.
    """

    temperature: float = 0.05
    transitions: int = 2_000
    learning_rate: float = 0.1
    exploration: float = 0.1
    first_transitions: int = 100_000

    keeps: ClassVar[tuple[str, ...]] = ("q", "seed", "responses")

    def __post_init__(self) -> None:
        if not (self.temperature > 0 and 0 < self.learning_rate <= 1 and 0 <= self.exploration <= 1):
            raise InvalidArgumentError(
                f"{self}: expected temperature > 0, learning_rate in (0, 1], exploration in [0, 1]"
            )
        if min(self.transitions, self.first_transitions) < 1:
            raise InvalidArgumentError(f"{self}: expected at least one transition")

    def tracking(self, updates: int) -> SoftQLearning:
        """Transitions, each of which updates an entry of the table."""
        return replace(self, transitions=updates, first_transitions=updates)

    def begin(self, game: Game, *, seed: int = 0) -> None:
        """Start with a table of zeros."""
        game = finite(game, self)
        self.q = np.zeros((game.states, game.leader_actions, game.follower_actions))
        self.seed = int(generator(seed, 3).integers(2**62))
        self.responses = 0

    def respond(self, game: Game, commitment: Commitment) -> Answer:
        """Play and learn, then respond with the Boltzmann policy of the table."""
        game = finite(game, self)
        with torch.no_grad():
            leader = cumulative(commitment.probabilities().numpy()).ravel()
            sampler = game.under(commitment)
        budget = self.transitions if self.responses else self.first_transitions
        rates = (
            game.follower_discount,
            self.temperature,
            self.learning_rate,
            self.exploration,
            game.follower_sees_action,
        )
        first = self.responses * (2**32)  # episodes of different responses never share a stream
        _learn(sampler, leader, self.q.ravel(), (budget, game.stages(), first), rates, np.uint64(self.seed), _LANES)
        self.responses += 1
        table = self.q if game.follower_sees_action else np.broadcast_to(self.q[:, :1], self.q.shape)
        weights = np.exp((table - table.max(axis=2, keepdims=True)) / self.temperature)
        return Answer(TabularResponse(weights / weights.sum(axis=2, keepdims=True)), None, budget)
