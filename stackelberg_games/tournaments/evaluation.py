"""What a commitment is worth against a follower: exact where the game is finite, sampled otherwise."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass

import numpy as np
import torch

from stackelberg_games.arrays import FloatArray, IntArray
from stackelberg_games.commitments.tabular import TabularPolicy
from stackelberg_games.errors import SolverError, UnsupportedGameError
from stackelberg_games.exact.objective import best_response, leader_objective, leader_value
from stackelberg_games.exact.optimum import solve
from stackelberg_games.exact.values import follower_value
from stackelberg_games.kinds.finite import TabularGame
from stackelberg_games.kinds.game import Game
from stackelberg_games.learning.follower import Answer, Follower
from stackelberg_games.learning.registry import make_leader
from stackelberg_games.play.rollout import TabularResponse, rollout
from stackelberg_games.rules.commitment import Commitment

MAX_ENUMERATED = 4096
SEARCHED = 4096
"""Actions in all states up to which references are searched for: beyond, a search takes hours."""

DESCENTS = 8
"""Starts of the local search over deterministic commitments where there are too many to try all."""


@dataclass(frozen=True)
class Evaluation:
    """A commitment against one follower.

    Attributes:
        follower: label of the follower.
        leader_payoff: the leader's expected discounted return.
        follower_payoff: the follower's, without entropy; None where it is not known.
        gap: by how much the follower's own objective (with entropy at its temperature) falls short
            of its best response; None where that is not known.
        episodes: 0 for exact figures, else how many were played.
        standard_error: of a sampled leader payoff; 0 for exact ones.
    """

    follower: str
    leader_payoff: float
    follower_payoff: float | None = None
    gap: float | None = None
    episodes: int = 0
    standard_error: float = 0.0


def true_temperature(follower: Follower) -> float | None:
    """The temperature a follower responds at: 0 for a hard best response, None where it has none."""
    temperature = getattr(follower, "planning_temperature", follower.declared_temperature)
    if temperature is None and hasattr(follower, "ties"):
        return 0.0
    return None if temperature is None else float(temperature)


def evaluate(
    label: str,
    game: Game,
    commitment: Commitment,
    follower: Follower,
    *,
    seed: int,
    episodes: int,
    answer: Answer | None = None,
) -> Evaluation:
    """Let a follower respond to a commitment, and measure both payoffs.

    Args:
        label: the follower's name.
        game: the rules.
        commitment: what it responds to.
        follower: starts anew unless ``answer`` is given.
        seed: of the follower's learning and of sampled episodes.
        episodes: played where the game is not finite.
        answer: a response the follower has already given to this commitment.
    """
    if answer is None:
        with follower:
            follower.begin(game, seed=seed)
            answer = follower.respond(game, commitment)
            return evaluate(label, game, commitment, follower, seed=seed, episodes=episodes, answer=answer)
    if isinstance(game, TabularGame) and isinstance(answer.policy, TabularResponse):
        return _exact(label, game, commitment, answer.policy.probabilities, true_temperature(follower))
    batch = rollout(game, commitment, answer.policy, episodes=episodes, seed=seed)
    returns = batch.leader_returns(game.leader_discount)
    error = float(returns.std(ddof=1) / len(returns) ** 0.5) if len(returns) > 1 else float("inf")
    paid = float(batch.follower_returns(game.follower_discount).mean())
    return Evaluation(label, float(returns.mean()), paid, None, episodes, error)


def evaluate_best(label: str, game: Game, commitment: Commitment, temperature: float | None) -> Evaluation | None:
    """A commitment against the exact best response at a temperature; None where it is not known."""
    if temperature is not None and isinstance(game, TabularGame):
        response = best_response(game, commitment, temperature).policy
        paid = follower_value(game, commitment, response)
        return Evaluation(label, leader_value(game, commitment, response), paid, 0.0)
    paid_best = best_payoff(game, commitment, temperature)
    return None if paid_best is None else Evaluation(label, paid_best)


def best_payoff(game: Game, commitment: Commitment, temperature: float | None) -> float | None:
    """What the leader is paid against the exact best response at a temperature; None where it is not known."""
    if temperature is None:
        return None
    if isinstance(game, TabularGame):
        return _value(game, commitment, temperature)
    with torch.no_grad(), suppress(UnsupportedGameError, SolverError):
        return float(leader_objective(game, commitment, temperature))
    return None


def _exact(
    label: str, game: TabularGame, commitment: Commitment, response: FloatArray, temperature: float | None
) -> Evaluation:
    tau = temperature or 0.0
    optimal = best_response(game, commitment, tau)
    reached = follower_value(game, commitment, response, tau)
    gap = follower_value(game, commitment, optimal.policy, tau) - reached
    paid = reached if tau == 0 else follower_value(game, commitment, response)
    return Evaluation(label, leader_value(game, commitment, response), paid, gap)


def initial_commitment(game: Game) -> Commitment:
    """Where leaders start: the uniform policy as a table, or the game's standard configuration or gain."""
    leader = make_leader("fixed")
    leader.begin(game.view())
    return leader.commitment


