"""BC-HG with networks in one file, to be read from top to bottom; it needs PyTorch alone.

    python examples/bchg_neural_in_one_file.py [--updates 60] [--out curve.png]

A leader sees where a follower stands on a line, and names a step that the follower is paid for, f(a | x). The follower
steps by its soft-optimal policy g(b | x, a); it wants to be on the right, the leader wants it on the left. The leader's policy
is a network, and so is all that it learns from played episodes. It climbs the covariance hypergradient (arXiv 2603.14867).
A test holds advantages and gradients to the package's, to 1e-12.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn

LEADER_DISCOUNT, FOLLOWER_DISCOUNT, TEMPERATURE, SMOOTHING = 0.95, 0.9, 0.1, 0.95
STAGES, EPISODES, LEARNING_RATE, FIT_STEPS, FIT_RATE = 60, 64, 0.02, 30, 0.01
torch.set_default_dtype(torch.float64)


class Game(NamedTuple):
    """Places on the line ``[K, 1]``, chances of the next ``[K, B, K]``, and both rewards ``[K, A, B]``."""

    places: Tensor
    moves: Tensor
    leader_reward: Tensor
    follower_reward: Tensor


class Batch(NamedTuple):
    """Places, with the one after the last stage, ``[N, T + 1]``; actions, replies and both rewards ``[N, T]``."""

    places: Tensor
    actions: Tensor
    replies: Tensor
    leader_rewards: Tensor
    follower_rewards: Tensor


def line(size: int = 15) -> Game:
    """Three actions and three replies, left, stay and right; a step lands within two places of where it leads."""
    x, to, step = torch.linspace(-1, 1, size), torch.arange(size) + 0.0, torch.tensor([-2.0, 0.0, 2.0])
    moves = torch.exp(-((to - to[:, None, None] - step[:, None]) ** 2))
    named = torch.eye(3)  # where the reply is what the leader has named
    return Game(
        x[:, None],
        moves / moves.sum(dim=2, keepdim=True),
        (-((x + 0.6) ** 2))[:, None, None].expand(size, 3, 3) - 0.1 * named,
        (-((x - 0.6) ** 2))[:, None, None].expand(size, 3, 3) + 0.4 * named,
    )


def network(inputs: int, outputs: int) -> nn.Sequential:
    """One hidden layer."""
    return nn.Sequential(nn.Linear(inputs, 32), nn.Tanh(), nn.Linear(32, outputs))


def respond(game: Game, policy: Tensor) -> Tensor:
    """The follower's soft-optimal answer g ``[K, A, B]`` to f ``[K, A]``, by value iteration."""
    values = torch.zeros(len(policy))
    while True:
        q = game.follower_reward + FOLLOWER_DISCOUNT * (game.moves @ values)[:, None]
        new = (policy * TEMPERATURE * torch.logsumexp(q / TEMPERATURE, dim=2)).sum(dim=1)
        if (new - values).abs().max() < 1e-13:
            return torch.softmax(q / TEMPERATURE, dim=2)
        values = new


def leader_value(game: Game, policy: Tensor, response: Tensor) -> float:
    """The leader's exact value from a place drawn at random, for the learning curve alone."""
    joint = policy[:, :, None] * response
    moves, paid = torch.einsum("kab,kbl->kl", joint, game.moves), (joint * game.leader_reward).sum(dim=(1, 2))
    return float(torch.linalg.solve(torch.eye(len(paid)) - LEADER_DISCOUNT * moves, paid).mean())


def play(game: Game, policy: Tensor, response: Tensor, draws: torch.Generator) -> Batch:
    """Episodes side by side."""

    def draw(chances: Tensor) -> Tensor:
        return torch.multinomial(chances, 1, generator=draws)[:, 0]

    place, columns = draw(torch.ones(EPISODES, len(policy))), []
    for _ in range(STAGES):
        cell = place, (action := draw(policy[place])), (reply := draw(response[place, action]))
        columns.append((*cell, game.leader_reward[cell], game.follower_reward[cell]))
        place = draw(game.moves[place, reply])
    places, *rest = (torch.stack(column, dim=1) for column in zip(*columns, strict=True))
    return Batch(torch.cat([places, place[:, None]], dim=1), *rest)


def advantages(rewards: Tensor, values: Tensor, discount: float) -> Tensor:
    """Generalised advantage estimates ``[N, T]`` from rewards ``[N, T]`` and values ``[N, T + 1]``."""
    deltas = rewards + discount * values[:, 1:] - values[:, :-1]
    total, found = torch.zeros(len(deltas)), []
    for t in reversed(range(deltas.shape[1])):
        total = deltas[:, t] + discount * SMOOTHING * total
        found.append(total)
    return torch.stack(found[::-1], dim=1)


