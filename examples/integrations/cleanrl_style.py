"""A plain PPO loop over the AEC environment, one network for each player, nothing hidden.

What matters: the reward of a move is what ``last()`` says at the player's *next* turn. Read so, the
leader is credited with what the follower's answer brought it.

Printed with torch 2.13.0, pettingzoo 1.27.0, gymnasium 1.4.0::

    cleanrl_style: leader_0 84.6 -> 300.0 of 300
    cleanrl_style: follower_0 84.6 -> 300.0 of 300
"""

from __future__ import annotations

import numpy as np
import torch
from common import FOLLOWER, LEADER, game, greedy, show
from torch import nn

ITERATIONS, EPISODES, EPOCHS, CLIP, DISCOUNT, ENTROPY = 60, 20, 4, 0.2, 0.9, 0.02


class Player:
    """An actor and a critic on plain observations."""

    def __init__(self, inputs: int, actions: int) -> None:
        self.actor = nn.Sequential(nn.Linear(inputs, 32), nn.Tanh(), nn.Linear(32, actions))
        self.critic = nn.Sequential(nn.Linear(inputs, 32), nn.Tanh(), nn.Linear(32, 1))
        self.optimizer = torch.optim.Adam([*self.actor.parameters(), *self.critic.parameters()], lr=3e-3)
        self.rows: list[tuple] = []  # observation, action, log-probability, return to come

    def distribution(self, observation) -> torch.distributions.Categorical:
        """The policy at observations."""
        return torch.distributions.Categorical(logits=self.actor(torch.as_tensor(observation)))

    def update(self) -> None:
        """Clipped policy steps on the rows collected."""
        seen, actions, old, returns = (torch.as_tensor(np.array(column)) for column in zip(*self.rows, strict=True))
        returns = returns.float() / 30
        for _ in range(EPOCHS):
            values, policy = self.critic(seen).squeeze(1), self.distribution(seen)
            advantages = (returns - values).detach()
            advantages = (advantages - advantages.mean()) / (advantages.std() + 1e-6)
            ratio = (policy.log_prob(actions) - old).exp()
            gain = torch.minimum(ratio * advantages, ratio.clamp(1 - CLIP, 1 + CLIP) * advantages).mean()
            loss = -gain - ENTROPY * policy.entropy().mean() + 0.5 * (returns - values).square().mean()
            self.optimizer.zero_grad()
            loss.backward()
            self.optimizer.step()
        self.rows = []


def play(env, players: dict[str, Player], seed: int | None) -> None:
    """One episode; every player's moves are closed at its own next turn."""
    env.reset(seed=seed)
    moves: dict[str, list] = {agent: [] for agent in players}
    rewards: dict[str, list[float]] = {agent: [] for agent in players}
    for agent in env.agent_iter():
        observation, reward, terminated, truncated, _ = env.last()
        if moves[agent]:
            rewards[agent].append(reward)
        if terminated or truncated:
            env.step(None)
            continue
        with torch.no_grad():
            policy = players[agent].distribution(observation)
            action = policy.sample()
            moves[agent].append((observation, action.item(), policy.log_prob(action).item()))
        env.step(action.item())
    for agent, player in players.items():
        to_come = 0.0
        for move, reward in zip(reversed(moves[agent]), reversed(rewards[agent]), strict=True):
            to_come = reward + DISCOUNT * to_come
            player.rows.append((*move, to_come))


def main() -> None:
    """Train and print the figure."""
    torch.manual_seed(0)
    env = game().env()
    players = {a: Player(env.observation_space(a).shape[0], env.action_space(a).n) for a in (LEADER, FOLLOWER)}
    for iteration in range(ITERATIONS):
        for episode in range(EPISODES):
            play(env, players, seed=0 if iteration == episode == 0 else None)
        for player in players.values():
            player.update()
    with torch.no_grad():
        show("cleanrl_style", {a: lambda o, p=p: greedy(p.actor(torch.as_tensor(o))) for a, p in players.items()})


if __name__ == "__main__":
    main()