def optimal_commitment(game: Game, temperature: float | None, seed: int) -> tuple[Commitment, str]:
    """The best known commitment against the exact response, and how it was found.

    The better of ``exact.solve`` and the best deterministic commitment.

    Raises:
        UnsupportedGameError: no method finds it in this game.
    """
    known, finite = _known(game, temperature)
    if known > 0:
        _require_searchable(finite)
    candidates: list[tuple[Commitment, str]] = []
    with suppress(UnsupportedGameError):
        template = initial_commitment(finite) if known > 0 else None
        candidates.append((solve(finite, known, commitment=template, seed=seed).commitment, "exact.solve"))
    with suppress(UnsupportedGameError):
        candidates.append(deterministic_commitment(finite, known, seed))
    if not candidates:
        raise UnsupportedGameError(f"{game.name}: no exact optimum is known at temperature {known}")
    values = [_value(finite, commitment, known) for commitment, _ in candidates]
    return candidates[int(np.argmax(values))]


def deterministic_commitment(game: Game, temperature: float | None, seed: int) -> tuple[Commitment, str]:
    """The best deterministic commitment against the exact response, and how it was found.

    All of them are tried where there are at most ``MAX_ENUMERATED``; otherwise actions are improved
    one by one from ``DESCENTS`` random starts until nothing improves.

    Raises:
        UnsupportedGameError: the game is not finite, or its leader configures it.
    """
    known, finite = _known(game, temperature)
    if finite.configuration_space is not None:
        raise UnsupportedGameError(f"{game.name}: a configuration has no deterministic counterpart")
    seen = _seen(finite)
    alive = np.unique(seen[~finite.terminal])
    if finite.leader_actions ** len(alive) <= MAX_ENUMERATED:
        best = max(_all_choices(finite, alive), key=lambda actions: _choice_value(finite, actions, known))
        return _pure(finite, best), "enumeration"
    _require_searchable(finite)
    draws = np.random.default_rng(seed)
    starts = draws.integers(finite.leader_actions, size=(DESCENTS, seen.max() + 1))
    best = max((_improved(finite, start, alive, known) for start in list(starts)), key=lambda found: found[0])[1]
    return _pure(finite, best), f"local search from {DESCENTS} starts"


def _require_searchable(game: TabularGame) -> None:
    """Raise ``UnsupportedGameError`` for a game in which no reference is to be had while others wait for it."""
    count = game.states * game.leader_actions
    if count > SEARCHED:
        raise UnsupportedGameError(
            f"{game.name}: {count:,} actions in {game.states:,} states take hours to search for a reference; "
            "sg.exact.solve(game, temperature) does, and bounds= takes what it finds"
        )


def _known(game: Game, temperature: float | None) -> tuple[float, TabularGame]:
    if not isinstance(game, TabularGame) or temperature is None:
        raise UnsupportedGameError(f"{game.name}: only finite games with a best-responding follower are solved")
    return temperature, game


def _seen(game: TabularGame) -> IntArray:
    """What the leader sees in every state, ``[S]``: its observation, or the state itself; it decides alike where that is the same."""
    return np.arange(game.states) if game.observations is None else np.asarray(game.observations.numbers)


def _all_choices(game: TabularGame, alive: IntArray) -> Iterator[IntArray]:
    for chosen in itertools.product(range(game.leader_actions), repeat=len(alive)):
        actions = np.zeros(_seen(game).max() + 1, dtype=np.int64)
        actions[alive] = chosen
        yield actions


def _pure(game: TabularGame, actions: IntArray) -> TabularPolicy:
    return TabularPolicy.from_probabilities(game, np.eye(game.leader_actions)[actions[_seen(game)]])


def _value(game: TabularGame, commitment: Commitment, temperature: float) -> float:
    return leader_value(game, commitment, best_response(game, commitment, temperature).policy)


def _choice_value(game: TabularGame, actions: IntArray, temperature: float) -> float:
    return _value(game, _pure(game, actions), temperature)


def _improved(game: TabularGame, actions: IntArray, alive: IntArray, temperature: float) -> tuple[float, IntArray]:
    """Coordinate ascent: one observation's action at a time, first improvement, until none is left."""
    value, improving = _choice_value(game, actions, temperature), True
    while improving:
        improving = False
        for place, action in itertools.product(alive.tolist(), range(game.leader_actions)):
            changed = actions.copy()
            changed[place] = action
            new = _choice_value(game, changed, temperature)
            if new > value + 1e-12 * max(1.0, abs(value)):
                value, actions, improving = new, changed, True
    return value, actions
