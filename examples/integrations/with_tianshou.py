"""Tianshou: two DQNs over the AEC environment, with the leader's credit put right.

Tianshou files every reward in the row of the step that paid it. The leader is paid on the follower's
step, so its own rows hold zeros and one-step returns learn nothing. With ``n_step_return_horizon=2`` a
row reaches over the other player's row to the player's own next observation: both are credited
exactly, and the discount of a round is the square of the discount given.

Printed with tianshou 2.0.1, torch 2.13.0, pettingzoo 1.27.0, gymnasium 1.4.0 (150 is what the follower reaches
alone)::

    tianshou, 1-step returns: leader_0 84.6 -> 150.0 of 300
    tianshou, 1-step returns: follower_0 84.6 -> 150.0 of 300
    tianshou, 2-step returns: leader_0 84.6 -> 300.0 of 300
    tianshou, 2-step returns: follower_0 84.6 -> 300.0 of 300
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from common import FOLLOWER, LEADER, game, greedy, show
from tianshou.algorithm import DQN
from tianshou.algorithm.modelfree.dqn import DiscreteQLearningPolicy
from tianshou.algorithm.multiagent.marl import MultiAgentOffPolicyAlgorithm
from tianshou.algorithm.optim import AdamOptimizerFactory
from tianshou.data import Collector, VectorReplayBuffer
from tianshou.env import DummyVectorEnv
from tianshou.env.pettingzoo_env import PettingZooEnv
from tianshou.trainer import OffPolicyTrainerParams
from tianshou.utils.net.common import Net

import stackelberg_games as sg

EXPLORATION = 0.5


def environment() -> PettingZooEnv:
    """Equal spaces, as Tianshou wants, with masks in the observation, as it reads them."""
    return PettingZooEnv(sg.homogenize(game().env(), masks="observation"))


def learner(env: PettingZooEnv, steps: int) -> DQN:
    """A DQN whose returns span so many steps of the environment."""
    shape, count = env.observation_space["observation"].shape, env.action_space.n
    net = Net(state_shape=shape, action_shape=count, hidden_sizes=[64])
    policy = DiscreteQLearningPolicy(
        model=net,
        action_space=env.action_space,
        eps_training=EXPLORATION,
        eps_inference=EXPLORATION,  # of a pair, only the whole is told that it trains, not its policies
    )
    return DQN(
        policy=policy,
        optim=AdamOptimizerFactory(lr=5e-3),
        gamma=0.5**0.5,
        n_step_return_horizon=steps,
        target_update_freq=50,
    )


def train(steps: int) -> None:
    """Train a pair and print the figure."""
    np.random.seed(0)  # noqa: NPY002 (Tianshou explores with it)
    torch.manual_seed(0)
    env = environment()
    pair = MultiAgentOffPolicyAlgorithm(algorithms=[learner(env, steps), learner(env, steps)], env=env)
    buffer = VectorReplayBuffer(20_000, 4)
    collector = Collector(pair, DummyVectorEnv([environment for _ in range(4)]), buffer, exploration_noise=True)
    pair.run_training(
        OffPolicyTrainerParams(
            training_collector=collector,
            max_epochs=5,
            epoch_num_steps=1_000,
            collection_step_num_env_steps=80,
            update_step_num_gradient_steps_per_sample=0.2,
            batch_size=128,
            verbose=False,
            show_progress=False,
        )
    )
    show(f"tianshou, {steps}-step returns", {agent: player(pair, agent) for agent in (LEADER, FOLLOWER)})


def player(pair: MultiAgentOffPolicyAlgorithm, agent: str) -> Callable[[Any], int]:
    """The greedy policy of an agent, for observations as the environment gives them."""
    padding = sg.homogenize(game().env()).padding
    policy = pair.policy.policies[agent]

    def act(observation: Any) -> int:
        seen = padding.observation(agent, observation, {})
        with torch.no_grad():
            return greedy(policy.model(seen[None])[0])

    return act


if __name__ == "__main__":
    logging.disable(logging.WARNING)  # it warns of every batch that statistics of two rewards are taken together
    train(steps=1)
    train(steps=2)