class Critics:
    """What the leader learns from what it has seen: VL(x), VF(x), log g(b | x, a), and h(x, a, b)."""

    def __init__(self, game: Game) -> None:
        every = [network(*sizes) for sizes in ((1, 1), (1, 1), (4, 3), (4, 3))]
        self.game, (self.leader, self.follower, self.reply, self.worth) = game, every
        self.adams = {one: torch.optim.Adam(one.parameters(), lr=FIT_RATE) for one in every}

    def fit(self, one: nn.Module, loss: Callable[[], Tensor]) -> None:
        """Descend."""
        for _ in range(FIT_STEPS):
            self.adams[one].zero_grad()
            loss().backward()
            self.adams[one].step()

    def observe(self, batch: Batch) -> tuple[Tensor, Tensor, Tensor]:
        """Fit all to a batch; then AL, AF and B at its stages, ``[N, T]`` each."""
        x = self.game.places[batch.places]
        seen = torch.cat([x[:, :-1], nn.functional.one_hot(batch.actions, 3)], dim=2)
        taken = batch.replies[:, :, None]
        self.fit(self.reply, lambda: -torch.log_softmax(self.reply(seen), dim=2).gather(2, taken).mean())
        with torch.no_grad():
            log_reply = torch.log_softmax(self.reply(seen), dim=2)
            owed = batch.follower_rewards - TEMPERATURE * log_reply.gather(2, taken)[:, :, 0]
        self._regress(self.leader, x, batch.leader_rewards, LEADER_DISCOUNT)
        self._regress(self.follower, x, owed, FOLLOWER_DISCOUNT)
        with torch.no_grad():
            values = self.leader(x)[:, :, 0]
            delta = batch.leader_rewards + LEADER_DISCOUNT * values[:, 1:] - values[:, :-1]
            led = advantages(batch.leader_rewards, values, LEADER_DISCOUNT)
            followed = advantages(owed, self.follower(x)[:, :, 0], FOLLOWER_DISCOUNT)
        self.fit(self.worth, lambda: (self.worth(seen).gather(2, taken)[:, :, 0] - delta).square().mean())
        worth = self.worth(seen).detach()
        return led, followed, worth.gather(2, taken)[:, :, 0] - (log_reply.exp() * worth).sum(dim=2)

    def _regress(self, one: nn.Module, x: Tensor, rewards: Tensor, discount: float) -> None:
        """Values to their lambda-returns."""
        with torch.no_grad():
            values = one(x)[:, :, 0]
            returns = values[:, :-1] + advantages(rewards, values, discount)
        self.fit(one, lambda: (one(x)[:, :-1, 0] - returns).square().mean())


def surrogate(log_policy: Tensor, led: Tensor, followed: Tensor, benefit: Tensor) -> Tensor:
    """A scalar whose gradient is the estimate; ``[N, T]`` each.

    direct    sum_t gL^t AL_t d log f_t
    response  (1/tau) sum_t u_t AF_t d log f_t,   u_0 = 0,   u_{t+1} = gF (u_t + gL^t B_t)
    """
    trace, weights = torch.zeros(len(led)), []
    for t in range(led.shape[1]):
        weights.append(LEADER_DISCOUNT**t * led[:, t] + trace / TEMPERATURE * followed[:, t])
        trace = FOLLOWER_DISCOUNT * (trace + LEADER_DISCOUNT**t * benefit[:, t])
    return (torch.stack(weights, dim=1) * log_policy).sum(dim=1).mean()


def train(game: Game, updates: int, seed: int = 0) -> tuple[nn.Module, list[float]]:
    """The policy's network after some updates, and the leader's exact value before each."""
    torch.manual_seed(seed)
    draws = torch.Generator().manual_seed(seed)
    actor, critics, values = network(1, 3), Critics(game), []
    adam = torch.optim.Adam(actor.parameters(), lr=LEARNING_RATE, maximize=True)
    for _ in range(updates):
        policy = torch.softmax(actor(game.places), dim=1).detach()
        response = respond(game, policy)
        values.append(leader_value(game, policy, response))
        batch = play(game, policy, response, draws)
        factors = critics.observe(batch)
        scores = torch.log_softmax(actor(game.places[batch.places[:, :-1]]), dim=2).gather(2, batch.actions[:, :, None])
        adam.zero_grad()
        surrogate(scores[:, :, 0], *factors).backward()
        adam.step()
    return actor, values


def main(arguments: Sequence[str] | None = None) -> None:
    """Train, print, and draw where asked to."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--updates", type=int, default=60)
    parser.add_argument("--out", help="a picture of the learning curve")
    chosen = parser.parse_args(arguments)
    actor, values = train(line(), chosen.updates)
    print(f"leader value {values[0]:.3f} at first, {values[-1]:.3f} after {chosen.updates} updates")
    print("what it names, from left to right:", torch.softmax(actor(line().places), dim=1).argmax(dim=1).tolist())
    if chosen.out:
        from matplotlib.figure import Figure

        figure = Figure(figsize=(6, 3.5), layout="constrained")
        figure.subplots(subplot_kw={"xlabel": "updates", "ylabel": "leader value (exact)"}).plot(values)
        figure.savefig(chosen.out, dpi=150)


if __name__ == "__main__":
    main()
