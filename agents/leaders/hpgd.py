"""HPGD: hypergradient with advantages of both players (Thoma et al., arXiv 2406.01575).

    direct    sum_t gL^t d rL
    response  (1/tau) sum_t gL^t AL(s_t, b_t) [ dQF(s_t, b_t) - dVF(s_t) ]

where dQF and dVF are averages, over all visits to (s, b) and to s, of the discounted sum of the
follower's reward gradients along the rest of the trajectory. These averages are linear in the
reward gradients, so the response row is rewritten as one weight for each stage: the weight that a
visit puts on the rest of its trajectory is carried forward by the trace of
``hypergradient.traces``. Nothing the size of theta is stored.

Where both averages and advantages come from the same batch, their product is biased: chance visits
are credited as if the policy had caused them.

Where the leader configures linear dynamics, averages over visits become least-squares fits with
quadratic features, and SARSA its fixed point with them; see ``linear.configured_form``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import numpy as np

from stackelberg_games.agents.leaders.policy_gradient import PolicyGradient
from stackelberg_games.arrays import FloatArray
from stackelberg_games.errors import InformationError, InvalidArgumentError, UnsupportedGameError
from stackelberg_games.exact.critics import CriticTables
from stackelberg_games.hypergradient import Coefficients, traces
from stackelberg_games.kinds.configurable import ConfigurableGame
from stackelberg_games.learning.information import Evidence, Information
from stackelberg_games.numerics.randomness import compiled, generator
from stackelberg_games.play.rollout import rollout
from stackelberg_games.representations.configured_least_squares import ConfiguredCritics, averaged, fitted_advantages
from stackelberg_games.representations.configured_linear import Response, credited_response
from stackelberg_games.representations.weighted import Weighted, collapse
from stackelberg_games.rules.commitment import Commitment
from stackelberg_games.rules.lever import require_lever
from stackelberg_games.rules.trajectories import Trajectories, table_of
from stackelberg_games.rules.view import LeaderView

ESTIMATIONS = ("monte_carlo", "sarsa", "td", "oracle")


@dataclass
class HPGD(PolicyGradient):
    """HPGD in configurable MDPs, finite or linear; class TRAJECTORIES, with ``"oracle"`` MODEL.

    Args:
        learning_rate, actor_steps, hidden, memory, spread, ramp: see ``PolicyGradient``.
        estimation: of the leader's advantages: ``"monte_carlo"`` (batch averages of its returns),
            ``"sarsa"`` (a table carried from update to update), ``"td"`` (the values of the
            estimated game); or, in finite games, ``"oracle"``: all averages from a batch of its own
            that the game starts uniformly over the states.
        sarsa_step: step size of SARSA, in (0, 1].
        oracle_transitions: least size of the oracle's batch.
    """

    estimation: Literal["monte_carlo", "sarsa", "td", "oracle"] = "monte_carlo"
    sarsa_step: float = 0.5
    oracle_transitions: int = 10_000

    needs_follower_rewards: ClassVar[bool] = True
    needs_temperature: ClassVar[bool] = True

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.estimation not in ESTIMATIONS:
            raise InvalidArgumentError(f"estimation={self.estimation!r}: expected one of {', '.join(ESTIMATIONS)}")
        if not 0 < self.sarsa_step <= 1 or self.oracle_transitions < 1:
            raise InvalidArgumentError(
                f"sarsa_step={self.sarsa_step!r}, oracle_transitions={self.oracle_transitions!r}: "
                "expected a number in (0, 1] and an integer >= 1"
            )

    @property
    def information(self) -> Information:
        """TRAJECTORIES; an oracle that starts episodes anywhere needs the game."""
        return Information.MODEL if self.estimation == "oracle" else Information.TRAJECTORIES

    def begin(self, view: LeaderView, *, seed: int = 0, commitment: Commitment | None = None) -> None:
        """See ``Leader.begin``.

        Raises:
            UnsupportedGameError: the leader does not configure the game.
        """
        require_lever(view.lever, self)
        super().begin(view, seed=seed, commitment=commitment)
        if self.linear_form is not None:
            return
        require_configuration(self)
        self.random = generator(seed, 7)
        self.sarsa = self.random.normal(size=self.estimator.recent.shape)

    def observe(self, evidence: Evidence) -> None:
        """Update the critics, SARSA's table where it is used, and the weights."""
        batch = evidence.require_trajectories()
        if batch.follower_rewards is None:
            raise InformationError("hpgd needs the follower's rewards in its trajectories")
        if self.linear_form is not None:
            super().observe(evidence)
            return
        self.wide = self._oracle(evidence) if self.estimation == "oracle" else batch
        if self.estimation == "sarsa":
            self._learn(batch)
        super().observe(evidence)

    def linear_response(self) -> Response | None:
        """See ``PolicyGradient``."""
        if self.estimation == "oracle":
            raise UnsupportedGameError("hpgd's oracle restarts episodes in every state, which needs a finite game")
        return self._linear_row

    def _linear_row(self, critics: ConfiguredCritics, batch: Trajectories) -> FloatArray:
        assert self.view.temperature is not None
        credit = averaged(batch, self.linear_credit(critics, batch))
        return credited_response(critics, batch, self.view.temperature, credit)

    def linear_credit(self, critics: ConfiguredCritics, batch: Trajectories) -> FloatArray:
        """What is credited to the follower's action at each stage, ``[N, T]``: gL^t AL."""
        discount = self.view.leader_discount
        if self.estimation == "td":
            advantage = critics.benefit(batch)
        elif self.estimation == "sarsa":
            advantage = fitted_advantages(critics, batch, batch.leader_rewards, discount)
        else:
            advantage = fitted_advantages(critics, batch, returns_to_go(batch, discount))
        return np.asarray(discount ** np.arange(batch.stages) * advantage)

    def critics(self, evidence: Evidence) -> CriticTables:
        """Critics of both players in the estimated game."""
        assert self.view.temperature is not None
        return self.estimator.tables(self.policy_table(), self.view.temperature)

    def lever_weights(self, batch: Trajectories, tables: CriticTables) -> list[Weighted]:
        """The direct row as in ``PolicyGradient``, and the response row."""
        discounts = self.view.leader_discount ** np.arange(batch.stages) * batch.mask
        cell = (batch.states[:, :-1], batch.leader_actions, batch.follower_actions)
        credit = discounts * self._advantage(tables)[cell] / batch.episodes
        return [*super().lever_weights(batch, tables), self.response_row(credit, batch, self.wide, tables)]

    def response_row(
        self, credit: FloatArray, batch: Trajectories, wide: Trajectories, tables: CriticTables
    ) -> Weighted:
        """Weights of the lever's terms for credits of the scores dQF - dVF.

        Args:
            credit: at each stage of ``batch``, ``[N, T]``; zero in padding.
            batch: the episodes whose stages are credited.
            wide: the episodes along which dQF and dVF are averaged; may be the same.
            tables: critics at the commitment.
        """
        assert self.view.temperature is not None
        shape = self.estimator.shape
        owed = table_of(batch, credit, shape)
        visits = table_of(wide, wide.mask.astype(np.float64), shape)
        each = owed / np.maximum(visits, 1.0)
        each -= owed.sum(axis=2, keepdims=True) / np.maximum(visits.sum(axis=2, keepdims=True), 1.0)
        cell = (wide.states[:, :-1], wide.leader_actions, wide.follower_actions)
        _, carried, rest = traces(each[cell] * wide.mask, wide.lengths, 1.0, self.view.follower_discount)
        carried *= wide.episodes / self.view.temperature  # ``collapse`` divides by the episodes
        none = np.zeros_like(carried)
        values = tables.follower_values[wide.states[:, 1:]]
        transition = carried * self.view.follower_discount * values if self.moves_transitions else none
        return collapse(wide, Coefficients(none, none, none, carried, transition, rest), self.estimator.shape)

    def _advantage(self, tables: CriticTables) -> FloatArray:
        """AL(s, b), ``[S, A, B]``."""
        if self.estimation == "td":
            return tables.benefit
        if self.estimation == "sarsa":
            return np.asarray(self.sarsa - (tables.response * self.sarsa).sum(axis=2, keepdims=True))
        returns = returns_to_go(self.wide, self.view.leader_discount)
        shape = self.estimator.shape
        sums = table_of(self.wide, returns, shape)
        visits = table_of(self.wide, self.wide.mask.astype(np.float64), shape)
        mean = sums.sum(axis=2, keepdims=True) / np.maximum(visits.sum(axis=2, keepdims=True), 1.0)
        return np.asarray(sums / np.maximum(visits, 1.0) - mean)

    def _learn(self, batch: Trajectories) -> None:
        """One pass of SARSA over the stages of a batch in random order."""
        mask = batch.mask
        cell = (batch.states[:, :-1] * self.sarsa.shape[1] + batch.leader_actions) * self.sarsa.shape[2]
        cell = cell + batch.follower_actions
        following = np.roll(cell, -1, axis=1)
        last = np.arange(batch.stages)[None, :] == batch.lengths[:, None] - 1
        following = np.where(last, -1, following)
        order = self.random.permutation(batch.transitions)
        table = self.sarsa.ravel()
        _sarsa(
            cell[mask][order],
            following[mask][order],
            batch.leader_rewards[mask][order],
            self.sarsa_step,
            self.view.leader_discount,
            table,
        )
        self.sarsa = table.reshape(self.sarsa.shape)

    def _oracle(self, evidence: Evidence) -> Trajectories:
        """Episodes from uniformly drawn first states, against the response that was played."""
        game = evidence.game
        if not isinstance(game, ConfigurableGame) or evidence.follower_policy is None:
            raise InformationError("hpgd's oracle needs the game and the follower's policy")
        batch = evidence.require_trajectories()
        alive = np.flatnonzero(~game.terminal)
        stages = batch.stages
        episodes = max(1, -(-self.oracle_transitions // stages), len(alive))
        restarted = game.starting_from(np.bincount(alive, minlength=game.states) / len(alive))
        seed = int(self.random.integers(2**62))
        wide = rollout(
            restarted, self.commitment, evidence.follower_policy, episodes=episodes, seed=seed, stages=stages
        )
        if self.view.lever is not None:
            self.view.lever.reveal(wide)
        return wide

    def state_dict(self) -> dict[str, Any]:
        """What ``PolicyGradient`` keeps and, in finite games, SARSA's table and the random state."""
        if self.linear_form is not None:
            return super().state_dict()
        return {**super().state_dict(), "sarsa": self.sarsa, "random": self.random.bit_generator.state}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """See ``Leader.load_state_dict``."""
        super().load_state_dict(state)
        if self.linear_form is not None:
            return
        self.sarsa = np.array(state["sarsa"])
        self.random.bit_generator.state = state["random"]


def require_configuration(leader: PolicyGradient) -> None:
    """Raise ``UnsupportedGameError`` unless the leader configures a game in which it does not act."""
    if leader.commitment.configuration() is None or leader.estimator.recent.shape[1] != 1:
        raise UnsupportedGameError(
            f"{type(leader).__name__} is defined for configurable MDPs, where the leader does not act at every stage; "
            "bchg does both"
        )


def returns_to_go(batch: Trajectories, discount: float) -> FloatArray:
    """Discounted sums of the leader's rewards from each stage on, ``[N, T]``; nothing after the end."""
    out = np.zeros_like(batch.leader_rewards)
    _backward(batch.leader_rewards, batch.lengths, discount, out)
    return out


@compiled
def _backward(rewards: Any, lengths: Any, discount: float, out: Any) -> None:
    for i in range(rewards.shape[0]):
        total = 0.0
        for t in range(lengths[i] - 1, -1, -1):
            total = rewards[i, t] + discount * total
            out[i, t] = total


@compiled
def _sarsa(cells: Any, following: Any, rewards: Any, step: float, discount: float, table: Any) -> None:
    for k in range(cells.shape[0]):
        target = rewards[k]
        if following[k] >= 0:
            target += discount * table[following[k]]
        table[cells[k]] += step * (target - table[cells[k]])
