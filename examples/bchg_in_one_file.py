"""BC-HG for a finite game in one file, to be read from top to bottom; it needs NumPy alone.

    python examples/bchg_in_one_file.py [--updates 150] [--out curve.png]

A leader picks a policy f(a | s). A follower, who sees the action, answers with the soft-optimal policy g(b | s, a) at
temperature tau. The leader climbs the covariance hypergradient (arXiv 2603.14867), estimated from played episodes.
It is given the critics here, worked out from the game, so that the estimator stands alone; ``bchg`` of the package
estimates them from the same episodes. A test holds every gradient to the package's, to 1e-12.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

LEADER_DISCOUNT, FOLLOWER_DISCOUNT, TEMPERATURE = 0.9, 0.8, 0.2
STAGES, EPISODES, LEARNING_RATE = 80, 30, 0.1


class Game(NamedTuple):
    """A finite game: ``[S, A, B, S]``, twice ``[S, A, B]``, ``[S]``."""

    transition: Any
    leader_reward: Any
    follower_reward: Any
    initial: Any


class Critics(NamedTuple):
    """What the estimator needs, ``[S, A, B]``, ``[S, A]`` and ``[S, A]``.

    Attributes:
        benefit: what a reply is worth to the leader, beyond the mean reply.
        leader_advantage, follower_advantage: of the leader's action, to either player.
    """

    benefit: Any
    leader_advantage: Any
    follower_advantage: Any


def random_game(states: int = 4, actions: int = 3, replies: int = 3, seed: int = 1) -> Game:
    """Random transitions, and rewards that the players do not share."""
    draws = np.random.default_rng(seed)
    transition = draws.dirichlet(0.5 * np.ones(states), size=(states, actions, replies))
    leader_reward, follower_reward = draws.uniform(-1, 1, size=(2, states, actions, replies))
    return Game(transition, leader_reward, follower_reward, np.full(states, 1 / states))


def softmax(values: Any) -> Any:
    """Over the last axis."""
    raised = np.exp(values - values.max(axis=-1, keepdims=True))
    return raised / raised.sum(axis=-1, keepdims=True)


def respond(game: Game, policy: Any) -> tuple[Any, Any]:
    """The follower's soft-optimal answer g ``[S, A, B]`` and its values VF ``[S, A]``, by value iteration.

    QF(s, a, b) = rF + gF E_s'[ sum_a' f(a'|s') VF(s', a') ],   VF = tau log sum_b exp(QF / tau)
    """
    values = np.zeros(policy.shape)
    while True:
        q = game.follower_reward + FOLLOWER_DISCOUNT * game.transition @ (policy * values).sum(axis=1)
        top = q.max(axis=-1)
        new = top + TEMPERATURE * np.log(np.exp((q - top[..., None]) / TEMPERATURE).sum(axis=-1))
        if np.abs(new - values).max() < 1e-14:
            return softmax(q / TEMPERATURE), new
        values = new


def leader_values(game: Game, policy: Any, response: Any) -> Any:
    """The leader's values VL ``[S]`` of both policies, by a linear system."""
    joint = policy[..., None] * response
    paid = (joint * game.leader_reward).sum(axis=(1, 2))
    moves = np.einsum("sab,sabt->st", joint, game.transition)
    return np.linalg.solve(np.eye(len(paid)) - LEADER_DISCOUNT * moves, paid)


def critics_of(game: Game, policy: Any, response: Any, follower_values: Any) -> Critics:
    """Benefits and advantages."""
    q = game.leader_reward + LEADER_DISCOUNT * game.transition @ leader_values(game, policy, response)
    mean = (response * q).sum(axis=-1)
    return Critics(
        q - mean[..., None],
        mean - (policy * mean).sum(axis=1, keepdims=True),
        follower_values - (policy * follower_values).sum(axis=1, keepdims=True),
    )


def play(game: Game, policy: Any, response: Any, draws: np.random.Generator) -> tuple[Any, Any, Any]:
    """States, leader actions and replies of a batch, ``[N, T]`` each; episodes side by side."""

    def draw(chances: Any) -> Any:
        return (chances.cumsum(axis=-1) < draws.random((len(chances), 1))).sum(axis=-1).clip(0, chances.shape[-1] - 1)

    state, played = draw(np.tile(game.initial, (EPISODES, 1))), []
    for _ in range(STAGES):
        action = draw(policy[state])
        reply = draw(response[state, action])
        played.append((state, action, reply))
        state = draw(game.transition[state, action, reply])
    states, actions, replies = (np.stack(column, axis=1) for column in zip(*played, strict=True))
    return states, actions, replies


def hypergradient(states: Any, actions: Any, replies: Any, critics: Critics, policy: Any) -> Any:
    """The estimate in the logits of the policy, ``[S, A]``; one pass over the stages.

    direct    sum_t gL^t AL_t d log f_t
    response  (1/tau) sum_t u_t AF_t d log f_t,   u_0 = 0,   u_{t+1} = gF (u_t + gL^t B_t)

    The trace u carries forward what earlier replies were worth to the leader: whatever changes the follower's values
    now has changed those replies.
    """
    weights, trace = np.zeros(policy.shape), np.zeros(len(states))
    for t in range(states.shape[1]):
        s, a, b = states[:, t], actions[:, t], replies[:, t]
        direct = LEADER_DISCOUNT**t * critics.leader_advantage[s, a]
        response = trace / TEMPERATURE * critics.follower_advantage[s, a]
        np.add.at(weights, (s, a), direct + response)
        trace = FOLLOWER_DISCOUNT * (trace + LEADER_DISCOUNT**t * critics.benefit[s, a, b])
    weights /= len(states)
    return weights - policy * weights.sum(axis=1, keepdims=True)  # d log f(a|s) / d logits = 1_a - f


def train(game: Game, updates: int, seed: int = 0) -> tuple[Any, list[float]]:
    """Logits after some updates by Adam, and the leader's exact value before each."""
    draws = np.random.default_rng(seed)
    logits = np.zeros(game.transition.shape[:2])
    mean, square, values = np.zeros_like(logits), np.zeros_like(logits), []
    for k in range(1, updates + 1):
        policy = softmax(logits)
        response, follower_values = respond(game, policy)
        values.append(float(game.initial @ leader_values(game, policy, response)))
        batch = play(game, policy, response, draws)
        gradient = hypergradient(*batch, critics_of(game, policy, response, follower_values), policy)
        mean, square = 0.9 * mean + 0.1 * gradient, 0.999 * square + 0.001 * gradient**2
        logits += LEARNING_RATE * (mean / (1 - 0.9**k)) / (np.sqrt(square / (1 - 0.999**k)) + 1e-8)
    return logits, values


def main(arguments: Sequence[str] | None = None) -> None:
    """Train, print, and draw where asked to."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--updates", type=int, default=150)
    parser.add_argument("--out", help="a picture of the learning curve")
    chosen = parser.parse_args(arguments)
    logits, values = train(random_game(), chosen.updates)
    print(f"leader value {values[0]:.4f} at first, {values[-1]:.4f} after {chosen.updates} updates")
    print("policy, a row for each state:")
    print(np.array2string(softmax(logits), precision=3, suppress_small=True))
    if chosen.out:
        from matplotlib.figure import Figure

        figure = Figure(figsize=(6, 3.5), layout="constrained")
        axes = figure.subplots()
        axes.plot(values)
        axes.set_xlabel("updates")
        axes.set_ylabel("leader value (exact)")
        figure.savefig(chosen.out, dpi=150)


if __name__ == "__main__":
    main()
